"""What our own figures show is what the results say."""

import numpy as np
import pytest
from plot.cases import impact_result, interval_result, model_of, scan2d_result, scan_result

from jaxfit import plot
from jaxfit.statuses import Status


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


def test_contours_are_drawn_as_they_are():
    axes, colours = plot.likelihood_contours(scan2d_result()).axes
    (contour,) = [line for line in axes.get_lines() if len(line.get_xdata()) == 3]
    np.testing.assert_array_equal(contour.get_xydata(), scan2d_result().contours[0][0])
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("mu", "xs")
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["68.27 %", "95 %", "best fit"]
    assert lines(axes.figure)["best fit"] == ([1.0], [0.0])
    assert colours.get_ylabel() == "−2 Δ log(likelihood)"


def test_contours_mark_points_that_are_no_minimum():
    statuses = [[Status.OK] * 4 for _ in range(5)]
    statuses[3][1] = Status.STALLED
    nlls = scan2d_result().delta_nlls
    nlls[3, 1] = np.nan
    figure = plot.likelihood_contours(scan2d_result(statuses=tuple(map(tuple, statuses)), delta_nlls=nlls))
    x, y = lines(figure)["not converged"]
    assert (list(x), list(y)) == ([1.5], [pytest.approx(-2.0 / 3.0)])


def test_impacts_are_drawn_to_both_sides_with_the_largest_on_top():
    by_parameter, by_group = plot.impact_chart(impact_result()).axes
    assert row_names(by_parameter) == ["lumi", "xs"]  # without the one that is not known
    bars = {bars.get_label(): [bar.get_width() for bar in bars] for bars in by_parameter.containers}
    assert bars == {
        "post-fit, θ = θ̂ + σ": [0.3, -0.1],
        "post-fit, θ = θ̂ − σ": [-0.3, 0.1],
        "pre-fit, θ = θ̂ + Δθ": [0.4, -0.2],
        "pre-fit, θ = θ̂ − Δθ": [-0.4, 0.2],
    }
    assert list(by_parameter.get_lines()[0].get_xdata()) == [0.3, -0.1]
    assert row_names(by_group) == ["total", "statistical", "systematic"]
    assert [bar.get_width() for bar in by_group.containers[0]] == [0.5, 0.4, 0.3]


def test_impacts_are_cut_to_the_largest():
    assert row_names(plot.impact_chart(impact_result(), max_pars=1).axes[0]) == ["lumi"]


def test_impacts_that_are_not_known_can_be_drawn(tmp_path):
    nothing = np.full(3, np.nan)
    parts = {"systematic": np.nan, "statistical": np.nan}
    unknown = impact_result(postfit=nothing, prefit=nothing, global_shifts=nothing, global_parts=parts, sigma=np.nan)
    plot.impact_chart(unknown).savefig(tmp_path / "impacts.png")


def row_names(axes):
    """From top to bottom."""
    labels = sorted(zip(axes.get_yticks(), axes.get_yticklabels(), strict=True), key=lambda label: -label[0])
    return [label.get_text() for _, label in labels]


def segments(axes):
    """The intervals of a panel, from top to bottom."""
    (bars,) = axes.containers
    _, _, (horizontal,) = bars
    return [tuple(segment[:, 0]) for segment in horizontal.get_segments()]


def test_intervals_are_pulls_where_there_is_a_constraint():
    free, pulls = plot.interval_chart(model_of()[0], interval_result()).axes
    assert (row_names(free), row_names(pulls)) == (["mu"], ["xs", "lumi", "mc[0]"])
    assert segments(free) == [pytest.approx((0.0, 1.6))]
    assert segments(pulls)[:2] == [pytest.approx((-0.7, 1.1)), pytest.approx((-0.5, 1.5))]
    low, high = segments(pulls)[2]  # the upper end was not found
    assert low < high == 0.0


def test_intervals_mark_ends_on_bounds():
    figure = plot.interval_chart(model_of()[0], interval_result())
    marks = [list(line.get_xdata()) for line in figure.axes[0].get_lines() if line.get_color() == "tab:red"]
    assert marks == [[0.0], []]
    assert "ends on a bound" in [text.get_text() for text in figure.legends[0].get_texts()]
    inside = plot.interval_chart(model_of()[0], interval_result(lower_at_bound=(False,) * 4))
    assert [text.get_text() for text in inside.legends[0].get_texts()] == ["best fit and 68.27 % interval"]
