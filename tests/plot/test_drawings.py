"""What is drawn of every result, under names that a model cannot choose."""

from dataclasses import replace

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pytest
from plot.cases import (
    fit_result,
    impact_result,
    interval_result,
    limit_result,
    model_of,
    ranking_result,
    scan2d_result,
    scan_result,
    toy_result,
)

from jaxfit import plot
from jaxfit.diagnoses import Diagnosis
from jaxfit.statuses import Status


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
    result = fit_result(
        model, uncertainty=unknown, corr_mat=np.diag(unknown), diagnosis=Diagnosis(status=Status.SINGULAR)
    )
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


def test_ranking_shows_pulls_and_leaves_out_what_is_not_known():
    model, _ = model_of()
    pulls, impacts = plot.ranking_figures(model, ranking_result())["ranking.png"]().axes
    shown = dict(zip(tick_labels(pulls.yaxis), pulls.containers[0].lines[0].get_xdata(), strict=True))
    assert shown.pop("off") != shown.pop("mc[0]") == pytest.approx(0.0)
    assert shown == {"lumi": pytest.approx(0.5), "xs": pytest.approx(0.3)}
    assert impacts.get_xlabel() == "Δ mu"
    assert impacts.get_xlim() == pytest.approx((-0.33, 0.33))  # reaches the largest, a post-fit impact


def test_intervals_of_a_large_model_are_without_gammas(monkeypatch):
    monkeypatch.setattr("jaxfit.plot.drawings._MAX_ROWS", 3)
    free, pulls = plot.interval_figures(model_of()[0], interval_result())["intervals.png"]().axes
    assert tick_labels(free.yaxis) + tick_labels(pulls.yaxis) == ["mu", "xs", "lumi"]


def test_limit_names_its_parameter():
    axes = plot.limit_figures(limit_result())["limit.png"]().axes[0]
    assert axes.get_xlabel() == r"mu\$"
    assert (axes.get_title(), axes.containers) == ("", [])


def test_limit_by_toys_has_errors():
    errors = np.array([0.05, 0.03, 0.01])
    result = replace(limit_result(), calctype="toybased", ntoys=400, observed_CLs_error=errors)
    axes = plot.limit_figures(result)["limit.png"]().axes[0]
    _, _, (vertical,) = axes.containers[0]
    ends = [segment[:, 1].tolist() for segment in vertical.get_segments()]
    np.testing.assert_allclose(ends, np.column_stack([result.observed_CLs - errors, result.observed_CLs + errors]))
    assert axes.get_title() == "400 toys of each hypothesis at every value"


def test_all_other_figures_are_saved(tmp_path):
    model, _ = model_of()
    drawings = plot.ranking_figures(model, ranking_result()) | plot.impact_figures(impact_result())
    drawings |= plot.interval_figures(model, interval_result()) | plot.scan2d_figures(scan2d_result())
    drawings |= plot.limit_figures(limit_result())
    assert plot.save(drawings, tmp_path) == {}
    names = {"ranking.png", "impacts.png", "intervals.png", "contours.png", "limit.png"}
    assert {path.name for path in tmp_path.iterdir()} == names


def test_nothing_to_rank_or_to_show_is_no_figure():
    model, _ = model_of()
    nothing = np.zeros(5)
    none = {name: nothing for name in ("prefit_up", "prefit_down", "postfit_up", "postfit_down")}
    assert plot.ranking_figures(model, ranking_result(**none)) == {}
    empty = {name: np.zeros(0) for name in ("bestfit", "uncertainty", "lower", "upper")}
    no_bounds = {"lower_at_bound": (), "upper_at_bound": ()}
    assert plot.interval_figures(model, interval_result(labels=[], **empty, **no_bounds)) == {}


def test_toys_are_saved(tmp_path):
    names = {"pulls.png", "pull_poi.png", "poi.png", "statistic_1.png", "statistic_2.png"}
    assert plot.save(plot.toy_figures(toy_result()), tmp_path) == {}
    assert {path.name for path in tmp_path.iterdir()} == names


def test_toys_without_a_parameter_of_interest_or_with_another():
    without = toy_result(poi="", poi_values=np.zeros(0))
    assert list(plot.toy_figures(without)) == ["pulls.png"]
    assert list(plot.toy_figures(without, "lumi")) == ["pulls.png"]  # it is fixed
    axes = plot.toy_figures(without, "xs")["pull_poi.png"]().axes[0]
    assert axes.get_xlabel() == "pull of xs"


def test_toys_that_all_failed_are_no_figure():
    assert plot.toy_figures(toy_result(status=np.full(400, Status.NOT_RUN))) == {}
