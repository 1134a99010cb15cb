"""Conditional fits: some parameters are held, everything else starts on the tangent from the best fit."""

from __future__ import annotations

import numpy as np

from jaxfit.inference.rungs import FAILED, Solved
from jaxfit.minimization import Minima, Problems
from jaxfit.parameters import ParameterSpace
from jaxfit.results import FitResults
from jaxfit.statuses import Status
from jaxfit.typing import NumpyArray

__all__ = ["conditional_problems", "tangent", "twice_deltas"]

_UNUSABLE = (*FAILED, Status.IMPOSSIBLE_DATA, Status.INVALID_INPUT, Status.NOT_RUN)


def conditional_problems(
    data: NumpyArray, space: ParameterSpace, held: NumpyArray, values: NumpyArray, start: NumpyArray
) -> Problems[NumpyArray]:
    """One problem for every row of ``values``.

    Args:
        data: checked data.
        space: the parameters as they were fitted.
        held: positions of the parameters to hold, (lanes, held).
        values: where to hold them, (lanes, held); may be outside of their bounds.
        start: start points, (lanes, parameters).
    """
    lanes = np.arange(len(values))[:, None]
    lower, upper = (np.repeat(bound[None], len(values), axis=0) for bound in space.box())
    start = start.copy()
    start[lanes, held] = lower[lanes, held] = upper[lanes, held] = values
    return Problems(np.broadcast_to(data, (len(values), data.size)), start, lower, upper)


def tangent(best: FitResults, held: NumpyArray, shifts: NumpyArray) -> NumpyArray:
    """How a Gaussian likelihood moves its conditional minimum, as shifts of all parameters, (lanes, parameters).

    C_ik (C_kk)^-1 shift_k, with C the covariance and k the held parameters; zero where they have no uncertainty.

    Args:
        best: the best fit.
        held: positions of the held parameters, (lanes, held).
        shifts: of them, (lanes, held).
    """
    sigma, correlation = np.nan_to_num(best.uncertainty), np.nan_to_num(best.corr_mat)
    known = sigma[held] > 0
    pulls = np.where(known, shifts / np.where(known, sigma[held], 1.0), 0.0)
    own = correlation[held[:, :, None], held[:, None, :]]
    weights = np.einsum("lij,lj->li", np.linalg.pinv(own, hermitian=True), pulls)
    return np.asarray(sigma * np.einsum("li,lip->lp", weights, correlation[held]))


def twice_deltas(minima: Minima[NumpyArray] | Solved, best: FitResults) -> NumpyArray:
    """-2 log(likelihood) of conditional fits above the best fit's; NaN where they failed."""
    return np.where(np.isin(minima.status, _UNUSABLE), np.nan, 2.0 * minima.nll - best.best_twice_nll)
