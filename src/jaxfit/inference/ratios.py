"""Profile likelihood ratios of a parameter of interest, for the data and for Asimov data (arXiv:1007.1727)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from jaxfit.curvatures import covariance_columns
from jaxfit.inference.rescues import solve
from jaxfit.likelihood import Model, asimov, likelihood_of
from jaxfit.minimization import Minima, Problems
from jaxfit.parameters import ParameterSpace
from jaxfit.statuses import Status
from jaxfit.typing import NumpyArray

__all__ = ["Ratios", "test_statistic", "without_rounding"]

_NOISE = 1e-9  # of 2 NLL: below is rounding, which a ratio of two small numbers would magnify
_PLAIN = {"qtilde": "q", "ttilde": "t"}  # counterparts of the statistics for a parameter that cannot be negative
_TILDE = {plain: tilde for tilde, plain in _PLAIN.items()}
_EDGE = 1e-6  # events
_FAR = 3.0  # standard deviations, from which a start on the tangent is not the only one
_LOWER = 1e-6  # of NLL: further below the best fit is another minimum


class Ratios:
    """The fits behind a test statistic: N tested values need 2 N + 3, the 2 N as one batch.

    The three are made first: the best fit, the fit at the Asimov data's value of the parameter (which gives the Asimov
    data, auxiliary data included), and the best fit to these data. Values are then added in any number of batches;
    those that are many standard deviations from all solutions are fitted from two start points.
    A ratio is NaN if it needs a fit that ended neither OK nor OK_AT_BOUND, nor in one of the statuses to ``accept``.

    Attributes:
        bestfit: best-fit value of the parameter.
        sigma: its uncertainty there, NaN if it has none.
        sigma_asimov: its uncertainty with the Asimov data.
        values: all tested values, in the order in which they were added.
        rescues: attempts after the first one failed, of the fits that needed them.
    """

    def __init__(
        self,
        model: Model,
        data: NumpyArray,
        space: ParameterSpace,
        index: int,
        asimov_poi: float,
        accept: Sequence[Status],
        **options: Any,
    ) -> None:
        self._model, self._space, self._index, self._options = model, space, index, options
        self._asimov_poi, self._accepted = asimov_poi, (Status.OK, Status.OK_AT_BOUND, *accept)
        lower, upper = (np.repeat(bound[None], 2, axis=0) for bound in space.box())
        lower[1, index] = upper[1, index] = asimov_poi
        lanes = Problems(np.stack([data, data]), np.stack([space.start, space.start]), lower, upper)
        self.rescues: dict[str, tuple[str, ...]] = {}
        first = self._solve(lanes, ["best fit", f"{space.names[index]} = {asimov_poi:g}"])
        self._best, self._conditional = _part(first, slice(0, 1)), _part(first, slice(1, 2))
        self._data = data, without_rounding(np.asarray(asimov(model, pars=self._conditional.pars[0].tolist())))
        profiles = [
            self._tangent(minima.pars[0], own)
            for minima, own in zip((self._best, self._conditional), self._data, strict=True)
        ]
        self.sigma, self.sigma_asimov = (sigma for sigma, _ in profiles)
        self._slopes = np.stack([slope for _, slope in profiles])
        self._asimov_best: Minima[NumpyArray] | None = None
        self.values = np.zeros(0)
        self._held = _part(first, slice(0, 0)), _part(first, slice(0, 0))

    @property
    def bestfit(self) -> float:
        """Best-fit value of the parameter."""
        return float(self._best.pars[0, self._index])

    def add(self, values: NumpyArray) -> None:
        """Make the fits at some values, to the data and to the Asimov data, as one batch."""
        number = len(values)
        known = _joined(self._best, self._conditional), self._conditional
        slopes = self._slopes, self._slopes[1:]
        guesses = [self._starts(values, *profile) for profile in zip(known, self._held, slopes, strict=True)]
        starts, shifts = (np.concatenate(both) for both in zip(*guesses, strict=True))
        lower, upper = (np.repeat(bound[None], 2 * number, axis=0) for bound in self._space.box())
        lower[:, self._index] = upper[:, self._index] = np.tile(values, 2)
        lanes = Problems(np.repeat(np.stack(self._data), number, axis=0), starts, lower, upper)
        if self._asimov_best is None:
            last = (self._data[1], self._conditional.pars[0], *self._space.box())
            lanes = Problems(*(np.append(field, row[None], axis=0) for field, row in zip(lanes, last, strict=True)))
        points = [f"{self._space.names[self._index]} = {value:g}" for value in values]
        names = [*points, *(f"Asimov data, {point}" for point in points), "Asimov data, best fit"]
        minima = self._solve_twice(lanes, np.flatnonzero(np.abs(shifts) > _FAR * self.sigma), names)
        if self._asimov_best is None:
            self._asimov_best = _part(minima, slice(2 * number, None))
        self.values = np.append(self.values, values)
        parts = _part(minima, slice(0, number)), _part(minima, slice(number, 2 * number))
        self._held = _joined(self._held[0], parts[0]), _joined(self._held[1], parts[1])
        self._restart()

    def statistics(self, test_stat: str) -> tuple[NumpyArray, NumpyArray]:
        """The test statistic of the data and of the Asimov data at all values; NaN where a fit did not converge."""
        assert self._asimov_best is not None
        asimov = self._statistic(test_stat, self._held[1], self._asimov_best)
        known = self._usable(self._conditional)[0]
        return self._statistic(test_stat, self._held[0], self._best), np.where(known, asimov, np.nan)

    @property
    def parameters(self) -> NumpyArray:
        """All parameters of the fits to the data at all values (values, parameters); NaN where one failed."""
        return np.where(self._usable(self._held[0])[:, None], self._held[0].pars, np.nan)

    @property
    def background(self) -> NumpyArray:
        """The parameters that make the Asimov data; NaN if that fit did not converge."""
        return np.where(self._usable(self._conditional), self._conditional.pars[0], np.nan)

    @property
    def statuses(self) -> tuple[Status, ...]:
        """How the five fits of every value ended, the worst of them."""
        assert self._asimov_best is not None
        common = max(int(minima.status[0]) for minima in (self._best, self._conditional, self._asimov_best))
        worst = np.maximum(np.maximum(self._held[0].status, self._held[1].status), common)
        return tuple(Status(int(status)) for status in worst)

    def remarks(self, test_stat: str) -> list[str]:
        """What a user should know: bounds that do not fit the test statistic, fits that did not converge."""
        assert self._asimov_best is not None
        name, lower = self._space.names[self._index], self._space.lower[self._index]
        remarks = []
        if test_stat in _PLAIN and lower != 0:
            other = _PLAIN[test_stat]
            remarks.append(f"{test_stat} is for a lower bound of 0 and {name} has {lower:g}: set it, or take {other!r}")
        if test_stat in _TILDE and lower == 0:
            other = _TILDE[test_stat]
            remarks.append(f"{test_stat} is for a {name} that may be negative: lower its bound, or take {other!r}")
        three = {
            "the best fit": self._best,
            f"the fit at {name} = {self._asimov_poi:g}, which makes the Asimov data,": self._conditional,
            "the best fit to the Asimov data": self._asimov_best,
        }
        common = {what: Status(int(minima.status[0])) for what, minima in three.items()}
        remarks += [f"{what} failed ({s.name}): {s.message}" for what, s in common.items() if s not in self._accepted]
        for what, held in zip(("the data", "the Asimov data"), self._held, strict=True):
            failed = [
                f"{value:g} ({Status(int(status)).name})"
                for value, status in zip(self.values, held.status, strict=True)
                if status not in self._accepted
            ]
            if failed:
                fits = f"{len(failed)} of {len(self.values)} fits to {what}"
                remarks.append(f"{fits} failed: {name} = {', '.join(failed)}")
        return remarks

    def _solve(self, lanes: Problems[NumpyArray], names: list[str]) -> Minima[NumpyArray]:
        solved = solve(self._model, lanes, **self._options)
        self.rescues |= {name: steps for name, steps in zip(names, solved.rescues, strict=False) if steps}
        return solved.minima

    def _solve_twice(self, lanes: Problems[NumpyArray], far: NumpyArray, names: list[str]) -> Minima[NumpyArray]:
        """Solve, and some of the lanes from the model's start point, too; the lower minima count.

        A tangent that is followed for many standard deviations may lead into the valley of another minimum.
        """
        nominal = Problems(*(field[far] for field in lanes))._replace(
            start=np.repeat(self._space.start[None], far.size, 0)
        )
        both = self._solve(Problems(*(np.concatenate(fields) for fields in zip(lanes, nominal, strict=True))), names)
        number = len(lanes.start)
        minima, others = _part(both, slice(0, number)), _part(both, slice(number, None))
        better = self._usable(others) & ((others.nll < minima.nll[far]) | ~np.isin(minima.status[far], self._accepted))
        for field, values in zip(minima, others, strict=True):
            field[far[better]] = values[better]
        return minima

    def _tangent(self, pars: NumpyArray, data: NumpyArray) -> tuple[float, NumpyArray]:
        """Uncertainty of the parameter at a minimum, and how the others follow it: theta_i = C_i,mu / C_mu,mu * mu."""
        free = self._space.box()[0] < self._space.box()[1]
        columns, positive = covariance_columns(likelihood_of(self._model), pars, data, self._index, free[None])
        variance = columns[0, self._index]
        if not (positive[0] and np.isfinite(columns[0]).all() and variance > 0):
            return float(np.nan), np.zeros_like(pars)
        return float(np.sqrt(variance)), columns[0] / variance

    def _starts(
        self, values: NumpyArray, known: Minima[NumpyArray], held: Minima[NumpyArray], slopes: NumpyArray
    ) -> tuple[NumpyArray, NumpyArray]:
        """The nearest solution, moved along the profile's tangent at the nearest of the ``known`` ones; and how far."""
        solutions = np.concatenate([known.pars, held.pars[self._usable(held)]])
        nearest = np.argmin(np.abs(values[:, None] - solutions[:, self._index]), axis=1)
        shift = values - solutions[nearest, self._index]
        tangent = np.argmin(np.abs(values[:, None] - known.pars[:, self._index]), axis=1)
        return solutions[nearest] + shift[:, None] * slopes[tangent], shift

    def _restart(self) -> None:
        """A fit with the parameter held that lies below the best fit has found another minimum: fit from there."""
        held, index, space = self._held[0], self._index, self._space
        inside = (space.lower[index] <= self.values) & (self.values <= space.upper[index])
        nlls = np.where(self._usable(held) & inside, held.nll, np.inf)
        lowest = int(np.argmin(nlls)) if nlls.size else 0
        if nlls.size and nlls[lowest] < self._best.nll[0] - _LOWER:
            lower, upper = space.box()
            lane = Problems(self._data[0][None], held.pars[lowest][None], lower[None], upper[None])
            again = self._solve(lane, ["best fit from a lower point"])
            if self._usable(again)[0] and again.nll[0] < self._best.nll[0]:
                self._best = again

    def _statistic(self, test_stat: str, held: Minima[NumpyArray], best: Minima[NumpyArray]) -> NumpyArray:
        estimate = best.pars[0, self._index]
        with np.errstate(invalid="ignore"):
            ratio = test_statistic(test_stat, 2.0 * (held.nll - best.nll[0]), estimate, self.values)
        return np.where(self._usable(held) & self._usable(best)[0], ratio, np.nan)

    def _usable(self, minima: Minima[NumpyArray]) -> NumpyArray:
        return np.isin(minima.status, self._accepted)


def test_statistic(
    test_stat: str, difference: NumpyArray, estimate: NumpyArray | float, value: NumpyArray
) -> NumpyArray:
    """A statistic of arXiv:1007.1727 from 2 NLL at a tested value above the best fit's, and the best fit's estimate."""
    ratio = np.where(difference < _NOISE, 0.0, difference)
    if test_stat in ("q", "qtilde"):
        return np.where(estimate > value, 0.0, ratio)
    if test_stat == "q0":
        return np.where(estimate < 0, 0.0, ratio)
    return ratio


def without_rounding(expected: NumpyArray) -> NumpyArray:
    """Expected data of a fit that ends at the edge of positive yields: those that rounding makes negative are 0."""
    return np.where((expected < 0) & (expected > -_EDGE), 0.0, expected)


def _part(minima: Minima[NumpyArray], lanes: slice) -> Minima[NumpyArray]:
    return Minima(*(field[lanes] for field in minima))


def _joined(one: Minima[NumpyArray], other: Minima[NumpyArray]) -> Minima[NumpyArray]:
    return Minima(*(np.concatenate(fields) for fields in zip(one, other, strict=True)))
