"""Confidence regions by toys, with the ordering of Feldman and Cousins."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from tqdm import tqdm

from jaxfit.errors import InputError
from jaxfit.inference.campaigns import Workers
from jaxfit.inference.conditionals import conditional_problems
from jaxfit.inference.distributions import fraction
from jaxfit.inference.failures import Policy, checked_policy, report
from jaxfit.inference.ratios import test_statistic
from jaxfit.inference.rescues import solve
from jaxfit.inference.rungs import FAILED, Solved
from jaxfit.inference.trials import Label, Trials
from jaxfit.likelihood import Model, checked_data, parameter_space
from jaxfit.minimization import Problems, edm_goal
from jaxfit.parameters import ParameterSpace
from jaxfit.regions import ONE_SIGMA, FeldmanCousinsResults
from jaxfit.statuses import Status
from jaxfit.typing import NumpyArray, ObservedData

__all__ = ["feldman_cousins"]

_LOWER = 1e-6  # of NLL: further below the best fit is another minimum
_SHOWN = 4  # points in a message

Grid = Sequence[float] | NumpyArray


def feldman_cousins(
    model: Model,
    data: ObservedData,
    par_name: str | tuple[str, str],
    values: Grid | tuple[Grid, Grid],
    *,
    confidence_level: float = ONE_SIGMA,
    ntoys: int = 2000,
    seed: int = 0,
    init_pars: Mapping[str, float] | Sequence[float] | None = None,
    fix_pars: Mapping[str, bool | float] | Sequence[bool] | None = None,
    par_bounds: Mapping[str, tuple[float, float]] | Sequence[tuple[float, float]] | None = None,
    maxiter: int | None = None,
    tolerance: float | None = None,
    executor: Workers = None,
    checkpoint: str | os.PathLike[str] | None = None,
    progress: bool | None = None,
    on_failure: Policy = "warn",
    accept: Sequence[Status] = (),
) -> FeldmanCousinsResults:
    """Confidence intervals of a parameter, or regions of two, by the construction of arXiv:physics/9711021.

    Toys are drawn at every point of a grid; the other parameters are there as they fit the observed data best, in toys
    as in the data (profiled). Their statistic is -2 log(likelihood) at the point above that of the best fit within the
    bounds. A point is in the region if more than 1 - ``confidence_level`` of its toys have at least the statistic of
    the data. The parameters' physical ranges are their bounds.

    Args:
        model: a pyhf model with any interpolation codes and modifiers.
        data: the observed events of every channel by name (safe: pyhf sorts channels), or pyhf's list with the
            auxiliary data, as ``cabinetry.model_utils.model_and_data`` returns it.
        par_name: any parameter of the model, or two.
        values: the grid in increasing order, for two parameters the values of each; within the bounds.
        confidence_level: of the intervals or regions, default 68.27 %.
        ntoys: toys at every point.
        seed: of the random numbers, an integer of at least 0. The toys of a point depend on it and on the point only.
        init_pars: as for :func:`jaxfit.fit`, as further arguments.
        fix_pars: see ``init_pars``.
        par_bounds: see ``init_pars``.
        maxiter: see ``init_pars``.
        tolerance: see ``init_pars``.
        executor: as for :func:`jaxfit.toys`.
        checkpoint: a folder in which finished toys are kept; the same call goes on where it was stopped.
        progress: whether to show a progress bar over the points; default in a terminal.
        on_failure: see ``init_pars``; fits to the data and to toys count alike.
        accept: statuses of fits, besides OK and OK_AT_BOUND, that may enter a statistic.

    Returns:
        Statistic, critical value and p-value at every point, and the intervals of one parameter.

    Raises:
        InputError: an unknown parameter or twice the same, a grid that is empty, not in order or not within the bounds,
            numbers out of range, or anything :func:`jaxfit.fit` refuses.
        FitError: a fit did not converge, with ``on_failure="raise"``.

    Warns:
        FitWarning: the same by default; an interval that the grid cuts off.
    """
    checked_policy(on_failure)
    space, observed = parameter_space(model).override(init_pars, fix_pars, par_bounds), checked_data(model, data)
    if not 0 < confidence_level < 1:
        raise InputError(f"confidence_level is {confidence_level}, expected a number between 0 and 1")
    names = (par_name,) if isinstance(par_name, str) else tuple(par_name)
    held = _held(space, names)
    axes = _axes(space, held, (values,) if isinstance(par_name, str) else tuple(values))
    options: dict[str, Any] = {"maxiter": maxiter, "goal": edm_goal(tolerance)}
    trials = Trials(model, space, held, ntoys, seed, accept, executor, checkpoint, False, options)

    points = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, len(held))
    best, profile = _fits(trials, observed, points)
    usable = np.isin([best.status[0], *profile.status], (Status.OK, Status.OK_AT_BOUND, *accept))
    usable = usable[1:] & usable[0]
    statistic = np.where(usable, test_statistic("t", 2.0 * (profile.nll - best.nll[0]), 0.0, np.zeros(1)), np.nan)

    critical, p_values, errors, used = (np.full(len(points), np.nan) for _ in range(4))
    hidden = None if progress is None else not progress
    for k in tqdm(np.flatnonzero(usable), unit=" points", desc="grid", disable=hidden):
        toys = trials.run(profile.pars[k], points[k : k + 1], Label.GRID_POINT, *points[k])
        samples = test_statistic("t", toys.twice_deltas[:, 0], 0.0, np.zeros(1))
        samples = samples[np.isfinite(samples)]
        p_values[k], errors[k] = fraction(samples, statistic[k])
        used[k] = samples.size
        if samples.size:
            critical[k] = np.quantile(samples, confidence_level, method="inverted_cdf")

    shape = tuple(len(axis) for axis in axes)
    result = FeldmanCousinsResults(
        names=names,
        bestfit=best.pars[0, held],
        parameter_values=axes,
        statistic=statistic.reshape(shape),
        critical_values=critical.reshape(shape),
        p_values=p_values.reshape(shape),
        p_values_error=errors.reshape(shape),
        confidence_level=confidence_level,
        ntoys=trials.ntoys,
        ntoys_used=used.reshape(shape),
        left_out=trials.left_out,
        status=Status(int(best.status[0])),
        statuses=tuple(Status(int(status)) for status in profile.status),
    )
    notes = [*_failures(names, points, best, profile, accept), *trials.remarks, *_cut_off(space, held, result)]
    result = replace(result, warnings=tuple(notes))
    if result.warnings:
        report("; ".join(result.warnings), result, on_failure)
    return result


def _held(space: ParameterSpace, names: tuple[str, ...]) -> NumpyArray:
    if len(names) not in (1, 2) or len(set(names)) != len(names):
        raise InputError(f"par_name is {names!r}, expected one parameter or two different ones")
    return np.array([space.poi_index(name) for name in names])


def _axes(space: ParameterSpace, held: NumpyArray, values: tuple[Any, ...]) -> tuple[NumpyArray, ...]:
    if len(values) != len(held):
        raise InputError(f"values has {len(values)} entries, expected the values of {len(held)} parameters")
    axes = []
    for index, own in zip(held, values, strict=True):
        name = space.names[index]
        try:
            axis = np.asarray(own, dtype=float)
        except (TypeError, ValueError):
            raise InputError(f"values of {name!r} are {own!r}, expected a list of numbers") from None
        if axis.ndim != 1 or not axis.size or not np.isfinite(axis).all() or (np.diff(axis) <= 0).any():
            raise InputError(f"values of {name!r} must be a list of finite numbers in increasing order, at least one")
        low, high = space.lower[index], space.upper[index]
        if axis[0] < low or axis[-1] > high:
            raise InputError(
                f"values of {name!r} from {axis[0]:g} to {axis[-1]:g} are outside of its bounds [{low:g}, {high:g}]: "
                "change them, or par_bounds"
            )
        axes.append(axis)
    return tuple(axes)


def _fits(trials: Trials, data: NumpyArray, points: NumpyArray) -> tuple[Solved, Solved]:
    """The best fit to the data and the fits at all points; as for toys, where yields stay positive."""
    model, space, held = trials.model, trials.space, trials.held
    lower, upper = space.box()

    def best_from(start: NumpyArray) -> Solved:
        problem = Problems(data[None], start[None], lower[None], upper[None])
        return solve(model, problem, positive_yields=True, **trials.options)

    best = best_from(space.start)
    lanes = np.broadcast_to(held, points.shape)
    start = np.repeat(best.pars, len(points), axis=0)
    problems = conditional_problems(data, space, lanes, points, start)
    profile = solve(model, problems, positive_yields=True, **trials.options)
    nlls = np.where(np.isin(profile.status, FAILED), np.inf, np.nan_to_num(profile.nll, nan=np.inf))
    lowest = int(np.argmin(nlls))
    if nlls[lowest] < best.nll[0] - _LOWER:  # another minimum
        again = best_from(profile.pars[lowest])
        best = again if again.nll[0] < best.nll[0] else best
    return best, profile


def _failures(
    names: tuple[str, ...], points: NumpyArray, best: Solved, profile: Solved, accept: Sequence[Status]
) -> list[str]:
    """Fits to the data that did not converge."""
    accepted = (Status.OK, Status.OK_AT_BOUND, *accept)
    remarks = []
    if best.status[0] not in accepted:
        status = Status(int(best.status[0]))
        remarks.append(f"the best fit failed ({status.name}): {status.message}")
    failed = [
        ", ".join(f"{name} = {value:g}" for name, value in zip(names, point, strict=True)) + f" ({Status(code).name})"
        for point, code in zip(points, profile.status.tolist(), strict=True)
        if code not in accepted
    ]
    if failed:
        more = f" and {len(failed) - _SHOWN} more" if len(failed) > _SHOWN else ""
        remarks.append(f"{len(failed)} of {len(points)} fits to the data failed: {'; '.join(failed[:_SHOWN])}{more}")
    return remarks


def _cut_off(space: ParameterSpace, held: NumpyArray, result: FeldmanCousinsResults) -> list[str]:
    """Ends of the grid that are in the region although the parameter could go on."""
    remarks = []
    for axis, (index, values) in enumerate(zip(held, result.parameter_values, strict=True)):
        borders = (values[0], space.lower[index], 0), (values[-1], space.upper[index], -1)
        for value, bound, side in borders:
            if value != bound and np.take(result.accepted, side, axis=axis).any():
                remarks.append(f"the region reaches {space.names[index]} = {value:g}, where the grid ends: extend it")
    return remarks
