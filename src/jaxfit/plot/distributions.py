"""Figures of ensembles of toys: pulls, estimates and test statistics."""

from __future__ import annotations

from typing import Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy import stats

from jaxfit.ensembles import ToyResults
from jaxfit.errors import InputError, suggest
from jaxfit.plot.charts import ROW, finish, name_rows, plain
from jaxfit.typing import NumpyArray

__all__ = ["estimate_histogram", "pull_chart", "pull_histogram", "statistic_histogram"]

_BINS = 50
_PULLS = (-5.0, 5.0)  # range of a histogram
_MAX_ROWS = 40


def pull_chart(toys: ToyResults, max_pars: int = _MAX_ROWS) -> Figure:
    """Draw mean and width of the pulls, and the coverage of one uncertainty, of all parameters that vary.

    Args:
        toys: as :func:`jaxfit.toys` returns them.
        max_pars: how many parameters, those whose pulls are furthest from mean 0 and width 1.
    """
    summary = toys.summary()
    distance = np.nan_to_num(np.maximum(np.abs(summary.pull_mean), np.abs(summary.pull_width - 1.0)), nan=np.inf)
    shown = np.sort(np.argsort(-distance, kind="stable")[:max_pars])
    rows = np.arange(len(shown))[::-1]

    figure = Figure(figsize=(8.0, 1.1 + ROW * (len(shown) + 1.0)), layout="constrained")
    panels = figure.subplots(1, 3, sharey=True)
    for axes, title, expected, values, errors in zip(
        panels,
        ("mean of pulls", "width of pulls", "coverage of ± 1 σ"),
        (0.0, 1.0, 2.0 * stats.norm.cdf(1.0) - 1.0),
        (summary.pull_mean, summary.pull_width, summary.coverage[:, 0]),
        (summary.pull_mean_error, summary.pull_width_error, summary.coverage_error[:, 0]),
        strict=True,
    ):
        axes.axvline(expected, color="tab:red", linewidth=1)
        axes.errorbar(values[shown], rows, xerr=errors[shown], fmt="ko", markersize=3.5, capsize=2)
        name_rows(axes, [summary.labels[i] for i in shown], rows)
        reach = 1.15 * np.nanmax(np.abs(values[shown] - expected) + errors[shown], initial=0.05)
        axes.set_xlim(expected - reach, expected + reach)
        axes.set_xlabel(title)
    part = f", {len(shown)} of {len(summary.labels)} parameters, those furthest from mean 0 and width 1"
    figure.suptitle(_number(toys) + (part if len(shown) < len(summary.labels) else ""), fontsize="medium")
    return figure


def pull_histogram(toys: ToyResults, name: str) -> Figure:
    """Draw the pulls of a parameter, (estimate - true value) / uncertainty, over a normal distribution.

    Args:
        toys: as :func:`jaxfit.toys` returns them.
        name: of the parameter.

    Raises:
        InputError: there is no such parameter.
    """
    index, summary = _index(toys, name), toys.summary([name])
    pulls = toys.pulls[toys.usable(), index]
    pulls = pulls[np.isfinite(pulls)]
    figure, axes = _axes()
    mean, width, covered = summary.pull_mean[0], summary.pull_width[0], summary.coverage[0]
    label = (
        f"{_number(toys)}\nmean {mean:.3f} ± {summary.pull_mean_error[0]:.3f}\n"
        f"width {width:.3f} ± {summary.pull_width_error[0]:.3f}\n"
        f"{100 * covered[0]:.1f} % within ± 1, {100 * covered[1]:.1f} % within ± 1.96"
    )
    edges = np.linspace(*_PULLS, _BINS + 1)
    _histogram(axes, pulls, edges, label)
    x = np.linspace(*_PULLS, 400)
    axes.plot(x, len(pulls) * (edges[1] - edges[0]) * stats.norm.pdf(x), color="tab:red", label="normal distribution")
    axes.set_xlim(*_PULLS)
    axes.set_xlabel(f"pull of {plain(name)}")
    axes.set_ylabel(f"toys / {edges[1] - edges[0]:.2g}")
    _legend_above(axes)
    return figure


def estimate_histogram(toys: ToyResults, name: str) -> Figure:
    """Draw the best-fit values of a parameter, with the value that the toys were drawn from.

    Args:
        toys: as :func:`jaxfit.toys` returns them.
        name: of the parameter.

    Raises:
        InputError: there is no such parameter.
    """
    index = _index(toys, name)
    values = toys.bestfit[toys.usable(), index]
    figure, axes = _axes()
    spread = float(np.std(values, ddof=1)) if len(values) > 1 else 0.0
    label = (
        f"{_number(toys)}\nmean {np.mean(values):.4g}, standard deviation {spread:.3g}" if len(values) else "no toys"
    )
    edges = np.histogram_bin_edges(values, _BINS)
    _histogram(axes, values, edges, label)
    truth = "start of the fits" if toys.bootstrap else "true value"
    top = axes.get_ylim()[1]
    axes.vlines(toys.truth[index], 0.0, top, color="tab:red", label=f"{truth}, {toys.truth[index]:.4g}")
    axes.set_xlabel(f"best-fit {plain(name)}")
    axes.set_ylabel(f"toys / {edges[1] - edges[0]:.2g}")
    _legend_above(axes)
    return figure


def statistic_histogram(toys: ToyResults, index: int = 0) -> Figure:
    """Draw -2 log(likelihood) of fits with a parameter held above that of the best fits.

    Over it the chi-square distribution with one degree of freedom, to which it tends for toys drawn at the held value.

    Args:
        toys: as :func:`jaxfit.toys` returns them, with ``poi_values``.
        index: of the held value in ``poi_values``.
    """
    held, truth = float(toys.poi_values[index]), float(toys.truth[toys.labels.index(toys.poi)])
    values = toys.twice_deltas[:, index]
    values = np.maximum(values[np.isfinite(values)], 0.0)
    figure, axes = _axes()
    edges = np.linspace(0.0, max(10.0, float(np.ceil(values.max(initial=0.0)))), _BINS + 1)
    name, width = plain(toys.poi), edges[1] - edges[0]
    _histogram(axes, values, edges, f"{len(values)} toys drawn at {name} = {truth:.4g}")
    if held == truth and not toys.bootstrap:
        expected = len(values) * np.diff(stats.chi2.cdf(edges, 1))
        axes.stairs(expected, edges, color="tab:red", linewidth=1.5, label="χ² with one degree of freedom")
    axes.set_yscale("log")
    axes.set_ylim(0.5, 20.0 * max(axes.get_ylim()[1], 1.0))
    axes.set_xlim(edges[0], edges[-1])
    axes.set_xlabel(f"−2 Δ log(likelihood) at {name} = {held:.4g}")
    axes.set_ylabel(f"toys / {width:.2g}")
    _legend(axes, "upper right")
    return figure


def _axes() -> tuple[Figure, Axes]:
    figure = Figure(figsize=(6.4, 4.8), layout="constrained")
    axes = figure.add_subplot()
    finish(axes)
    return figure, axes


def _histogram(axes: Axes, values: NumpyArray, edges: NumpyArray, label: str) -> None:
    """Numbers with their statistical errors."""
    numbers, _ = np.histogram(values, edges)
    filled = numbers > 0
    axes.stairs(numbers, edges, fill=True, color="tab:blue", alpha=0.3)
    centers = 0.5 * (edges[1:] + edges[:-1])
    axes.errorbar(
        centers[filled], numbers[filled], yerr=np.sqrt(numbers[filled]), fmt=".", color="tab:blue", label=label
    )


def _legend_above(axes: Axes) -> None:
    """A legend over the data, which leave room for it."""
    axes.set_ylim(0.0, 1.45 * axes.get_ylim()[1])
    _legend(axes, "upper left")


def _legend(axes: Axes, where: Literal["upper left", "upper right"]) -> None:
    """Toys first."""
    handles, labels = axes.get_legend_handles_labels()
    axes.legend(handles[::-1], labels[::-1], loc=where, frameon=False)


def _number(toys: ToyResults) -> str:
    used = int(toys.usable().sum())
    return f"{used} toys" + (f" ({len(toys) - used} left out)" if used < len(toys) else "")


def _index(toys: ToyResults, name: str) -> int:
    if name not in toys.labels:
        raise InputError(suggest("parameter", name, toys.labels))
    return toys.labels.index(name)
