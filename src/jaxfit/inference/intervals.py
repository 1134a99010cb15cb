"""Confidence intervals from profile likelihoods (MINOS; F. James and M. Roos, Comput. Phys. Commun. 10 (1975) 343)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from statistics import NormalDist
from typing import Any

import numpy as np

from jaxfit.errors import InputError
from jaxfit.inference.crossings import crossings, free_indices
from jaxfit.inference.failures import Policy, checked_policy, report
from jaxfit.inference.fits import best_fit
from jaxfit.likelihood import Model, checked_data, parameter_space
from jaxfit.minimization import edm_goal
from jaxfit.regions import ONE_SIGMA, IntervalResults
from jaxfit.results import FitResults
from jaxfit.statuses import Status
from jaxfit.typing import ObservedData

__all__ = ["intervals"]


def intervals(
    model: Model,
    data: ObservedData,
    parameters: str | Sequence[str] | None = None,
    *,
    confidence_level: float = ONE_SIGMA,
    fit_results: FitResults | None = None,
    init_pars: Mapping[str, float] | Sequence[float] | None = None,
    fix_pars: Mapping[str, bool | float] | Sequence[bool] | None = None,
    par_bounds: Mapping[str, tuple[float, float]] | Sequence[tuple[float, float]] | None = None,
    maxiter: int | None = None,
    tolerance: float | None = None,
    solver: str = "newton",
    on_failure: Policy = "warn",
) -> IntervalResults:
    """Find the values at which the profile of -2 log(likelihood) is a quantile above its minimum.

    The profile is minimised over all other parameters; the quantile is that of chi-square with one degree of freedom, 1
    for one standard deviation. Both ends of all parameters are searched at once, in a few batches of fits, until they
    are within 1e-4 of the quantile.

    Args:
        model: a pyhf model with any interpolation codes and modifiers.
        data: the observed events of every channel by name (safe: pyhf sorts channels), or pyhf's list with the
            auxiliary data, as ``cabinetry.model_utils.model_and_data`` returns it.
        parameters: names of parameters, default all that are not fixed.
        confidence_level: between 0 and 1, default that of one standard deviation (68.27 %).
        fit_results: of a fit to start from, default the model's start values.
        init_pars: as for :func:`jaxfit.fit`, as all further arguments.
        fix_pars: see ``init_pars``.
        par_bounds: see ``init_pars``; an interval ends on a bound, and says so.
        maxiter: see ``init_pars``.
        tolerance: see ``init_pars``.
        solver: see ``init_pars``.
        on_failure: see ``init_pars``; an end that was not found counts as a failure.

    Returns:
        The intervals, with how the fits at their ends ended.

    Raises:
        InputError: an unknown or fixed parameter, a confidence level out of range, results of another model, or
            anything :func:`jaxfit.fit` refuses.
        FitError: the best fit did not end in a minimum, or some ends were not found, with ``on_failure="raise"``.

    Warns:
        FitWarning: the same by default.
    """
    checked_policy(on_failure)
    if not 0.0 < confidence_level < 1.0:
        raise InputError(f"confidence_level is {confidence_level}, expected a number between 0 and 1")
    space, observed = parameter_space(model).override(init_pars, fix_pars, par_bounds), checked_data(model, data)
    if fit_results is not None:
        space.check_labels(fit_results.labels)
        start = np.clip(fit_results.bestfit, space.lower, space.upper)
        space = replace(space, start=np.where(space.fixed, space.start, start))
    indices = free_indices(space, parameters)
    options: dict[str, Any] = {"solver": solver, "maxiter": maxiter, "goal": edm_goal(tolerance)}
    best = best_fit(model, observed, space, **options)
    level = NormalDist().inv_cdf(0.5 * (1.0 - confidence_level)) ** 2
    found = crossings(model, observed, space, best, indices, level, **options)

    lower_at_bound, upper_at_bound = found.at_bound.T.tolist()
    remarks = found.remarks(space, indices)
    result = IntervalResults(
        labels=[space.names[i] for i in indices],
        bestfit=best.bestfit[indices],
        uncertainty=best.uncertainty[indices],
        lower=found.ends[:, 0],
        upper=found.ends[:, 1],
        lower_at_bound=tuple(lower_at_bound),
        upper_at_bound=tuple(upper_at_bound),
        confidence_level=confidence_level,
        status=best.status,
        statuses=tuple((Status(int(low)), Status(int(high))) for low, high in found.statuses),
        warnings=(*best.warnings, *remarks),
        engine=best.engine,
    )
    if remarks or not best.converged:
        how = "" if best.converged else f"{best.status.name}: "
        report(how + "; ".join(result.warnings), result, on_failure)
    return result
