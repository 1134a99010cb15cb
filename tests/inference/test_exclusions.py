"""Upper limits by toys: those of counting experiments are known."""

import countings
import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.stats import poisson

import jaxfit
from jaxfit import FitWarning, InputError, Status
from jaxfit.inference import trials

NTOYS = 2000
SETTINGS = {"calctype": "toybased", "ntoys": NTOYS, "progress": False}


@pytest.fixture(scope="module")
def model():
    return countings.counting()


@pytest.fixture(scope="module")
def result(model):
    """Two events."""
    return jaxfit.limit(model, [2.0], seed=1, **SETTINGS)


def exact_limit(n):
    """P(at most n | mu + b) / P(at most n | b) = 5 %: few events are large values of the statistic."""
    return brentq(lambda mu: poisson.cdf(n, mu + 3.0) / poisson.cdf(n, 3.0) - 0.05, 0.1, 30.0)


def limits_of(result):
    return np.array([result.observed_limit, *result.expected_limit])


def errors_of(result):
    return np.array([result.observed_limit_error, *result.expected_limit_error])


def test_limits_of_a_counting_experiment_are_exact(result):
    """Expected ones, too: those for the numbers of events that are the background's percentiles (arXiv:1007.1727)."""
    numbers = poisson.ppf([0.02275, 0.15866, 0.5, 0.84134, 0.97725], 3.0)
    exact = [exact_limit(n) for n in (2, *numbers)]
    np.testing.assert_array_less(np.abs(limits_of(result) - exact), 4.0 * errors_of(result))
    assert (errors_of(result) < 0.1 * limits_of(result)).all()
    assert result.warnings == ()
    assert result.converged


def test_cls_of_all_tests_are_told(result):
    n = len(result.poi_values)
    assert (np.diff(result.poi_values) > 0).all()
    assert (len(result.observed_CLs), result.expected_CLs.shape, result.expected_CLs_error.shape) == (n, (n, 5), (n, 5))
    assert len(result.statuses) == n
    exact = [poisson.cdf(2, mu + 3.0) / poisson.cdf(2, 3.0) for mu in result.poi_values]
    np.testing.assert_array_less(np.abs(result.observed_CLs - exact), 4.0 * result.observed_CLs_error)
    for limit in limits_of(result):
        assert (np.abs(result.poi_values - limit) < 0.2 * limit).sum() >= 3


def test_limits_do_not_need_asymptotic_ones_nearby(model):
    """No events: the asymptotic limits are far too low."""
    settings = {"seed": 2, "on_failure": "ignore"}
    formulae, toys = jaxfit.limit(model, [0.0], **settings), jaxfit.limit(model, [0.0], **SETTINGS, **settings)
    assert formulae.observed_limit < 0.9 * exact_limit(0)
    assert toys.observed_limit == pytest.approx(exact_limit(0), abs=4.0 * toys.observed_limit_error)


def test_a_text_has_errors_and_a_result_can_be_saved(result, tmp_path):
    line = f"observed          {result.observed_limit:.5g} +- {result.observed_limit_error:.2g}"
    assert line in str(result).splitlines()
    result.save(tmp_path / "limit.json")
    loaded = jaxfit.load_results(tmp_path / "limit.json")
    assert str(loaded) == str(result)
    np.testing.assert_array_equal(loaded.expected_CLs_error, result.expected_CLs_error)


def spoiling(monkeypatch, number):
    """The fits with mu held of the first toys of every ensemble fail."""

    def carry_out(plan, first, count, **how):
        outcomes = original(plan, first, count, **how)
        outcomes.status[:number, 1:] = Status.STALLED
        return outcomes

    original = trials.carry_out
    monkeypatch.setattr(trials, "carry_out", carry_out)


def test_limits_that_are_not_found_are_told(monkeypatch, model):
    spoiling(monkeypatch, 1000)
    with pytest.warns(
        FitWarning, match="not found with 1000 toys, or for failed fits: observed limit, expected -2 sigma"
    ):
        found = jaxfit.limit(model, [2.0], **{**SETTINGS, "ntoys": 1000})
    assert np.isnan(limits_of(found)).all()
    assert np.isnan(errors_of(found)).all()
    assert not found.converged


def test_toys_that_fail_are_counted(monkeypatch, model):
    spoiling(monkeypatch, 5)
    with pytest.warns(FitWarning, match="test statistics of toys are left out"):
        found = jaxfit.limit(model, [2.0], **{**SETTINGS, "ntoys": 1000})
    assert found.left_out == {"STALLED": 2 * 5 * len(found.poi_values)}


def test_wrong_settings_are_refused(model):
    with pytest.raises(InputError, match="unknown calctype 'toy'"):
        jaxfit.limit(model, [2.0], calctype="toy")
    with pytest.raises(InputError, match="ntoys is 0"):
        jaxfit.limit(model, [2.0], calctype="toybased", ntoys=0)
