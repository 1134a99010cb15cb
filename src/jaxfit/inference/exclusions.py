"""Upper limits by toys: which values to test, and where CLs between them falls below its target."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.special import ndtri

from jaxfit.inference.distributions import toy_tails
from jaxfit.inference.ratios import Ratios
from jaxfit.inference.trials import Trials
from jaxfit.typing import NumpyArray

__all__ = ["Exclusions", "toy_limits"]

_ROUNDS = 10  # of tests
_SAME = 0.05  # relative distance of values that are not worth a test each
_BESIDE = 0.1  # relative distance from a limit at which tests are wanted, below and above
_WINDOWS = (0.25, 0.5, 1.0)  # relative distances from a limit within which tests determine it: the first that do
_STEPS = 3  # of the window towards the limit
_FURTHER = 1.5  # times the largest value so far, where a search goes next


class Exclusions(NamedTuple):
    """Six limits (the observed one, and five expected ones), and CLs at all tested values (points, 6)."""

    limits: NumpyArray
    errors: NumpyArray
    values: NumpyArray
    cls: NumpyArray
    cls_errors: NumpyArray


def toy_limits(ratios: Ratios, trials: Trials, around: NumpyArray, target: float) -> Exclusions:
    """Limits by toys: where the straight line through CLs of nearby tests falls below the target.

    Lines are fitted to the number of standard deviations that CLs stands for, which is almost linear in the tested
    value. Errors are the standard deviation of limits over bootstraps of all toys.

    Args:
        ratios: whose fits give the parameters that toys are drawn from.
        trials: what draws and fits toys.
        around: the values to test first, such as asymptotic limits; NaN are left out.
        target: of CLs.

    Returns:
        The limits, NaN where not found; the values in increasing order.
    """
    limits, spread = np.full(6, np.nan), np.full(6, np.nan)
    tests: list[tuple[NumpyArray, ...]] = []
    values, cls, errors = np.zeros(0), np.zeros((0, 6)), np.zeros((0, 6))
    new = _apart(around[np.isfinite(around)], values)
    for _ in range(_ROUNDS):
        if not new.size:
            break
        ratios.add(new)
        tails = toy_tails(ratios, trials, "qtilde", new)
        found = np.column_stack([tails.observed.CLs, tails.expected.CLs])
        found_errors = np.column_stack([tails.observed_error.CLs, tails.expected_error.CLs])
        tests += zip(new, found, found_errors, tails.resampled, strict=True)
        tests.sort(key=lambda test: float(test[0]))
        values, cls, errors, resampled = (np.array(part) for part in zip(*tests, strict=True))
        least = 0.5 / trials.ntoys  # half a toy
        centers = np.array([_rough(values, np.maximum(curve, least), target) for curve in cls.T])
        for k in range(6):
            curves = np.clip(np.column_stack([cls[:, k], resampled[:, :, k]]), least, 1.0 - least)
            limits[k], spread[k] = _limit(values, curves, errors[:, k], centers[k], target)
        centers = np.where(np.isfinite(limits), limits, centers)
        wanted = np.concatenate([centers, (1.0 - _BESIDE) * centers, (1.0 + _BESIDE) * centers])
        new = _apart(wanted[np.isfinite(wanted)], values)
    return Exclusions(limits, spread, values, cls, errors)


def _apart(wanted: NumpyArray, tested: NumpyArray) -> NumpyArray:
    """Values that are close neither to tested ones nor to each other; the first ones are preferred."""
    chosen: list[float] = []
    for value in wanted:
        if value > 0 and all(abs(value - other) > _SAME * value for other in (*chosen, *tested)):
            chosen.append(float(value))
    return np.array(chosen)


def _rough(values: NumpyArray, cls: NumpyArray, target: float) -> float:
    """Where the target is crossed last, for CLs of 1 at 0 and linear log CLs; beyond all values if it is not."""
    good = np.isfinite(cls)
    if not good.any():
        return float("nan")
    values, logs = np.append(0.0, values[good]), np.log(np.append(1.0, cls[good]) / target)
    last = int(np.flatnonzero(logs > 0)[-1])
    if last == len(values) - 1:
        return float(_FURTHER * values[last])
    fraction = logs[last] / (logs[last] - logs[last + 1])
    return float(values[last] + fraction * (values[last + 1] - values[last]))


def _limit(
    values: NumpyArray, curves: NumpyArray, errors: NumpyArray, center: float, target: float
) -> tuple[float, float]:
    """Where the line through the first of the curves (points, curves) crosses the target, and the spread of the others.

    NaN without tests on both sides, or if no line falls.
    """
    for window in _WINDOWS:
        found = np.array([center])
        for _ in range(_STEPS):
            found = _crossings(values, curves, errors, found[0], window * found[0], target)
        if np.isfinite(found[0]):
            low, high = np.nanpercentile(found[1:], [15.87, 84.13])
            return float(found[0]), float(high - low) / 2.0
    return float("nan"), float("nan")


def _crossings(
    values: NumpyArray, curves: NumpyArray, errors: NumpyArray, center: float, reach: float, target: float
) -> NumpyArray:
    """Where lines through the values within reach cross the target, one for each curve; NaN if one does not fall."""
    near = np.isfinite(curves).all(axis=1) & (np.abs(values - center) <= reach)
    if np.unique(np.sign(values[near] - center)).size < 2:
        return np.full(curves.shape[1], np.nan)
    y = ndtri(curves[near])
    weights = np.exp(-0.5 * y[:, 0] ** 2) / np.sqrt(2.0 * np.pi) / errors[near]
    slopes, heights = np.polyfit(values[near] - center, y, 1, w=weights)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(slopes < 0, center + (ndtri(target) - heights) / slopes, np.nan)
