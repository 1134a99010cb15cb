"""A second chance for fits that fail: those lanes of a batch climb a ladder, rung by rung, and each step is recorded.

Where a model may have several minima, further start points are tried as well.
"""

from __future__ import annotations

from itertools import product
from typing import Any, NamedTuple

import numpy as np

from jaxfit.inference.rungs import FAILED, HOPELESS, LADDER, RANDOM_STARTS, SEED, Failed, take
from jaxfit.inference.uncertainties import diagnose
from jaxfit.likelihood import Model, constraint_curvatures, kinked, likelihood_of, possible, prefit_widths, same_sided
from jaxfit.minimization import Minima, Problems, minimize
from jaxfit.statuses import Status
from jaxfit.typing import NumpyArray, NumpyMask

__all__ = ["FAILED", "SEED", "Solved", "explore", "explore_beside", "loosened", "rescue", "several_minima", "solve"]

_COSTLY = 64  # lanes of a batch at most that climb the rungs which cannot be batched
_AS_GOOD = 1.0  # difference in -2 log(likelihood) within which two minima compete
_APART = 0.5  # pre-fit widths between two different minima
_LOOSENED = 1.1  # widths of the constraint
_BEYOND, _NEAR = 1e-3, 0.1  # pre-fit widths from a kink: a start on its other side, and a minimum that is near


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
        _replace(found, lanes, attempt, solved | (attempt.nll < np.nan_to_num(found.nll[lanes], nan=np.inf)))
        failed[lanes[solved]] = False
    return Solved(*found, tuple(rescues))


def several_minima(model: Model) -> bool:
    """Whether a model may have several minima: :func:`explore` then looks for them."""
    return bool(kinked(model).any() or same_sided(model).any())


def explore(model: Model, problems: Problems[NumpyArray], solved: Solved, **options: Any) -> Solved:
    """Start from further points where a model may have several minima; the lowest counts.

    That is where a variation goes the same way up and down: its nuisance parameter may do with either sign. A kink of
    the interpolation (codes 0 and 1) may be a ridge between two minima close to each other: there the other side is
    tried, of all kinks together and of each that is near; or a small valley in between, of which both sides are tried.
    A lane with another minimum that is as good and lies elsewhere becomes MULTIPLE_MINIMA.
    """
    lanes = np.flatnonzero(~np.isin(solved.status, HOPELESS))
    if not lanes.size or not several_minima(model):
        return solved
    suspects, width, here = same_sided(model), prefit_widths(model), solved.pars[lanes]
    starts = [(lanes, np.where(suspects, signs * width, here)) for signs in _signs(suspects)]
    starts += [(lanes[some], start) for some, start in _across_kinks(kinked(model), width, here)]
    return _lowest(model, problems, solved, starts, suspects, options)


def explore_beside(
    model: Model,
    problem: Problems[NumpyArray],
    solved: Solved,
    sigma: NumpyArray,
    correlation: NumpyArray,
    **options: Any,
) -> Solved:
    """Start a standard deviation to either side of a minimum, along the parameter that :func:`loosened` puts first."""
    index = int(np.argmax(loosened(model, problem.data[0], solved.pars[0], sigma)))
    step, suspects = correlation[:, index] * sigma, np.arange(sigma.size) == index
    starts = [(np.array([0]), solved.pars + side * step) for side in (1.0, -1.0)]
    return _lowest(model, problem, solved, starts, suspects, options)


def loosened(model: Model, data: NumpyArray, pars: NumpyArray, sigma: NumpyArray) -> NumpyArray:
    """How far beyond its constraint each parameter's uncertainty is, in units of that, where noticeably; otherwise 0.

    A convex likelihood of the data can only narrow a parameter. Where it widens one, there may be another minimum.
    """
    ratio = sigma * np.sqrt(constraint_curvatures(model, data, pars))
    return np.where(ratio > _LOOSENED, ratio, 0.0)


def _lowest(
    model: Model,
    problems: Problems[NumpyArray],
    solved: Solved,
    starts: list[tuple[NumpyArray, NumpyArray]],
    suspects: NumpyMask,
    options: dict[str, Any],
) -> Solved:
    """The lowest minima from further starts of some lanes; another that is as good has other values of ``suspects``."""
    width = prefit_widths(model)
    every = take(problems, np.concatenate([some for some, _ in starts]))
    every = every._replace(start=np.concatenate([start for _, start in starts]))
    others, first = minimize(likelihood_of(model), every, **options), 0
    found = Minima(*(np.array(field) for field in solved.minima))
    for some, _ in starts:
        other = Minima(*(field[first : first + some.size] for field in others))
        first += some.size
        failed = np.isin(found.status[some], FAILED)
        below, negative = (status == Status.NEGATIVE_EXPECTATION for status in (found.status[some], other.status))
        usable = ~np.isin(other.status, FAILED) & (~negative | below)
        apart = (np.abs(other.pars - found.pars[some])[:, suspects] > _APART * width[suspects]).any(axis=1)
        difference = 2.0 * (other.nll - found.nll[some])
        multiple = usable & ~failed & ~below & apart & (np.abs(difference) < _AS_GOOD)
        multiple |= (found.status[some] == Status.MULTIPLE_MINIMA) & ~(usable & (difference < -_AS_GOOD))
        _replace(found, some, other, usable & (failed | (difference < 0)))
        found.status[some[multiple]] = Status.MULTIPLE_MINIMA
    return Solved(*found, solved.rescues)


def _across_kinks(kinks: NumpyMask, width: NumpyArray, here: NumpyArray) -> list[tuple[NumpyArray, NumpyArray]]:
    """Start points across kinks (both sides for minima on a kink), each with the rows of ``here`` that it is for."""
    if not kinks.any():
        return []
    beyond = np.where(kinks, -_BEYOND * width * np.sign(here), here)
    starts = [(np.arange(len(here)), beyond)]
    for index in np.flatnonzero(kinks):
        some = np.flatnonzero((here[:, index] != 0) & (np.abs(here[:, index]) < _NEAR * width[index]))
        start = here[some].copy()
        start[:, index] = beyond[some, index]
        starts.append((some, start))
        some = np.flatnonzero(here[:, index] == 0)
        for side in (-width[index], width[index]):
            start = here[some].copy()
            start[:, index] = side
            starts.append((some, start))
    return starts


def _signs(suspects: NumpyMask) -> NumpyArray:
    """Signs of the suspects to start from, 0 for the others: all patterns of few, some random ones of many."""
    number = int(suspects.sum())
    if number == 0:
        return np.zeros((0, suspects.size))
    if number <= 2:
        patterns = np.array(list(product((1.0, -1.0), repeat=number)))
    else:
        patterns = np.random.default_rng(SEED).choice((1.0, -1.0), size=(RANDOM_STARTS, number))
    signs = np.zeros((len(patterns), suspects.size))
    signs[:, suspects] = patterns
    return signs


def _replace(found: Minima[NumpyArray], lanes: NumpyArray, other: Minima[NumpyArray], better: NumpyMask) -> None:
    """Overwrite the lanes that are better in another attempt; iterations add up."""
    iterations = found.iterations[lanes] + other.iterations
    for field, values in zip(found, other, strict=True):
        field[lanes[better]] = values[better]
    found.iterations[lanes] = iterations
