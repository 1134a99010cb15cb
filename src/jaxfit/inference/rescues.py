"""A second chance for fits that fail: those lanes of a batch climb a ladder, rung by rung, and each step is recorded.

The rungs are other start points, or a more careful way down, for the same minimiser; so a rescued fit has passed the
same criteria as any other.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any, NamedTuple

import numpy as np

from jaxfit.curvatures import expected_yields, nll
from jaxfit.inference.uncertainties import diagnose
from jaxfit.likelihood import (
    Model,
    likelihood_of,
    parameter_space,
    possible,
    prefit_widths,
    reference_of,
    same_sided,
)
from jaxfit.minimization import Minima, Problems, minimize
from jaxfit.statuses import Status
from jaxfit.typing import NumpyArray, NumpyMask

__all__ = ["FAILED", "SEED", "Solved", "explore", "rescue", "several_minima", "solve"]

SEED = 0  # of all random starts
# flat directions are a property of the model: no other attempt ends elsewhere
FAILED = (Status.NOT_CONVERGED, Status.STALLED, Status.NONFINITE, Status.NOT_A_MINIMUM)
_HOPELESS = (Status.IMPOSSIBLE_DATA, Status.INVALID_INPUT, Status.NOT_RUN)
_RANDOM_STARTS = 4
_COSTLY = 64  # lanes of a batch at most that climb the rungs which cannot be batched
_BARRIERS = (1e-1, 1e-3, 1e-5, 1e-7, 1e-9)  # events that keep an empty bin from a negative yield
_LOW_ENOUGH = 1e-7  # the last may be too steep for the precision of numbers
_AS_GOOD = 1.0  # difference in -2 log(likelihood) within which two minima compete
_APART = 0.5  # pre-fit widths between two different minima


class Solved(NamedTuple):
    """What became of the lanes, as :class:`jaxfit.minimization.Minima`, and the rungs that each of them climbed."""

    pars: NumpyArray
    nll: NumpyArray
    edm: NumpyArray
    iterations: NumpyArray
    status: NumpyArray
    rescues: tuple[tuple[str, ...], ...]

    @property
    def minima(self) -> Minima[NumpyArray]:
        """Without the rungs."""
        return Minima(*self[:5])


def solve(model: Model, problems: Problems[NumpyArray], *, positive_yields: bool = False, **options: Any) -> Solved:
    """Solve a batch, rescue the lanes that fail, and look for further minima where the model may have several.

    Args:
        model: shared by all lanes.
        problems: the lanes.
        positive_yields: where pyhf's likelihood has its minimum at a negative yield of an empty bin, find the minimum
            without negative yields instead (toys); otherwise such a lane is NEGATIVE_EXPECTATION.
        options: of :func:`jaxfit.minimization.minimize`. Lanes that run into a ``maxiter`` given here, or that fail
            with another solver than "newton", are not rescued: that is what was asked for.
    """
    minima = minimize(likelihood_of(model), problems, **options)
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
    for name, rung, costly in _LADDER:
        # what has no likelihood anywhere gets none from other solvers
        lanes = np.flatnonzero(failed & np.isfinite(found.nll))[:_COSTLY] if costly else np.flatnonzero(failed)
        if not lanes.size:
            continue
        attempt = rung(model, _Failed(problems, found, lanes), options)
        if attempt is None:
            continue
        for lane, status in zip(lanes, attempt.status, strict=True):
            rescues[lane] += (f"{name}: {Status(int(status)).name}",)
        solved = ~np.isin(attempt.status, FAILED)
        _replace(found, lanes, attempt, solved | (attempt.nll < np.nan_to_num(found.nll[lanes], nan=np.inf)))
        failed[lanes[solved]] = False
    return Solved(*found, tuple(rescues))


def several_minima(model: Model) -> bool:
    """Whether a model may have several minima: :func:`explore` then looks for them."""
    return likelihood_of(model).kinked is not None or bool(same_sided(model).any())


def explore(model: Model, problems: Problems[NumpyArray], solved: Solved, **options: Any) -> Solved:
    """Start from further points where a model may have several minima; the lowest counts.

    That is where a variation goes the same way up and down: its nuisance parameter may do with either sign. A kink of
    the interpolation (codes 0 and 1) makes two minima close to each other: there the model's start point is tried.
    A lane with another minimum that is as good and lies elsewhere becomes MULTIPLE_MINIMA.
    """
    suspects, likelihood = same_sided(model), likelihood_of(model)
    lanes = np.flatnonzero(~np.isin(solved.status, _HOPELESS))
    if not lanes.size or not several_minima(model):
        return solved
    width, here = prefit_widths(model), solved.pars[lanes]
    starts = [np.where(suspects, signs * width, here) for signs in _signs(suspects)]
    prefit = parameter_space(model).start
    if likelihood.kinked is not None and (problems.start[lanes] != prefit).any():
        starts.append(np.broadcast_to(prefit, here.shape))
    if not starts:
        return solved
    part = _take(problems, lanes)
    every = Problems(*(np.concatenate([field] * len(starts)) for field in part))._replace(start=np.concatenate(starts))
    others = minimize(likelihood, every, **options)
    found = Minima(*(np.array(field) for field in solved.minima))
    for k in range(len(starts)):
        other = Minima(*(field[k * lanes.size : (k + 1) * lanes.size] for field in others))
        failed = np.isin(found.status[lanes], FAILED)
        negative = other.status == Status.NEGATIVE_EXPECTATION
        usable = ~np.isin(other.status, FAILED) & (~negative | (found.status[lanes] == Status.NEGATIVE_EXPECTATION))
        apart = (np.abs(other.pars - found.pars[lanes])[:, suspects] > _APART * width[suspects]).any(axis=1)
        difference = 2.0 * (other.nll - found.nll[lanes])
        multiple = usable & ~failed & apart & (np.abs(difference) < _AS_GOOD)
        multiple |= (found.status[lanes] == Status.MULTIPLE_MINIMA) & ~(usable & (difference < -_AS_GOOD))
        _replace(found, lanes, other, usable & (failed | (difference < 0)))
        found.status[lanes[multiple]] = Status.MULTIPLE_MINIMA
    return Solved(*found, solved.rescues)


def _signs(suspects: NumpyMask) -> NumpyArray:
    """Signs of the suspects to start from, 0 for the others: all patterns of few, some random ones of many."""
    number = int(suspects.sum())
    if number == 0:
        return np.zeros((0, suspects.size))
    if number <= 2:
        patterns = np.array(list(product((1.0, -1.0), repeat=number)))
    else:
        patterns = np.random.default_rng(SEED).choice((1.0, -1.0), size=(_RANDOM_STARTS, number))
    signs = np.zeros((len(patterns), suspects.size))
    signs[:, suspects] = patterns
    return signs


# -- the rungs ---------------------------------------------------------------------------------------------------------


class _Failed(NamedTuple):
    """A batch, what became of it so far, and which of its lanes are to be rescued."""

    batch: Problems[NumpyArray]
    found: Minima[NumpyArray]
    lanes: NumpyArray

    @property
    def problems(self) -> Problems[NumpyArray]:
        return _take(self.batch, self.lanes)

    def start(self, points: NumpyArray) -> Problems[NumpyArray]:
        """The failed lanes with other start points."""
        return self.problems._replace(start=np.broadcast_to(points, (self.lanes.size, self.batch.start.shape[1])))


Options = dict[str, Any]
Rung = Callable[[Model, _Failed, Options], "Minima[NumpyArray] | None"]


def _within_positive_yields(model: Model, failed: _Failed, options: Options) -> Minima[NumpyArray] | None:
    """The minimum with positive yields, of lanes that slid down where a bin without events expects less than none.

    The likelihood is unbounded there. A small number of events in the empty bins is a logarithmic barrier in front of
    it (Nocedal and Wright, Numerical Optimization, chapter 19), which is lowered step by step.
    """
    likelihood, data = likelihood_of(model), failed.problems.data
    yields = np.array([expected_yields(likelihood, pars) for pars in failed.found.pars[failed.lanes]])
    empty = data[:, : yields.shape[1]] == 0
    if not ((yields < 0) & empty).any():
        return None
    found = minimize(likelihood, failed.start(parameter_space(model).start)._replace(data=_filled(data, empty, 1.0)))
    on_edge = np.zeros(len(data), dtype=bool)
    for events in _BARRIERS:
        problems = failed.start(found.pars)._replace(data=_filled(data, empty, events))
        stage = minimize(likelihood, problems, **options)
        lowest = np.array([expected_yields(likelihood, pars).min() for pars in stage.pars])
        converged = (stage.status <= Status.OK_AT_BOUND) | (
            (stage.status == Status.NEGATIVE_EXPECTATION) & (lowest > -_BARRIERS[-1])  # by rounding
        )
        found = Minima(*(np.where(_like(converged, new), new, old) for new, old in zip(stage, found, strict=True)))
        if events <= _LOW_ENOUGH:
            on_edge |= converged
    value = np.array([nll(likelihood, *lane) for lane in zip(found.pars, data, strict=True)])
    return found._replace(nll=value, status=np.where(on_edge, Status.OK_AT_BOUND, Status.NOT_CONVERGED))


def _filled(data: NumpyArray, empty: NumpyMask, events: float) -> NumpyArray:
    filled = data.copy()
    filled[:, : empty.shape[1]][empty] = events
    return filled


def _like(mask: NumpyMask, field: NumpyArray) -> NumpyMask:
    return mask.reshape(-1, *(1,) * (field.ndim - 1))


def _damped(model: Model, failed: _Failed, options: Options) -> Minima[NumpyArray]:
    """Shorter steps, more of them."""
    return minimize(likelihood_of(model), failed.problems, **{**options, "damping": 1.0, "maxiter": 500})


def _from_neighbour(model: Model, failed: _Failed, options: Options) -> Minima[NumpyArray] | None:
    """From the minimum of the lane with the nearest start point: in a scan, the point beside it."""
    good = np.flatnonzero(~np.isin(failed.found.status, (*FAILED, *_HOPELESS)))
    start = failed.batch.start
    if not good.size or (start == start[0]).all():  # toys: which of them is nearest would depend on the batch
        return None
    nearest = [good[np.argmin(((start[good] - start[lane]) ** 2).sum(axis=1))] for lane in failed.lanes]
    return minimize(likelihood_of(model), failed.start(failed.found.pars[nearest]), **options)


def _from_prefit(model: Model, failed: _Failed, options: Options) -> Minima[NumpyArray]:
    return minimize(likelihood_of(model), failed.start(parameter_space(model).start), **options)


def _from_random_points(model: Model, failed: _Failed, options: Options) -> Minima[NumpyArray]:
    """The best of a few starts drawn around the model's start values, in units of the pre-fit widths."""
    space, width = parameter_space(model), prefit_widths(model)
    width = np.where(width > 0, width, 0.3 * np.maximum(np.abs(space.start), 1.0))
    starts = space.start + width * np.random.default_rng(SEED).normal(size=(_RANDOM_STARTS, width.size))
    every = Problems(*(np.concatenate([field] * _RANDOM_STARTS) for field in failed.problems))
    every = every._replace(start=np.repeat(starts, failed.lanes.size, axis=0))
    attempts = minimize(likelihood_of(model), every, **options)
    value = np.where(np.isin(attempts.status, FAILED), np.inf, attempts.nll).reshape(_RANDOM_STARTS, -1)
    best = np.argmin(value, axis=0) * failed.lanes.size + np.arange(failed.lanes.size)
    return Minima(*(field[best] for field in attempts))


def _by_lbfgsb(model: Model, failed: _Failed, options: Options) -> Minima[NumpyArray]:
    """From where jaxopt's L-BFGS-B ends on pyhf's own likelihood."""
    start = minimize(reference_of(model), failed.problems, solver="lbfgsb").pars
    return minimize(likelihood_of(model), failed.start(start), **options)


def _by_minuit(model: Model, failed: _Failed, options: Options) -> Minima[NumpyArray]:
    """From where MINUIT ends, with exact gradients."""
    start = minimize(likelihood_of(model), failed.problems, solver="minuit").pars
    return minimize(likelihood_of(model), failed.start(start), **options)


_LADDER: tuple[tuple[str, Rung, bool], ...] = (
    ("positive yields", _within_positive_yields, False),
    ("damped", _damped, False),
    ("start at a neighbour's minimum", _from_neighbour, False),
    ("start at pre-fit values", _from_prefit, False),
    ("start at random points", _from_random_points, False),
    ("L-BFGS-B on pyhf's likelihood", _by_lbfgsb, True),
    ("MINUIT", _by_minuit, True),
)


def _take(problems: Problems[NumpyArray], lanes: NumpyArray) -> Problems[NumpyArray]:
    return Problems(*(field[lanes] for field in problems))


def _replace(found: Minima[NumpyArray], lanes: NumpyArray, other: Minima[NumpyArray], better: NumpyMask) -> None:
    """Overwrite the lanes that are better in another attempt; iterations add up."""
    iterations = found.iterations[lanes] + other.iterations
    for field, values in zip(found, other, strict=True):
        field[lanes[better]] = values[better]
    found.iterations[lanes] = iterations
