"""Profile likelihood scans over two parameters: all points of the grid are one batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from contourpy import contour_generator
from scipy.interpolate import RectBivariateSpline

from jaxfit.errors import InputError
from jaxfit.inference.conditionals import conditional_problems, tangent, twice_deltas
from jaxfit.inference.failures import Policy, checked_policy, report
from jaxfit.inference.fits import best_fit
from jaxfit.inference.rescues import solve
from jaxfit.likelihood import Model, checked_data, parameter_space
from jaxfit.minimization import edm_goal
from jaxfit.parameters import ParameterSpace
from jaxfit.regions import ONE_SIGMA, Scan2DResults
from jaxfit.results import FitResults
from jaxfit.statuses import Status
from jaxfit.typing import NumpyArray, ObservedData

__all__ = ["scan2d"]

_REACH = 3.0  # uncertainties to both sides of the best fit: the 95 % contour ends at 2.4
_FINER = 4  # points between two of the grid, from which contours are drawn
_LOWER = 1e-6  # in 2 NLL: further below the best fit is another minimum
_SHOWN = 4  # points in a message

Limits = tuple[float, float] | None


def scan2d(
    model: Model,
    data: ObservedData,
    par_name_x: str,
    par_name_y: str,
    *,
    par_ranges: tuple[Limits, Limits] | None = None,
    n_steps: int | tuple[int, int] = 21,
    confidence_levels: Sequence[float] = (ONE_SIGMA, 0.95),
    init_pars: Mapping[str, float] | Sequence[float] | None = None,
    fix_pars: Mapping[str, bool | float] | Sequence[bool] | None = None,
    par_bounds: Mapping[str, tuple[float, float]] | Sequence[tuple[float, float]] | None = None,
    maxiter: int | None = None,
    tolerance: float | None = None,
    solver: str = "newton",
    on_failure: Policy = "warn",
) -> Scan2DResults:
    """Scan the profile likelihood over two parameters, with the contours of their confidence regions.

    A region holds the points at which -2 log(likelihood), minimised over all other parameters, is less than a quantile
    of chi-square with two degrees of freedom above its minimum: 2.30 and 5.99 for the default levels.

    Args:
        model: a pyhf model with any interpolation codes and modifiers.
        data: the observed events of every channel by name (safe: pyhf sorts channels), or pyhf's list with the
            auxiliary data, as ``cabinetry.model_utils.model_and_data`` returns it.
        par_name_x: any parameter of the model.
        par_name_y: another one.
        par_ranges: first and last value of each; default (also for one of them, as None) the best fit -+ 3
            uncertainties, within the bounds.
        n_steps: number of equidistant values, at least 2, the same for both or one for each.
        confidence_levels: of the contours, between 0 and 1; default 68.27 % and 95 %.
        init_pars: as for :func:`jaxfit.fit`, as all further arguments.
        fix_pars: see ``init_pars``.
        par_bounds: see ``init_pars``.
        maxiter: see ``init_pars``.
        tolerance: see ``init_pars``.
        solver: see ``init_pars``.
        on_failure: see ``init_pars``; the best fit and the points count alike.

    Returns:
        -2 log(likelihood) above the best fit's at every point, with the status of every fit, and the contours.

    Raises:
        InputError: an unknown parameter or twice the same, ranges, numbers of steps or confidence levels that make no
            grid, or anything :func:`jaxfit.fit` refuses.
        FitError: the best fit or some points did not end in a minimum, with ``on_failure="raise"``.

    Warns:
        FitWarning: the same by default.
    """
    checked_policy(on_failure)
    space, observed = parameter_space(model).override(init_pars, fix_pars, par_bounds), checked_data(model, data)
    names = par_name_x, par_name_y
    held = np.array([space.index(name) for name in names])
    if held[0] == held[1]:
        raise InputError(f"{par_name_x!r} is named twice: scan2d needs two parameters (jaxfit.scan takes one)")
    for level in confidence_levels:
        if not 0.0 < level < 1.0:
            raise InputError(f"confidence_levels has {level}, expected numbers between 0 and 1")
    options: dict[str, Any] = {"solver": solver, "maxiter": maxiter, "goal": edm_goal(tolerance)}
    best = best_fit(model, observed, space, **options)
    axes = _axes(space, best, held, par_ranges, n_steps)

    points = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 2)
    lanes = np.broadcast_to(held, points.shape)
    start = best.bestfit + tangent(best, lanes, points - best.bestfit[held])
    solved = solve(model, conditional_problems(observed, space, lanes, points, start), **options)
    statuses, deltas = [Status(int(code)) for code in solved.status], twice_deltas(solved, best)

    remarks = _remarks(names, points, deltas, statuses)
    shape = len(axes[0]), len(axes[1])
    grid = deltas.reshape(shape)
    result = Scan2DResults(
        names=names,
        bestfit=best.bestfit[held],
        uncertainty=best.uncertainty[held],
        correlation=float(best.corr_mat[held[0], held[1]]),
        parameter_values=axes,
        delta_nlls=grid,
        confidence_levels=tuple(confidence_levels),
        contours=tuple(_contour(axes, grid, -2.0 * np.log1p(-level)) for level in confidence_levels),
        status=best.status,
        statuses=tuple(tuple(statuses[i * shape[1] : (i + 1) * shape[1]]) for i in range(shape[0])),
        warnings=(*best.warnings, *remarks),
        engine=best.engine,
        solver=solver,
    )
    if remarks or not best.converged:
        how = "" if best.converged else f"{best.status.name}: "
        report(how + "; ".join(result.warnings), result, on_failure)
    return result


def _axes(
    space: ParameterSpace,
    best: FitResults,
    held: NumpyArray,
    par_ranges: tuple[Limits, Limits] | None,
    n_steps: int | tuple[int, int],
) -> tuple[NumpyArray, NumpyArray]:
    """The values of both parameters, in increasing order."""
    numbers = (n_steps, n_steps) if isinstance(n_steps, int) else tuple(n_steps)
    ranges = (None, None) if par_ranges is None else tuple(par_ranges)
    if len(numbers) != 2 or min(numbers) < 2:
        raise InputError(f"n_steps is {n_steps}, expected at least 2, or two such numbers")
    if len(ranges) != 2:
        raise InputError(f"par_ranges has {len(ranges)} entries, expected two, each (low, high) or None")
    axes = []
    for index, limits, number in zip(held, ranges, numbers, strict=True):
        name, center, reach = space.names[index], best.bestfit[index], _REACH * best.uncertainty[index]
        if limits is None:
            if not (np.isfinite(reach) and reach > 0):
                raise InputError(f"{name!r} has no uncertainty to derive a range from: give par_ranges")
            limits = max(center - reach, space.lower[index]), min(center + reach, space.upper[index])
        low, high = limits
        if not (np.isfinite([low, high]).all() and low < high):
            raise InputError(f"the range of {name!r} is ({low:g}, {high:g}), expected two finite numbers in order")
        axes.append(np.linspace(low, high, number))
    return axes[0], axes[1]


def _contour(axes: tuple[NumpyArray, NumpyArray], grid: NumpyArray, level: float) -> tuple[NumpyArray, ...]:
    """Lines of one level, each an array (points, 2); closed if they do not end at the border or at failed points."""
    x, y = axes
    if min(grid.shape) > 3 and np.isfinite(grid).all():  # a cubic spline has the curvature that straight lines lack
        spline = RectBivariateSpline(x, y, grid)
        x, y = (np.linspace(axis[0], axis[-1], _FINER * (len(axis) - 1) + 1) for axis in axes)
        grid = spline(x, y)
    lines = contour_generator(x, y, np.ma.masked_invalid(grid.T)).lines(level)
    return tuple(np.asarray(line) for line in lines)


def _remarks(names: tuple[str, str], points: NumpyArray, deltas: NumpyArray, statuses: list[Status]) -> list[str]:
    def place(i: int) -> str:
        return ", ".join(f"{name} = {value:g}" for name, value in zip(names, points[i], strict=True))

    remarks = []
    failed = [i for i, status in enumerate(statuses) if not status.converged]
    if failed:
        shown = "; ".join(f"{place(i)} ({statuses[i].name})" for i in failed[:_SHOWN])
        more = f" and {len(failed) - _SHOWN} more" if len(failed) > _SHOWN else ""
        remarks.append(f"{len(failed)} of {len(points)} points are no minimum: {shown}{more}")
    lowest = int(np.argmin(np.nan_to_num(deltas, nan=np.inf)))
    if deltas[lowest] < -_LOWER:
        remarks.append(
            f"{place(lowest)} lies {-deltas[lowest]:.2g} below the best fit: that is held by a bound, or a local "
            "minimum (start it elsewhere with init_pars)"
        )
    return remarks
