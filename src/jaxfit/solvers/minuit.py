"""MINUIT through iminuit, with exact gradients: the last resort of a fit that fails, and a comparison."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import iminuit
import numpy as np

from jaxfit.typing import NumpyArray

__all__ = ["run_minuit"]


def run_minuit(
    function: Callable[[NumpyArray], Any],
    gradient: Callable[[NumpyArray], Any],
    start: NumpyArray,
    lower: NumpyArray,
    upper: NumpyArray,
    scale: NumpyArray,
    *,
    maxiter: int,
) -> tuple[NumpyArray, int]:
    """Minimise a negative log-likelihood within bounds; the minimum and the number of calls. It cannot be batched.

    ``scale`` are the sizes of the first steps.
    """
    minuit = iminuit.Minuit(lambda x: float(function(x)), start, grad=lambda x: np.asarray(gradient(x)))
    minuit.limits = list(zip(lower, upper, strict=True))
    minuit.fixed = lower >= upper
    minuit.errors = scale
    minuit.errordef = iminuit.Minuit.LIKELIHOOD
    minuit.strategy = 1
    minuit.tol = 1e-3
    if not all(minuit.fixed):
        minuit.migrad(ncall=maxiter)
    return np.asarray(minuit.values), int(minuit.nfcn)
