"""The figures that cabinetry does not have."""

from __future__ import annotations

from typing import Any

import cabinetry
import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from pyhf import Model

from jaxfit.breakdowns import ImpactResults
from jaxfit.regions import IntervalResults, Scan2DResults
from jaxfit.results import ScanResults
from jaxfit.typing import NumpyArray

__all__ = ["impact_chart", "interval_chart", "likelihood_contours", "profile_nll"]

_LEVELS = {"68 %": 0.5, "95 %": 1.9207}  # half the quantiles of chi-square with one degree of freedom
_UP, _DOWN = "tab:blue", "tab:orange"
ROW = 0.28  # height of a row in inches
_model_utils: Any = cabinetry.model_utils


def profile_nll(scan: ScanResults) -> Figure:
    """Draw a scan as the parameter against ΔNLL (not 2 ΔNLL), with the best fit and the 68 % and 95 % levels.

    Args:
        scan: as :func:`jaxfit.scan` returns it; points that are no minimum are drawn as crosses.
    """
    values, nlls = scan.parameter_values, scan.delta_nlls / 2.0
    good = np.array([status.converged for status in scan.statuses], dtype=bool)
    order = np.flatnonzero(good)[np.argsort(values[good])]

    figure = Figure(figsize=(6.4, 4.8), layout="constrained")
    axes = figure.add_subplot()
    best_fit, _, _ = str(scan).partition("\n")
    axes.axvline(scan.bestfit, color="tab:red", linewidth=1, label=plain(best_fit))
    if np.isfinite(scan.uncertainty) and scan.uncertainty > 0:
        band = scan.bestfit - scan.uncertainty, scan.bestfit + scan.uncertainty
        axes.axvspan(*band, color="tab:red", alpha=0.1, linewidth=0, label="± 1 σ")
    axes.plot(values[order], nlls[order], ".-", color="tab:blue", label="profile likelihood")
    failed = ~good & np.isfinite(nlls)
    if failed.any():
        axes.plot(values[failed], nlls[failed], "x", color="tab:gray", label="not converged")
    top = max(nlls[good], default=0.0)
    axes.set_ylim(0.0, 1.35 * top if top > 0 else 1.0)
    for text, level in _LEVELS.items():
        if level < axes.get_ylim()[1]:
            axes.axhline(level, color="gray", linestyle=":", linewidth=1)
            axes.annotate(
                text, (1, level), (-4, 2), xycoords=("axes fraction", "data"), textcoords="offset points",
                ha="right", va="bottom", color="gray",
            )  # fmt: skip
    axes.set_xlabel(plain(scan.name))
    axes.set_ylabel("Δ NLL")
    finish(axes)
    axes.margins(x=0.02)
    axes.legend(loc="upper center", framealpha=1.0, edgecolor="none")
    return figure


def likelihood_contours(scan: Scan2DResults) -> Figure:
    """Draw a scan over two parameters: -2 log(likelihood) above its minimum as colours, and the contours.

    Args:
        scan: as :func:`jaxfit.scan2d` returns it; points that are no minimum are drawn as crosses.
    """
    x, y = scan.parameter_values
    failed = ~np.array([[status.converged for status in row] for row in scan.statuses], dtype=bool)
    quantiles = [-2.0 * np.log1p(-level) for level in scan.confidence_levels]

    figure = Figure(figsize=(6.4, 5.2), layout="constrained")
    axes = figure.add_subplot()
    deltas = np.ma.masked_invalid(scan.delta_nlls.T)
    top = 1.5 * max(quantiles, default=6.0)
    light = ListedColormap(colormaps["Blues_r"](np.linspace(0.4, 1.0, 256)))
    mesh = axes.pcolormesh(x, y, deltas, cmap=light, vmin=0.0, vmax=top, shading="gouraud")
    figure.colorbar(mesh, ax=axes, label="−2 Δ log(likelihood)", extend="max")
    styles = ["-", "--", "-.", ":"]
    for number, (level, contour) in enumerate(zip(scan.confidence_levels, scan.contours, strict=True)):
        line: dict[str, Any] = {"color": "tab:red", "linestyle": styles[number % 4], "linewidth": 1.5}
        for points in contour:
            axes.plot(*points.T, **line)
        axes.plot([], [], **line, label=f"{100 * level:.4g} %")
    axes.plot(*scan.bestfit, "k+", markersize=10, label="best fit")
    if failed.any():
        rows, columns = np.nonzero(failed)
        axes.plot(x[rows], y[columns], "x", color="tab:gray", label="not converged")
    axes.set_xlabel(plain(scan.names[0]))
    axes.set_ylabel(plain(scan.names[1]))
    finish(axes)
    axes.legend(framealpha=0.9, edgecolor="none")
    return figure


def impact_chart(impacts: ImpactResults, max_pars: int = 20) -> Figure:
    """Draw impacts on a parameter of interest by parameter, as cabinetry's ranking does, and by group.

    Args:
        impacts: as :func:`jaxfit.impacts` returns them.
        max_pars: how many parameters, those with the largest post-fit impacts.
    """
    known = np.flatnonzero(np.isfinite(impacts.postfit))
    shown = known[np.argsort(-np.abs(impacts.postfit[known]), kind="stable")][:max_pars]
    groups = dict(sorted(impacts.global_parts.items(), key=lambda part: -np.nan_to_num(part[1])))
    parts = {"total": impacts.sigma, **groups}

    heights = [len(shown) + 2.0, len(parts) + 1.0]
    figure = Figure(figsize=(8.0, 2.2 + ROW * sum(heights)), layout="constrained")
    by_parameter, by_group = figure.subplots(2, 1, height_ratios=heights)
    rows, handles = np.arange(len(shown))[::-1], []
    for kind, sizes, width in (("post-fit", impacts.postfit[shown], "σ"), ("pre-fit", impacts.prefit[shown], "Δθ")):
        for sign, color, side in ((1.0, _UP, "+"), (-1.0, _DOWN, "−")):
            label = f"{kind}, θ = θ̂ {side} {width}"
            face = color if kind == "post-fit" else "none"
            handles.append(by_parameter.barh(rows, sign * sizes, facecolor=face, edgecolor=color, label=label))
    handles += by_parameter.plot(
        impacts.global_shifts[shown], rows, "kD", markersize=4, label="global, auxiliary datum + Δθ"
    )
    name_rows(by_parameter, [impacts.labels[i] for i in shown], rows)
    by_parameter.axvline(0.0, color="black", linewidth=0.75)
    by_parameter.set_xlabel(f"Δ {plain(impacts.name)}")
    figure.legend(handles=handles, loc="outside upper center", ncols=3, frameon=False)

    rows = np.arange(len(parts))[::-1]
    by_group.barh(rows, list(parts.values()), color=["black", *["tab:gray"] * len(groups)])
    name_rows(by_group, list(parts), rows)
    by_group.set_xlabel(f"uncertainty of {plain(impacts.name)} and its parts, which add in quadrature")
    return figure


def interval_chart(model: Model, intervals: IntervalResults) -> Figure:
    """Draw intervals: as pulls where there is a constraint to compare with, in their own units where there is none.

    Args:
        model: the model that was fitted.
        intervals: as :func:`jaxfit.intervals` returns them; ends that were not found are not drawn.
    """
    where = [model.config.par_names.index(name) for name in intervals.labels]
    center, width = _model_utils.asimov_parameters(model)[where], _model_utils.prefit_uncertainties(model)[where]
    panels = [part for part in (np.flatnonzero(width == 0), np.flatnonzero(width > 0)) if part.size]
    heights = [len(part) + 1.0 for part in panels]

    figure = Figure(figsize=(6.4, 1.5 + 0.6 * len(panels) + ROW * sum(heights)), layout="constrained")
    for axes, part in zip(
        figure.subplots(len(panels), 1, height_ratios=heights, squeeze=False)[:, 0], panels, strict=True
    ):
        pulls = width[part[0]] > 0
        origin, unit = (center[part], width[part]) if pulls else (0.0, 1.0)
        best, low, high = ((of[part] - origin) / unit for of in (intervals.bestfit, intervals.lower, intervals.upper))
        rows = np.arange(len(part))[::-1]
        if pulls:
            for reach, color in ((2.0, "yellow"), (1.0, "limegreen")):
                axes.axvspan(-reach, reach, color=color, linewidth=0)
            axes.axvline(0.0, color="black", linestyle=":", linewidth=1)
            axes.set_xlim(min(-3.0, np.nanmin(low, initial=0.0) - 0.3), max(3.0, np.nanmax(high, initial=0.0) + 0.3))
        distances = np.nan_to_num(np.stack([best - low, high - best]))
        axes.errorbar(best, rows, xerr=np.maximum(distances, 0.0), fmt="ko", markersize=4, capsize=3)
        for ends, bound in ((low, intervals.lower_at_bound), (high, intervals.upper_at_bound)):
            held = np.array(bound)[part]
            axes.plot(ends[held], rows[held], "|", color="tab:red", markersize=14, markeredgewidth=2)
        name_rows(axes, [intervals.labels[i] for i in part], rows)
        axes.set_xlabel(r"$(\theta - \theta_0)\,/\,\Delta\theta$" if pulls else "value")
    handles = [Line2D([], [], color="black", marker="o", markersize=4)]
    labels = [f"best fit and {100 * intervals.confidence_level:.4g} % interval"]
    if any(intervals.lower_at_bound + intervals.upper_at_bound):
        handles.append(Line2D([], [], color="tab:red", marker="|", linestyle="", markersize=12, markeredgewidth=2))
        labels.append("ends on a bound")
    figure.legend(handles, labels, loc="outside upper center", ncols=2, frameon=False)
    return figure


def plain(name: str) -> str:
    """A name as it is, not as the mathematical text that a $ begins in matplotlib."""
    return name.replace("$", r"\$")


def name_rows(axes: Axes, names: list[str], rows: NumpyArray) -> None:
    """Name the rows of a chart."""
    axes.set_yticks(rows, [plain(name) for name in names])
    axes.set_ylim(-0.8, len(names) - 0.2)
    axes.xaxis.minorticks_on()
    axes.tick_params(axis="x", direction="in", top=True, which="both")
    axes.tick_params(axis="y", length=0)


def finish(axes: Axes) -> None:
    axes.minorticks_on()
    axes.tick_params(direction="in", top=True, right=True, which="both")
