"""Figures: the profile likelihood scan that cabinetry lacks, and cabinetry's figures under fixed file names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import Any, TypeAlias

import cabinetry
import matplotlib
import numpy as np
from matplotlib.figure import Figure
from pyhf import Model

from jaxfit.results import FitResults, ScanResults

__all__ = ["fit_figures", "profile_nll", "save", "scan_figures"]

Drawings: TypeAlias = dict[str, Callable[[], Figure]]  # by file name

_LEVELS = {"68 %": 0.5, "95 %": 1.9207}  # half the quantiles of chi-square with one degree of freedom
_MAX_CORRELATED, _MIN_CORRELATION = 40, 0.2  # what a correlation matrix shows
_MAX_MEMORY = 8.0  # GB, of cabinetry's array over pairs of parameters, samples and bins
# Our results have all that cabinetry reads of its own, which is what its signatures name.
_visualize: Any = cabinetry.visualize
_model_utils: Any = cabinetry.model_utils
_ONLY_DRAW: dict[str, Any] = {"save_figure": False, "close_figure": True}


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
    axes.axvline(scan.bestfit, color="tab:red", linewidth=1, label=best_fit.replace("$", r"\$"))
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
    axes.set_xlabel(scan.name.replace("$", r"\$"))
    axes.set_ylabel("Δ NLL")
    axes.minorticks_on()
    axes.tick_params(direction="in", top=True, right=True, which="both")
    axes.margins(x=0.02)
    axes.legend(loc="upper center", framealpha=1.0, edgecolor="none")
    return figure


def fit_figures(
    model: Model, data: list[float], result: FitResults, config: Mapping[str, Any] | None = None
) -> Drawings:
    """The figures of a fit, drawn by cabinetry when called: pulls, correlations, data/MC before and after the fit.

    Args:
        model: the model that was fitted.
        data: what it was fitted to.
        result: of the fit.
        config: the cabinetry configuration, for labels and binnings of the axes.
    """
    drawings: Drawings = {}
    pulls, correlated = _pulls(model, result), _most_correlated(result)
    if pulls.labels:
        drawings["pulls.png"] = partial(_visualize.pulls, pulls, **_ONLY_DRAW)
    if correlated.labels:
        drawings["correlations.png"] = partial(_visualize.correlation_matrix, correlated, **_ONLY_DRAW)

    @cache
    def prediction(fitted: bool) -> Any:
        memory = 8e-9 * model.config.npars**2 * (len(model.config.samples) + 1) * model.config.nmaindata
        if fitted and memory > _MAX_MEMORY:
            raise ValueError(f"cabinetry would need {memory:.0f} GB for the uncertainties of the yields")
        return _model_utils.prediction(model, fit_results=result if fitted else None)

    def data_mc(channel: str, fitted: bool) -> Figure:
        shown = _visualize.data_mc(prediction(fitted), data, config=config, channels=channel, **_ONLY_DRAW)
        figure: Figure = shown[0]["figure"]
        return figure

    for number, channel in enumerate(model.config.channels, start=1):
        drawings[f"data_mc_{number}_prefit.png"] = partial(data_mc, channel, False)
        drawings[f"data_mc_{number}_postfit.png"] = partial(data_mc, channel, True)
    return drawings


def scan_figures(scan: ScanResults) -> Drawings:
    """The figures of a scan: cabinetry's in -2 log(likelihood), and :func:`profile_nll`."""
    drawings: Drawings = {"profile_nll.png": partial(profile_nll, scan)}
    if scan.uncertainty > 0:  # cabinetry compares with a parabola of this width
        drawings["scan.png"] = partial(_visualize.scan, scan, **_ONLY_DRAW)
    return drawings


def save(drawings: Drawings, folder: Path) -> dict[str, str]:
    """Draw figures into a folder; returns why, by file name, for those that cannot be drawn."""
    folder.mkdir(parents=True, exist_ok=True)
    failed = {}
    for name, draw in drawings.items():
        try:
            # cabinetry sets styles globally, and divides by expected yields of zero
            with matplotlib.rc_context(), np.errstate(divide="ignore", invalid="ignore"):
                draw().savefig(folder / name, dpi=150)
        except ValueError as error:  # cabinetry's for negative yields, matplotlib's for names that are no mathtext
            failed[name] = " ".join(str(error).split())
    return failed


def _pulls(model: Model, result: FitResults) -> FitResults:
    """The constrained parameters but the bin-wise ones, in units of their constraints."""
    kinds, config = dict(model.config.modifiers), model.config
    gamma = [kinds[name] in ("staterror", "shapesys") for name in config.par_order]
    binwise = np.repeat(gamma, [config.param_set(name).n_parameters for name in config.par_order])
    center, width = _model_utils.asimov_parameters(model), _model_utils.prefit_uncertainties(model)
    shown = np.flatnonzero(~binwise & (width > 0) & (result.uncertainty != 0))
    pulls = (result.bestfit - center)[shown] / width[shown]
    labels = [result.labels[i] for i in shown]
    return replace(result, bestfit=pulls, uncertainty=result.uncertainty[shown] / width[shown], labels=labels)


def _most_correlated(result: FitResults) -> FitResults:
    """The parameters with the largest correlations, as many as a figure shows legibly, in their order."""
    others = np.abs(result.corr_mat)
    np.fill_diagonal(others, 0.0)
    largest = others.max(axis=0)
    shown = np.sort(np.argsort(-largest)[:_MAX_CORRELATED])
    shown = shown[largest[shown] >= _MIN_CORRELATION]
    return replace(result, corr_mat=result.corr_mat[np.ix_(shown, shown)], labels=[result.labels[i] for i in shown])
