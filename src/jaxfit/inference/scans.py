"""Profile likelihood scans: all points of a scan are one batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np

from jaxfit.errors import InputError
from jaxfit.inference.conditionals import conditional_problems, tangent
from jaxfit.inference.failures import Policy, checked_policy, report
from jaxfit.inference.fits import best_fit
from jaxfit.inference.rescues import solve
from jaxfit.likelihood import Model, checked_data, parameter_space
from jaxfit.minimization import edm_goal
from jaxfit.results import ScanResults
from jaxfit.statuses import Status
from jaxfit.typing import NumpyArray, ObservedData

__all__ = ["scan"]


def scan(
    model: Model,
    data: ObservedData,
    par_name: str,
    *,
    par_range: tuple[float, float] | None = None,
    n_steps: int = 11,
    values: Sequence[float] | None = None,
    init_pars: Mapping[str, float] | Sequence[float] | None = None,
    fix_pars: Mapping[str, bool | float] | Sequence[bool] | None = None,
    par_bounds: Mapping[str, tuple[float, float]] | Sequence[tuple[float, float]] | None = None,
    strategy: Literal[0, 1, 2] | None = None,
    maxiter: int | None = None,
    tolerance: float | None = None,
    custom_fit: bool = False,
    solver: str = "newton",
    on_failure: Policy = "warn",
) -> ScanResults:
    """Scan the profile likelihood of a parameter, with the signature of ``cabinetry.fit.scan``.

    Args:
        model: a pyhf model with any interpolation codes and modifiers.
        data: the observed events of every channel by name (safe: pyhf sorts channels), or pyhf's list with the
            auxiliary data, as ``cabinetry.model_utils.model_and_data`` returns it.
        par_name: any parameter of the model.
        par_range: first and last value; default the best fit -+ 2 uncertainties.
        n_steps: number of equidistant values.
        values: the values themselves, instead of ``par_range`` and ``n_steps``.
        init_pars: as for :func:`jaxfit.fit`, as all further arguments.
        fix_pars: see ``init_pars``.
        par_bounds: see ``init_pars``.
        strategy: accepted for cabinetry's sake, without meaning here.
        maxiter: see ``init_pars``.
        tolerance: see ``init_pars``.
        custom_fit: accepted for cabinetry's sake, without meaning here.
        solver: see ``init_pars``.
        on_failure: see ``init_pars``; the best fit and the points count alike.

    Returns:
        -2 log(likelihood) above the best fit's at every value, with the status of every fit.

    Raises:
        InputError: an unknown parameter, values that are not finite, or anything :func:`jaxfit.fit` refuses.
        FitError: the best fit or some points did not end in a minimum, with ``on_failure="raise"``.

    Warns:
        FitWarning: the same by default.
    """
    checked_policy(on_failure)
    space, observed = parameter_space(model).override(init_pars, fix_pars, par_bounds), checked_data(model, data)
    index = space.index(par_name)
    options: dict[str, Any] = {"solver": solver, "maxiter": maxiter, "goal": edm_goal(tolerance)}
    best = best_fit(model, observed, space, **options)
    width = float(best.uncertainty[index])
    points = _points(par_name, float(best.bestfit[index]), width, par_range, n_steps, values)

    held, values_held = np.full((len(points), 1), index), points[:, None]
    start = best.bestfit + tangent(best, held, values_held - best.bestfit[index])
    minima = solve(model, conditional_problems(observed, space, held, values_held, start), **options)

    statuses = tuple(Status(int(code)) for code in minima.status)
    notes = [*best.warnings]
    failed = [
        f"{value:g} ({status.name})" for value, status in zip(points, statuses, strict=True) if not status.converged
    ]
    if failed:
        notes.append(f"{len(failed)} of {len(points)} points are no minimum: {par_name} = {', '.join(failed)}")
    deltas = 2.0 * np.asarray(minima.nll) - best.best_twice_nll
    lowest = int(np.argmin(np.nan_to_num(deltas, nan=np.inf)))
    if deltas[lowest] < -1e-6:
        notes.append(
            f"{par_name} = {points[lowest]:g} lies {-deltas[lowest]:.2g} below the best fit: that is held by a bound, "
            "or a local minimum (start it elsewhere with init_pars)"
        )
    result = ScanResults(
        name=par_name,
        bestfit=float(best.bestfit[index]),
        uncertainty=width,
        parameter_values=points,
        delta_nlls=deltas,
        statuses=statuses,
        edms=minima.edm,
        rescues=minima.rescues,
        warnings=tuple(notes),
        engine=best.engine,
        solver=solver,
    )
    if failed or not best.converged:
        report("; ".join([best.status.name, *notes] if not best.converged else notes), result, on_failure)
    return result


def _points(
    name: str,
    center: float,
    width: float,
    limits: tuple[float, float] | None,
    number: int,
    values: Sequence[float] | None,
) -> NumpyArray:
    if values is None:
        if limits is None and not (np.isfinite(width) and width > 0):
            raise InputError(f"{name!r} has no uncertainty to derive a scan range from: give par_range or values")
        if number < 1:
            raise InputError(f"n_steps is {number}, expected at least 1")
        first, last = limits if limits is not None else (center - 2 * width, center + 2 * width)
        values = np.linspace(first, last, number).tolist() if np.isfinite([first, last]).all() else [first, last]
    points = np.asarray(values, dtype=float).ravel()
    if not (points.size and np.isfinite(points).all()):
        raise InputError(f"scan values of {name!r} must be finite numbers, at least one")
    return points
