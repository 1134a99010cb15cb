"""What there is to draw of every result, cabinetry's figures and our own, under fixed file names."""

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

from jaxfit.breakdowns import ImpactResults, RankingResults
from jaxfit.ensembles import ToyResults
from jaxfit.likelihood import ModelPrediction, prediction
from jaxfit.plot.belts import confidence_belt, confidence_region
from jaxfit.plot.charts import impact_chart, interval_chart, likelihood_contours, profile_nll
from jaxfit.plot.distributions import estimate_histogram, pull_chart, pull_histogram, statistic_histogram
from jaxfit.regions import FeldmanCousinsResults, IntervalResults, Scan2DResults
from jaxfit.results import FitResults, ScanResults
from jaxfit.typing import NumpyMask
from jaxfit.verdicts import LimitResults

__all__ = [
    "feldman_cousins_figures",
    "fit_figures",
    "impact_figures",
    "interval_figures",
    "limit_figures",
    "prediction_figures",
    "ranking_figures",
    "save",
    "scan2d_figures",
    "scan_figures",
    "toy_figures",
]

Drawings: TypeAlias = dict[str, Callable[[], Figure]]  # by file name

_MAX_CORRELATED, _MIN_CORRELATION = 40, 0.2  # what a correlation matrix shows
_MAX_ROWS = 60  # parameters of a figure of intervals
_MAX_RANKED = 20
# Our results have all that cabinetry reads of its own, which is what its signatures name.
_visualize: Any = cabinetry.visualize
_model_utils: Any = cabinetry.model_utils
_ONLY_DRAW: dict[str, Any] = {"save_figure": False, "close_figure": True}


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
    return drawings | prediction_figures(model, data, result, config)


def prediction_figures(
    model: Model, data: list[float], result: FitResults, config: Mapping[str, Any] | None = None
) -> Drawings:
    """Data and model of every channel before and after a fit; the arguments are those of :func:`fit_figures`."""

    @cache
    def predicted(fitted: bool) -> ModelPrediction:
        return prediction(model, fit_results=result if fitted else None)

    def data_mc(channel: str, fitted: bool) -> Figure:
        shown = _visualize.data_mc(predicted(fitted), data, config=config, channels=channel, **_ONLY_DRAW)
        figure: Figure = shown[0]["figure"]
        return figure

    drawings: Drawings = {}
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


def scan2d_figures(scan: Scan2DResults) -> Drawings:
    """The contours of a scan over two parameters."""
    return {"contours.png": partial(likelihood_contours, scan)}


def feldman_cousins_figures(result: FeldmanCousinsResults) -> Drawings:
    """The belt of one parameter, or the region of two."""
    if len(result.names) == 1:
        return {"belt.png": partial(confidence_belt, result)}
    return {"region.png": partial(confidence_region, result)}


def interval_figures(model: Model, intervals: IntervalResults) -> Drawings:
    """The intervals, of many without the bin-wise parameters."""
    shown = np.arange(len(intervals.labels))
    if shown.size > _MAX_ROWS:
        names = {name for name, one in zip(model.config.par_names, _binwise(model), strict=True) if not one}
        shown = np.array([i for i in shown if intervals.labels[i] in names], dtype=int)[:_MAX_ROWS]
    if not shown.size:
        return {}
    part = replace(
        intervals,
        labels=[intervals.labels[i] for i in shown],
        bestfit=intervals.bestfit[shown],
        lower=intervals.lower[shown],
        upper=intervals.upper[shown],
        lower_at_bound=tuple(intervals.lower_at_bound[i] for i in shown),
        upper_at_bound=tuple(intervals.upper_at_bound[i] for i in shown),
    )
    return {"intervals.png": partial(interval_chart, model, part)}


def ranking_figures(model: Model, ranking: RankingResults) -> Drawings:
    """cabinetry's figure of the parameters with the largest impacts, with pulls of those that have a constraint."""
    impacts = np.stack([ranking.prefit_up, ranking.prefit_down, ranking.postfit_up, ranking.postfit_down])
    known = np.flatnonzero(np.isfinite(impacts).all(axis=0))
    if not impacts[:, known].any():
        return {}
    where = [model.config.par_names.index(ranking.labels[i]) for i in known]
    center, width = _model_utils.asimov_parameters(model)[where], _model_utils.prefit_uncertainties(model)[where]
    width = np.where(width > 0, width, np.nan)
    up_down = dict(zip(("prefit_up", "prefit_down", "postfit_up", "postfit_down"), impacts[:, known], strict=True))
    part = replace(
        ranking,
        labels=[ranking.labels[i] for i in known],
        bestfit=(ranking.bestfit[known] - center) / width,
        uncertainty=ranking.uncertainty[known] / width,
        **up_down,
    )

    def draw() -> Figure:
        figure: Figure = _visualize.ranking(part, max_pars=_MAX_RANKED, **_ONLY_DRAW)
        _, axes = figure.axes
        axes.set_xlabel("Δ " + ranking.name.replace("$", r"\$"))
        largest = np.abs(impacts[:, known]).max()
        axes.set_xlim(-1.1 * largest, 1.1 * largest)  # cabinetry's is that of the pre-fit impacts
        return figure

    return {"ranking.png": draw}


def impact_figures(impacts: ImpactResults) -> Drawings:
    """Impacts by parameter and by group."""
    return {"impacts.png": partial(impact_chart, impacts)}


def limit_figures(limit: LimitResults) -> Drawings:
    """cabinetry's figure of CLs at the tested values."""

    def draw() -> Figure:
        figure: Figure = _visualize.limit(limit, **_ONLY_DRAW)
        axes = figure.axes[0]
        axes.set_xlabel(limit.name.replace("$", r"\$"))
        if limit.ntoys:
            axes.errorbar(
                limit.poi_values, limit.observed_CLs, yerr=limit.observed_CLs_error, fmt="none", ecolor="k", capsize=4
            )
            axes.set_title(f"{limit.ntoys} toys of each hypothesis at every value", fontsize="medium")
        return figure

    return {"limit.png": draw}


def toy_figures(toys: ToyResults, poi_name: str | None = None) -> Drawings:
    """Pulls of all parameters; of a parameter of interest its pulls and estimates, and its test statistic where held.

    Args:
        toys: as :func:`jaxfit.toys` returns them; toys that left nothing to draw have no figures.
        poi_name: the parameter of interest, default the one that was held.
    """
    drawings: Drawings = {}
    if not toys.usable().any():
        return drawings
    summary, name = toys.summary(), poi_name or toys.poi
    if summary.labels:
        drawings["pulls.png"] = partial(pull_chart, toys)
    if name in summary.labels:
        drawings["pull_poi.png"] = partial(pull_histogram, toys, name)
        drawings["poi.png"] = partial(estimate_histogram, toys, name)
    for index in range(len(toys.poi_values)):
        drawings[f"statistic_{index + 1}.png"] = partial(statistic_histogram, toys, index)
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


def _binwise(model: Model) -> NumpyMask:
    """Which parameters are gammas."""
    kinds, config = dict(model.config.modifiers), model.config
    gamma = [kinds[name] in ("staterror", "shapesys") for name in config.par_order]
    return np.repeat(gamma, [config.param_set(name).n_parameters for name in config.par_order])


def _pulls(model: Model, result: FitResults) -> FitResults:
    """The constrained parameters but the bin-wise ones, in units of their constraints."""
    center, width = _model_utils.asimov_parameters(model), _model_utils.prefit_uncertainties(model)
    shown = np.flatnonzero(~_binwise(model) & (width > 0) & (result.uncertainty != 0))
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
