"""Fits of pyhf and HistFactory models on JAX.

Replace ``cabinetry.fit`` by ``jaxfit``: the functions of the same names have its signatures, and their results go into
cabinetry's plots and tables.
"""

from jaxfit.breakdowns import ImpactResults, RankingResults
from jaxfit.diagnoses import Diagnosis
from jaxfit.ensembles import ToyResults, ToySummary
from jaxfit.errors import InputError, JaxfitError
from jaxfit.inference import (
    FitError,
    FitWarning,
    feldman_cousins,
    fit,
    goodness_of_fit,
    hypotest,
    impacts,
    intervals,
    limit,
    ranking,
    scan,
    scan2d,
    significance,
    toys,
)
from jaxfit.likelihood import ModelPrediction, asimov, prediction
from jaxfit.optimizers import optimizer
from jaxfit.regions import FeldmanCousinsResults, IntervalResults, Scan2DResults
from jaxfit.results import FitResults, ScanResults
from jaxfit.statuses import Status
from jaxfit.storage import load_results
from jaxfit.verdicts import GoodnessOfFitResults, HypotestResults, LimitResults, SignificanceResults

__all__ = [
    "Diagnosis",
    "FeldmanCousinsResults",
    "FitError",
    "FitResults",
    "FitWarning",
    "GoodnessOfFitResults",
    "HypotestResults",
    "ImpactResults",
    "InputError",
    "IntervalResults",
    "JaxfitError",
    "LimitResults",
    "ModelPrediction",
    "RankingResults",
    "Scan2DResults",
    "ScanResults",
    "SignificanceResults",
    "Status",
    "ToyResults",
    "ToySummary",
    "asimov",
    "feldman_cousins",
    "fit",
    "goodness_of_fit",
    "hypotest",
    "impacts",
    "intervals",
    "limit",
    "load_results",
    "optimizer",
    "prediction",
    "ranking",
    "scan",
    "scan2d",
    "significance",
    "toys",
]
