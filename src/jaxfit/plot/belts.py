"""Figures of Feldman-Cousins intervals and regions."""

from __future__ import annotations

import numpy as np
from matplotlib import colormaps
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from scipy import stats

from jaxfit.plot.charts import finish, plain
from jaxfit.regions import FeldmanCousinsResults

__all__ = ["confidence_belt", "confidence_region"]


def confidence_belt(result: FeldmanCousinsResults) -> Figure:
    """Draw test statistic, critical values and p-values over a parameter, with the intervals as bands.

    Args:
        result: as :func:`jaxfit.feldman_cousins` returns it for one parameter; points that failed are not drawn.
    """
    (values,), level = result.parameter_values, result.confidence_level
    figure = Figure(figsize=(6.4, 6.4), layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[3, 2])
    upper.plot(values, result.statistic, color="black", label="data")
    upper.plot(
        values, result.critical_values, ".", color="tab:red", label=f"critical value, {_toys(result)}", markersize=5
    )
    quantile = stats.chi2.ppf(level, 1)
    upper.axhline(quantile, color="tab:red", linestyle=":", linewidth=1, label=f"χ² quantile, {quantile:.2f}")
    largest = float(np.nanmax(result.critical_values, initial=quantile))
    upper.set_ylim(0.0, 2.0 * largest)  # data far away are of no interest
    upper.set_ylabel("−2 Δ log(likelihood)")
    lower.errorbar(
        values, result.p_values, yerr=result.p_values_error, fmt=".", color="black", markersize=4, linewidth=1
    )
    lower.axhline(1.0 - level, color="tab:red", linewidth=1)
    lower.set_ylim(0.0, 1.08)
    lower.set_ylabel("p-value")
    lower.set_xlabel(plain(result.names[0]))
    text = f"{100 * level:.4g} % confidence level: " + _intervals(result)
    for axes in (upper, lower):
        for number, ends in enumerate(result.intervals):
            band = {"label": text} if axes is upper and not number else {}
            axes.axvspan(*ends, color="tab:blue", alpha=0.15, linewidth=0, **band)
        finish(axes)
    lower.set_xlim(values[0], values[-1])
    figure.legend(loc="outside upper center", ncols=2, frameon=False)
    return figure


def confidence_region(result: FeldmanCousinsResults) -> Figure:
    """Draw p-values over two parameters as colours, with the border of the region.

    Args:
        result: as :func:`jaxfit.feldman_cousins` returns it for two parameters; points that failed are blank.
    """
    x, y = result.parameter_values
    figure = Figure(figsize=(6.4, 5.2), layout="constrained")
    axes = figure.add_subplot()
    light = ListedColormap(colormaps["Blues"](np.linspace(0.0, 0.6, 256)))
    p_values = np.ma.masked_invalid(result.p_values.T)
    mesh = axes.pcolormesh(x, y, p_values, cmap=light, vmin=0.0, vmax=1.0, shading="nearest")
    figure.colorbar(mesh, ax=axes, label=f"p-value ({_toys(result)})")
    target = 1.0 - result.confidence_level
    if p_values.count() and p_values.min() < target < p_values.max():
        axes.contour(x, y, p_values, levels=[target], colors="tab:red", linewidths=1.5)
    axes.plot([], [], color="tab:red", linewidth=1.5, label=f"{100 * result.confidence_level:.4g} % confidence level")
    axes.plot(*result.bestfit, "k+", markersize=10, label="best fit")
    axes.set_xlabel(plain(result.names[0]))
    axes.set_ylabel(plain(result.names[1]))
    finish(axes)
    figure.legend(loc="outside upper center", ncols=2, frameon=False)
    return figure


def _toys(result: FeldmanCousinsResults) -> str:
    return f"{result.ntoys} toys a point"


def _intervals(result: FeldmanCousinsResults) -> str:
    return " and ".join(f"[{low:.3g}, {high:.3g}]" for low, high in result.intervals) or "none"
