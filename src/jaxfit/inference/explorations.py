"""The search for further minima, from further start points, where a model or a fit tells that there may be some."""

from __future__ import annotations

from itertools import product
from typing import Any, NamedTuple

import numpy as np

from jaxfit.inference.rungs import FAILED, HOPELESS, RANDOM_STARTS, SEED, Solved, overwrite, take
from jaxfit.inference.uncertainties import Uncertainties
from jaxfit.likelihood import Model, constraint_curvatures, kinked, likelihood_of, prefit_widths, same_sided
from jaxfit.minimization import Minima, Problems, minimize
from jaxfit.statuses import Status
from jaxfit.typing import NumpyArray, NumpyMask

__all__ = ["doubts", "explore", "explore_doubts", "several_minima"]

_AS_GOOD = 1.0  # difference in -2 log(likelihood) within which two minima compete
_APART = 0.5  # pre-fit widths between two different minima
_LOOSENED = 1.1  # widths of the constraint
_FAR = 8.0  # standard deviations of a bin's events
_BEYOND, _NEAR = 1e-3, 0.1  # pre-fit widths from a kink: a start on its other side, and a minimum that is near


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


class Doubts(NamedTuple):
    """What tells that there may be a minimum other than the one that a fit found.

    A convex likelihood of the data can only narrow a constrained parameter: where it widens one, it is not convex.
    Nor is it where it has no curvature along a parameter that a bound holds. And parameters that explain the data in
    one bin may leave others far away.
    """

    loose: NumpyArray  # uncertainties that are larger than the constraint's width, in units of that; otherwise 0
    flat: NumpyMask  # on a bound and without curvature
    far: bool

    def __bool__(self) -> bool:
        return bool(self.loose.any() or self.flat.any() or self.far)


def doubts(model: Model, data: NumpyArray, pars: NumpyArray, around: Uncertainties) -> Doubts:
    """The doubts about one minimum."""
    ratio = around.sigma * np.sqrt(constraint_curvatures(model, data, pars))
    flat = np.isnan(around.sigma) & (around.sigma > 0).any()  # where there are none at all the status says more
    return Doubts(np.where(ratio > _LOOSENED, ratio, 0.0), flat, around.distance > _FAR)


def explore_doubts(
    model: Model, problem: Problems[NumpyArray], solved: Solved, around: Uncertainties, doubts: Doubts, **options: Any
) -> Solved:
    """Look for the other minimum of a problem with one lane.

    A standard deviation to either side of the known one, along the parameter that is loosest; with the parameters
    without curvature held at their start values, before they are free again; and where short steps lead to.
    """
    points, likelihood = [], likelihood_of(model)
    if doubts.loose.any():
        step = np.nan_to_num(around.correlation()[:, np.argmax(doubts.loose)] * around.sigma)
        points += [solved.pars + step, solved.pars - step]
    if doubts.flat.any():
        at, lower, upper = (np.where(doubts.flat, problem.start, each) for each in (solved.pars, *problem[2:]))
        points.append(minimize(likelihood, Problems(problem.data, at, lower, upper), **options).pars)
    if doubts.far:
        points.append(minimize(likelihood, problem, **{**options, "damping": 1.0, "maxiter": 500}).pars)
    starts = [(np.array([0]), point) for point in points]
    return _lowest(model, problem, solved, starts, doubts.flat | (doubts.loose > 0), options)


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
        overwrite(found, some, other, usable & (failed | (difference < 0)))
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
