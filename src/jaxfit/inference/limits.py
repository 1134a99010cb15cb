"""Upper limits of a parameter of interest."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal, NamedTuple

import numpy as np
from scipy.special import ndtr, ndtri

from jaxfit.errors import InputError
from jaxfit.inference.asymptotics import p_values
from jaxfit.inference.campaigns import Workers
from jaxfit.inference.exclusions import Exclusions, toy_limits
from jaxfit.inference.failures import Policy, checked_policy, report
from jaxfit.inference.ratios import Ratios
from jaxfit.inference.trials import Trials, checked_calctype
from jaxfit.likelihood import Model, checked_data, parameter_space
from jaxfit.minimization import edm_goal
from jaxfit.statuses import Status
from jaxfit.typing import NumpyArray, ObservedData
from jaxfit.verdicts import LIMITS, LimitResults

__all__ = ["limit"]

_PRECISION = 1e-3  # of a limit, relative to it
_DEVIATION = 1e-2  # standard deviations of CLs from its target at the tested value that is nearest to a limit
_FURTHEST = 4.0  # times the largest value so far, where a search goes next
_NOWHERE = 1e4  # times the largest limit expected at first, where a search ends


def limit(
    model: Model,
    data: ObservedData,
    *,
    calctype: str = "asymptotics",
    bracket: Sequence[float] | None = None,
    poi_tolerance: float = 0.01,
    maxsteps: int = 100,
    confidence_level: float = 0.95,
    ntoys: int = 2000,
    seed: int = 0,
    poi_name: str | None = None,
    init_pars: Mapping[str, float] | Sequence[float] | None = None,
    fix_pars: Mapping[str, bool | float] | Sequence[bool] | None = None,
    par_bounds: Mapping[str, tuple[float, float]] | Sequence[tuple[float, float]] | None = None,
    strategy: Literal[0, 1, 2] | None = None,
    maxiter: int | None = None,
    tolerance: float | None = None,
    executor: Workers = None,
    checkpoint: str | os.PathLike[str] | None = None,
    progress: bool | None = None,
    on_failure: Policy = "warn",
    accept: Sequence[Status] = (),
) -> LimitResults:
    """Observed and expected upper limits, with the signature of ``cabinetry.fit.limit``.

    CLs with the test statistic q-tilde and asymptotic formulae (arXiv:1007.1727): a lower bound of the parameter below
    0 is raised to 0. The six limits are searched together; every step tests up to six values as one batch.

    By toys, these six and some values around them are tested as by :func:`jaxfit.hypotest`, until two are close enough
    to each limit; log CLs is linear between them.

    Args:
        model: a pyhf model with any interpolation codes and modifiers.
        data: the observed events of every channel by name (safe: pyhf sorts channels), or pyhf's list with the
            auxiliary data, as ``cabinetry.model_utils.model_and_data`` returns it.
        calctype: "asymptotics" or "toybased".
        bracket: two values, between which the observed limit must lie; by default there is no need for them.
            Of the asymptotic limit, as the next two.
        poi_tolerance: largest error of a limit; it is at most a thousandth of the limit, too.
        maxsteps: most batches.
        confidence_level: of the limits.
        ntoys: toys of each hypothesis.
        seed: of the random numbers, as for :func:`jaxfit.hypotest`.
        poi_name: the parameter of interest, default the model's.
        init_pars: as for :func:`jaxfit.fit`, as all further arguments.
        fix_pars: see ``init_pars``.
        par_bounds: see ``init_pars``; tested values and limits may be above the upper bound.
        strategy: accepted for cabinetry's sake, without meaning here.
        maxiter: see ``init_pars``.
        tolerance: see ``init_pars``.
        executor: who fits the toys, as for :func:`jaxfit.toys`.
        checkpoint: a folder in which finished toys are kept; the same call goes on where it was stopped.
        progress: whether to show progress bars of the toys; default in a terminal.
        on_failure: see ``init_pars``; all fits count alike.
        accept: as for :func:`jaxfit.hypotest`.

    Returns:
        The limits, and CLs at all tested values, with statistical errors if by toys; NaN for a limit that was not
        found.

    Raises:
        InputError: no parameter of interest, or a fixed one; a bracket that does not enclose the limit, a confidence
            level or tolerance out of range, or anything :func:`jaxfit.fit` refuses.
        FitError: a fit did not converge, or a limit was not found, with ``on_failure="raise"``.

    Warns:
        FitWarning: the same by default.
    """
    checked_policy(on_failure)
    space, observed = parameter_space(model).override(init_pars, fix_pars, par_bounds), checked_data(model, data)
    index = space.poi_index(poi_name)
    ends = _checked(bracket, poi_tolerance, maxsteps, confidence_level)
    lower, start = space.lower.copy(), space.start.copy()
    lower[index], start[index] = max(lower[index], 0.0), max(start[index], 0.0)
    space, target = replace(space, lower=lower, start=start), 1.0 - confidence_level

    options: dict[str, Any] = {"maxiter": maxiter, "goal": edm_goal(tolerance)}
    trials = None
    if checked_calctype(calctype):
        trials = Trials(model, space, np.array([index]), ntoys, seed, accept, executor, checkpoint, progress, options)
    ratios = Ratios(model, observed, space, index, 0.0, accept, positive_yields=bool(trials), **options)
    first = _first_values(ratios, target, float(space.upper[index]))
    values, furthest = np.append(first, ends), _NOWHERE * float(first.max())
    for _ in range(maxsteps):
        ratios.add(np.unique(values[values > 0]))
        tested, cls = _cls(ratios)
        if ends.size:
            _check_bracket(ends, tested, cls[:, 0], target)
            ends = ends[:0]
        searches = [_next(tested, curve, target, poi_tolerance, furthest) for curve in cls.T]
        values = np.array([search.value for search in searches if not (search.found or search.lost)])
        if not values.size:
            break
    limits = np.array([search.value if search.found else np.nan for search in searches])
    order = np.argsort(tested)
    found = Exclusions(limits, np.zeros(6), tested[order], cls[order], np.zeros_like(cls))
    statuses = [ratios.statuses[i] for i in order]
    if trials:
        found = toy_limits(ratios, trials, limits, target)
        latest = dict(zip(ratios.values, ratios.statuses, strict=True))
        statuses = [latest[value] for value in found.values]

    notes = [*ratios.remarks("qtilde"), *(trials.remarks if trials else ())]
    missing = [f"{name} limit" for name, value in zip(LIMITS, found.limits, strict=True) if np.isnan(value)]
    if missing:
        why = f"with {ntoys} toys" if trials else f"in {maxsteps} steps"
        notes.append(f"not found {why}, or for failed fits: {', '.join(missing)}")
    if ratios.bestfit >= space.upper[index]:
        notes.append(f"the best fit of {space.names[index]} is on its upper bound: raise it with par_bounds")
    result = LimitResults(
        observed_limit=float(found.limits[0]),
        expected_limit=found.limits[1:],
        observed_CLs=found.cls[:, 0],
        expected_CLs=found.cls[:, 1:],
        poi_values=found.values,
        confidence_level=confidence_level,
        name=space.names[index],
        bestfit=ratios.bestfit,
        statuses=tuple(statuses),
        rescues=ratios.rescues,
        warnings=tuple(notes),
        calctype=calctype,
        ntoys=trials.ntoys if trials else 0,
        left_out=trials.left_out if trials else {},
        observed_limit_error=float(found.errors[0]),
        expected_limit_error=found.errors[1:],
        observed_CLs_error=found.cls_errors[:, 0],
        expected_CLs_error=found.cls_errors[:, 1:],
    )
    if notes:
        report("; ".join(notes), result, on_failure)
    return result


class _Search(NamedTuple):
    """The value at which a limit is expected: ``found`` if close to a tested one, ``lost`` if it cannot be tested."""

    value: float
    found: bool
    lost: bool


def _checked(
    bracket: Sequence[float] | None, poi_tolerance: float, maxsteps: int, confidence_level: float
) -> NumpyArray:
    """The ends of the bracket, lower one first; none if there is no bracket."""
    if not 0 < confidence_level < 1:
        raise InputError(f"confidence_level is {confidence_level}, expected a number between 0 and 1")
    if not poi_tolerance > 0:
        raise InputError(f"poi_tolerance is {poi_tolerance}, expected a positive number")
    if maxsteps < 1:
        raise InputError(f"maxsteps is {maxsteps}, expected at least 1")
    ends = np.sort(np.asarray(() if bracket is None else bracket, dtype=float))
    if bracket is not None and not (ends.shape == (2,) and np.isfinite(ends).all() and ends[0] < ends[1]):
        raise InputError(f"bracket is {bracket!r}, expected two different numbers")
    return ends


def _check_bracket(ends: NumpyArray, tested: NumpyArray, cls: NumpyArray, target: float) -> None:
    found = [1.0 if end <= 0 else cls[tested == end][0] for end in ends]
    if found[0] <= target or found[1] > target:
        raise InputError(
            f"the observed limit is not within the bracket: CLs is {found[0]:.4f} at {ends[0]:g} and {found[1]:.4f} at "
            f"{ends[1]:g}, and not {target:.4g} in between: widen it, or leave it out"
        )


def _first_values(ratios: Ratios, target: float, upper: float) -> NumpyArray:
    """The limits for normally distributed estimates (arXiv:1007.1727 section 3.7), and a second value for the observed.

    Estimate and width are those of the fit for the observed limit, those of the Asimov data for the expected ones.
    """
    widths = np.array([ratios.sigma, ratios.sigma_asimov])
    otherwise = 0.1 * upper if np.isfinite(upper) else 1.0
    own, expected = np.where(np.isfinite(widths), widths, otherwise)
    estimates = np.append(np.full(2, max(ratios.bestfit, 0.0)), expected * np.arange(-2.0, 3.0))
    sigma = np.append([own, 0.7 * own], np.full(5, expected))
    return np.asarray(estimates - sigma * ndtri(target * ndtr(estimates / sigma)))


def _cls(ratios: Ratios) -> tuple[NumpyArray, NumpyArray]:
    """All tested values and their CLs: the observed one, and the five expected ones."""
    observed, expected = p_values("qtilde", *ratios.statistics("qtilde"))
    return ratios.values, np.column_stack([observed.CLs, expected.CLs])


def _next(tested: NumpyArray, cls: NumpyArray, target: float, tolerance: float, furthest: float) -> _Search:
    """Where a curve of CLs falls below the target, as far as the tested values tell.

    Interpolated in the number of standard deviations that CLs stands for, which is almost linear in the tested value.
    """
    good = np.isfinite(cls)
    if not good.any():
        return _Search(np.nan, found=False, lost=True)
    low = tested[good & (cls > target)].max(initial=0.0)
    high = tested[good & (cls <= target) & (tested > low)].min(initial=np.inf)
    failed = tested[~good & (tested > low)].min(initial=np.inf)
    with np.errstate(invalid="ignore"):
        deviations = ndtri(target) - ndtri(cls)
    usable = np.flatnonzero(np.isfinite(deviations))
    nearest = usable[np.argsort(np.maximum(low - tested[usable], tested[usable] - high), kind="stable")[:3]]
    value = _root(tested[nearest], deviations[nearest])
    if np.isinf(high) and np.isinf(failed):
        value = min(low + 1.2 * (value - low), _FURTHEST * low) if value > low else 2.0 * low
        return _Search(value, found=False, lost=value > furthest)
    if not low < value < high:
        value = 0.5 * (low + min(high, failed))
    close = min(tolerance, _PRECISION * value)
    tried = tested[np.abs(tested - value) <= close]
    if np.isin(tried, tested[np.abs(deviations) <= _DEVIATION]).any() and np.isfinite(high):
        return _Search(value, found=True, lost=False)
    if np.isin(tried, tested[~good]).any():  # a fit failed there: try elsewhere
        value = 0.5 * (low + min(high, failed))
    return _Search(value, found=False, lost=bool((np.abs(tested[~good] - value) <= close).any()))


def _root(values: NumpyArray, deviations: NumpyArray) -> float:
    """Inverse interpolation by the polynomial through two or three points; NaN if there is none."""
    weights = [
        np.prod([other / (other - own) for j, other in enumerate(deviations) if j != i and other != own])
        for i, own in enumerate(deviations)
    ]
    if len(np.unique(deviations)) < max(len(deviations), 2):
        return float("nan")
    return float(np.dot(weights, values))
