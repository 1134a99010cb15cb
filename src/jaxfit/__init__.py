"""Fits of pyhf and HistFactory models on JAX.

Replace ``cabinetry.fit`` by ``jaxfit``: :func:`fit` and :func:`scan` have its signatures, and their results go into
cabinetry's plots and tables.
"""

from jaxfit.errors import InputError, JaxfitError
from jaxfit.inference import FitWarning, fit, scan
from jaxfit.results import FitResults, ScanResults
from jaxfit.statuses import Status
from jaxfit.storage import load_results

__all__ = [
    "FitResults",
    "FitWarning",
    "InputError",
    "JaxfitError",
    "ScanResults",
    "Status",
    "fit",
    "load_results",
    "scan",
]
