"""The fits of a question as one batch, and a second attempt at those that failed."""

from __future__ import annotations

from typing import Any

import numpy as np

from jaxfit.likelihood import Likelihood
from jaxfit.minimization import Minima, Problems, minimize
from jaxfit.statuses import Status
from jaxfit.typing import NumpyArray, NumpyMask

__all__ = ["ended", "solve"]


def solve(
    likelihood: Likelihood, problems: Problems[NumpyArray], prefit: NumpyArray, **options: Any
) -> Minima[NumpyArray]:
    """Solve a batch; lanes that fail start once more from the pre-fit values.

    Kinks make local minima: there all lanes also start from the pre-fit values, and the lower minimum counts.

    Args:
        likelihood: shared by all lanes.
        problems: the lanes.
        prefit: the model's start values.
        options: of :func:`jaxfit.minimization.minimize`.
    """
    minima = minimize(likelihood, problems, **options)
    todo = np.flatnonzero(~ended(minima) | (likelihood.kinked is not None))
    if not todo.size:
        return minima
    start = np.broadcast_to(prefit, (todo.size, prefit.size))
    again = Problems(problems.data[todo], start, problems.lower[todo], problems.upper[todo])
    others = minimize(likelihood, again, **options)
    before = Minima(*(field[todo] for field in minima))
    better = ended(others) & (~ended(before) | (others.nll < before.nll))
    merged = Minima(*(np.array(field) for field in minima))
    for field, values in zip(merged, others, strict=True):
        field[todo[better]] = values[better]
    return merged


def ended(minima: Minima[NumpyArray]) -> NumpyMask:
    """Which lanes are at a minimum, be it one at a bound or with a negative expectation."""
    return np.isin(minima.status, [Status.OK, Status.OK_AT_BOUND, Status.NEGATIVE_EXPECTATION])
