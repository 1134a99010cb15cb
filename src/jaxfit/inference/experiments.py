"""Toy experiments: what is drawn and fitted, and a chunk of it done."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from jaxfit.curvatures import widths
from jaxfit.inference.rescues import solve
from jaxfit.inference.rungs import FAILED, HOPELESS, Solved
from jaxfit.inference.uncertainties import FLAT, diagnose
from jaxfit.likelihood import Model, Sampler, draw, likelihood_of, model_digest
from jaxfit.minimization import Problems
from jaxfit.statuses import Status
from jaxfit.typing import NumpyArray, NumpyMask

__all__ = ["Outcomes", "Plan", "perform"]

_LOWER = 1e-6  # of NLL: further below the best fit is another minimum


@dataclass(frozen=True)
class Plan:
    """All that decides what becomes of a toy.

    Attributes:
        model: a pyhf model.
        sampler: the distribution of the toys.
        seed: of the random numbers.
        start: where the fits of every toy start, (fits, parameters). The first is the best fit; in others, parameters
            are held.
        lower: lower bounds, (fits, parameters).
        upper: upper bounds, (fits, parameters); equal to the lower ones where a parameter is held.
        kept: which parameters of the best fit to keep.
        widths: whether to find their uncertainties.
        options: of :func:`jaxfit.minimization.minimize`.
    """

    model: Model
    sampler: Sampler
    seed: int
    start: NumpyArray
    lower: NumpyArray
    upper: NumpyArray
    kept: NumpyMask
    widths: bool
    options: dict[str, Any]

    @property
    def digest(self) -> str:
        """SHA-256 of all of it."""
        settings = self.seed, self.start.shape, self.widths, sorted(self.options.items())
        digest = hashlib.sha256(repr((model_digest(self.model), *settings)).encode())
        for array in (*self.sampler, self.start, self.lower, self.upper, self.kept):
            digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()

    @property
    def bytes_of_toy(self) -> int:
        """Memory that a toy takes while it is worked on, roughly."""
        fits, pars = self.start.shape
        return int(8 * (4 * self.sampler.mean.size + 8 * pars * (fits + 1)))


class Outcomes(NamedTuple):
    """What became of toys, one a row."""

    pars: NumpyArray  # toys kept, of the best fit
    sigma: NumpyArray  # toys kept, NaN where there is none
    nll: NumpyArray  # toys fits
    edm: NumpyArray  # toys, of the best fit
    iterations: NumpyArray  # toys, of the best fit
    status: NumpyArray  # toys fits

    @staticmethod
    def blank(plan: Plan, count: int) -> Outcomes:
        """Toys that were not run."""
        fits, kept = len(plan.start), int(plan.kept.sum())
        none = np.full((count, kept), np.nan)
        return Outcomes(
            none,
            none.copy(),
            np.full((count, fits), np.nan),
            np.full(count, np.nan),
            np.zeros(count, dtype=np.int32),
            np.full((count, fits), Status.NOT_RUN, dtype=np.int8),
        )


def perform(plan: Plan, first: int, count: int) -> Outcomes:
    """Draw and fit the toys ``first`` to ``first + count - 1``."""
    data = draw(plan.sampler, plan.seed, first, count)
    solved = [solve(plan.model, _problems(plan, 0, data), positive_yields=True, **plan.options)]
    for fit in range(1, len(plan.start)):
        problems = _from_best_fit(plan, fit, _problems(plan, fit, data), solved[0])
        solved.append(solve(plan.model, problems, positive_yields=True, **plan.options))
    best = _lowest(plan, data, solved)
    status, sigma = best.status, np.full_like(best.pars, np.nan)
    if plan.widths:
        status, sigma = _with_widths(plan, data, best)
    return Outcomes(
        pars=best.pars[:, plan.kept],
        sigma=sigma[:, plan.kept],
        nll=np.stack([best.nll, *(held.nll for held in solved[1:])], axis=1),
        edm=best.edm,
        iterations=best.iterations.astype(np.int32),
        status=np.stack([status, *(held.status for held in solved[1:])], axis=1).astype(np.int8),
    )


def _problems(plan: Plan, fit: int, data: NumpyArray) -> Problems[NumpyArray]:
    return Problems(data, *(np.repeat(a[fit][None], len(data), axis=0) for a in (plan.start, plan.lower, plan.upper)))


def _from_best_fit(plan: Plan, fit: int, problems: Problems[NumpyArray], best: Solved) -> Problems[NumpyArray]:
    """Start with a parameter held where the best fits are, which is nearer than the start values as a rule."""
    usable = ~np.isin(best.status, (*FAILED, *HOPELESS))[:, None] & (plan.lower[fit] < plan.upper[fit])
    return problems._replace(start=np.where(usable, best.pars, problems.start))


def _lowest(plan: Plan, data: NumpyArray, solved: list[Solved]) -> Solved:
    """The best fits; where a fit with a parameter held lies lower, that is another minimum: fit again from there."""
    best, problems = solved[0], _problems(plan, 0, data)
    for held in solved[1:]:
        inside = ((plan.lower[0] <= held.pars) & (held.pars <= plan.upper[0])).all(axis=1)
        lower = inside & ~np.isin(held.status, FAILED) & (held.nll < best.nll - _LOWER)
        lanes = np.flatnonzero(lower)
        if lanes.size:
            part = Problems(*(field[lanes] for field in problems))._replace(start=held.pars[lanes])
            again = solve(plan.model, part, positive_yields=True, **plan.options)
            better = again.nll < best.nll[lanes]
            for field, values in zip(best.minima, again.minima, strict=True):
                field[lanes[better]] = values[better]
    return best


def _with_widths(plan: Plan, data: NumpyArray, best: Solved) -> tuple[NumpyArray, NumpyArray]:
    """Statuses and uncertainties, by the rules of :func:`jaxfit.inference.uncertainties.uncertainties`."""
    free = np.broadcast_to(plan.lower[0] < plan.upper[0], best.pars.shape)
    sigma, status = np.zeros_like(best.pars), best.status.copy()
    lanes = np.flatnonzero(np.isfinite(best.nll) & free.any(axis=1))
    sigma[~np.isfinite(best.nll)] = np.nan
    likelihood = likelihood_of(plan.model)
    inside = free & (plan.lower[0] < best.pars) & (best.pars < plan.upper[0])
    for mask in (free, inside):
        if lanes.size:
            sigma[lanes], inflation = widths(likelihood, best.pars[lanes], data[lanes], mask[lanes])
            sigma[lanes] = np.where(free[lanes] & ~mask[lanes], np.nan, sigma[lanes])
            lanes = lanes[~(inflation <= FLAT)]
    for lane in lanes:
        sigma[lane] = np.where(free[lane], np.nan, 0.0)
        # where a yield of zero stops the fit, there need not be a curvature
        at_edge = any(step.startswith("positive yields") for step in best.rescues[lane][-1:])
        if Status(int(status[lane])).converged and not at_edge:
            status[lane] = diagnose(likelihood, best.pars[lane], data[lane], inside[lane])[0]
    return status, sigma
