"""Asimov data and predictions are pyhf's and cabinetry's; so are the uncertainties, to rounding."""

import cabinetry
import models
import numpy as np
import pytest
from likelihood.cases import custom_model

import jaxfit
from jaxfit import FitResults, InputError
from jaxfit.likelihood import predictions

# modifiers of every kind; several gammas in a bin, one name in several channels, samples that a channel lacks; kinks
SHAPES = [("everything",), ("several_gammas",), ("staterror_one_name",), ("norm_plus_shape", "code1", "code0")]


@pytest.fixture(scope="module")
def best():
    return jaxfit.fit(*models.model_and_data("staterror"))


def fit_result(model, seed=1, **changes):
    """Random values, widths and correlations; one parameter is fixed."""
    rng = np.random.default_rng(seed)
    bounds = np.array(model.config.suggested_bounds())
    start = np.array(model.config.suggested_init())
    number = len(start)
    uncertainty = 0.3 * rng.random(number) * (np.array(model.config.suggested_fixed()) == 0)
    uncertainty[-1] = 0.0
    spread = rng.normal(size=(number, number)) + 2.0 * np.eye(number)
    covariance = spread @ spread.T
    free = uncertainty > 0
    correlation = covariance / np.sqrt(np.outer(np.diag(covariance), np.diag(covariance))) * np.outer(free, free)
    content = {
        "bestfit": np.clip(start + 0.4 * rng.normal(size=number), *bounds.T), "uncertainty": uncertainty,
        "labels": model.config.par_names, "corr_mat": correlation, "best_twice_nll": 0.0,
    }  # fmt: skip
    return FitResults(**content | changes)


def assert_same(found, expected):
    """Two predictions, channel by channel, relative to the largest number of the channel."""
    assert found.model is expected.model
    assert found.label == expected.label
    for name in ("model_yields", "total_stdev_model_bins"):
        for ours, theirs in zip(getattr(found, name), getattr(expected, name), strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-11, atol=1e-13 * np.max(theirs))
    np.testing.assert_allclose(found.total_stdev_model_channels, expected.total_stdev_model_channels, rtol=1e-11)


# -- Asimov data -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", models.WORKSPACES)
def test_asimov_data_are_pyhfs(name):
    model, _ = models.model_and_data(name)
    nominal = cabinetry.model_utils.asimov_parameters(model)
    np.testing.assert_allclose(jaxfit.asimov(model), model.expected_data(nominal), rtol=1e-12)
    assert jaxfit.asimov(model) == cabinetry.model_utils.asimov_data(model)
    pars = np.random.default_rng(1).uniform(*np.array(model.config.suggested_bounds()).T)
    for given in (pars, pars.tolist(), dict(zip(model.config.par_names, pars, strict=True))):
        np.testing.assert_allclose(jaxfit.asimov(model, pars=given), model.expected_data(pars), rtol=1e-12)


def test_what_is_not_named_is_nominal():
    """Not at the start value 0.2 nor at the auxiliary datum 0.4 of "scale"; mu, unconstrained, starts at 0.7."""
    model, _ = models.model_and_data("configured")
    expected = dict.fromkeys(model.config.par_names, 1.0) | {"mu": 0.7, "scale": 0.0, "xsec": 0.0, "tilt": 1.3}
    pars = [expected[name] for name in model.config.par_names]
    assert jaxfit.asimov(model, pars={"tilt": 1.3}) == model.expected_data(pars).tolist()


def test_the_poi_by_itself_and_on_top_of_parameters():
    model, _ = models.model_and_data("staterror")
    assert jaxfit.asimov(model, poi=2.5) == jaxfit.asimov(model, pars={"mu": 2.5})
    assert jaxfit.asimov(model, poi=0.0, pars={"xsec": 1.0, "mu": 3.0}) == jaxfit.asimov(
        model, pars={"xsec": 1, "mu": 0}
    )


def test_a_fit_to_asimov_data_finds_their_parameters(best):
    model, _ = models.model_and_data("staterror")
    again = jaxfit.fit(model, jaxfit.asimov(model, pars=best))
    np.testing.assert_allclose(again.bestfit, best.bestfit, rtol=0, atol=1e-4)
    theirs = cabinetry.fit.FitResults(best.bestfit, best.uncertainty, best.labels, best.corr_mat, best.best_twice_nll)
    assert jaxfit.asimov(model, pars=theirs) == jaxfit.asimov(model, pars=best)
    before = best.bestfit.copy()
    jaxfit.asimov(model, pars=best, poi=7.0)
    np.testing.assert_array_equal(best.bestfit, before)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"pars": {"Mu": 1.0}}, "unknown parameter 'Mu' .*did you mean 'mu'"),
        ({"pars": [1.0, 2.0]}, "pars has 2 entries, expected 5"),
        ({"pars": {"mu": float("inf")}}, "pars of 'mu' is inf, expected a finite number"),
        ({"pars": {"mu": "one"}}, "pars of 'mu' is 'one', expected a number"),
        ({"poi": float("nan")}, "poi of 'mu' is nan"),
    ],
    ids=str,
)
def test_wrong_parameters_are_refused(options, text):
    model, _ = models.model_and_data("staterror")
    with pytest.raises(InputError, match=text):
        jaxfit.asimov(model, **options)


def test_a_poi_that_does_not_exist_is_refused():
    with pytest.raises(InputError, match="the model has no parameter of interest: name the parameter in pars"):
        jaxfit.asimov(models.model_and_data("gammas_only")[0], poi=1.0)


@pytest.mark.parametrize(
    ("labels", "text"),
    [(["mu", "jes"], "it has other parameters, such as 'jes'"), (["mu", "xsec"], "in another order or number")],
)
def test_a_result_of_another_model_is_refused(labels, text):
    model, _ = models.model_and_data("staterror")
    other = fit_result(model, labels=labels)
    with pytest.raises(InputError, match=f"the fit result is of another model: .*{text}"):
        jaxfit.asimov(model, pars=other)
    with pytest.raises(InputError, match=f"the fit result is of another model: .*{text}"):
        jaxfit.prediction(model, fit_results=other)


# -- predictions -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", SHAPES, ids=lambda case: case[0])
def test_predictions_are_cabinetrys(case):
    model, _ = models.model_and_data(*case)
    assert_same(jaxfit.prediction(model), cabinetry.model_utils.prediction(model))
    result = fit_result(model)
    assert (result.uncertainty > 0).any()
    found = jaxfit.prediction(model, fit_results=result)
    assert_same(found, cabinetry.model_utils.prediction(model, fit_results=result))
    # with the correlations left out it would not be the same
    alone = jaxfit.prediction(model, fit_results=fit_result(model, corr_mat=np.eye(len(result.labels))))
    assert not np.allclose(alone.total_stdev_model_channels, found.total_stdev_model_channels, rtol=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("name", models.WORKSPACES)
def test_predictions_of_every_model_are_cabinetrys(name):
    model, _ = models.model_and_data(name)
    with np.errstate(invalid="ignore"):
        assert_same(jaxfit.prediction(model), cabinetry.model_utils.prediction(model))
        result = fit_result(model)
        assert_same(
            jaxfit.prediction(model, fit_results=result), cabinetry.model_utils.prediction(model, fit_results=result)
        )


def test_the_prediction_of_a_custom_modifier():
    model, _ = custom_model()
    result = fit_result(model)
    found = jaxfit.prediction(model, fit_results=result, label="squared")
    assert_same(found, cabinetry.model_utils.prediction(model, fit_results=result, label="squared"))


def test_the_prediction_of_a_fit_is_cabinetrys(best):
    model, _ = models.model_and_data("staterror")
    found = jaxfit.prediction(model, fit_results=best)
    assert found.label == "post-fit"
    assert_same(found, cabinetry.model_utils.prediction(model, fit_results=best))
    # a fit constrains the background, and measures the signal, which before had no uncertainty but the statistical one
    before = jaxfit.prediction(model)
    assert before.label == "pre-fit"
    assert model.config.samples == ["background", "signal"]
    assert found.total_stdev_model_channels[0][0] < before.total_stdev_model_channels[0][0]
    assert found.total_stdev_model_channels[0][1] > before.total_stdev_model_channels[0][1]


def test_another_result_compiles_nothing():
    model, _ = models.model_and_data("everything")
    jaxfit.prediction(model)
    size = predictions._predict._cache_size()
    jaxfit.prediction(model, fit_results=fit_result(model, seed=2))
    assert predictions._predict._cache_size() == size


def test_without_covariance_there_are_no_uncertainties():
    model, _ = models.model_and_data("everything")
    unknown = np.full(model.config.npars, np.nan)
    found = jaxfit.prediction(model, fit_results=fit_result(model, uncertainty=unknown, corr_mat=np.diag(unknown)))
    assert np.isfinite(found.model_yields[0]).all()
    assert np.isnan(found.total_stdev_model_bins[0]).all()
    assert np.isnan(found.total_stdev_model_channels).all()


def test_cabinetry_draws_and_tabulates_it():
    model, data = models.model_and_data("unequal_channels")
    result = fit_result(model)
    ours = jaxfit.prediction(model, fit_results=result)
    theirs = cabinetry.model_utils.prediction(model, fit_results=result)
    tables = [
        cabinetry.tabulate.yields(prediction, data, per_channel=True, save_tables=False)
        for prediction in (ours, theirs)
    ]
    assert tables[0] == tables[1]
    figures = cabinetry.visualize.data_mc(ours, data, save_figure=False, close_figure=True)
    assert [figure["region"] for figure in figures] == model.config.channels
    assert repr(ours) == "ModelPrediction('post-fit', 3 channels)"
