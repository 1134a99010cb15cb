"""Questions, one file each: which fits to ask for, and how to read the answers."""

from jaxfit.inference.failures import FitError, FitWarning
from jaxfit.inference.fits import fit
from jaxfit.inference.hypotests import hypotest
from jaxfit.inference.impacts import impacts
from jaxfit.inference.limits import limit, significance
from jaxfit.inference.rankings import ranking
from jaxfit.inference.scans import scan

__all__ = ["FitError", "FitWarning", "fit", "hypotest", "impacts", "limit", "ranking", "scan", "significance"]
