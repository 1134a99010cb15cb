"""Figures: what they show is what the results say, under names that a model cannot choose."""

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pyhf
import pytest

from jaxfit import plot
from jaxfit.diagnoses import Diagnosis
from jaxfit.results import FitResults, ScanResults
from jaxfit.statuses import Status


def scan_result(**changes):
    values = np.linspace(0.0, 2.0, 5)
    content = {
        "name": "mu", "bestfit": 1.0, "uncertainty": 0.5, "parameter_values": values,
        "delta_nlls": ((values - 1.0) / 0.5) ** 2, "statuses": (Status.OK,) * 5,
    }  # fmt: skip
    return ScanResults(**content | changes)


def lines(figure):
    """The lines of a figure by label, as (x, y)."""
    return {line.get_label(): line.get_data() for line in figure.axes[0].get_lines()}


def levels(figure):
    return {text.get_text(): text.xy[1] for text in figure.axes[0].texts}


def test_profile_is_delta_nll_not_twice():
    figure = plot.profile_nll(scan_result())
    values, nlls = lines(figure)["profile likelihood"]
    np.testing.assert_allclose(values, [0.0, 0.5, 1.0, 1.5, 2.0])
    np.testing.assert_allclose(nlls, [2.0, 0.5, 0.0, 0.5, 2.0])
    assert figure.axes[0].get_xlabel() == "mu"
    assert figure.axes[0].get_ylabel() == "Δ NLL"


def test_profile_shows_best_fit_band_and_levels():
    figure = plot.profile_nll(scan_result())
    x, _ = lines(figure)["mu = 1.00 +/- 0.50"]
    assert list(x) == [1.0, 1.0]
    band = figure.axes[0].patches[0]
    assert (band.get_x(), band.get_width()) == (0.5, 1.0)
    # at 1 and 1.96 standard deviations of a Gaussian likelihood
    assert levels(figure) == {"68 %": 0.5, "95 %": pytest.approx(1.959964**2 / 2, abs=1e-4)}


def test_profile_draws_only_levels_within_reach():
    assert levels(plot.profile_nll(scan_result(delta_nlls=np.array([0.8, 0.2, 0.0, 0.2, 0.8])))) == {"68 %": 0.5}


def test_profile_marks_points_that_are_no_minimum():
    nlls = np.array([4.0, 1.0, 0.0, 50.0, np.nan])
    statuses = (Status.OK, Status.OK_AT_BOUND, Status.OK, Status.NOT_CONVERGED, Status.NONFINITE)
    figure = plot.profile_nll(scan_result(delta_nlls=nlls, statuses=statuses))
    assert list(lines(figure)["profile likelihood"][0]) == [0.0, 0.5, 1.0]
    assert list(lines(figure)["not converged"][0]) == [1.5]
    assert figure.axes[0].get_ylim()[1] < 10.0


@pytest.mark.parametrize(
    "changes",
    [
        {"uncertainty": float("nan")},
        {"uncertainty": 0.0},
        {"delta_nlls": np.full(5, np.nan)},
        {"parameter_values": np.array([1.0]), "delta_nlls": np.array([0.0]), "statuses": (Status.OK,)},
        {"name": r"$\nonsense$"},
    ],
    ids=["no uncertainty", "fixed", "all failed", "one point", "name is no mathtext"],
)
def test_profile_of_unusual_scans_can_be_drawn(changes, tmp_path):
    plot.profile_nll(scan_result(**changes)).savefig(tmp_path / "scan.png")


def test_profile_sorts_its_points():
    unordered = np.array([2.0, 1.0, 0.0, 0.5, 1.5])
    x, _ = lines(plot.profile_nll(scan_result(parameter_values=unordered)))["profile likelihood"]
    assert list(x) == sorted(unordered)


def model_of(name="SR"):
    signal = {"name": "signal", "data": [5.0, 9.0], "modifiers": [{"name": "mu", "type": "normfactor", "data": None}]}
    modifiers = [
        {"name": "xs", "type": "normsys", "data": {"lo": 0.9, "hi": 1.1}},
        {"name": "lumi", "type": "lumi", "data": None},
        {"name": "mc", "type": "staterror", "data": [2.0, 3.0]},
        {"name": "off", "type": "normsys", "data": {"lo": 0.9, "hi": 1.1}},
    ]
    background = {"name": "background", "data": [50.0, 60.0], "modifiers": modifiers}
    lumi = {"name": "lumi", "auxdata": [1.0], "sigmas": [0.02], "bounds": [[0.5, 1.5]], "inits": [1.0]}
    spec = {
        "channels": [{"name": name, "samples": [signal, background]}],
        "parameters": [lumi, {"name": "off", "fixed": True}],
    }
    model = pyhf.Model(spec, poi_name="mu")
    return model, [57.0, 72.0, *model.config.auxdata]


def fit_result(model, **changes):
    """A result by hand: lumi half a standard deviation up, xs strongly correlated with mu."""
    values = {"mu": 1.1, "xs": 0.3, "lumi": 1.01, "mc[0]": 1.0, "mc[1]": 1.0, "off": 0.0}
    sigmas = {"mu": 0.4, "xs": 0.9, "lumi": 0.02, "mc[0]": 0.02, "mc[1]": 0.02, "off": 0.0}
    names = model.config.par_names
    correlation = np.diag([float(sigmas[name] > 0) for name in names])
    i, j = names.index("mu"), names.index("xs")
    correlation[i, j] = correlation[j, i] = -0.6
    content = {
        "bestfit": np.array([values[name] for name in names]), "labels": names, "corr_mat": correlation,
        "uncertainty": np.array([sigmas[name] for name in names]), "best_twice_nll": 1.0,
    }  # fmt: skip
    return FitResults(**content | changes)


def tick_labels(axis):
    return [label.get_text() for label in axis.get_ticklabels()]


def test_pulls_are_in_units_of_the_constraint_and_only_of_constrained_ones():
    model, data = model_of()
    axes = plot.fit_figures(model, data, fit_result(model))["pulls.png"]().axes[0]
    shown = dict(zip(tick_labels(axes.yaxis), axes.get_lines()[0].get_xdata(), strict=True))
    assert shown == {"xs": pytest.approx(0.3), "lumi": pytest.approx(0.5)}


def test_correlations_are_those_worth_showing():
    model, data = model_of()
    axes = plot.fit_figures(model, data, fit_result(model))["correlations.png"]().axes[0]
    assert sorted(tick_labels(axes.xaxis)) == ["mu", "xs"]


def test_figures_that_would_be_empty_are_left_out():
    model, data = model_of()
    nothing = np.zeros(model.config.npars)
    result = fit_result(model, uncertainty=nothing, corr_mat=np.diag(nothing))
    assert sorted(plot.fit_figures(model, data, result)) == ["data_mc_1_postfit.png", "data_mc_1_prefit.png"]
    assert list(plot.scan_figures(scan_result(uncertainty=0.0))) == ["profile_nll.png"]


def test_a_singular_fit_can_be_drawn(tmp_path):
    model, data = model_of()
    unknown = np.full(model.config.npars, np.nan)
    result = fit_result(model, uncertainty=unknown, corr_mat=np.diag(unknown), diagnosis=Diagnosis(status=Status.SINGULAR))
    assert plot.save(plot.fit_figures(model, data, result), tmp_path) == {}


def test_saved_under_names_of_our_own(tmp_path):
    model, data = model_of(name="../../evil")
    folder = tmp_path / "a" / "b" / "figures"
    drawings = plot.fit_figures(model, data, fit_result(model)) | plot.scan_figures(scan_result(name="../mu"))
    assert plot.save(drawings, folder) == {}
    files = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()}
    assert files == {f"a/b/figures/{name}" for name in drawings}
    assert all((folder / name).read_bytes().startswith(b"\x89PNG") for name in drawings)


def test_a_figure_that_cannot_be_drawn_is_named_and_the_others_are_drawn(tmp_path):
    model, data = model_of(name=r"$\nonsense$")
    failed = plot.save(plot.fit_figures(model, data, fit_result(model)), tmp_path)
    assert sorted(failed) == ["data_mc_1_postfit.png", "data_mc_1_prefit.png"]
    assert "nonsense" in failed["data_mc_1_prefit.png"]
    assert (tmp_path / "pulls.png").is_file()


def test_no_state_of_matplotlib_is_left_behind(tmp_path):
    model, data = model_of()
    before, figures = dict(matplotlib.rcParams), plt.get_fignums()
    plot.save(plot.fit_figures(model, data, fit_result(model)) | plot.scan_figures(scan_result()), tmp_path)
    assert plt.get_fignums() == figures
    assert dict(matplotlib.rcParams) == before
