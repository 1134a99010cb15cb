"""Feldman-Cousins intervals: those of the paper, and what becomes of nuisance parameters and of failed fits."""

import countings
import numpy as np
import pytest
from models import model_and_data
from scipy.stats import chi2, poisson

import jaxfit
from jaxfit import FitError, FitWarning, InputError, Status
from jaxfit.inference import trials

NTOYS = 2000
GRID = [0.0, 0.5, 2.0, 4.3, 4.6, 6.0]
# 90 % intervals of a Poisson mean over a background of 3.0: arXiv:physics/9711021, table IV. The row for no events is
# left out: the paper lengthens intervals so that upper ends do not grow with the background, here only that one.
TABLE = {
    1: (0.00, 1.88),
    2: (0.00, 3.04),
    3: (0.00, 4.42),
    4: (0.00, 5.60),
    5: (0.00, 6.99),
    6: (0.15, 8.47),
    7: (0.89, 9.53),
    8: (1.51, 10.99),
    9: (1.88, 12.30),
    10: (2.63, 13.50),
}
# Toys at each point of the upper ends. Most ends are steps of the p-value; where it is flat instead, 0.05 more or less
# of mu changes it by 0.0003 (9 events), 0.0006 (7) or 0.0008 (4).
UPPER_TOYS = {3: 500_000, 4: 1_000_000, 7: 2_000_000, 9: 4_000_000}
OTHER_TOYS = 200_000
STEP = 0.08  # of the grid across an end


@pytest.fixture(scope="module")
def model():
    return countings.counting()


@pytest.fixture(scope="module")
def result(model):
    """Three events."""
    return jaxfit.feldman_cousins(model, [3.0], "mu", GRID, confidence_level=0.9, ntoys=NTOYS, progress=False)


@pytest.mark.parametrize("n", TABLE)
def test_the_table_is_the_exact_construction(n):
    mu = np.arange(0.0, 15.0, 0.005)
    accepted = mu[countings.p_values(mu, n) > 0.1]
    assert TABLE[n] == pytest.approx((accepted[0], accepted[-1]), abs=0.0101)


def test_no_events_are_the_papers_exception():
    """0.95 for a background of 3.0, but 1.08 for some larger one, which the paper quotes for 3.0 as well."""
    mu = np.arange(0.0, 2.0, 0.005)
    upper = [mu[countings.p_values(mu, 0, b) > 0.1][-1] for b in np.arange(3.0, 4.0, 0.01)]
    assert upper[0] == pytest.approx(0.95, abs=0.005)
    assert max(upper) == pytest.approx(1.08, abs=0.01)


@pytest.mark.slow
@pytest.mark.parametrize("n", TABLE)
def test_intervals_are_the_papers(model, n):
    """Grid points 0.04 below and above both ends, or at the bound of 0."""
    settings = {"confidence_level": 0.9, "progress": False, "on_failure": "ignore"}
    low, high = TABLE[n]
    across = np.array([-0.5, 0.5]) * STEP
    grid = [0.0, STEP] if low == 0.0 else low + across
    lower = jaxfit.feldman_cousins(model, [float(n)], "mu", grid, ntoys=OTHER_TOYS, **settings)
    ntoys = UPPER_TOYS.get(n, OTHER_TOYS)
    upper = jaxfit.feldman_cousins(model, [float(n)], "mu", high + across, ntoys=ntoys, **settings)
    assert lower.accepted[-1]
    assert upper.accepted.tolist() == [True, False]
    assert (lower.interval[0], upper.interval[1]) == pytest.approx((low, high), abs=0.05)
    assert lower.left_out == upper.left_out == {}


def test_belt_and_p_values_are_exact(result):
    exact = countings.p_values(np.array(GRID), 3)
    np.testing.assert_array_less(np.abs(result.p_values - exact), 4.0 * result.p_values_error)
    statistics = [countings.statistics("ttilde", mu, 3) for mu in GRID]
    np.testing.assert_allclose(result.statistic, statistics, atol=1e-7)
    n = np.arange(60)
    for mu, critical in zip(GRID, result.critical_values, strict=True):
        own, weights = countings.statistics("ttilde", mu, n), poisson.pmf(n, mu + 3.0)
        inside = [weights[own < critical + shift].sum() for shift in (-1e-6, 1e-6)]
        assert inside[0] < 0.9 + 4.0 * np.sqrt(0.09 / NTOYS)
        assert inside[1] > 0.9 - 4.0 * np.sqrt(0.09 / NTOYS)
    np.testing.assert_array_equal(result.accepted, result.p_values > 0.1)
    assert (result.ntoys, result.ntoys_used.tolist()) == (NTOYS, [NTOYS] * len(GRID))


def test_interval_is_interpolated(result):
    (interval,) = result.intervals
    assert interval == result.interval
    assert interval[0] == 0.0
    p = dict(zip(GRID, result.p_values, strict=True))
    assert np.interp(interval[1], [4.3, 4.6], [p[4.3], p[4.6]]) == pytest.approx(0.1)
    assert result.warnings == ()
    assert f"mu in [0, {interval[1]:.5g}]" in str(result)


def test_a_point_has_its_own_toys(model, result):
    alone = jaxfit.feldman_cousins(model, [3.0], "mu", [4.3], confidence_level=0.9, ntoys=NTOYS, on_failure="ignore")
    assert alone.p_values[0] == result.p_values[GRID.index(4.3)]


def test_a_result_can_be_saved(result, tmp_path):
    result.save(tmp_path / "belt.json")
    loaded = jaxfit.load_results(tmp_path / "belt.json")
    assert str(loaded) == str(result)
    assert repr(loaded) == repr(result)
    assert loaded.intervals == result.intervals
    np.testing.assert_array_equal(loaded.critical_values, result.critical_values)


def test_an_interval_that_the_grid_cuts_off_is_told(model):
    text = "the region reaches mu = 1, where the grid ends: extend it; the region reaches mu = 2"
    with pytest.warns(FitWarning, match=text):
        found = jaxfit.feldman_cousins(model, [3.0], "mu", [1.0, 2.0], ntoys=NTOYS, confidence_level=0.9)
    assert found.interval == (1.0, 2.0)


def test_toys_that_fail_are_left_out(monkeypatch, model, result):
    def carry_out(plan, first, count, **how):
        outcomes = original(plan, first, count, **how)
        outcomes.status[:100, 1] = Status.NOT_CONVERGED
        return outcomes

    original = trials.carry_out
    monkeypatch.setattr(trials, "carry_out", carry_out)
    with pytest.warns(FitWarning, match="200 NOT_CONVERGED"):
        found = jaxfit.feldman_cousins(model, [3.0], "mu", [0.0, 6.0], ntoys=NTOYS, confidence_level=0.9)
    assert found.ntoys_used.tolist() == [NTOYS - 100] * 2
    assert found.left_out == {"NOT_CONVERGED": 200}
    assert not found.converged


def test_fits_to_the_data_that_fail_have_no_p_value(model):
    with pytest.raises(FitError, match="fits to the data failed: mu = 0 "):
        jaxfit.feldman_cousins(model, [30.0], "mu", [0.0, 9.0], ntoys=5, maxiter=1, on_failure="raise")
    found = jaxfit.feldman_cousins(model, [30.0], "mu", [0.0, 9.0], ntoys=5, maxiter=1, on_failure="ignore")
    assert np.isnan(found.p_values).any()


def test_nuisance_parameters_are_profiled():
    """At high counts the distribution is chi-square, and the statistic that of a scan."""
    model, data = model_and_data("staterror")
    bounds = {"mu": (-10.0, 10.0)}
    values = [0.7, 1.7]
    settings = {"ntoys": NTOYS, "progress": False, "par_bounds": bounds, "on_failure": "ignore"}
    found = jaxfit.feldman_cousins(model, data, "mu", values, **settings)
    scan = jaxfit.scan(model, data, "mu", values=values, par_bounds=bounds)
    np.testing.assert_allclose(found.statistic, scan.delta_nlls, atol=1e-7)
    np.testing.assert_allclose(found.p_values, chi2.sf(found.statistic, 1), atol=0.04)
    np.testing.assert_allclose(found.critical_values, 1.0, atol=0.15)
    assert found.p_values[0] < 0.3 < 0.5 < found.p_values[1]
    fixed = {name: True for name in model.config.par_names if name != "mu"}
    alone = jaxfit.feldman_cousins(model, data, "mu", values, fix_pars=fixed, **settings)
    assert (alone.statistic > 1.01 * found.statistic).all()


def test_two_parameters():
    """One of them a nuisance parameter; the others are profiled. The order makes no difference."""
    model, data = model_and_data("staterror")
    other = next(name for name in model.config.par_names if name != "mu")
    bounds = {"mu": (-10.0, 10.0)}
    grid = np.array([0.5, 1.5]), np.array([-1.0, -0.2, 0.5])
    settings = {"progress": False, "par_bounds": bounds, "on_failure": "ignore"}
    found = jaxfit.feldman_cousins(model, data, ("mu", other), grid, ntoys=NTOYS, **settings)
    turned = jaxfit.feldman_cousins(model, data, (other, "mu"), grid[::-1], ntoys=NTOYS, **settings)
    fixed = [jaxfit.fit(model, data, par_bounds=bounds, fix_pars={"mu": 0.5, other: y}) for y in grid[1]]
    best = jaxfit.fit(model, data, par_bounds=bounds)
    expected = [held.best_twice_nll - best.best_twice_nll for held in fixed]
    np.testing.assert_allclose(found.statistic[0], expected, atol=1e-7)
    np.testing.assert_allclose(turned.statistic.T, found.statistic, atol=1e-7)
    np.testing.assert_allclose(turned.bestfit[::-1], found.bestfit, atol=1e-6)
    np.testing.assert_allclose(found.bestfit, [best.bestfit[best.labels.index(n)] for n in ("mu", other)], atol=1e-6)
    np.testing.assert_allclose(found.p_values, chi2.sf(found.statistic, 2), atol=0.04)
    assert found.p_values.shape == found.accepted.shape == (2, 3)
    assert found.intervals == ()
    assert "accepted points: mu in [" in str(found)


@pytest.mark.parametrize(
    ("par_name", "values", "settings", "text"),
    [
        ("mu", [], {}, "values of 'mu' must be a list of finite numbers in increasing order, at least one"),
        ("mu", [2.0, 1.0], {}, "increasing order"),
        ("mu", [1.0, np.inf], {}, "finite"),
        ("mu", ["a"], {}, "expected a list of numbers"),
        ("mu", [-1.0, 1.0], {}, "values of 'mu' from -1 to 1 are outside of its bounds"),
        ("nu", [1.0], {}, "unknown parameter 'nu'"),
        (("mu", "mu"), ([1.0], [1.0]), {}, "two different ones"),
        (("mu", "mu", "mu"), ([1.0], [1.0]), {}, "two different ones"),
        (("mu",), ([1.0], [1.0]), {}, "values has 2 entries, expected the values of 1 parameters"),
        ("mu", [1.0], {"confidence_level": 1.0}, "confidence_level is 1.0"),
        ("mu", [1.0], {"ntoys": 0}, "ntoys is 0"),
        ("mu", [1.0], {"fix_pars": {"mu": True}}, "'mu' is fixed"),
    ],
)
def test_wrong_settings_are_refused(model, par_name, values, settings, text):
    with pytest.raises(InputError, match=text):
        jaxfit.feldman_cousins(model, [3.0], par_name, values, **settings)
