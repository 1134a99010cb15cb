"""Profile likelihood scans: all points of a scan are one batch."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np

from jaxfit.errors import InputError
from jaxfit.inference.fits import FitWarning, best_fit
from jaxfit.likelihood import Likelihood, Model, checked_data, likelihood_of, parameter_space
from jaxfit.minimization import Minima, Problems, edm_goal, minimize
from jaxfit.results import FitResults, ScanResults
from jaxfit.statuses import Status
from jaxfit.typing import NumpyArray, NumpyMask

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
    space, observed = parameter_space(model).override(init_pars, fix_pars, par_bounds), checked_data(model, data)
    index, likelihood = space.index(par_name), likelihood_of(model)
    options: dict[str, Any] = {"solver": solver, "maxiter": maxiter, "goal": edm_goal(tolerance)}
    best = best_fit(model, observed, space, **options)
    if not best.converged:
        warnings.warn(f"{best.status.name}: {'; '.join(best.warnings)}", FitWarning, stacklevel=2)
    width = float(best.uncertainty[index])
    points = _points(par_name, float(best.bestfit[index]), width, par_range, n_steps, values)

    lower, upper = (np.repeat(bound[None], len(points), axis=0) for bound in space.box())
    lower[:, index] = upper[:, index] = points
    lanes = Problems(np.repeat(observed[None], len(points), axis=0), _tangent(best, index, points), lower, upper)
    minima = _solve(likelihood, lanes, points, best.bestfit, space.start, **options)

    statuses = tuple(Status(int(code)) for code in minima.status)
    notes = [*best.warnings]
    failed = [
        f"{value:g} ({status.name})" for value, status in zip(points, statuses, strict=True) if not status.converged
    ]
    if failed:
        notes.append(f"{len(failed)} of {len(points)} points are no minimum: {par_name} = {', '.join(failed)}")
        warnings.warn(notes[-1], FitWarning, stacklevel=2)
    deltas = 2.0 * np.asarray(minima.nll) - best.best_twice_nll
    lowest = int(np.argmin(np.nan_to_num(deltas, nan=np.inf)))
    if deltas[lowest] < -1e-6:
        notes.append(
            f"{par_name} = {points[lowest]:g} lies {-deltas[lowest]:.2g} below the best fit: that is held by a bound, "
            "or a local minimum (start it elsewhere with init_pars)"
        )
    return ScanResults(
        name=par_name,
        bestfit=float(best.bestfit[index]),
        uncertainty=width,
        parameter_values=points,
        delta_nlls=deltas,
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
    likelihood: Likelihood,
    lanes: Problems[NumpyArray],
    points: NumpyArray,
    bestfit: NumpyArray,
    prefit: NumpyArray,
    **options: Any,
) -> Minima[NumpyArray]:
    """Solve all points; those that fail start once more from the best fit, then from their nearest neighbour's.

    Kinks make local minima: there all points also start from the pre-fit values, and the lower minimum counts.
    """
    minima = Minima(*(np.array(field) for field in minimize(likelihood, lanes, **options)))
    for attempt in ("best fit", "neighbour", "neighbour"):
        ended = _ended(minima)
        todo, good = np.flatnonzero(~ended), np.flatnonzero(ended)
        if not todo.size or (attempt == "neighbour" and not good.size):
            break
        if attempt == "neighbour":
            start = minima.pars[good[np.argmin(np.abs(points[todo, None] - points[good]), axis=1)]]
        else:
            start = np.repeat(bestfit[None], todo.size, axis=0)
        retry = Problems(lanes.data[todo], start, lanes.lower[todo], lanes.upper[todo])
        _replace(minima, todo, minimize(likelihood, retry, **options))
    if likelihood.kinked is not None:
        others = minimize(
            likelihood, lanes._replace(start=np.repeat(prefit[None], len(lanes.start), axis=0)), **options
        )
        lower = np.flatnonzero(_ended(others) & (~_ended(minima) | (others.nll < minima.nll)))
        _replace(minima, lower, Minima(*(field[lower] for field in others)))
    return minima


def _ended(minima: Minima[NumpyArray]) -> NumpyMask:
    return np.isin(minima.status, [Status.OK, Status.OK_AT_BOUND, Status.NEGATIVE_EXPECTATION])


def _replace(minima: Minima[NumpyArray], lanes: NumpyArray, new: Minima[NumpyArray]) -> None:
    for field, values in zip(minima, new, strict=True):
        field[lanes] = values
