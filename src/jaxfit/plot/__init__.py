"""Figures: those that cabinetry lacks, and for every result all that belong to it, under fixed file names."""

from jaxfit.plot.belts import confidence_belt, confidence_region
from jaxfit.plot.charts import impact_chart, interval_chart, likelihood_contours, profile_nll
from jaxfit.plot.distributions import estimate_histogram, pull_chart, pull_histogram, statistic_histogram
from jaxfit.plot.drawings import (
    feldman_cousins_figures,
    fit_figures,
    impact_figures,
    interval_figures,
    limit_figures,
    prediction_figures,
    ranking_figures,
    save,
    scan2d_figures,
    scan_figures,
    toy_figures,
)

__all__ = [
    "confidence_belt",
    "confidence_region",
    "estimate_histogram",
    "feldman_cousins_figures",
    "fit_figures",
    "impact_chart",
    "impact_figures",
    "interval_chart",
    "interval_figures",
    "likelihood_contours",
    "limit_figures",
    "prediction_figures",
    "profile_nll",
    "pull_chart",
    "pull_histogram",
    "ranking_figures",
    "save",
    "scan2d_figures",
    "scan_figures",
    "statistic_histogram",
    "toy_figures",
]
