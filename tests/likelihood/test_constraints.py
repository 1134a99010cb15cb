"""Poisson and normal terms against scipy, and where scipy has lost its digits against series."""

import math
from decimal import Decimal, localcontext

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxfit.likelihood.constraints import normal_constant, poisson_constant, poisson_deviance, poisson_slopes

COUNTS = [0.0, 1.0, 3.0, 15.0, 16.0, 17.0, 250.0, 1e4]
YIELDS = [1e-6, 0.3, 1.0, 2.9, 16.0, 240.0, 1.1e4]

deviance = jax.jit(poisson_deviance)
deviance_slopes = jax.jit(lambda n, nu: (jax.grad(poisson_deviance, 1)(n, nu), jax.hessian(poisson_deviance, 1)(n, nu)))


@pytest.mark.parametrize("n", COUNTS)
@pytest.mark.parametrize("nu", YIELDS)
def test_deviance_and_constant_are_the_poisson_probability(n, nu):
    expected = -scipy.stats.poisson.logpmf(n, nu)
    assert poisson_deviance(n, nu) + poisson_constant(n) == pytest.approx(expected, rel=1e-12, abs=1e-12)


@settings(deadline=None, max_examples=50)
@given(st.just(0.0) | st.floats(1e-9, 1e9), st.floats(1e-9, 1e9))
def test_deviance_is_never_negative_and_zero_at_the_observed(n, nu):
    with jax.enable_x64(True):
        assert deviance(n, nu) >= 0.0
        assert deviance(nu, nu) == 0.0


@pytest.mark.parametrize("n", [25.0, 1e6, 1e11])
@pytest.mark.parametrize("excess", [1e-9, -1e-7, 1e-4, 0.4, -0.4, 0.6, -0.6, 5.0])
def test_deviance_keeps_its_digits_near_the_observed(n, excess):
    """A difference of terms of the size of n would be wrong by n times the rounding."""
    nu = n * (1 + excess)
    with localcontext() as context:
        context.prec = 50
        exact = Decimal(nu) - Decimal(n) - Decimal(n) * (Decimal(nu) / Decimal(n)).ln()
    # the excess itself is known to eps / excess
    assert poisson_deviance(n, nu) == pytest.approx(float(exact), rel=1e-12 + 4e-16 / abs(excess))


def test_deviance_where_the_ratio_overflows():
    """An auxiliary measurement of almost nothing."""
    assert poisson_deviance(jnp.float64(1e-305), jnp.float64(2658.0)) == pytest.approx(2658.0, rel=1e-15)


@pytest.mark.parametrize(("n", "nu", "expected"), [(0, 0, 0), (0, 2.5, 2.5), (0, -1.5, -1.5)])
def test_deviance_without_events_is_the_yield(n, nu, expected):
    assert poisson_deviance(jnp.float64(n), jnp.float64(nu)) == expected


@pytest.mark.parametrize(("n", "nu"), [(1.0, 0.0), (3.0, -0.5), (2.0, np.nan), (0.0, np.nan)])
def test_deviance_is_infinite_where_the_model_is_not_defined(n, nu):
    assert poisson_deviance(n, nu) == np.inf


@pytest.mark.parametrize(("n", "nu"), [(0.0, 0.0), (0.0, 3.0), (0.0, -1.0), (4.0, 0.2), (4.0, 4.0), (7.5, 30.0)])
def test_slopes_are_the_derivatives_of_the_deviance(n, nu):
    first, second = poisson_slopes(jnp.float64(n), jnp.float64(nu))
    assert first == pytest.approx(1.0 - (n / nu if n else 0.0))
    np.testing.assert_allclose(deviance_slopes(n, nu), (first, second), rtol=1e-13, atol=1e-14)


@pytest.mark.parametrize("pull", [-2.0, 0.3, 1.0])
def test_slopes_keep_their_digits_near_the_observed(pull):
    """In standard deviations of 1e9 at 1e18 events, where 1 - n / nu is rounded to 1e-7 of them."""
    n = 1e18
    nu = n + pull * math.sqrt(n)
    with localcontext() as context:
        context.prec = 50
        exact = (Decimal(nu) - Decimal(n)) / Decimal(nu)
    first, second = poisson_slopes(jnp.float64(n), jnp.float64(nu))
    assert first == pytest.approx(float(exact), rel=1e-15, abs=0.0)
    assert second == pytest.approx(1.0 / n, rel=1e-8, abs=0.0)


@pytest.mark.parametrize(("n", "nu"), [(1.0, 0.0), (0.0, 0.0), (1.0, -2.0)])
def test_slopes_are_finite(n, nu):
    assert np.isfinite(poisson_slopes(jnp.float64(n), jnp.float64(nu))).all()


@pytest.mark.parametrize("n", [0.0, 0.25, 1.0, 9.7, 15.999, 16.0, 16.001, 40.0, 170.5])
def test_poisson_constant(n):
    expected = n - n * math.log(n or 1.0) + math.lgamma(n + 1)
    assert poisson_constant(n) == pytest.approx(expected, rel=1e-13, abs=1e-13)


@pytest.mark.parametrize("n", [16, 30, 1000])
def test_poisson_constant_of_whole_numbers_is_exact(n):
    with localcontext() as context:
        context.prec = 50
        exact = n - n * Decimal(n).ln() + Decimal(math.factorial(n)).ln()
    assert poisson_constant(float(n)) == pytest.approx(float(exact), rel=2e-15)


@pytest.mark.parametrize("n", [1e6, 1e11])
def test_poisson_constant_of_large_counts(n):
    assert poisson_constant(n) == pytest.approx(0.5 * math.log(2 * math.pi * n) + 1 / (12 * n), rel=1e-15)


@pytest.mark.parametrize("sigma", [1e-5, 0.3, 1.0, 20.0])
def test_normal_constant(sigma):
    assert normal_constant(sigma) == pytest.approx(-scipy.stats.norm.logpdf(0.7, 0.7, sigma), rel=1e-14)
