"""At the ends of an interval the profile likelihood is where it should be; MINUIT's MINOS finds the same."""

import cabinetry
import iminuit
import numpy as np
import pytest
from models import model_and_data
from scipy.stats import chi2

import jaxfit
from jaxfit import FitError, FitWarning, InputError, Status
from jaxfit.regions import ONE_SIGMA

KINKED = ("code1", "code0")


@pytest.fixture(scope="module")
def staterror():
    model, data = model_and_data("staterror")
    return model, data, jaxfit.fit(model, data), jaxfit.intervals(model, data)


def minos(model, data):
    """MINUIT's MINOS on pyhf's own likelihood, as tight as it converges."""
    config, observed = model.config, np.asarray(data)
    minuit = iminuit.Minuit(
        lambda pars: float(-2.0 * model.logpdf(pars, observed)[0]), config.suggested_init(), name=config.par_names
    )
    minuit.errordef, minuit.strategy = 1.0, 2
    minuit.limits, minuit.fixed = config.suggested_bounds(), config.suggested_fixed()
    for tolerance in (1e-4, 1e-3, 1e-2):  # at a kink it needs the last one, and several attempts
        minuit.tol = tolerance
        minuit.migrad()
        minuit.hesse()
        if minuit.migrad().valid:
            break
    minuit.minos()
    return minuit


def assert_agrees_with_minos(model, data, found):
    minuit = minos(model, data)
    labels = [name for name in found.labels if minuit.merrors[name].is_valid]
    assert labels
    for name in labels:
        error, sigma = minuit.merrors[name], found.uncertainty[found.labels.index(name)]
        np.testing.assert_allclose(
            found.minos_uncertainty[name], (error.lower, error.upper), rtol=0, atol=1e-3 * sigma, err_msg=name
        )


# -- the numbers ------------------------------------------------------------------------------------------------------


def test_all_parameters_that_are_free(staterror):
    _, _, best, found = staterror
    assert found.labels == best.labels
    np.testing.assert_array_equal(found.bestfit, best.bestfit)
    np.testing.assert_array_equal(found.uncertainty, best.uncertainty)
    assert found.converged
    assert found.warnings == ()
    assert found.confidence_level == ONE_SIGMA == pytest.approx(0.6826894921)
    assert found.statuses == ((Status.OK, Status.OK),) * len(best.labels)
    # the Hessian's uncertainty is the first approximation
    for down, up in found.minos_uncertainty.values():
        assert down < 0 < up
    np.testing.assert_allclose((found.upper - found.lower) / (2 * found.uncertainty), 1.0, atol=0.1)


@pytest.mark.parametrize("confidence_level", [ONE_SIGMA, 0.95])
def test_the_profile_is_a_quantile_above_its_minimum(staterror, confidence_level):
    model, data, best, found = staterror
    found = jaxfit.intervals(model, data, ["mu", "stat_SR[1]"], confidence_level=confidence_level)
    for name, *ends in zip(found.labels, found.lower, found.upper, strict=True):
        for end in ends:
            delta = jaxfit.fit(model, data, fix_pars={name: end}).best_twice_nll - best.best_twice_nll
            assert delta == pytest.approx(chi2.ppf(confidence_level, 1), abs=1e-5)


def test_minos_agrees(staterror):
    model, data, _, found = staterror
    assert_agrees_with_minos(model, data, found)


@pytest.mark.slow
@pytest.mark.parametrize("codes", [(), KINKED], ids=["smooth", "kinked"])
@pytest.mark.parametrize(
    "name", ["norm_plus_shape", "two_normfactors", "lumi", "shapesys", "fractional", "gammas_only"]
)
def test_minos_agrees_on_other_models(name, codes):
    model, data = model_and_data(name, *codes)
    found = jaxfit.intervals(model, data)
    assert found.converged
    assert_agrees_with_minos(model, data, found)


def test_other_levels_and_parameters_are_in_the_order_asked_for(staterror):
    model, data, _, found = staterror
    some = jaxfit.intervals(model, data, ["xsec", "mu"])
    assert some.labels == ["xsec", "mu"]
    where = [found.labels.index(name) for name in some.labels]
    np.testing.assert_allclose(some.lower, found.lower[where], rtol=0, atol=1e-7)
    np.testing.assert_allclose(some.upper, found.upper[where], rtol=0, atol=1e-7)
    wide = jaxfit.intervals(model, data, "mu", confidence_level=0.9)
    assert wide.labels == ["mu"]
    assert wide.lower[0] < some.lower[1] < some.upper[1] < wide.upper[0]


def test_a_fit_result_is_a_start(staterror):
    model, data, _, found = staterror
    again = jaxfit.intervals(model, data, fit_results=cabinetry.fit.fit(model, data))
    np.testing.assert_allclose(again.lower, found.lower, rtol=0, atol=1e-6)
    np.testing.assert_allclose(again.upper, found.upper, rtol=0, atol=1e-6)


def test_settings_hold(staterror):
    model, data, *_ = staterror
    options = {"fix_pars": {"xsec": 0.4}, "par_bounds": {"stat_SR[0]": (0.97, 1.02)}}
    found = jaxfit.intervals(model, data, **options)
    assert "xsec" not in found.labels
    best = jaxfit.fit(model, data, **options)
    for end in (found.lower[0], found.upper[0]):
        fixed = {**options, "fix_pars": {"xsec": 0.4, found.labels[0]: end}}
        assert jaxfit.fit(model, data, **fixed).best_twice_nll - best.best_twice_nll == pytest.approx(1.0, abs=1e-5)


# -- bounds and failures ----------------------------------------------------------------------------------------------


def test_intervals_end_on_bounds_and_say_so(staterror):
    model, data, best, free = staterror
    mu = best.labels.index("mu")
    bound = best.bestfit[mu] + 0.5 * best.uncertainty[mu]
    found = jaxfit.intervals(model, data, "mu", par_bounds={"mu": (0.0, bound)})
    assert found.upper[0] == bound
    assert found.upper_at_bound == (True,)
    assert found.lower_at_bound == (False,)
    assert found.lower[0] == pytest.approx(free.lower[mu], abs=1e-6)
    assert found.converged
    assert "(bound: upper)" in str(found)


def test_a_best_fit_on_its_bound(staterror):
    """Lower than mu = 2 it cannot go, where the profile has a slope."""
    model, data, *_ = staterror
    found = jaxfit.intervals(model, data, "mu", par_bounds={"mu": (2.0, 10.0)}, init_pars={"mu": 3.0})
    assert found.bestfit[0] == found.lower[0] == 2.0
    assert found.lower_at_bound == (True,)
    assert found.status == Status.OK_AT_BOUND
    lowest, end = (jaxfit.fit(model, data, fix_pars={"mu": value}).best_twice_nll for value in (2.0, found.upper[0]))
    assert end - lowest == pytest.approx(1.0, abs=1e-5)


def test_far_from_the_best_fit(staterror):
    """8.3 standard deviations: soon after that nothing is left in a bin where events are observed."""
    model, data, best, _ = staterror
    options = {"par_bounds": {"mu": (-100.0, 100.0)}}
    found = jaxfit.intervals(model, data, "mu", confidence_level=1 - 1e-16, **options)
    for end in (found.lower[0], found.upper[0]):
        delta = jaxfit.fit(model, data, fix_pars={"mu": end}).best_twice_nll - best.best_twice_nll
        assert delta == pytest.approx(chi2.isf(1 - (1 - 1e-16), 1), abs=1e-4)


def test_ends_that_are_not_found_are_told(staterror):
    model, data, *_ = staterror
    text = r"NOT_CONVERGED: .*; ends of intervals that were not found: mu lower \(NOT_CONVERGED\), mu upper"
    with pytest.warns(FitWarning, match=text) as caught:
        found = jaxfit.intervals(model, data, "mu", maxiter=1)
    assert caught[0].filename == __file__
    assert np.isnan([*found.lower, *found.upper]).all()
    assert found.status == Status.NOT_CONVERGED
    assert found.statuses == ((Status.NOT_CONVERGED, Status.NOT_CONVERGED),)
    assert not found.converged
    assert any("mu lower" in text for text in found.warnings)
    assert repr(found) == "IntervalResults(1 parameters, 0.6827, 2 ends not found)"
    with pytest.raises(FitError, match="mu lower") as error:
        jaxfit.intervals(model, data, ["mu"], maxiter=1, on_failure="raise")
    assert error.value.result.labels == ["mu"]
    jaxfit.intervals(model, data, ["mu"], maxiter=1, on_failure="ignore")


def test_minos_that_is_not_found_is_told(staterror):
    model, data, *_ = staterror
    with pytest.warns(FitWarning, match="NOT_CONVERGED: .*ends of intervals that were not found: mu lower"):
        result = jaxfit.fit(model, data, minos="mu", maxiter=1)
    assert np.isnan(result.minos_uncertainty["mu"]).all()
    assert any("mu lower" in text for text in result.warnings)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"parameters": "nu"}, "unknown parameter 'nu'"),
        ({"parameters": ["mu", "xsec"], "fix_pars": {"xsec": True}}, "'xsec' is fixed, and has no interval"),
        ({"confidence_level": 95}, "confidence_level is 95, expected a number between 0 and 1"),
        ({"confidence_level": 0.0}, "confidence_level is 0.0, expected"),
        ({"on_failure": "shrug"}, "unknown policy on_failure 'shrug'"),
    ],
    ids=str,
)
def test_wrong_input_is_refused(staterror, options, text):
    model, data, *_ = staterror
    with pytest.raises(InputError, match=text):
        jaxfit.intervals(model, data, **options)


def test_a_result_of_another_model_is_refused(staterror):
    model, data, *_ = staterror
    other = jaxfit.FitResults(np.zeros(1), np.ones(1), ["alpha"], np.eye(1), 0.0)
    with pytest.raises(InputError, match="the fit result is of another model"):
        jaxfit.intervals(model, data, fit_results=other)


# -- the result -------------------------------------------------------------------------------------------------------


def test_the_table(staterror):
    lines = str(staterror[3]).splitlines()
    assert lines[0] == "profile likelihood intervals at 68.27 % confidence level"
    assert len(lines) == 1 + len(staterror[3].labels)


def test_saved_and_loaded_without_loss(staterror, tmp_path):
    found = staterror[3]
    found.save(tmp_path / "intervals.json")
    again = jaxfit.load_results(tmp_path / "intervals.json")
    assert isinstance(again, jaxfit.IntervalResults)
    assert str(again) == str(found)
    np.testing.assert_array_equal(again.lower, found.lower)
    assert again.statuses == found.statuses
    assert again.lower_at_bound == found.lower_at_bound
    assert again.minos_uncertainty == found.minos_uncertainty
