"""Questions, one file each: which fits to ask for, and how to read the answers."""

from jaxfit.inference.fits import FitWarning, fit
from jaxfit.inference.scans import scan

__all__ = ["FitWarning", "fit", "scan"]
