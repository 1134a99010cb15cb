"""Fits against MINUIT and exact Hessians, what a user may set, and what a user is told."""

import copy

import cabinetry
import jax
import jax.numpy as jnp
import numpy as np
import pyhf
import pytest
from models import WORKSPACES, model_and_data
from oracle import Oracle
from pyhf.modifiers import histfactory_set
from pyhf.modifiers.normfactor import normfactor_builder, normfactor_combined

import jaxfit
from jaxfit import FitWarning, InputError, Status

SMOOTH, KINKED = ("code4", "code4p"), ("code1", "code0")


def smooth(workspace):
    """A model with cabinetry's interpolation codes, and its data."""
    workspace = pyhf.Workspace(workspace)
    settings = {"normsys": {"interpcode": "code4"}, "histosys": {"interpcode": "code4p"}}
    return workspace.model(modifier_settings=settings), workspace.data(workspace.model())


def only_signal_region(name):
    """A model of the registry without its control regions."""
    spec = copy.deepcopy(WORKSPACES[name])
    for key in ("channels", "observations"):
        spec[key] = [item for item in spec[key] if item["name"] == "SR"]
    return smooth(spec)


def nll(model, pars, data):
    """By pyhf's numpy backend."""
    return -float(model.logpdf(np.asarray(pars), data)[0])


@pytest.fixture(scope="module")
def staterror():
    model, data = model_and_data("staterror")
    return model, data, jaxfit.fit(model, data, goodness_of_fit=True)


# -- MINUIT -----------------------------------------------------------------------------------------------------------


def minuit(model, data):
    """Minimum and NLL; on a kink MINUIT often stops without its convergence criterion, which is a minimum as well."""
    backend = pyhf.get_backend()
    pyhf.set_backend("numpy", pyhf.optimize.minuit_optimizer(strategy=2, tolerance=1e-4, maxiter=100_000))
    try:
        pars, twice_nll = pyhf.infer.mle.fit(data, model, return_fitted_val=True)
    except pyhf.exceptions.FailedMinimization as failure:
        pars, twice_nll = failure.result.x, failure.result.fun
    finally:
        pyhf.set_backend(*backend)
    return np.asarray(pars), float(twice_nll) / 2.0


FAST = ("shapesys", "norm_plus_shape", "staterror", "zero_observed")
REGISTRY = [
    pytest.param(name, codes, marks=() if name in FAST and (codes is SMOOTH or name == FAST[1]) else pytest.mark.slow)
    for name in WORKSPACES
    for codes in (SMOOTH, KINKED)
]


@pytest.mark.filterwarnings("ignore:.*:RuntimeWarning")  # pyhf's numpy logpdf where MINUIT tries negative yields
@pytest.mark.parametrize(("name", "codes"), REGISTRY)
def test_minuit_finds_nothing_lower(name, codes):
    model, data = model_and_data(name, *codes)
    result = jaxfit.fit(model, data)
    assert result.converged
    assert result.edm <= result.edm_goal == 1e-8
    assert result.engine == "compact"
    pars, lowest = minuit(model, data)
    free = result.uncertainty > 0
    pulls = (result.bestfit - pars)[free] / result.uncertainty[free]
    if name == "huge_tau":
        # an auxiliary measurement of 1e11 counts: pyhf's numpy logpdf is rounded to 1e-3, and MINUIT's minimum with it
        assert result.best_twice_nll / 2 == pytest.approx(lowest, abs=1e-2)
        np.testing.assert_allclose(pulls, 0.0, atol=1e-2)
        return
    assert result.best_twice_nll / 2 == pytest.approx(nll(model, result.bestfit, data), abs=1e-7)
    assert result.best_twice_nll / 2 <= lowest + 1e-6
    np.testing.assert_allclose(pulls, 0.0, atol=1e-3)


# -- uncertainties ----------------------------------------------------------------------------------------------------


def exact_covariance(model, data, pars, free):
    """The inverse of pyhf's own Hessian."""
    backend = pyhf.get_backend()
    with jax.enable_x64(True):
        x64 = jax.config.read("jax_enable_x64")
        pyhf.set_backend("jax")
        try:
            hessian = jax.jit(jax.hessian(lambda pars: -model.logpdf(pars, jnp.asarray(data))[0]))
            dense = np.asarray(hessian(jnp.asarray(pars)))
        finally:
            pyhf.set_backend(*backend)
            jax.config.update("jax_enable_x64", x64)
    covariance = np.zeros_like(dense)
    covariance[np.ix_(free, free)] = np.linalg.inv(dense[np.ix_(free, free)])
    return covariance


HESSIANS = [
    pytest.param(name, marks=() if name in FAST[:3] else pytest.mark.slow)
    for name in WORKSPACES
    if name != "empty_bin"  # pyhf's JAX gradient is NaN where nothing is expected
]


@pytest.mark.parametrize("name", HESSIANS)
def test_uncertainties_are_those_of_the_exact_hessian(name):
    model, data = model_and_data(name)
    result = jaxfit.fit(model, data)
    free = ~np.array(model.config.suggested_fixed())
    covariance = exact_covariance(model, data, result.bestfit, free)
    sigma = np.sqrt(np.diag(covariance))
    np.testing.assert_allclose(result.uncertainty, sigma, rtol=1e-6 if name == "huge_tau" else 1e-8)
    scale = np.outer(np.where(free, sigma, 1.0), np.where(free, sigma, 1.0))
    np.testing.assert_allclose(result.corr_mat, covariance / scale, rtol=0, atol=1e-8)
    np.testing.assert_allclose(result.covariance / scale, covariance / scale, rtol=0, atol=1e-8)


def test_uncertainties_in_a_curved_valley():
    """1e8 events know a product of parameters to 1e-4, which they are free to share between them.

    Yields that are off by no more than the EDM goal bend this valley. The widths are those at the minimum itself: a
    further step in extended precision leaves them as they are.
    """
    spec = copy.deepcopy(WORKSPACES["norm_plus_shape"])
    for sample, nominal in zip(spec["channels"][0]["samples"], ([1.0, 1.0, 1e8], [1.0, 0.5, 1e8]), strict=True):
        sample["data"] = nominal
        for modifier in sample["modifiers"]:
            if modifier["type"] == "normsys":
                modifier["data"] = {"hi": np.exp(-0.25), "lo": np.exp(0.25)}
            elif modifier["type"] == "histosys":
                modifier["data"] = {"hi_data": [0.75 * n for n in nominal], "lo_data": [1.25 * n for n in nominal]}
    spec["observations"][0]["data"] = [2.0, 2.0, 2e8]
    model, data = smooth(spec)
    result, oracle = jaxfit.fit(model, data), Oracle(model, data)
    here = oracle.at(result.bestfit)
    there = oracle.at(result.bestfit - np.linalg.solve(here.hessian, here.gradient))
    np.testing.assert_allclose(result.uncertainty, np.sqrt(np.diag(np.linalg.inv(there.hessian))), rtol=1e-3)


@pytest.mark.parametrize("name", ["xsec", "stat_SR[1]", "mu"])
def test_a_fixed_parameter_has_no_uncertainty(staterror, name):
    model, data, _ = staterror
    index = model.config.par_names.index(name)
    result = jaxfit.fit(model, data, fix_pars={name: 0.9})
    assert result.bestfit[index] == 0.9
    assert result.uncertainty[index] == 0.0
    assert not result.corr_mat[index].any()
    assert not result.corr_mat[:, index].any()
    free = np.arange(model.config.npars) != index
    np.testing.assert_allclose(np.diag(result.corr_mat)[free], 1.0)
    covariance = exact_covariance(model, data, result.bestfit, free)
    np.testing.assert_allclose(result.covariance, covariance, rtol=1e-7, atol=1e-10)
    assert result.at_bound == ()
    assert f"{name:<10} = 0.9000 +/- 0.0000  (constant)" in str(result)


def test_everything_fixed(staterror):
    model, data, _ = staterror
    start = np.array(model.config.suggested_init())
    result = jaxfit.fit(model, data, fix_pars=[True] * model.config.npars)
    assert result.status == Status.OK
    np.testing.assert_array_equal(result.bestfit, start)
    assert not result.uncertainty.any()
    assert not result.corr_mat.any()
    assert result.best_twice_nll == pytest.approx(2 * nll(model, start, data), rel=1e-12)


# -- what a user may set ----------------------------------------------------------------------------------------------


def test_lists_as_in_cabinetry_are_mappings(staterror):
    model, data, _ = staterror
    config = model.config
    mapped = jaxfit.fit(
        model,
        data,
        init_pars={"mu": 0.4, "xsec": 0.3},
        fix_pars={"xsec": True, "stat_SR[2]": 1.05},
        par_bounds={"mu": (0.0, 1.1)},
    )
    start, fixed, bounds = config.suggested_init(), config.suggested_fixed(), config.suggested_bounds()
    for name, value in (("mu", 0.4), ("xsec", 0.3), ("stat_SR[2]", 1.05)):
        start[config.par_names.index(name)] = value
        fixed[config.par_names.index(name)] = name != "mu"
    bounds[config.par_names.index("mu")] = (0.0, 1.1)
    listed = jaxfit.fit(model, data, init_pars=start, fix_pars=fixed, par_bounds=bounds)
    for one, other in ((mapped.bestfit, listed.bestfit), (mapped.corr_mat, listed.corr_mat)):
        np.testing.assert_array_equal(one, other)
    assert mapped.bestfit[config.par_names.index("xsec")] == 0.3
    assert mapped.bestfit[config.par_names.index("stat_SR[2]")] == 1.05
    assert mapped.at_bound == ("mu",)


def test_the_answer_is_cabinetrys(staterror):
    model, data, result = staterror
    theirs = cabinetry.fit.fit(model, data, strategy=2, tolerance=1e-3)
    assert result.labels == theirs.labels
    np.testing.assert_allclose(result.bestfit, theirs.bestfit, rtol=0, atol=1e-3)
    # HESSE differentiates numerically
    np.testing.assert_allclose(result.uncertainty, theirs.uncertainty, rtol=1e-2)
    np.testing.assert_allclose(result.corr_mat, theirs.corr_mat, rtol=0, atol=1e-2)
    assert result.best_twice_nll == pytest.approx(theirs.best_twice_nll, abs=1e-5)


def test_arguments_without_meaning_are_accepted(staterror):
    model, data, plain = staterror
    for options in ({"strategy": 2}, {"custom_fit": True}, {"minos": None}):
        np.testing.assert_array_equal(jaxfit.fit(model, data, **options).bestfit, plain.bestfit)


def test_tolerance(staterror):
    model, data, fine = staterror
    rough = jaxfit.fit(model, data, tolerance=500.0, init_pars={"xsec": 3.0})
    assert rough.edm_goal == 1.0
    assert rough.edm <= 1.0
    assert rough.iterations < fine.iterations + 2
    assert rough.best_twice_nll < fine.best_twice_nll + 1.5


def test_iteration_limit(staterror):
    model, data, _ = staterror
    with pytest.warns(FitWarning, match="NOT_CONVERGED: .*raise maxiter") as caught:
        result = jaxfit.fit(model, data, maxiter=1)
    assert result.status == Status.NOT_CONVERGED
    assert not result.converged
    assert result.edm > result.edm_goal
    assert Status.NOT_CONVERGED.message in result.warnings
    assert caught[0].filename == __file__  # the warning points at the user's line


def test_start_far_away(staterror):
    model, data, nominal = staterror
    far = jaxfit.fit(model, data, init_pars={"mu": 9.0, "xsec": -4.5, "stat_SR[0]": 4.0})
    np.testing.assert_allclose(far.bestfit, nominal.bestfit, rtol=0, atol=1e-6)


@pytest.mark.parametrize("argument", ["staterror", "zero_observed"])
def test_goodness_of_fit_is_cabinetrys(argument):
    model, data = model_and_data(argument)
    result = jaxfit.fit(model, data, goodness_of_fit=True)
    assert result.goodness_of_fit == pytest.approx(
        cabinetry.fit._goodness_of_fit(model, data, result.best_twice_nll), rel=1e-6
    )
    assert f"p-value {result.goodness_of_fit:.4f}" in str(result)


def test_goodness_of_fit_without_degrees_of_freedom():
    model, data = model_and_data("shapefactor")
    assert model.config.nmaindata == 3
    assert np.isnan(jaxfit.fit(model, data, goodness_of_fit=True).goodness_of_fit)


def test_goodness_of_fit_is_not_asked_for(staterror):
    model, data, _ = staterror
    assert jaxfit.fit(model, data).goodness_of_fit == -1


# -- what a user is told ----------------------------------------------------------------------------------------------


def test_on_a_bound(staterror):
    model, data, free = staterror
    bound = float(free.bestfit[model.config.poi_index]) - 0.2
    result = jaxfit.fit(model, data, par_bounds={"mu": (0.0, bound)}, init_pars={"mu": 0.5})
    assert result.status == Status.OK_AT_BOUND
    assert result.converged
    assert result.at_bound == ("mu",)
    assert result.bestfit[model.config.poi_index] == bound
    assert result.best_twice_nll > free.best_twice_nll
    assert "(on bound)" in str(result)
    # the rest is at its minimum for this value
    held = jaxfit.fit(model, data, fix_pars={"mu": bound})
    np.testing.assert_allclose(result.bestfit, held.bestfit, rtol=0, atol=1e-6)
    # and the widths are those of the curvature there, mu's too
    covariance = exact_covariance(model, data, result.bestfit, np.ones(model.config.npars, dtype=bool))
    np.testing.assert_allclose(result.covariance, covariance, rtol=1e-7, atol=1e-10)


def test_parameters_that_cannot_be_told_apart():
    """Two normalisations of one sample without a control region: flat, and only these two are named."""
    model, data = only_signal_region("two_normfactors")
    with pytest.warns(FitWarning, match="SINGULAR"):
        result = jaxfit.fit(model, data)
    assert result.status == Status.SINGULAR
    text = next(text for text in result.warnings if "flat along" in text)
    assert "mu" in text
    assert "acceptance" in text
    assert "tilt" not in text
    assert np.isnan(result.uncertainty).all()
    assert np.isnan(result.corr_mat).all()
    # the advice helps
    fixed = jaxfit.fit(model, data, fix_pars={"acceptance": True})
    assert fixed.status == Status.OK
    assert fixed.best_twice_nll == pytest.approx(result.best_twice_nll, abs=1e-6)


def test_all_parameters_without_effect_are_named():
    """Two normalisations of samples without yield; a fixed parameter keeps its uncertainty of 0."""
    spec = copy.deepcopy(WORKSPACES["normsys"])
    for name in ("idle", "lazy"):
        modifier = {"name": name, "type": "normfactor", "data": None}
        spec["channels"][0]["samples"].append({"name": name, "data": [0.0, 0.0, 0.0], "modifiers": [modifier]})
    model, data = smooth(spec)
    with pytest.warns(FitWarning, match="SINGULAR"):
        result = jaxfit.fit(model, data, fix_pars={"xsec": True})
    assert result.status == Status.SINGULAR
    text = next(text for text in result.warnings if "flat along" in text)
    assert "idle" in text
    assert "lazy" in text
    assert "mu" not in text
    assert result.uncertainty[model.config.par_names.index("xsec")] == 0.0
    assert np.isnan(result.uncertainty[model.config.par_names.index("mu")])
    assert jaxfit.fit(model, data, fix_pars={"xsec": True, "idle": True, "lazy": True}).status == Status.OK


def test_start_where_the_likelihood_is_not_finite():
    """The fit starts once more from the model's own start values, and says so."""
    model, data = model_and_data("no_nuisance")
    bounds = {"mu": (-30.0, 10.0)}
    result = jaxfit.fit(model, data, init_pars={"mu": -20.0}, par_bounds=bounds)
    assert result.status == Status.OK
    assert any("NONFINITE" in text and "start at pre-fit values: OK" in text for text in result.warnings)
    np.testing.assert_allclose(result.bestfit, jaxfit.fit(model, data, par_bounds=bounds).bestfit, atol=1e-6)
    with pytest.warns(FitWarning, match="NONFINITE: .*change init_pars"):
        held = jaxfit.fit(model, data, fix_pars={"mu": -20.0})
    assert held.status == Status.NONFINITE
    np.testing.assert_array_equal(held.bestfit, [-20.0])
    assert any("channel 'SR' bin 0" in text for text in held.warnings)


def test_negative_expectation_is_flagged():
    """Nothing is observed in a bin, and the other one wants less signal than none."""
    model, data = model_and_data("zero_observed")
    data = [0.0, 12.0, *data[2:]]
    with pytest.warns(FitWarning, match="NEGATIVE_EXPECTATION"):
        result = jaxfit.fit(model, data, par_bounds={"mu": (-10.0, 10.0)})
    assert result.status == Status.NEGATIVE_EXPECTATION
    expected = model.expected_data(result.bestfit, include_auxdata=False)
    assert expected[0] < 0 < expected[1]
    assert f"negative yield {expected[0]:.4g} expected in channel 'SR' bin 0" in result.warnings
    assert result.best_twice_nll == pytest.approx(2 * nll(model, result.bestfit, data), rel=1e-9)


def test_kink_is_remarked():
    model, data = model_and_data("norm_plus_shape", *KINKED)
    result = jaxfit.fit(model, data)
    stuck = [name for name, value in zip(result.labels, result.bestfit, strict=True) if value == 0.0]
    assert stuck == ["shower"]
    assert result.warnings == ("at the kink of their interpolation, where the Hessian is one-sided: shower",)
    assert result.status == Status.OK
    index = result.labels.index("shower")
    for value in (-1e-3, 1e-3):  # the NLL rises with a slope on both sides
        moved = jaxfit.fit(model, data, fix_pars={"shower": value})
        assert (moved.best_twice_nll - result.best_twice_nll) > 0.01 * abs(value)
    assert result.uncertainty[index] > 0


class Squared(normfactor_combined):
    """A custom modifier: the square of its parameter."""

    name = "squared"

    def apply(self, pars):
        factors = super().apply(pars)
        return None if factors is None else factors**2


def test_a_custom_modifier_falls_back_and_says_so():
    spec = copy.deepcopy(WORKSPACES["normsys"])
    spec["channels"][0]["samples"][0]["modifiers"][0]["type"] = "squared"
    settings = {"normsys": {"interpcode": "code4"}, "histosys": {"interpcode": "code4p"}}
    modifiers = {**histfactory_set, "squared": (normfactor_builder, Squared)}
    model = pyhf.Model(
        {"channels": spec["channels"]},
        modifier_set=modifiers,
        poi_name="mu",
        validate=False,
        modifier_settings=settings,
    )
    plain_model, data = model_and_data("normsys")
    plain = jaxfit.fit(plain_model, data)
    order = [plain.labels.index(name) for name in model.config.par_names]
    mu = model.config.poi_index
    result = jaxfit.fit(model, data)
    assert result.status == Status.OK
    assert result.engine == "reference (custom modifier 'squared')"
    assert "reference (custom modifier 'squared') likelihood" in str(result)
    assert result.best_twice_nll == pytest.approx(plain.best_twice_nll, abs=1e-7)
    expected = plain.bestfit[order]
    expected[mu] **= 0.5
    np.testing.assert_allclose(result.bestfit, expected, rtol=0, atol=1e-4)
    # d(mu^2) = 2 mu d(mu)
    assert result.uncertainty[mu] == pytest.approx(plain.uncertainty[order][mu] / (2 * expected[mu]), rel=1e-4)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"fix_pars": {"xsek": True}}, "unknown parameter 'xsek' .*did you mean 'xsec'"),
        ({"init_pars": {"Mu": 1.0}}, "unknown parameter 'Mu' .*did you mean 'mu'"),
        ({"par_bounds": {"stat_SR": (0.0, 2.0)}}, r"unknown parameter 'stat_SR' .*stat_SR\[0\]"),
        ({"init_pars": {"mu": 11.0}}, r"start value 11 of 'mu' is outside its bounds \[0, 10\]"),
        ({"par_bounds": {"mu": (2.0, 3.0)}}, r"start value 1 of 'mu' is outside its bounds \[2, 3\]"),
        ({"par_bounds": {"mu": (3.0, 2.0)}}, r"bounds of 'mu' are inverted: \[3, 2\]"),
        ({"par_bounds": {"mu": 3.0}}, r"par_bounds of 'mu' is 3.0, expected \(low, high\)"),
        ({"par_bounds": {"mu": (float("nan"), 3.0)}}, "par_bounds of 'mu' is nan"),
        ({"init_pars": [1.0, 2.0]}, "init_pars has 2 entries, expected 5"),
        ({"fix_pars": [True]}, "fix_pars has 1 entries, expected 5"),
        ({"par_bounds": [(0, 1)] * 6}, "par_bounds has 6 entries, expected 5"),
        ({"init_pars": {"mu": float("inf")}}, "init_pars of 'mu' is inf, expected a finite number"),
        ({"init_pars": {"mu": "one"}}, "init_pars of 'mu' is 'one', expected a number"),
        ({"solver": "newtn"}, "unknown solver 'newtn' .*did you mean 'newton'"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_wrong_settings_are_refused(staterror, options, text):
    model, data, _ = staterror
    with pytest.raises(InputError, match=text):
        jaxfit.fit(model, data, **options)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda data: data[:-1], r"expected 7 entries \(3 bins and 4 auxiliary data\), found 6"),
        (lambda data: data[:3], "expected 7 entries .* found 3: the auxiliary data are missing"),
        (lambda data: [*data, 1.0], "found 8"),
        (lambda data: [data, data], r"found an array of shape \(2, 7\)"),
        (lambda data: [data[0], float("nan"), *data[2:]], "channel 'SR' bin 1 is nan, expected a number of events"),
        (lambda data: [data[0], data[1], -2.0, *data[3:]], "channel 'SR' bin 2 is -2, expected a number of events"),
        (lambda data: [*data[:-1], float("inf")], "auxiliary datum 3 is inf"),
        (lambda data: ["many", *data[1:]], "data is not a list of numbers"),
    ],
    ids=["short", "no auxiliary data", "long", "nested", "NaN", "negative", "infinite", "text"],
)
def test_wrong_data_are_refused(staterror, change, text):
    model, data, _ = staterror
    with pytest.raises(InputError, match=text):
        jaxfit.fit(model, change(data))


def test_minos_has_cabinetrys_form(staterror):
    model, data, result = staterror
    assert result.minos_uncertainty == {}
    names = ["xsec", "mu"]
    with_minos = jaxfit.fit(model, data, minos=names)
    ends = jaxfit.intervals(model, data, names)
    assert with_minos.minos_uncertainty == ends.minos_uncertainty
    assert list(with_minos.minos_uncertainty) == names
    assert jaxfit.fit(model, data, minos="mu").minos_uncertainty.keys() == {"mu"}
    theirs = cabinetry.fit.fit(model, data, minos=names, strategy=2, tolerance=1e-3)
    for name in names:
        sigma = result.uncertainty[result.labels.index(name)]
        np.testing.assert_allclose(
            with_minos.minos_uncertainty[name], theirs.minos_uncertainty[name], rtol=0, atol=1e-3 * sigma
        )
    with pytest.raises(InputError, match="unknown parameter 'Mu'"):
        jaxfit.fit(model, data, minos="Mu")


# -- cabinetry --------------------------------------------------------------------------------------------------------


def test_cabinetry_takes_the_result_unchanged(staterror):
    model, data, result = staterror
    cabinetry.fit.print_results(result)
    pulls = cabinetry.visualize.pulls(result, exclude="mu", save_figure=False)
    assert next(iter(pulls.axes[0].get_yticklabels())).get_text() == result.labels[1]
    matrix = cabinetry.visualize.correlation_matrix(result, save_figure=False)
    np.testing.assert_allclose(matrix.axes[0].images[0].get_array(), np.where(result.corr_mat == 0, 0, result.corr_mat))
    prediction = cabinetry.model_utils.prediction(model, fit_results=result)
    np.testing.assert_allclose(np.sum(prediction.model_yields[0], axis=0), model.expected_data(result.bestfit)[:3])
    assert np.isfinite(prediction.total_stdev_model_bins[0]).all()
    tables = cabinetry.tabulate.yields(prediction, data, save_tables=False)
    assert tables["yields_per_bin"]
    figures = cabinetry.visualize.data_mc(prediction, data, save_figure=False)
    assert len(figures) == 1
    matched = cabinetry.model_utils.match_fit_results(model, result)
    np.testing.assert_array_equal(matched.bestfit, result.bestfit)


def test_cabinetry_draws_the_scan_unchanged(staterror):
    model, data, _ = staterror
    scan = jaxfit.scan(model, data, "mu", n_steps=7)
    figure = cabinetry.visualize.scan(scan, save_figure=False)
    points = np.stack([scan.parameter_values, scan.delta_nlls], axis=1)
    drawn = [line.get_xydata() for line in figure.axes[0].lines if len(line.get_xydata()) == len(points)]
    np.testing.assert_allclose(drawn[0], points)
