"""Profile likelihood scans: all points of a scan are one batch."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np

from jaxfit.errors import InputError
from jaxfit.inference.fits import FitWarning, fit
from jaxfit.likelihood import Likelihood, Model, checked_data, likelihood_of, parameter_space
from jaxfit.minimization import Minima, Problems, edm_goal, minimize
from jaxfit.results import FitResults, ScanResults
from jaxfit.statuses import Status
from jaxfit.typing import NumpyArray

__all__ = ["scan"]


def scan(
    model: Model,
    data: Sequence[float],
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
) -> ScanResults:
    """Scan the profile likelihood of a parameter, with the signature of ``cabinetry.fit.scan``.

    Args:
        model: a pyhf model with any interpolation codes and modifiers.
        data: observed and auxiliary data, as ``cabinetry.model_utils.model_and_data`` returns them.
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

    Returns:
        -2 log(likelihood) above the best fit's at every value, with the status of every fit.

    Raises:
        InputError: an unknown parameter, values that are not finite, or anything :func:`jaxfit.fit` refuses.

    Warns:
        FitWarning: the best fit or some points did not end in a minimum.
    """
    space = parameter_space(model).override(init_pars, fix_pars, par_bounds)
    index = space.index(par_name)
    best = fit(
        model,
        data,
        init_pars=init_pars,
        fix_pars=fix_pars,
        par_bounds=par_bounds,
        maxiter=maxiter,
        tolerance=tolerance,
        solver=solver,
    )
    width = float(best.uncertainty[index])
    points = _points(par_name, float(best.bestfit[index]), width, par_range, n_steps, values)

    likelihood, observed = likelihood_of(model), checked_data(model, data)
    lower, upper = (np.repeat(bound[None], len(points), axis=0) for bound in space.box())
    lower[:, index] = upper[:, index] = points
    lanes = Problems(np.repeat(observed[None], len(points), axis=0), _tangent(best, index, points), lower, upper)
    minima = _solve(likelihood, lanes, best.bestfit, solver=solver, maxiter=maxiter, goal=edm_goal(tolerance))

    statuses = tuple(Status(int(code)) for code in minima.status)
    notes = [*best.warnings]
    failed = [
        f"{value:g} ({status.name})" for value, status in zip(points, statuses, strict=True) if not status.converged
    ]
    if failed:
        notes.append(f"{len(failed)} of {len(points)} points are no minimum: {par_name} = {', '.join(failed)}")
        warnings.warn(notes[-1], FitWarning, stacklevel=2)
    return ScanResults(
        name=par_name,
        bestfit=float(best.bestfit[index]),
        uncertainty=width,
        parameter_values=points,
        delta_nlls=2.0 * np.asarray(minima.nll) - best.best_twice_nll,
        statuses=statuses,
        edms=np.asarray(minima.edm),
        warnings=tuple(notes),
        engine=best.engine,
        solver=solver,
    )


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


def _tangent(best: FitResults, index: int, points: NumpyArray) -> NumpyArray:
    """Start points: the best fit moved with its covariance, theta_i + cov_ij / cov_jj * shift."""
    shift = points - best.bestfit[index]
    sigma = best.uncertainty[index]
    if not (np.isfinite(sigma) and sigma > 0):
        return np.repeat(best.bestfit[None], len(points), axis=0)
    slope = np.nan_to_num(best.corr_mat[:, index] * best.uncertainty / sigma)
    return np.asarray(best.bestfit + shift[:, None] * slope)


def _solve(
    likelihood: Likelihood, lanes: Problems[NumpyArray], bestfit: NumpyArray, **options: Any
) -> Minima[NumpyArray]:
    """Solve all points; those that fail start once more from the best fit, then from their nearest neighbour's."""
    minima = Minima(*(np.array(field) for field in minimize(likelihood, lanes, **options)))
    for attempt in ("best fit", "neighbour", "neighbour"):
        ended = np.isin(minima.status, [Status.OK, Status.OK_AT_BOUND, Status.NEGATIVE_EXPECTATION])
        todo, good = np.flatnonzero(~ended), np.flatnonzero(ended)
        if not todo.size or (attempt == "neighbour" and not good.size):
            break
        if attempt == "neighbour":
            start = minima.pars[good[np.argmin(np.abs(todo[:, None] - good), axis=1)]]
        else:
            start = np.repeat(bestfit[None], todo.size, axis=0)
        retry = Problems(lanes.data[todo], start, lanes.lower[todo], lanes.upper[todo])
        for field, new in zip(minima, minimize(likelihood, retry, **options), strict=True):
            field[todo] = new
    return minima
