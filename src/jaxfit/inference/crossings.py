"""Where profile likelihoods cross a level: all sides of all parameters at once, in a few batches of conditional fits.

The root of the profile, z(d) = sqrt(2 NLL above the best fit) at a distance d, is d / sigma for a Gaussian likelihood
and close to it for others. So d / z, which is sigma at the best fit, is interpolated as a polynomial in z through the
points that are known, and its value at the level's root is the next distance to try.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from jaxfit.errors import InputError
from jaxfit.inference.conditionals import conditional_problems, tangent, twice_deltas
from jaxfit.inference.explorations import explore, several_minima
from jaxfit.inference.rungs import Solved
from jaxfit.likelihood import Model, likelihood_of
from jaxfit.minimization import Minima, Problems, minimize
from jaxfit.parameters import ParameterSpace
from jaxfit.results import FitResults
from jaxfit.statuses import Status
from jaxfit.typing import NumpyArray, NumpyMask

__all__ = ["Crossings", "crossings", "free_indices"]

_CLOSE = 1e-4  # in 2 NLL: one more step, for which nothing is evaluated, then leads to about the square of that
_LOWER = 1e-6  # in 2 NLL: further below the best fit is another minimum
_ROUNDS = 40
_GROWTH = 3.0  # of the distance in one round
_EDGE = 1e-3  # relative, within which a distance where fits fail is approached
_SHOWN = 8  # ends in a message


class Crossings(NamedTuple):
    """Both ends, lower and upper, of every parameter's interval; the first axis is the parameters."""

    ends: NumpyArray  # NaN where not found
    statuses: NumpyArray  # of the last fit
    at_bound: NumpyMask  # ends on the parameter's bound, before the level is reached
    lower_minima: tuple[tuple[int, float], ...]  # parameters and values at which the profile lies below the best fit

    def remarks(self, space: ParameterSpace, indices: NumpyArray) -> list[str]:
        """What is wrong with the ends, in sentences."""
        remarks = [
            f"with {space.names[index]} = {value:g} the fit lies below the best fit, which is a local minimum: start "
            "it there with init_pars"
            for index, value in self.lower_minima
        ]
        lost = [
            f"{space.names[indices[i]]} {('lower', 'upper')[side]} ({Status(int(self.statuses[i, side])).name})"
            for i, side in np.argwhere(np.isnan(self.ends))
        ]
        if lost:
            more = f" and {len(lost) - _SHOWN} more" if len(lost) > _SHOWN else ""
            remarks.append(f"ends of intervals that were not found: {', '.join(lost[:_SHOWN])}{more}")
        return remarks


def free_indices(space: ParameterSpace, names: str | Sequence[str] | None) -> NumpyArray:
    """Positions of some parameters, by default of all that are not fixed.

    Raises:
        InputError: a name is unknown, or of a fixed parameter.
    """
    free = ~space.fixed & (space.lower < space.upper)
    if names is None:
        return np.flatnonzero(free)
    indices = [space.index(name) for name in ([names] if isinstance(names, str) else names)]
    for index in indices:
        if not free[index]:
            raise InputError(f"{space.names[index]!r} is fixed, and has no interval: free it with fix_pars")
    return np.array(indices, dtype=int)


def crossings(
    model: Model,
    data: NumpyArray,
    space: ParameterSpace,
    best: FitResults,
    indices: NumpyArray,
    level: float,
    **options: Any,
) -> Crossings:
    """Find where the profile likelihoods of some parameters are ``level`` above the best fit, in 2 NLL.

    Args:
        model: a pyhf model.
        data: checked data.
        space: the parameters as they were fitted.
        best: the best fit to these data.
        indices: positions of the parameters.
        level: 1 for one standard deviation.
        options: of the minimiser.
    """
    held, sign = np.repeat(indices, 2), np.tile([-1.0, 1.0], len(indices))
    center, bound = best.bestfit[held], np.where(sign < 0, space.lower[held], space.upper[held])
    search = _Search(np.abs(bound - center), _widths(space, best, held), np.sqrt(level))
    # the last minimum of every side, and its distance
    pars, reached = np.repeat(best.bestfit[None], len(held), axis=0), np.zeros(len(held))
    statuses, lower_minima = np.full(len(held), Status.OK, dtype=int), []
    for _ in range(_ROUNDS):
        todo = np.flatnonzero(search.running)
        if not todo.size:
            break
        tried = search.distance[todo]
        values, moved = center[todo] + sign[todo] * tried, sign[todo] * (tried - reached[todo])
        start = pars[todo] + tangent(best, held[todo, None], moved[:, None])
        problems = conditional_problems(data, space, held[todo, None], values[:, None], start)
        minima = _attempt(model, problems, pars[todo], best, **options)
        _explore(model, problems, minima, np.flatnonzero(search.accepts(todo, twice_deltas(minima, best))), **options)
        statuses[todo], delta = minima.status, twice_deltas(minima, best)
        good = np.isfinite(delta)
        pars[todo[good]], reached[todo[good]] = minima.pars[good], tried[good]
        lower_minima += [(int(held[todo[i]]), float(values[i])) for i in np.flatnonzero(delta < -_LOWER)]
        search.advance(todo, delta)
    statuses[search.running] = Status.NOT_CONVERGED
    ends = np.where(search.at_bound, bound, center + sign * search.found)
    shape = len(indices), 2
    return Crossings(ends.reshape(shape), statuses.reshape(shape), search.at_bound.reshape(shape), tuple(lower_minima))


def _attempt(
    model: Model, problems: Problems[NumpyArray], last: NumpyArray, best: FitResults, **options: Any
) -> Minima[NumpyArray]:
    """Fits at the distances to try; those that fail start again from the last minimum.

    They do not climb the ladder: at a distance where no fit is possible that takes long, and leads nowhere, whereas
    shorter steps lead to all others.
    """
    likelihood = likelihood_of(model)
    minima = Minima(*(np.array(field) for field in minimize(likelihood, problems, **options)))
    failed = np.flatnonzero(np.isnan(twice_deltas(minima, best)))
    if failed.size:
        again = Problems(*(field[failed] for field in problems._replace(start=last)))
        _replace(minima, failed, minimize(likelihood, again, **options))
    return minima


def _explore(
    model: Model, problems: Problems[NumpyArray], minima: Minima[NumpyArray], lanes: NumpyArray, **options: Any
) -> None:
    """Look for lower minima of some lanes: of all distances that are tried, only the ends need the lowest ones."""
    if lanes.size and several_minima(model):
        part, found = Problems(*(field[lanes] for field in problems)), Minima(*(field[lanes] for field in minima))
        _replace(minima, lanes, explore(model, part, Solved(*found, ((),) * lanes.size), **options).minima)


def _replace(minima: Minima[NumpyArray], lanes: NumpyArray, others: Minima[NumpyArray]) -> None:
    for field, values in zip(minima, others, strict=True):
        field[lanes] = values


def _widths(space: ParameterSpace, best: FitResults, held: NumpyArray) -> NumpyArray:
    """Uncertainties, NaN where they do not describe the profile: where there are none, and on a bound."""
    inside = (best.bestfit > space.lower) & (best.bestfit < space.upper) & (best.uncertainty > 0)
    return np.where(inside, best.uncertainty, np.nan)[held]


class _Search:
    """The distances of all sides: known points, brackets, and what to try next."""

    def __init__(self, room: NumpyArray, sigma: NumpyArray, root: float) -> None:
        self.room, self.sigma, self.root = room, sigma, float(root)
        guess = np.where(np.isfinite(room), 0.1 * room, 1.0)
        self.distance = np.minimum(np.where(np.isfinite(sigma), self.root * sigma, guess), room)
        self.found = np.full(room.shape, np.nan)
        self.at_bound = room <= 0
        self.running = ~self.at_bound
        self._inner, self._outer = np.zeros(room.shape), np.full(room.shape, np.inf)
        self._failing = np.zeros(room.shape, dtype=bool)  # the outer end is where a fit failed
        self._last = self._before = np.full((2, *room.shape), np.nan)  # known points: z, d / z

    def accepts(self, sides: NumpyArray, delta: NumpyArray) -> NumpyMask:
        """Which sides end at the distance that was tried, on their bound or close to the level."""
        on_bound = (delta < self.root**2) & (self.distance[sides] >= self.room[sides])
        return np.asarray(on_bound | (np.abs(delta - self.root**2) < _CLOSE))

    def advance(self, sides: NumpyArray, delta: NumpyArray) -> None:
        """Take in what the profile is at the distances that were tried, NaN where it could not be found."""
        tried = self.distance[sides]
        below = delta < self.root**2
        failed = ~np.isfinite(delta)
        self._inner[sides] = np.where(below, np.fmax(self._inner[sides], tried), self._inner[sides])
        outer = ~below & (tried < self._outer[sides])
        self._failing[sides] = np.where(outer, failed, self._failing[sides])
        self._outer[sides] = np.where(outer, tried, self._outer[sides])
        self._remember(sides, tried, delta)

        close = np.abs(delta - self.root**2) < _CLOSE
        on_bound = below & (tried >= self.room[sides])
        gap = self._outer[sides] - self._inner[sides]
        jump = (gap < 1e-9 * tried) & ~self._failing[sides]
        edge = (gap < _EDGE * tried) & self._failing[sides]
        lower = delta < -_LOWER
        following = self._propose(sides)
        stay = on_bound | (close & (np.abs(following - tried) > _EDGE * tried))  # of which no interpolation says more
        following = np.where(stay, tried, following)
        self.distance[sides] = following
        self.found[sides] = np.where((close | jump) & ~lower, following, np.nan)
        self.at_bound[sides] = on_bound & ~close & ~lower
        self.running[sides] = ~(close | on_bound | jump | edge | lower)

    def _remember(self, sides: NumpyArray, tried: NumpyArray, delta: NumpyArray) -> None:
        known = delta > _LOWER
        z = np.sqrt(np.where(known, delta, 1.0))
        before, last = self._before.copy(), self._last.copy()
        before[:, sides] = np.where(known, self._last[:, sides], before[:, sides])
        last[:, sides] = np.where(known, np.stack([z, tried / z]), last[:, sides])
        self._before, self._last = before, last

    def _propose(self, sides: NumpyArray) -> NumpyArray:
        """The interpolation of highest degree within the bracket; without one halve the bracket, or go on."""
        inner, outer, room = self._inner[sides], self._outer[sides], self.room[sides]
        tried, failing = self.distance[sides], self._failing[sides]
        origin = np.stack([np.zeros(len(sides)), self.sigma[sides]])
        before, last = self._before[:, sides], self._last[:, sides]
        chosen = np.where(np.isfinite(outer), 0.5 * (inner + outer), np.minimum(2.0 * tried, room))
        farthest = np.fmin(_GROWTH * tried, np.where(failing, chosen, outer))
        for nodes in ((last,), (origin, last), (before, last), (origin, before, last)):
            with np.errstate(divide="ignore", invalid="ignore"):
                candidate = np.minimum(self.root * _interpolate(self.root, *nodes), room)
            usable = np.isfinite(candidate) & (candidate > inner) & (candidate <= farthest) & (candidate < outer)
            chosen = np.where(usable, candidate, chosen)
        return np.asarray(chosen)


def _interpolate(at: float, *nodes: NumpyArray) -> NumpyArray:
    """Value of the polynomial through the nodes (positions, values), by Neville's scheme."""
    positions, values = [node[0] for node in nodes], [node[1] for node in nodes]
    for degree in range(1, len(nodes)):
        values = [
            ((at - positions[i + degree]) * values[i] + (positions[i] - at) * values[i + 1])
            / (positions[i] - positions[i + degree])
            for i in range(len(nodes) - degree)
        ]
    return np.asarray(values[0])
