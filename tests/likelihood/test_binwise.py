"""The closed forms for one gamma against its NLL, written out in numpy."""

from itertools import product

import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxfit.likelihood.binwise import free_minimum, normal_minimum, poisson_minimum

OBSERVED = [0.0, 1.0, 7.0, 120.0, 2.3e6]
REST = [0.0, 0.4, 30.0]
SLOPE = [1e-3, 2.0, 90.0]


def exact_normal_minimum(n, rest, slope, aux, sigma):
    """In extended precision."""
    n, rest, slope, aux, sigma = np.longdouble([n, rest, slope, aux, sigma])
    variance = (slope * sigma) ** 2
    half = (rest + aux * slope - variance) / 2
    root = np.sqrt(half**2 + n * variance)
    return ((half + root if half > 0 else n * variance / (root - half)) - rest) / slope


@pytest.mark.parametrize("sigma", [1e-6, 1e-3, 0.8])
@pytest.mark.parametrize("rest", [0.0, 1e8])
def test_the_yield_of_a_full_bin_is_known_to_its_rounding(rest, sigma):
    """A gamma that is off by 1e-7 makes 125 of 1e9 events, and a valley of the likelihood impassable."""
    n, slope = 1.35e9, 1.25e9
    gamma = float(normal_minimum(n, rest, slope, 1.0, sigma))
    assert slope * abs(gamma - exact_normal_minimum(n, rest, slope, 1.0, sigma)) <= 1e-15 * n


def main_slope(n, rest, slope, gamma):
    """Derivative of nu - n log nu by gamma."""
    return slope - (n * slope / (rest + slope * gamma) if n > 0 else 0.0)


@pytest.mark.parametrize(("n", "rest", "slope"), [*product(OBSERVED, REST, SLOPE)])
@pytest.mark.parametrize(("aux", "sigma"), [(1.0, 0.05), (0.9, 1.5)])
def test_normal_minimum_is_stationary(n, rest, slope, aux, sigma):
    gamma = float(normal_minimum(n, rest, slope, aux, sigma))
    pull = (gamma - aux) / sigma**2
    size = abs(pull) + slope + n * slope / max(rest + slope * gamma, 1e-300)
    assert abs(main_slope(n, rest, slope, gamma) + pull) <= 1e-8 * size
    if n > 0:
        assert rest + slope * gamma > 0


@pytest.mark.parametrize(("n", "rest", "slope"), [*product(OBSERVED, REST, SLOPE)])
@pytest.mark.parametrize(("count", "tau"), [(25.0, 25.0), (90.0, 80.0), (1e8, 1e8)])
def test_poisson_minimum_is_stationary(n, rest, slope, count, tau):
    gamma = float(poisson_minimum(n, rest, slope, count, tau))
    assert gamma > 0
    terms = [slope + tau, -count / gamma, -n * slope / (rest + slope * gamma)]
    assert abs(sum(terms)) <= 1e-9 * sum(map(abs, terms))


@pytest.mark.parametrize(("n", "rest"), [*product(OBSERVED[1:], REST)])
@pytest.mark.parametrize("slope", [3.0, -2.0])
def test_free_minimum_expects_what_is_observed(n, rest, slope):
    gamma = float(free_minimum(n, rest, slope, 1.0))
    assert rest + slope * gamma == pytest.approx(n, abs=1e-12)


@pytest.mark.parametrize("slope", [3.0, -2.0])
def test_free_minimum_without_events_expects_as_little_as_bounds_allow(slope):
    assert np.clip(free_minimum(0.0, 5.0, slope, 1.0), 0.0, 10.0) == (0.0 if slope > 0 else 10.0)


def test_poisson_minimum_where_the_linear_term_vanishes():
    """(slope + tau) rest = (n + count) slope, exactly, as whole numbers do."""
    n, rest, slope, count, tau = 4.0, 5.0, 1.0, 6.0, 1.0
    gamma = float(poisson_minimum(n, rest, slope, count, tau))
    assert gamma == pytest.approx(np.sqrt(60.0) / 2, rel=1e-14)
    assert main_slope(n, rest, slope, gamma) + tau - count / gamma == pytest.approx(0.0, abs=1e-13)


@pytest.mark.parametrize("n", [1.0, 12.0, 60.0])
@pytest.mark.parametrize("slope", [-2.0, -30.0])
def test_a_negative_slope(n, slope):
    """A sample of negative yields: the root at which the bin expects something."""
    rest, tau = 40.0, 100.0
    gamma = float(normal_minimum(n, rest, slope, 1.0, 0.1))
    assert rest + slope * gamma > 0
    assert main_slope(n, rest, slope, gamma) + (gamma - 1.0) / 0.01 == pytest.approx(0.0, abs=1e-8)
    gamma = float(poisson_minimum(n, rest, slope, tau, tau))
    assert gamma > 0
    assert rest + slope * gamma > 0
    assert main_slope(n, rest, slope, gamma) + tau - tau / gamma == pytest.approx(0.0, abs=1e-8)


@pytest.mark.parametrize("rest", [0.0, 5.0])
def test_a_gamma_without_effect_stays_at_its_measurement(rest):
    n = 5.0 if rest else 0.0
    assert normal_minimum(n, rest, 0.0, 0.93, 0.1) == pytest.approx(0.93, rel=1e-15)
    assert poisson_minimum(n, rest, 0.0, 40.0, 50.0) == pytest.approx(0.8, rel=1e-15)
    assert free_minimum(n, rest, 0.0, 1.7) == 1.7


@pytest.mark.parametrize("rest", [-3.0, -40.0])
def test_a_negative_rest_is_overcome(rest):
    """Interference: samples that gamma does not scale may sum to less than nothing."""
    n, slope = 12.0, 50.0
    for gamma in (normal_minimum(n, rest, slope, 1.0, 0.1), poisson_minimum(n, rest, slope, 100.0, 100.0)):
        assert rest + slope * gamma > 0
    gamma = float(normal_minimum(n, rest, slope, 1.0, 0.1))
    assert main_slope(n, rest, slope, gamma) + (gamma - 1.0) / 0.01 == pytest.approx(0.0, abs=1e-8)
    gamma = float(poisson_minimum(n, rest, slope, 100.0, 100.0))
    assert main_slope(n, rest, slope, gamma) + 100.0 - 100.0 / gamma == pytest.approx(0.0, abs=1e-8)


@settings(deadline=None, max_examples=40)
@given(st.just(0.0) | st.floats(1e-3, 1e3), st.floats(0.0, 1e3), st.floats(1e-2, 1e3), st.floats(0.01, 2.0))
def test_normal_minimum_is_the_lowest_point(n, rest, slope, sigma):
    def nll(gamma):
        nu = rest + slope * gamma
        if nu <= 0 and n > 0:
            return np.inf
        return nu - (n * np.log(nu) if n > 0 else 0.0) + 0.5 * ((gamma - 1.0) / sigma) ** 2

    # the arrays of a bin: one shape, float64 whatever the flag says
    gamma = float(normal_minimum(*(jnp.asarray(value) for value in (n, rest, slope, 1.0, sigma))))
    nearby = scipy.optimize.minimize_scalar(nll, bracket=(gamma - 1e-3, gamma + 1e-3), tol=1e-10)
    assert nll(gamma) <= nearby.fun + 1e-9 * (1 + abs(nearby.fun))


def test_a_poisson_measurement_of_nothing():
    """A count of zero: gamma is zero where the bin needs none of it."""
    assert poisson_minimum(2.0, 10.0, 3.0, 0.0, 5.0) == 0.0
    gamma = float(poisson_minimum(20.0, 1.0, 3.0, 0.0, 5.0))
    assert main_slope(20.0, 1.0, 3.0, gamma) + 5.0 == pytest.approx(0.0, abs=1e-12)
