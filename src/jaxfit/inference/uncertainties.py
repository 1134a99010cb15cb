"""Uncertainties and correlations of all parameters from the Hessian at the minimum."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np

from jaxfit.curvatures import curvature, hessian
from jaxfit.likelihood import Likelihood
from jaxfit.parameters import ParameterSpace
from jaxfit.statuses import Status
from jaxfit.typing import NumpyArray, NumpyMask

__all__ = ["FLAT", "SETTLED", "Uncertainties", "diagnose", "uncertainties"]

FLAT = 1e10  # variance in units of the conditional variance above which a parameter is not constrained at all
# EDM times the largest such variance below which the curvature is the minimum's: yields that are off by the EDM along a
# steep direction change the curvature along a flat one, relatively by up to the square root of this
SETTLED = 1e-5


class Uncertainties(NamedTuple):
    """Widths and correlations around a minimum (NaN where there are none), and what is wrong with them.

    They are ``settled`` if they would be the same any closer to the minimum.
    """

    nll: float
    gradient: NumpyArray
    edm: float
    settled: bool
    expected: NumpyArray
    distance: float
    sigma: NumpyArray
    correlation: Callable[[], NumpyArray]
    status: Status
    flat: tuple[str, ...]
    eigenvalues: tuple[float, float]
    warnings: tuple[str, ...]


def uncertainties(
    likelihood: Likelihood, space: ParameterSpace, pars: NumpyArray, data: NumpyArray, status: Status
) -> Uncertainties:
    """Invert the Hessian over all parameters that are not fixed; those on a bound too, as long as it is positive.

    Fixed parameters have width 0 and zero rows and columns in the correlation matrix. ``status`` is the minimiser's;
    it becomes SINGULAR or NOT_A_MINIMUM where the Hessian says so.
    """
    lower, upper = space.box()
    free = lower < upper
    inside = free & (pars > lower) & (pars < upper)
    warnings: tuple[str, ...] = ()
    bad: tuple[str, ...] = ()
    eigenvalues = (np.nan, np.nan)
    around, covered = curvature(likelihood, pars, free, free & ~inside, data), free
    if not around.positive and (inside < free).any():
        around, covered = curvature(likelihood, pars, inside, free & ~inside, data), inside
        if around.positive:
            warnings = (f"not curved on a bound, so without uncertainty: {_listed(space.named(inside < free))}",)
    nll, sigma = around.nll, around.sigma
    # rounding can give a singular matrix a Cholesky factor; the widths then give it away
    inflation = float((sigma**2 * around.diagonal).max(where=free, initial=1.0)) if around.positive else np.inf
    if not (inflation <= FLAT and np.isfinite(nll)):
        covered = np.zeros_like(free)
        if status.converged or status in (Status.SINGULAR, Status.NOT_A_MINIMUM):
            status, involved, eigenvalues = diagnose(likelihood, pars, data, inside)
            bad = space.named(involved)
            how = {Status.NOT_A_MINIMUM: "curved downwards", Status.SINGULAR: "flat"}.get(status, "without curvature")
            warnings = (f"no covariance, the likelihood is {how} along {_listed(bad)}",)
    matrix = around.correlation
    if free.any() and not covered.any():
        matrix = partial(_no_correlation, free)
    return Uncertainties(
        nll=nll,
        gradient=around.gradient,
        edm=around.edm,
        settled=around.edm * min(inflation, FLAT) <= SETTLED,
        expected=around.expected,
        distance=around.distance,
        sigma=np.where(free, np.where(covered, sigma, np.nan), 0.0),
        correlation=matrix,
        status=status,
        flat=bad,
        eigenvalues=eigenvalues,
        warnings=warnings,
    )


def _no_correlation(free: NumpyMask) -> NumpyArray:
    return np.where(free[:, None] & free, np.nan, 0.0)


def diagnose(
    likelihood: Likelihood, pars: NumpyArray, data: NumpyArray, inside: NumpyMask
) -> tuple[Status, NumpyMask, tuple[float, float]]:
    """Whether a Hessian without an inverse has a downward or only a flat direction.

    Returns:
        NOT_A_MINIMUM or SINGULAR, which of the parameters ``inside`` their bounds are involved, and the smallest and
        largest eigenvalue of the Hessian scaled to a unit diagonal.
    """
    dense, where = hessian(likelihood, pars, data), np.flatnonzero(inside)
    scale = np.sqrt(np.abs(np.diag(dense)[where]))
    scale = np.where(scale > 0, scale, 1.0)
    involved = np.zeros_like(inside)
    scaled = dense[np.ix_(where, where)] / np.outer(scale, scale)
    if not np.isfinite(scaled).all():
        return Status.NONFINITE, involved, (np.nan, np.nan)
    values, vectors = np.linalg.eigh(scaled)
    downwards = values < -1e-4
    chosen = downwards if downwards.any() else values < max(10.0 / FLAT, values[0] + 1e-12)
    involved[where[np.abs(vectors[:, chosen]).max(axis=1) > 0.1]] = True
    status = Status.NOT_A_MINIMUM if downwards.any() else Status.SINGULAR
    return status, involved, (float(values[0]), float(values[-1]))


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
