"""Figures of toys show what the toys are."""

import numpy as np
import pytest
from plot.cases import toy_result
from scipy import stats

import jaxfit
from jaxfit import plot
from jaxfit.statuses import Status


def texts(figure):
    return [text.get_text() for text in figure.axes[0].get_legend().get_texts()]


def numbers(figure):
    """The counts of a histogram, and its edges."""
    counts, edges, _ = figure.axes[0].patches[0].get_data()
    return counts, edges


def failed(n):
    """One toy, far away, that is no minimum."""
    toys = toy_result()
    toys.bestfit[n], toys.status[n] = 1e3, Status.STALLED
    return toys


def test_pull_chart_shows_the_summary():
    toys = toy_result()
    summary = toys.summary()
    figure = plot.pull_chart(toys)
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["mu", "xs"]  # lumi is fixed
    expected = (summary.pull_mean, summary.pull_width, summary.coverage[:, 0])
    for axes, values, line in zip(figure.axes, expected, (0.0, 1.0, 0.682689), strict=True):
        (points,) = axes.containers
        np.testing.assert_array_equal(points.lines[0].get_xdata(), values)
        assert axes.get_lines()[0].get_xdata()[0] == pytest.approx(line)
        assert axes.get_xlim()[0] < values.min() < values.max() < axes.get_xlim()[1]
    assert figure.get_suptitle() == "400 toys"


def test_pull_chart_of_many_parameters_shows_the_worst_and_says_so():
    figure = plot.pull_chart(failed(3), max_pars=1)
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["mu"]
    assert figure.get_suptitle() == ("399 toys (1 left out), 1 of 2 parameters, those furthest from mean 0 and width 1")


def test_pull_histogram():
    toys = failed(3)
    figure = plot.pull_histogram(toys, "mu")
    counts, edges = numbers(figure)
    pulls = toys.pulls[toys.usable(), 0]
    np.testing.assert_array_equal(counts, np.histogram(pulls, edges)[0])
    curve = figure.axes[0].get_lines()[-1]
    assert np.trapezoid(curve.get_ydata(), curve.get_xdata()) == pytest.approx(399 * 0.2, rel=1e-3)  # its bins are 0.2
    first, second = texts(figure)
    summary = toys.summary(["mu"])
    assert first.startswith(f"399 toys (1 left out)\nmean {summary.pull_mean[0]:.3f} ± ")
    assert f"{100 * summary.coverage[0, 0]:.1f} % within ± 1, " in first
    assert second == "normal distribution"


def test_estimates_and_the_true_value():
    toys = toy_result()
    figure = plot.estimate_histogram(toys, "mu")
    counts, edges = numbers(figure)
    np.testing.assert_array_equal(counts, np.histogram(toys.bestfit[:, 0], edges)[0])
    assert counts.sum() == 400
    assert texts(figure)[1] == "true value, 1"
    assert texts(plot.estimate_histogram(toy_result(bootstrap=True), "mu"))[1] == "start of the fits, 1"


def test_statistic_over_chi_square_where_it_applies():
    toys = toy_result()
    toys.poi_status[5, 0] = Status.STALLED
    figure = plot.statistic_histogram(toys)
    counts, edges = numbers(figure)
    assert counts.sum() == 399
    expected, _, _ = figure.axes[0].patches[1].get_data()
    np.testing.assert_allclose(expected, 399 * np.diff(stats.chi2.cdf(edges, 1)))
    assert texts(figure) == ["399 toys drawn at mu = 1", "χ² with one degree of freedom"]
    away = plot.statistic_histogram(toys, 1)
    assert texts(away) == ["400 toys drawn at mu = 1"]
    assert away.axes[0].get_xlabel() == "−2 Δ log(likelihood) at mu = 2"


def test_an_unknown_parameter():
    for draw in (plot.pull_histogram, plot.estimate_histogram):
        with pytest.raises(jaxfit.InputError, match="did you mean 'mu'"):
            draw(toy_result(), "mux")


@pytest.mark.parametrize("n", [1, 2])
@pytest.mark.parametrize("name", ["mu", r"$\nonsense$"])
def test_few_toys_and_odd_names_can_be_drawn(n, name, tmp_path):
    toys = toy_result(n, labels=[name, "xs", "lumi"], poi=name)
    assert plot.save(plot.toy_figures(toys), tmp_path) == {}
