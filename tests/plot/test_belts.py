"""Figures of Feldman-Cousins intervals and regions show what the results say."""

import numpy as np
import pytest
from plot.cases import belt_result, region_result

from jaxfit import plot


def legend(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


def lines(axes):
    return {line.get_label(): line.get_ydata() for line in axes.get_lines()}


def test_belt():
    result = belt_result()
    figure = plot.confidence_belt(result)
    upper, lower = figure.axes
    np.testing.assert_array_equal(lines(upper)["data"], result.statistic)
    np.testing.assert_array_equal(lines(upper)["critical value, 500 toys a point"], result.critical_values)
    assert lines(upper)["χ² quantile, 2.71"][0] == pytest.approx(2.705543)
    (points,) = lower.containers
    np.testing.assert_array_equal(points.lines[0].get_ydata(), result.p_values)
    assert lower.get_xlabel() == "mu"
    ((low, high),) = result.intervals
    band = upper.patches[0]
    assert (band.get_x(), band.get_x() + band.get_width()) == pytest.approx((low, high))
    assert legend(figure)[-1] == f"90 % confidence level: [0, {high:.3g}]"


def test_belt_without_or_with_several_intervals():
    assert legend(plot.confidence_belt(belt_result(p_values=np.zeros(5))))[-1] == "χ² quantile, 2.71"
    figure = plot.confidence_belt(belt_result(p_values=np.array([0.5, 0.0, 0.0, 0.5, 0.5])))
    assert len(figure.axes[0].patches) == 2
    assert " and [" in legend(figure)[-1]


def test_region():
    result = region_result()
    axes, colours = plot.confidence_region(result).axes
    np.testing.assert_array_equal(axes.collections[0].get_array(), result.p_values.T)
    border = np.concatenate([path.vertices for path in axes.collections[1].get_paths()])
    np.testing.assert_allclose(np.interp(border[:, 1], *border_of(result)), border[:, 0], atol=1e-12)
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("mu", "xs")
    assert colours.get_ylabel() == "p-value (500 toys a point)"
    assert axes.get_lines()[-1].get_xydata().tolist() == [[0.5, 0.0]]


def border_of(result):
    """Where p-values that fall with mu alone are 1 - 0.9: at every xs the same mu."""
    p_values, mu = result.p_values[:, 0], result.parameter_values[0]
    return [-1.0, 1.0], [np.interp(0.1, p_values[::-1], mu[::-1])] * 2


@pytest.mark.parametrize("p_values", [np.full((4, 3), np.nan), np.zeros((4, 3)), np.ones((4, 3))])
def test_regions_without_a_border_can_be_drawn(p_values, tmp_path):
    drawings = plot.feldman_cousins_figures(region_result(p_values=p_values))
    assert plot.save(drawings, tmp_path) == {}
    assert list(drawings) == ["region.png"]


def test_failed_points_and_odd_names_can_be_drawn(tmp_path):
    p_values = np.array([0.5, np.nan, 0.3, 0.05, np.nan])
    result = belt_result(names=(r"$\nonsense$",), p_values=p_values, critical_values=np.full(5, np.nan))
    assert plot.save(plot.feldman_cousins_figures(result), tmp_path) == {}
