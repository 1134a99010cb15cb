"""The rungs of the ladder: other ways to the minima of lanes that failed.

They are other start points, or a more careful way down, for the same minimiser; so a rescued fit has passed the same
criteria as any other.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from jaxfit.curvatures import expected_yields, nll
from jaxfit.likelihood import Model, likelihood_of, parameter_space, prefit_widths, reference_of
from jaxfit.minimization import Minima, Problems, minimize
from jaxfit.statuses import Status
from jaxfit.typing import NumpyArray, NumpyMask

__all__ = ["FAILED", "HOPELESS", "LADDER", "RANDOM_STARTS", "SEED", "Failed", "Solved", "overwrite", "take"]

SEED = 0  # of all random starts
# flat directions are a property of the model: no other attempt ends elsewhere
FAILED = (Status.NOT_CONVERGED, Status.STALLED, Status.NONFINITE, Status.NOT_A_MINIMUM)
HOPELESS = (Status.IMPOSSIBLE_DATA, Status.INVALID_INPUT, Status.NOT_RUN)
RANDOM_STARTS = 4
_BARRIERS = (1e-1, 1e-3, 1e-5, 1e-7, 1e-9)  # events that keep an empty bin from a negative yield
_LOW_ENOUGH = 1e-7  # the last may be too steep for the precision of numbers


class Failed(NamedTuple):
    """A batch, what became of it so far, and which of its lanes are to be rescued."""

    batch: Problems[NumpyArray]
    found: Minima[NumpyArray]
    lanes: NumpyArray

    @property
    def problems(self) -> Problems[NumpyArray]:
        """The lanes to rescue, as they were given."""
        return take(self.batch, self.lanes)

    def start(self, points: NumpyArray) -> Problems[NumpyArray]:
        """The failed lanes with other start points."""
        return self.problems._replace(start=np.broadcast_to(points, (self.lanes.size, self.batch.start.shape[1])))


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


Options = dict[str, Any]
Rung = Callable[[Model, Failed, Options], "Minima[NumpyArray] | None"]


def _within_positive_yields(model: Model, failed: Failed, options: Options) -> Minima[NumpyArray] | None:
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


def _damped(model: Model, failed: Failed, options: Options) -> Minima[NumpyArray]:
    """Shorter steps, more of them."""
    return minimize(likelihood_of(model), failed.problems, **{**options, "damping": 1.0, "maxiter": 500})


def _from_neighbour(model: Model, failed: Failed, options: Options) -> Minima[NumpyArray] | None:
    """From the minimum of the lane with the nearest start point: in a scan, the point beside it."""
    good = np.flatnonzero(~np.isin(failed.found.status, (*FAILED, *HOPELESS)))
    start = failed.batch.start
    if not good.size or (start == start[0]).all():  # toys: which of them is nearest would depend on the batch
        return None
    nearest = [good[np.argmin(((start[good] - start[lane]) ** 2).sum(axis=1))] for lane in failed.lanes]
    return minimize(likelihood_of(model), failed.start(failed.found.pars[nearest]), **options)


def _from_prefit(model: Model, failed: Failed, options: Options) -> Minima[NumpyArray]:
    return minimize(likelihood_of(model), failed.start(parameter_space(model).start), **options)


def _from_random_points(model: Model, failed: Failed, options: Options) -> Minima[NumpyArray]:
    """The best of a few starts drawn around the model's start values, in units of the pre-fit widths."""
    space, width = parameter_space(model), prefit_widths(model)
    width = np.where(width > 0, width, 0.3 * np.maximum(np.abs(space.start), 1.0))
    starts = space.start + width * np.random.default_rng(SEED).normal(size=(RANDOM_STARTS, width.size))
    every = Problems(*(np.concatenate([field] * RANDOM_STARTS) for field in failed.problems))
    every = every._replace(start=np.repeat(starts, failed.lanes.size, axis=0))
    attempts = minimize(likelihood_of(model), every, **options)
    value = np.where(np.isin(attempts.status, FAILED), np.inf, attempts.nll).reshape(RANDOM_STARTS, -1)
    best = np.argmin(value, axis=0) * failed.lanes.size + np.arange(failed.lanes.size)
    return Minima(*(field[best] for field in attempts))


def _by_lbfgsb(model: Model, failed: Failed, options: Options) -> Minima[NumpyArray]:
    """From where jaxopt's L-BFGS-B ends on pyhf's own likelihood."""
    start = minimize(reference_of(model), failed.problems, solver="lbfgsb").pars
    return minimize(likelihood_of(model), failed.start(start), **options)


def _by_minuit(model: Model, failed: Failed, options: Options) -> Minima[NumpyArray]:
    """From where MINUIT ends, with exact gradients."""
    start = minimize(likelihood_of(model), failed.problems, solver="minuit").pars
    return minimize(likelihood_of(model), failed.start(start), **options)


LADDER: tuple[tuple[str, Rung, bool], ...] = (
    ("positive yields", _within_positive_yields, False),
    ("damped", _damped, False),
    ("start at a neighbour's minimum", _from_neighbour, False),
    ("start at pre-fit values", _from_prefit, False),
    ("start at random points", _from_random_points, False),
    ("L-BFGS-B on pyhf's likelihood", _by_lbfgsb, True),
    ("MINUIT", _by_minuit, True),
)


def take(problems: Problems[NumpyArray], lanes: NumpyArray) -> Problems[NumpyArray]:
    """Some lanes of a batch."""
    return Problems(*(field[lanes] for field in problems))


def overwrite(found: Minima[NumpyArray], lanes: NumpyArray, other: Minima[NumpyArray], better: NumpyMask) -> None:
    """Overwrite the lanes that are better in another attempt; iterations add up."""
    iterations = found.iterations[lanes] + other.iterations
    for field, values in zip(found, other, strict=True):
        field[lanes[better]] = values[better]
    found.iterations[lanes] = iterations
