"""Interpolation codes against pyhf's own interpolators, and their derivatives against finite differences."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pyhf
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxfit.likelihood import interpolation

FACTORS = [(1.2, 0.85), (0.9, 0.7), (1.0, 1.0), (1.3, 1.1), (2.5, 0.05)]
HISTOGRAMS = [([8.0, 12.0], [10.0, 10.0], [11.0, 9.0]), ([10.0, 10.0], [10.0, 10.0], [14.0, 11.0])]  # lo, nominal, hi
ALPHAS = [-4.0, -1.5, -1.0, -0.999, -0.3, -1e-9, 0.0, 1e-9, 0.4, 0.999, 1.0, 1.7, 5.0]


def factor_of(code, hi, lo):
    logs = np.log(hi), np.log(lo)
    poly = interpolation.code4_coefficients(*map(np.asarray, logs))
    return lambda alpha: interpolation.factor(code, alpha, *map(jnp.asarray, (*logs, poly)))


def pyhf_code(code, lo, nominal, hi, alpha):
    found = pyhf.interpolators.get(code)([[[lo, nominal, hi]]])(np.array([[alpha]]))
    return np.asarray(found)[0, 0, 0]


@pytest.mark.parametrize("code", [1, 4])
@pytest.mark.parametrize(("hi", "lo"), FACTORS)
def test_factors_equal_pyhf(code, hi, lo):
    function = factor_of(f"code{code}", hi, lo)
    for alpha in ALPHAS:
        expected = pyhf_code(code, [lo], [1.0], [hi], alpha)[0]
        assert function(jnp.float64(alpha)) == pytest.approx(expected, rel=1e-13)


@pytest.mark.parametrize("code", [0, 2, "4p"])
@pytest.mark.parametrize(("lo", "nominal", "hi"), HISTOGRAMS)
def test_shapes_equal_pyhf(code, lo, nominal, hi):
    lo, nominal, hi = map(np.asarray, (lo, nominal, hi))
    for alpha in ALPHAS:
        symmetric, antisymmetric = interpolation.shape(f"code{code}", jnp.array([alpha]))[:, 0]
        shift = symmetric * (hi - lo) / 2 + antisymmetric * ((hi + lo) / 2 - nominal)
        expected = pyhf_code(code, lo.tolist(), nominal.tolist(), hi.tolist(), alpha)
        if code == 2 and alpha < -1:  # pyhf 0.7.6 departs from its documentation here
            b, a = (hi - lo) / 2, (hi + lo) / 2 - nominal
            np.testing.assert_allclose(expected, (b - 2 * a) * alpha, atol=1e-13)
            expected = (b - 2 * a) * (alpha + 1)
        np.testing.assert_allclose(shift, expected, atol=1e-13)


def elementary():
    for code in ("code1", "code4"):
        for hi, lo in FACTORS:
            yield pytest.param(factor_of(code, hi, lo), id=f"{code}-{hi}-{lo}")
    for code in ("code0", "code2", "code4p"):
        for part in (0, 1):
            function = partial(lambda code, part, x: interpolation.shape(code, x)[part], code, part)
            yield pytest.param(function, id=f"{code}-{part}")


@pytest.mark.parametrize("function", [*elementary()])
def test_derivatives_away_from_the_joints(function):
    x = jnp.array([-3.0, -1.2, -0.8, -0.1, 0.2, 0.9, 1.3, 4.0])
    h = 1e-3
    value, first, second = interpolation.with_derivatives(function, x)
    f = [np.asarray(function(x + k * h)) for k in (-2, -1, 0, 1, 2)]
    np.testing.assert_array_equal(value, f[2])
    np.testing.assert_allclose(first, (f[0] - 8 * f[1] + 8 * f[3] - f[4]) / (12 * h), rtol=1e-8, atol=1e-9)
    np.testing.assert_allclose(second, (-f[0] + 16 * f[1] - 30 * f[2] + 16 * f[3] - f[4]) / (12 * h**2), atol=1e-6)


@pytest.mark.parametrize("function", [*elementary()])
@pytest.mark.parametrize(("alpha", "side"), [(0.0, 1), (-1e-300, -1), (1.0, -1), (-1.0, 1)])
def test_derivatives_at_the_joints_are_one_sided(function, alpha, side):
    """On the right at 0, on the left just below; at +-1 those of the inside (4 and 4p have no other)."""
    h = 1e-3
    value, first, second = interpolation.with_derivatives(function, jnp.array([alpha]))
    f = [np.asarray(function(jnp.array([alpha + side * k * h]))) for k in range(6)]
    np.testing.assert_array_equal(value, f[0])
    slope = side * (-137 * f[0] + 300 * f[1] - 300 * f[2] + 200 * f[3] - 75 * f[4] + 12 * f[5]) / (60 * h)
    bend = (45 * f[0] - 154 * f[1] + 214 * f[2] - 156 * f[3] + 61 * f[4] - 10 * f[5]) / (12 * h**2)
    np.testing.assert_allclose(first, slope, rtol=1e-8, atol=1e-8)
    np.testing.assert_allclose(second, bend, atol=2e-6)


@pytest.mark.parametrize(("code", "hi", "lo"), [("code1", *FACTORS[0]), ("code1", *FACTORS[3])])
def test_code1_has_a_kink_at_zero_that_is_known(code, hi, lo):
    assert code in interpolation.KINKED
    slopes = interpolation.with_derivatives(factor_of(code, hi, lo), jnp.array([0.0, -1e-300]))[1]
    np.testing.assert_allclose(slopes, [np.log(hi), -np.log(lo)], rtol=1e-14)


@settings(deadline=None, max_examples=50)
@given(st.floats(0.05, 3.0), st.floats(0.05, 3.0))
def test_code4_is_smooth_where_it_turns_exponential(hi, lo):
    """Value, slope and curvature of the polynomial at +-1 are those of hi^alpha and lo^-alpha."""
    with jax.enable_x64(True):
        poly = np.append(interpolation.code4_coefficients(np.log(hi), np.log(lo))[::-1], 1.0)
        for alpha, base, sign in ((1.0, hi, 1.0), (-1.0, lo, -1.0)):
            derivatives = [np.polyval(np.polyder(poly, k), alpha) for k in range(3)]
            log = sign * np.log(base)
            np.testing.assert_allclose(derivatives, [base, log * base, log**2 * base], rtol=1e-9, atol=1e-9)
