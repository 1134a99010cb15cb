"""Questions, one file each: which fits to ask for, and how to read the answers."""

from jaxfit.inference.belts import feldman_cousins
from jaxfit.inference.failures import FitError, FitWarning
from jaxfit.inference.fits import fit
from jaxfit.inference.goodness import goodness_of_fit
from jaxfit.inference.hypotests import hypotest
from jaxfit.inference.impacts import impacts
from jaxfit.inference.intervals import intervals
from jaxfit.inference.limits import limit
from jaxfit.inference.rankings import ranking
from jaxfit.inference.samples import toys
from jaxfit.inference.scans import scan
from jaxfit.inference.significances import significance
from jaxfit.inference.surfaces import scan2d

__all__ = [
    "FitError",
    "FitWarning",
    "feldman_cousins",
    "fit",
    "goodness_of_fit",
    "hypotest",
    "impacts",
    "intervals",
    "limit",
    "ranking",
    "scan",
    "scan2d",
    "significance",
    "toys",
]
