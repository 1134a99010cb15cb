"""Impacts from the covariance are what refits find where the likelihood is Gaussian, and add up where they should."""

import json
from dataclasses import replace

import numpy as np
import pyhf
import pytest
from models import WORKSPACES, model_and_data

import jaxfit
from jaxfit import FitError, FitWarning, InputError, load_results

SCALE = 1e12


@pytest.fixture(scope="module")
def gaussian():
    """A model whose shifts are so small that its yields are linear and its likelihood is quadratic.

    The registry's with SCALE times the events, and the signal and all uncertainties smaller by the root of that.
    """
    spec, root = json.loads(json.dumps(WORKSPACES["unequal_channels"])), np.sqrt(SCALE)
    for sample in (sample for channel in spec["channels"] for sample in channel["samples"]):
        nominal = np.array(sample["data"])
        size = root if sample["name"] == "signal" else SCALE
        sample["data"] = (size * nominal).tolist()
        for modifier in sample["modifiers"]:
            data = modifier["data"]
            if modifier["type"] == "normsys":
                shift = 0.5 * (data["hi"] - data["lo"]) / root
                modifier["data"] = {"hi": 1 + shift, "lo": 1 - shift}
            elif modifier["type"] == "histosys":
                shift = 0.5 * (np.array(data["hi_data"]) - data["lo_data"])
                both = (size * nominal + root * shift).tolist(), (size * nominal - root * shift).tolist()
                modifier["data"] = dict(zip(("hi_data", "lo_data"), both, strict=True))
            elif data is not None:
                modifier["data"] = (size / root * np.array(data)).tolist()
    model = pyhf.Workspace(spec).model(
        modifier_settings={"normsys": {"interpcode": "code4"}, "histosys": {"interpcode": "code4p"}}
    )
    data = np.array(model.expected_data(model.config.suggested_init()))
    bins = model.config.nmaindata
    data[:bins] += np.sqrt(data[:bins]) * np.random.default_rng(3).normal(size=bins)
    return model, data.tolist()


@pytest.fixture(scope="module")
def best(gaussian):
    return jaxfit.fit(*gaussian)


@pytest.fixture(scope="module")
def result(gaussian, best):
    return jaxfit.impacts(*gaussian, fit_results=best)


@pytest.fixture(scope="module")
def problem():
    return model_and_data("staterror")


def estimate(model, data):
    return jaxfit.fit(model, data).bestfit[model.config.poi_index]


def test_impacts_are_those_of_refits(gaussian, best, result):
    ranking = jaxfit.ranking(*gaussian, fit_results=best)
    assert ranking.labels == result.labels
    for ours, up, down in (
        (result.prefit, ranking.prefit_up, ranking.prefit_down),
        (result.postfit, ranking.postfit_up, ranking.postfit_down),
    ):
        np.testing.assert_allclose(ours, up, rtol=0, atol=1e-6 * result.sigma)
        np.testing.assert_allclose(-ours, down, rtol=0, atol=1e-6 * result.sigma)
    assert (np.abs(result.postfit) > 1e-3 * result.sigma).all()


def test_global_impacts_are_those_of_shifted_auxiliary_data(gaussian, result):
    """By their own standard deviation: the width of a normal constraint, the root of a count."""
    model, data = gaussian
    config, position = model.config, model.config.nmaindata
    for name in config.auxdata_order:
        parameters = config.param_set(name)
        for i, width in enumerate(parameters.width()):
            shifted = list(data)
            shifted[position] += width if parameters.pdf_type == "normal" else np.sqrt(data[position])
            label = config.par_names[config.par_slice(name)][i]
            found = result.global_shifts[result.labels.index(label)]
            shift = estimate(model, shifted) - estimate(model, data)
            assert found == pytest.approx(shift, abs=2e-6 * result.sigma)
            position += 1
    assert position == len(data)


def test_statistical_part_is_that_of_shifted_events(gaussian, result):
    model, data = gaussian
    shifts = []
    for i in range(model.config.nmaindata):
        shifted = list(data)
        shifted[i] += np.sqrt(data[i])
        shifts.append(estimate(model, shifted) - estimate(model, data))
    assert result.global_parts["statistical"] == pytest.approx(np.linalg.norm(shifts), abs=1e-5 * result.sigma)


@pytest.mark.parametrize("name", ["staterror", "unequal_channels"])
@pytest.mark.parametrize("groups", [None, ["*"], {"some": ["stat_SR[0]", "*[2]"], "one": "stat_SR[1]"}], ids=str)
def test_global_parts_add_in_quadrature_to_the_variance(name, groups):
    model, data = model_and_data(name)
    result, best = jaxfit.impacts(model, data, groups=groups), jaxfit.fit(model, data)
    assert result.sigma == pytest.approx(best.uncertainty[model.config.poi_index], rel=1e-6)
    assert sum(part**2 for part in result.global_parts.values()) == pytest.approx(result.sigma**2, rel=1e-10)
    for group, members in result.groups.items():
        own = [result.global_shifts[result.labels.index(member)] for member in members]
        assert result.global_parts[group] == pytest.approx(np.linalg.norm(own), rel=1e-12)


def test_impacts_are_those_of_the_covariance_matrix(problem):
    model, data = problem
    best, result = jaxfit.fit(model, data), jaxfit.impacts(model, data)
    index = model.config.poi_index
    others = [best.labels.index(label) for label in result.labels]
    column, width = best.covariance[index, others], np.array([1.0, *jaxfit.likelihood.prefit_widths(model)[-3:]])
    by_name = dict(zip(result.labels, range(len(others)), strict=True))
    order = [by_name[name] for name in ("xsec", "stat_SR[0]", "stat_SR[1]", "stat_SR[2]")]
    sigma = best.uncertainty[others]
    np.testing.assert_allclose(result.postfit, column / sigma, rtol=1e-6)
    np.testing.assert_allclose(result.prefit[order], (column / sigma**2)[order] * width, rtol=1e-6)
    np.testing.assert_allclose(result.global_shifts[order], column[order] / width, rtol=1e-6)
    np.testing.assert_array_equal(result.bestfit, best.bestfit[others])
    np.testing.assert_array_equal(result.uncertainty, best.uncertainty[others])
    assert (result.name, result.value) == ("mu", best.bestfit[index])


def test_conditional_parts_are_those_of_the_covariance_matrix(result, best):
    """C_mu,G (C_G,G)^-1 C_G,mu."""
    index = best.labels.index("mu")
    for group, members in result.groups.items():
        where = [best.labels.index(member) for member in members]
        block, side = best.covariance[np.ix_(where, where)], best.covariance[index, where]
        expected = np.sqrt(side @ np.linalg.solve(block, side))
        assert result.conditional_parts[group] == pytest.approx(expected, rel=1e-6)


def test_conditional_parts_are_those_of_fits_with_the_group_held(gaussian, result, best):
    index = best.labels.index("mu")
    values = dict(zip(best.labels, best.bestfit.tolist(), strict=True))
    groups = dict(result.groups)
    for group, members in groups.items():
        held = jaxfit.fit(*gaussian, fix_pars={member: values[member] for member in members})
        expected = np.sqrt(result.sigma**2 - held.uncertainty[index] ** 2)
        assert result.conditional_parts[group] == pytest.approx(expected, rel=1e-6)
    held = jaxfit.fit(*gaussian, fix_pars={name: value for name, value in values.items() if name != "mu"})
    assert result.conditional_parts["statistical"] == pytest.approx(held.uncertainty[index], rel=1e-6)


def test_default_groups(gaussian, best, result):
    gammas = tuple(name for name in best.labels if name.startswith(("stat_SR", "model_BR")))
    assert result.groups == {"normsys": ("jes",), "histosys": ("shape",), "MC statistical": gammas}
    assert list(result.global_parts) == list(result.conditional_parts) == ["statistical", *result.groups]
    other = jaxfit.impacts(*gaussian, fit_results=best, poi_name="jes")
    assert other.groups["normalisation"] == ("mu",)
    assert other.global_parts["normalisation"] == 0.0  # free: it has no auxiliary measurement
    assert other.conditional_parts["normalisation"] > 1e-3 * other.sigma


def test_groups_by_pattern_and_by_name(gaussian, best):
    patterns = jaxfit.impacts(*gaussian, fit_results=best, groups=["*s*pe", "stat_SR"])
    assert patterns.groups["*s*pe"] == ("shape",)
    assert patterns.groups["stat_SR"] == tuple(f"stat_SR[{i}]" for i in range(4))
    assert patterns.groups["normsys"] == ("jes",)
    assert patterns.groups["MC statistical"] == tuple(f"model_BR[{i}]" for i in range(3))
    named = jaxfit.impacts(*gaussian, fit_results=best, groups={"shapes": ["sha*", "jes"], "one bin": "stat_SR[3]"})
    assert set(named.groups["shapes"]) == {"jes", "shape"}
    assert named.groups["one bin"] == ("stat_SR[3]",)
    expected = np.hypot(patterns.global_parts["*s*pe"], patterns.global_parts["normsys"])
    assert named.global_parts["shapes"] == pytest.approx(expected)


@pytest.mark.parametrize(
    ("groups", "text"),
    [
        ({"jets": ["jets_*"]}, r"group 'jets': unknown parameter or pattern 'jets_\*'"),
        ({"jets": ["jes"], "shapes": ["j*"]}, "'jes' is in 'jets' and in 'shapes', expected one group"),
        ({"statistical": ["stat_SR"]}, "'statistical' is the part of the observed events"),
        (["mu"], "group 'mu': unknown parameter or pattern 'mu'"),  # it has no impact on itself
    ],
    ids=str,
)
def test_wrong_groups_are_refused(gaussian, best, groups, text):
    with pytest.raises(InputError, match=text):
        jaxfit.impacts(*gaussian, fit_results=best, groups=groups)


def test_a_constrained_parameter_of_interest(problem):
    """Its own constraint is a part of its uncertainty."""
    model, data = problem
    result = jaxfit.impacts(model, data, poi_name="xsec")
    assert "xsec" not in result.labels
    own = result.global_parts["constraint of xsec"]
    assert own == pytest.approx(result.sigma**2, rel=1e-9)  # C_xx / 1
    assert sum(part**2 for part in result.global_parts.values()) == pytest.approx(result.sigma**2, rel=1e-10)


def test_fixed_parameters_have_no_impact(problem):
    model, data = problem
    result = jaxfit.impacts(model, data, fix_pars={"xsec": 0.5})
    row = result.labels.index("xsec")
    assert (result.prefit[row], result.postfit[row], result.global_shifts[row]) == (0.0, 0.0, 0.0)
    assert sum(part**2 for part in result.global_parts.values()) == pytest.approx(result.sigma**2, rel=1e-10)


def test_parameters_without_uncertainty_have_no_impact(gaussian, best):
    sigma = best.uncertainty.copy()
    sigma[best.labels.index("jes")] = np.nan
    result = jaxfit.impacts(*gaussian, fit_results=replace(best, uncertainty=sigma))
    row = result.labels.index("jes")
    assert np.isnan([result.prefit[row], result.postfit[row], result.global_shifts[row]]).all()
    assert np.isfinite(np.delete(result.postfit, row)).all()


def test_without_a_covariance_there_are_no_impacts(gaussian, best):
    unknown = replace(best, uncertainty=np.full(len(best.labels), np.nan))
    with pytest.warns(FitWarning, match="no impacts, as mu has no uncertainty") as caught:
        result = jaxfit.impacts(*gaussian, fit_results=unknown)
    assert caught[0].filename == __file__
    assert np.isnan([result.sigma, *result.postfit, *result.global_shifts, *result.global_parts.values()]).all()
    assert np.isnan(list(result.conditional_parts.values())).all()
    with pytest.raises(FitError, match="no impacts"):
        jaxfit.impacts(*gaussian, fit_results=unknown, on_failure="raise")


def test_a_failed_fit_is_told(problem):
    with pytest.warns(FitWarning, match="NOT_CONVERGED"):
        result = jaxfit.impacts(*problem, maxiter=1)
    assert not result.converged


def test_the_definition_is_in_the_result(result):
    assert set(result.definitions) == {"prefit", "postfit", "global_shifts", "global_parts", "conditional_parts"}
    assert "arXiv:2307.04007" in result.definitions["global_shifts"]
    for text in result.definitions.values():
        assert text in str(result)


def test_round_trip(result, tmp_path):
    result.save(tmp_path / "impacts.json")
    loaded = load_results(tmp_path / "impacts.json")
    assert str(loaded) == str(result)
    assert (loaded.groups, loaded.global_parts) == (result.groups, result.global_parts)
    np.testing.assert_array_equal(loaded.postfit, result.postfit)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"poi_name": "nu"}, "unknown parameter 'nu'"),
        ({"fix_pars": {"mu": True}}, "'mu' is fixed: free it"),
        ({"on_failure": "ask"}, "unknown policy"),
    ],
    ids=str,
)
def test_wrong_input_is_refused(problem, options, text):
    with pytest.raises(InputError, match=text):
        jaxfit.impacts(*problem, **options)


def test_a_model_needs_a_parameter_of_interest():
    with pytest.raises(InputError, match="no parameter of interest: name one with poi_name"):
        jaxfit.impacts(*model_and_data("gammas_only"))
