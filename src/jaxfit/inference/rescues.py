"""A second chance for fits that fail: such lanes of a batch climb a ladder, rung by rung, and each step is recorded."""

from __future__ import annotations

from typing import Any

import numpy as np

from jaxfit.inference.explorations import explore
from jaxfit.inference.rungs import FAILED, LADDER, Failed, Solved, overwrite
from jaxfit.inference.uncertainties import diagnose
from jaxfit.likelihood import Model, likelihood_of, possible
from jaxfit.minimization import Minima, Problems, minimize
from jaxfit.statuses import Status
from jaxfit.typing import NumpyArray

__all__ = ["rescue", "solve"]

_COSTLY = 64  # lanes of a batch at most that climb the rungs which cannot be batched


def solve(
    model: Model,
    problems: Problems[NumpyArray],
    *,
    positive_yields: bool = False,
    near: bool = False,
    **options: Any,
) -> Solved:
    """Solve a batch, rescue the lanes that fail, and look for further minima where the model may have several.

    Args:
        model: shared by all lanes.
        problems: the lanes.
        positive_yields: where pyhf's likelihood has its minimum at a negative yield of an empty bin, find the minimum
            without negative yields instead (toys); otherwise such a lane is NEGATIVE_EXPECTATION.
        near: see :func:`jaxfit.minimization.minimize`; where it is wrong costs some iterations.
        options: of :func:`jaxfit.minimization.minimize`. Lanes that run into a ``maxiter`` given here, or that fail
            with another solver than "newton", are not rescued: that is what was asked for.
    """
    minima = minimize(likelihood_of(model), problems, near=near, **options)
    solved = rescue(model, problems, minima, positive_yields=positive_yields, **options)
    return explore(model, problems, solved, **options)


def rescue(
    model: Model,
    problems: Problems[NumpyArray],
    minima: Minima[NumpyArray],
    *,
    positive_yields: bool = False,
    **options: Any,
) -> Solved:
    """Let the lanes that failed climb the ladder. Lanes with data that cannot be fitted do not."""
    found = Minima(*(np.array(field) for field in minima))
    rescues: list[tuple[str, ...]] = [()] * len(found.status)
    valid, no_zeros = possible(model, problems.data)
    found.status[~valid] = Status.INVALID_INPUT
    found.status[~np.isfinite(problems.start).all(axis=1)] = Status.INVALID_INPUT
    found.status[valid & ~no_zeros] = Status.IMPOSSIBLE_DATA
    if options.get("solver", "newton") != "newton":
        return Solved(*found, tuple(rescues))
    for lane in np.flatnonzero(found.status == Status.NOT_A_MINIMUM):
        pars, low, high = found.pars[lane], problems.lower[lane], problems.upper[lane]
        inside = (low < pars) & (pars < high)
        found.status[lane] = diagnose(likelihood_of(model), pars, problems.data[lane], inside)[0]
    failed = np.isin(found.status, FAILED)
    if options.get("maxiter") is not None:
        failed &= found.status != Status.NOT_CONVERGED
    if positive_yields:
        failed |= found.status == Status.NEGATIVE_EXPECTATION
    for name, rung, costly in LADDER:
        # what has no likelihood anywhere gets none from other solvers
        lanes = np.flatnonzero(failed & np.isfinite(found.nll))[:_COSTLY] if costly else np.flatnonzero(failed)
        if not lanes.size:
            continue
        attempt = rung(model, Failed(problems, found, lanes), options)
        if attempt is None:
            continue
        for lane, status in zip(lanes, attempt.status, strict=True):
            rescues[lane] += (f"{name}: {Status(int(status)).name}",)
        solved = ~np.isin(attempt.status, FAILED)
        overwrite(found, lanes, attempt, solved | (attempt.nll < np.nan_to_num(found.nll[lanes], nan=np.inf)))
        failed[lanes[solved]] = False
    return Solved(*found, tuple(rescues))
