"""Fits of pyhf and HistFactory models on JAX.

Replace ``cabinetry.fit`` by ``jaxfit``: :func:`fit` and :func:`scan` have its signatures, and their results go into
cabinetry's plots and tables.
"""

from jaxfit.breakdowns import ImpactResults, RankingResults
from jaxfit.diagnoses import Diagnosis
from jaxfit.errors import InputError, JaxfitError
from jaxfit.inference import FitError, FitWarning, fit, hypotest, impacts, limit, ranking, scan, significance
from jaxfit.likelihood import ModelPrediction, asimov, prediction
from jaxfit.results import FitResults, ScanResults
from jaxfit.statuses import Status
from jaxfit.storage import load_results
from jaxfit.verdicts import HypotestResults, LimitResults, SignificanceResults

__all__ = [
    "Diagnosis",
    "FitError",
    "FitResults",
    "FitWarning",
    "HypotestResults",
    "ImpactResults",
    "InputError",
    "JaxfitError",
    "LimitResults",
    "ModelPrediction",
    "RankingResults",
    "ScanResults",
    "SignificanceResults",
    "Status",
    "asimov",
    "fit",
    "hypotest",
    "impacts",
    "limit",
    "load_results",
    "prediction",
    "ranking",
    "scan",
    "significance",
]
