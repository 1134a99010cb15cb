"""Rankings of nuisance parameters: all refits are one batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np

from jaxfit.breakdowns import RankingResults
from jaxfit.inference.conditionals import conditional_problems, tangent, twice_deltas
from jaxfit.inference.failures import Policy, checked_policy, report
from jaxfit.inference.fits import best_fit
from jaxfit.inference.rescues import solve
from jaxfit.inference.rungs import Solved
from jaxfit.likelihood import Model, checked_data, parameter_space, prefit_widths
from jaxfit.minimization import edm_goal
from jaxfit.parameters import ParameterSpace
from jaxfit.results import FitResults
from jaxfit.statuses import Status
from jaxfit.typing import NumpyArray, ObservedData

__all__ = ["nominal_fit", "ranking"]

_LOWER = 1e-6  # of 2 NLL: further below the best fit is another minimum
_SHOWN = 8  # names in a message
_SHIFTS = ("pre-fit up", "pre-fit down", "post-fit up", "post-fit down")


def ranking(
    model: Model,
    data: ObservedData,
    *,
    fit_results: FitResults | None = None,
    poi_name: str | None = None,
    init_pars: Mapping[str, float] | Sequence[float] | None = None,
    fix_pars: Mapping[str, bool | float] | Sequence[bool] | None = None,
    par_bounds: Mapping[str, tuple[float, float]] | Sequence[tuple[float, float]] | None = None,
    strategy: Literal[0, 1, 2] | None = None,
    maxiter: int | None = None,
    tolerance: float | None = None,
    custom_fit: bool = False,
    on_failure: Policy = "warn",
) -> RankingResults:
    """Impacts of all parameters on a parameter of interest by refits, with the signature of ``cabinetry.fit.ranking``.

    Every parameter is held at its best fit plus and minus its pre-fit and its post-fit width; the shift of the
    parameter of interest is the impact. The 4 (N - 1) refits start from the best fit moved with its covariance, as one
    batch.
    :func:`jaxfit.impacts` gives the same to first order without a refit.

    Args:
        model: a pyhf model with any interpolation codes and modifiers.
        data: the observed events of every channel by name (safe: pyhf sorts channels), or pyhf's list with the
            auxiliary data, as ``cabinetry.model_utils.model_and_data`` returns it.
        fit_results: of the same model, data and settings, from :func:`jaxfit.fit` or cabinetry; default a new fit.
        poi_name: the parameter of interest, default the model's.
        init_pars: as for :func:`jaxfit.fit`, as all further arguments.
        fix_pars: see ``init_pars``.
        par_bounds: see ``init_pars``; a parameter may be held outside of them.
        strategy: accepted for cabinetry's sake, without meaning here.
        maxiter: see ``init_pars``.
        tolerance: see ``init_pars``.
        custom_fit: accepted for cabinetry's sake, without meaning here.
        on_failure: see ``init_pars``; the best fit and the refits count alike.

    Returns:
        The impacts, and how every refit ended.

    Raises:
        InputError: no parameter of interest, or a fixed one; fit results of another model, or anything
            :func:`jaxfit.fit` refuses.
        FitError: the best fit or some refits did not end in a minimum, with ``on_failure="raise"``.

    Warns:
        FitWarning: the same by default.
    """
    checked_policy(on_failure)
    space, observed = parameter_space(model).override(init_pars, fix_pars, par_bounds), checked_data(model, data)
    index = space.poi_index(poi_name)
    options: dict[str, Any] = {"maxiter": maxiter, "goal": edm_goal(tolerance)}
    best, notes = nominal_fit(model, observed, space, fit_results, **options)

    others = np.delete(np.arange(len(space.names)), index)
    prefit, postfit = prefit_widths(model), best.uncertainty
    shifts = np.stack([prefit, -prefit, postfit, -postfit], axis=1)
    shifts[index] = 0.0
    pars, columns = np.nonzero(np.isfinite(shifts) & (shifts != 0))
    impacts = np.where(np.isfinite(shifts), 0.0, np.nan)
    statuses = np.where(np.isfinite(shifts), Status.OK, Status.NOT_RUN)
    held, moved = pars[:, None], shifts[pars, columns][:, None]
    start = best.bestfit + tangent(best, held, moved)
    problems = conditional_problems(observed, space, held, best.bestfit[held] + moved, start)
    solved = solve(model, problems, near=True, **options)
    failed = np.isnan(twice_deltas(solved, best))
    impacts[pars, columns] = np.where(failed, np.nan, solved.pars[:, index] - best.bestfit[index])
    statuses[pars, columns] = solved.status
    refits = [f"{space.names[i]} {_SHIFTS[column]}" for i, column in zip(pars, columns, strict=True)]
    notes += _remarks(best, space, pars, refits, solved)
    if missing := [space.names[i] for i in np.flatnonzero(np.isnan(postfit)) if i != index]:
        notes.append(f"without an uncertainty, and so without a post-fit impact: {', '.join(missing)}")
    up_down = impacts[others].T
    result = RankingResults(
        bestfit=best.bestfit[others],
        uncertainty=best.uncertainty[others],
        labels=[space.names[i] for i in others],
        prefit_up=up_down[0],
        prefit_down=up_down[1],
        postfit_up=up_down[2],
        postfit_down=up_down[3],
        name=space.names[index],
        statuses=tuple(tuple(Status(int(status)) for status in four) for four in statuses[others]),
        rescues={refit: steps for refit, steps in zip(refits, solved.rescues, strict=True) if steps},
        warnings=tuple(notes),
    )
    if notes:
        report("; ".join(notes), result, on_failure)
    return result


def nominal_fit(
    model: Model, data: NumpyArray, space: ParameterSpace, given: FitResults | None, **options: Any
) -> tuple[FitResults, list[str]]:
    """The fit that impacts refer to, given or made, and what is wrong with it."""
    best = best_fit(model, data, space, solver="newton", **options) if given is None else given
    space.check_labels(best.labels)
    failed = isinstance(best, FitResults) and not best.converged  # cabinetry's do not tell
    return best, [f"{best.status.name}: {'; '.join(best.warnings)}"] if failed else []


def _remarks(best: FitResults, space: ParameterSpace, pars: NumpyArray, refits: list[str], solved: Solved) -> list[str]:
    """Refits that failed, and refits below the best fit, which is then not the lowest minimum."""
    remarks = []
    failed = np.flatnonzero(solved.status > Status.OK_AT_BOUND)
    if failed.size:
        shown = [f"{refits[i]} ({Status(int(solved.status[i])).name})" for i in failed[:_SHOWN]]
        more = f" and {failed.size - _SHOWN} more" if failed.size > _SHOWN else ""
        remarks.append(f"{failed.size} of {len(pars)} refits are no minimum: {', '.join(shown)}{more}")
    held = solved.pars[np.arange(len(pars)), pars]
    inside = (space.lower[pars] <= held) & (held <= space.upper[pars])
    deltas = np.where(inside, np.nan_to_num(twice_deltas(solved, best), nan=np.inf), np.inf)
    lowest = int(np.argmin(deltas)) if deltas.size else 0
    if (deltas < -_LOWER).any():
        remarks.append(
            f"the refit with {space.names[pars[lowest]]} = {held[lowest]:g} lies {-deltas[lowest]:.2g} below the best "
            "fit, which is a local minimum: start it elsewhere with init_pars"
        )
    return remarks
