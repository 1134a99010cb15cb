"""Upper limits by toys: which values to test, and where CLs between them falls below its target."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from jaxfit.inference.distributions import Tails, toy_tails
from jaxfit.inference.ratios import Ratios
from jaxfit.inference.trials import Trials
from jaxfit.typing import NumpyArray

__all__ = ["ROUNDS", "Exclusions", "toy_limits"]

ROUNDS = 10  # of tests, each of up to six values
_SAME = 0.05  # relative distance of values that are not worth a test each
_CLOSE = 0.25  # relative distance of the tested values between which a limit is interpolated
_FURTHER = 1.5  # times the largest value so far, where a search goes next
_INSIDE = 0.2  # of such a distance: a further value is not closer to its ends


class Exclusions(NamedTuple):
    """Six limits (the observed one, and five expected ones), and CLs at all tested values (points, 6)."""

    limits: NumpyArray
    errors: NumpyArray
    values: NumpyArray
    cls: NumpyArray
    cls_errors: NumpyArray


class _Crossing(NamedTuple):
    """Where a curve falls below its target: ``close`` if the tested values next to it are close enough."""

    value: float
    error: float
    close: bool


def toy_limits(ratios: Ratios, trials: Trials, around: NumpyArray, target: float) -> Exclusions:
    """Limits by toys, CLs being interpolated in its logarithm.

    Args:
        ratios: whose fits give the parameters that toys are drawn from.
        trials: what draws and fits toys.
        around: the values to test first, such as asymptotic limits; NaN are left out.
        target: of CLs.

    Returns:
        The limits, NaN where not found; the values in increasing order.
    """
    values = cls = errors = np.zeros(0)
    new, crossings = _apart(around[np.isfinite(around)], values), []
    for _ in range(ROUNDS):
        if not new.size:
            break
        ratios.add(new)
        found, found_errors = _curves(toy_tails(ratios, trials, "qtilde", new))
        order = np.argsort(np.append(values, new))
        values = np.append(values, new)[order]
        cls, errors = (np.concatenate([a.reshape(-1, 6), b])[order] for a, b in ((cls, found), (errors, found_errors)))
        crossings = [_crossing(values, cls[:, k], errors[:, k], target, trials.ntoys) for k in range(6)]
        wanted = np.array([crossing.value for crossing in crossings if not crossing.close])
        new = _apart(wanted[np.isfinite(wanted)], values)
    known = [(c.value, c.error) if c.close else (np.nan, np.nan) for c in crossings] or [(np.nan, np.nan)] * 6
    limits, limit_errors = np.array(known).T
    return Exclusions(limits, limit_errors, values, cls.reshape(-1, 6), errors.reshape(-1, 6))


def _curves(tails: Tails) -> tuple[NumpyArray, NumpyArray]:
    """CLs and its errors: the observed one, and the five expected ones."""
    observed, expected = np.column_stack([tails.observed.CLs, tails.expected.CLs]), tails.expected_error.CLs
    return observed, np.column_stack([tails.observed_error.CLs, expected])


def _apart(wanted: NumpyArray, tested: NumpyArray) -> NumpyArray:
    """Values that are close neither to each other nor to tested ones."""
    chosen: list[float] = []
    for value in np.sort(wanted):
        if value > 0 and all(abs(value - other) > _SAME * value for other in (*chosen, *tested)):
            chosen.append(float(value))
    return np.array(chosen)


def _crossing(values: NumpyArray, cls: NumpyArray, errors: NumpyArray, target: float, ntoys: int) -> _Crossing:
    """The last value at which the target is crossed, for CLs of 1 at 0 and linear log CLs between tested values."""
    good = np.isfinite(cls)
    if not good.any():
        return _Crossing(np.nan, np.nan, close=False)
    values, errors = np.append(0.0, values[good]), np.append(0.0, errors[good])
    cls = np.append(1.0, np.maximum(cls[good], 0.5 / ntoys))  # less than one toy
    last = int(np.flatnonzero(cls > target)[-1])
    if last == len(values) - 1:
        return _Crossing(_FURTHER * values[last], np.nan, close=False)
    (low, high), logs = values[last : last + 2], np.log(cls[last : last + 2] / target)
    fraction = logs[0] / (logs[0] - logs[1])
    value = low + fraction * (high - low)
    weights = np.array([1.0 - fraction, fraction]) * errors[last : last + 2] / cls[last : last + 2]
    error = float(np.hypot(*weights)) * (high - low) / (logs[0] - logs[1])
    if high - low <= _CLOSE * high:
        return _Crossing(float(value), error, close=True)
    return _Crossing(float(np.clip(fraction, _INSIDE, 1.0 - _INSIDE) * (high - low) + low), np.nan, close=False)
