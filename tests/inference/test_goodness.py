"""Goodness of fit: a counting experiment without free parameters is known exactly; chi-square at high counts."""

import countings
import numpy as np
import pytest
from models import model_and_data
from scipy.stats import chi2, poisson

import jaxfit
from jaxfit import FitWarning, InputError, Status
from jaxfit.inference import trials

NTOYS = 4000
SETTINGS = {"calctype": "toybased", "ntoys": NTOYS, "progress": False}


@pytest.fixture(scope="module")
def model():
    return countings.counting()


def deviance(n, mean):
    return 2.0 * (poisson.logpmf(n, n) - poisson.logpmf(n, mean))


@pytest.mark.parametrize("n", [1, 7])
def test_a_counting_experiment_is_exact(model, n):
    """Four events are expected; the parameter of interest is held."""
    result = jaxfit.goodness_of_fit(model, [float(n)], fix_pars={"mu": 1.0}, seed=1, **SETTINGS)
    assert result.statistic == pytest.approx(deviance(n, 4.0))
    numbers = np.arange(60)
    exact = poisson.pmf(numbers, 4.0)[deviance(numbers, 4.0) >= result.statistic - 1e-9].sum()
    assert result.p_value == pytest.approx(exact, abs=4.0 * result.p_value_error)
    assert result.p_value_error == pytest.approx(np.sqrt(exact * (1.0 - exact) / NTOYS), rel=0.1)
    assert (result.ntoys, result.ntoys_used, result.left_out, result.converged) == (NTOYS, NTOYS, {}, True)


def test_a_model_that_describes_anything(model):
    toys, formulae = jaxfit.goodness_of_fit(model, [7.0], **SETTINGS), jaxfit.goodness_of_fit(model, [7.0])
    assert toys.statistic == pytest.approx(0.0, abs=1e-7)
    assert toys.p_value > 0.8  # fewer than three events end at the bound
    assert formulae.degrees == 0
    assert np.isnan(formulae.p_value)


def test_asymptotic_p_values_are_those_of_a_fit():
    model, data = model_and_data("staterror")
    result, fit = jaxfit.goodness_of_fit(model, data), jaxfit.fit(model, data, goodness_of_fit=True)
    assert result.p_value == pytest.approx(fit.goodness_of_fit, rel=1e-6)
    assert result.p_value == pytest.approx(chi2.sf(result.statistic, result.degrees))
    assert (result.ntoys, result.p_value_error, result.calctype) == (0, 0.0, "asymptotics")


def test_toys_of_a_model_with_constraints_are_chi_square():
    """Some 50 events in a bin. Auxiliary data of a fixed parameter do not vary, or there were a degree more."""
    model, data = model_and_data("staterror")
    for fixed in ({}, {"xsec": True}):
        toys = jaxfit.goodness_of_fit(model, data, fix_pars=fixed, **SETTINGS)
        formulae = jaxfit.goodness_of_fit(model, data, fix_pars=fixed)
        assert toys.statistic == pytest.approx(formulae.statistic, abs=1e-7)
        assert toys.p_value == pytest.approx(formulae.p_value, abs=0.03)
        more = chi2.sf(formulae.statistic, formulae.degrees + 1)
        assert abs(more - formulae.p_value) > 0.1


def test_texts_and_files(model, tmp_path):
    result = jaxfit.goodness_of_fit(model, [7.0], fix_pars={"mu": 1.0}, **SETTINGS)
    result.save(tmp_path / "gof.json")
    loaded = jaxfit.load_results(tmp_path / "gof.json")
    assert str(loaded) == str(result)
    assert str(result) == (
        f"goodness of fit (saturated model): p-value {result.p_value:.4f} +- {result.p_value_error:.4f} "
        f"(statistic {result.statistic:.5g}, {NTOYS} toys)"
    )
    formulae = str(jaxfit.goodness_of_fit(*model_and_data("staterror")))
    assert formulae.endswith("degrees of freedom)")


def test_toys_that_fail_are_left_out(monkeypatch, model):
    def carry_out(plan, first, count, **how):
        outcomes = original(plan, first, count, **how)
        outcomes.status[:100] = Status.STALLED
        return outcomes

    original = trials.carry_out
    monkeypatch.setattr(trials, "carry_out", carry_out)
    with pytest.warns(FitWarning, match="100 STALLED"):
        result = jaxfit.goodness_of_fit(model, [7.0], fix_pars={"mu": 1.0}, **SETTINGS)
    assert (result.ntoys_used, result.left_out, result.converged) == (NTOYS - 100, {"STALLED": 100}, False)
    accepted = jaxfit.goodness_of_fit(model, [7.0], fix_pars={"mu": 1.0}, accept=[Status.STALLED], **SETTINGS)
    assert accepted.ntoys_used == NTOYS


def test_a_fit_that_fails_has_no_goodness(model):
    with pytest.warns(FitWarning, match="the fit failed"):
        result = jaxfit.goodness_of_fit(model, [40.0], maxiter=1, **SETTINGS)
    assert np.isnan([result.statistic, result.p_value]).all()


@pytest.mark.parametrize(
    ("settings", "text"),
    [({"ntoys": 0}, "ntoys is 0"), ({"calctype": "toy"}, "unknown calctype"), ({"seed": 0.5}, "seed is 0.5")],
)
def test_wrong_settings_are_refused(model, settings, text):
    with pytest.raises(InputError, match=text):
        jaxfit.goodness_of_fit(model, [2.0], **{**SETTINGS, **settings})
