"""An independent check of a fit: pyhf's own likelihood at the minimum, its slopes there, and a second start."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from jaxfit.curvatures import slopes
from jaxfit.inference.rungs import SEED
from jaxfit.likelihood import Model, likelihood_of, pyhf_nll, reference_of
from jaxfit.minimization import Problems, minimize
from jaxfit.parameters import ParameterSpace
from jaxfit.results import FitResults
from jaxfit.statuses import Status
from jaxfit.typing import NumpyArray

__all__ = ["verified"]

_SAME_NLL = 1e-8  # relative, and absolute
_SAME_SLOPE = 1e-3  # of the NLL, over one uncertainty
_SAME_MINIMUM = 1e-6  # in NLL


def verified(model: Model, data: NumpyArray, space: ParameterSpace, result: FitResults) -> FitResults:
    """The result with ``diagnosis.verification``; what does not hold is among its warnings.

    A second start that ends lower makes the status NOT_A_MINIMUM.
    """
    nll, pars = 0.5 * result.best_twice_nll, np.asarray(result.bestfit)
    theirs = pyhf_nll(model, pars, data)
    lower, upper = space.box()
    free = (lower < upper) & (pars > lower) & (pars < upper)
    gradient = slopes(reference_of(model), pars, data)
    known = free & np.isfinite(gradient)  # pyhf's is NaN where a bin without events expects none
    unit = np.where(np.isfinite(result.uncertainty), result.uncertainty, 0.0)
    slope = float(np.abs(gradient * unit)[known].max(initial=0.0))
    rng = np.random.default_rng(SEED)
    start = np.clip(pars + 3.0 * unit * rng.normal(size=pars.size), lower, upper)
    second = minimize(likelihood_of(model), Problems(data[None], start[None], lower[None], upper[None]))
    lowering = nll - float(second.nll[0])

    wrong = []
    if not abs(theirs - nll) <= _SAME_NLL * max(abs(theirs), 1.0):
        wrong.append(f"verification: pyhf's -log(likelihood) is {theirs:.10g} at the best fit, not {nll:.10g}")
    if slope > _SAME_SLOPE:
        wrong.append(f"verification: pyhf's likelihood has a slope of {slope:.1g} over one uncertainty at the best fit")
    if lowering > _SAME_MINIMUM:
        wrong.append(f"verification: a second start ended {lowering:.3g} lower in -log(likelihood)")
    text = (
        f"pyhf's likelihood differs by {theirs - nll:.1e} and its slope over one uncertainty is at most {slope:.1e} "
        f"along {known.sum()} of {free.sum()} free parameters; "
        f"a second start ended {Status(int(second.status[0])).name}, {-lowering:+.1e} in -log(likelihood)"
    )
    status = Status.NOT_A_MINIMUM if lowering > _SAME_MINIMUM else result.status
    warnings = (*result.warnings, *wrong)
    return replace(result, diagnosis=replace(result.diagnosis, status=status, verification=text, warnings=warnings))
