"""The maximum likelihood fit."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np

from jaxfit.diagnoses import Diagnosis, device, versions
from jaxfit.inference.crossings import crossings, free_indices
from jaxfit.inference.explorations import doubts, explore, explore_doubts, several_minima
from jaxfit.inference.failures import Policy, checked_policy, report
from jaxfit.inference.goodness import saturated_p_value
from jaxfit.inference.rescues import rescue
from jaxfit.inference.rungs import FAILED, SEED
from jaxfit.inference.uncertainties import FLAT, SETTLED, Uncertainties, uncertainties
from jaxfit.inference.verifications import verified
from jaxfit.likelihood import (
    Model,
    bin_name,
    checked_data,
    kinked,
    likelihood_of,
    model_digest,
    parameter_space,
    review,
)
from jaxfit.minimization import Minima, Problems, edm_goal, minimize
from jaxfit.parameters import ParameterSpace
from jaxfit.results import FitResults
from jaxfit.statuses import Status
from jaxfit.typing import NumpyArray, ObservedData

__all__ = ["best_fit", "fit"]

# EDM from which one more Newton step leads to the goal as a rule: the Hessian at its end, needed for the uncertainties
# anyway, tells the EDM there, which saves the iteration that would
_LAST_STEP = 2e-4


def fit(
    model: Model,
    data: ObservedData,
    *,
    minos: str | Sequence[str] | None = None,
    goodness_of_fit: bool = False,
    init_pars: Mapping[str, float] | Sequence[float] | None = None,
    fix_pars: Mapping[str, bool | float] | Sequence[bool] | None = None,
    par_bounds: Mapping[str, tuple[float, float]] | Sequence[tuple[float, float]] | None = None,
    strategy: Literal[0, 1, 2] | None = None,
    maxiter: int | None = None,
    tolerance: float | None = None,
    custom_fit: bool = False,
    solver: str = "newton",
    on_failure: Policy = "warn",
    verify: bool = False,
) -> FitResults:
    """Fit a model to data, with the signature of ``cabinetry.fit.fit``.

    Args:
        model: a pyhf model with any interpolation codes and modifiers.
        data: the observed events of every channel by name (safe: pyhf sorts channels), or pyhf's list with the
            auxiliary data, as ``cabinetry.model_utils.model_and_data`` returns it.
        minos: names of parameters whose uncertainties to find from profile likelihoods, too (one standard deviation;
            :func:`jaxfit.intervals` has other confidence levels).
        goodness_of_fit: also find the p-value of the saturated model.
        init_pars: start values, as a mapping by parameter name or a list over all parameters; default the model's.
        fix_pars: which parameters to hold at their start value; in a mapping a number is the value to hold it at.
        par_bounds: bounds as (low, high); default the model's.
        strategy: accepted for cabinetry's sake, without meaning here (derivatives are always exact).
        maxiter: most iterations; default 100 (for jaxopt's first-order solvers several thousand).
        tolerance: the fit ends at EDM < 0.002 * tolerance as in MINUIT; default an EDM of 1e-8.
        custom_fit: accepted for cabinetry's sake, without meaning here.
        solver: "newton", which is rescued by further attempts if it fails, or without that one of jaxopt's ("lbfgsb",
            "bfgs", "projected_gradient", "scipy") or "minuit".
        on_failure: what to do if the fit does not end in a minimum: "raise" FitError, "warn", or "ignore".
        verify: check the result independently, see ``diagnosis.verification``; takes longer than the fit.

    Returns:
        The best fit, uncertainties from the Hessian over all parameters, and how the fit ended.

    Raises:
        InputError: data or settings that do not fit the model; the text names the place.
        FitError: the fit did not end in a minimum, or ``minos`` was not found, with ``on_failure="raise"``.

    Warns:
        FitWarning: the same by default; ``status`` of the result says it too.
    """
    checked_policy(on_failure)
    space, observed = parameter_space(model).override(init_pars, fix_pars, par_bounds), checked_data(model, data)
    indices = free_indices(space, [] if minos is None else minos)
    options: dict[str, Any] = {"solver": solver, "maxiter": maxiter, "goal": edm_goal(tolerance)}
    result = best_fit(model, observed, space, **options)
    if goodness_of_fit:
        result = replace(result, goodness_of_fit=saturated_p_value(model, observed, result.best_twice_nll))
    if verify:
        result = verified(model, observed, space, result)
    remarks: list[str] = []
    if indices.size:
        found = crossings(model, observed, space, result, indices, 1.0, **options)
        remarks = found.remarks(space, indices)
        distances = (found.ends - result.bestfit[indices, None]).tolist()
        result = replace(
            result,
            minos_uncertainty={space.names[i]: (down, up) for i, (down, up) in zip(indices, distances, strict=True)},
            diagnosis=replace(result.diagnosis, warnings=(*result.warnings, *remarks)),
        )
    if remarks or not result.converged:
        how = "" if result.converged else f"{result.status.name}: "
        report(how + "; ".join(result.warnings), result, on_failure)
    return result


def best_fit(
    model: Model, data: NumpyArray, space: ParameterSpace, *, solver: str, maxiter: int | None, goal: float
) -> FitResults:
    """The fit itself, for checked data and settings; does not warn."""
    likelihood = likelihood_of(model)
    lower, upper = space.box()
    problem = Problems(data[None], space.start[None], lower[None], upper[None])
    first_goal = max(goal, _LAST_STEP) if solver == "newton" else goal
    minima = minimize(likelihood, problem, solver=solver, maxiter=maxiter, goal=first_goal)
    iterations = int(minima.iterations[0])
    around = uncertainties(likelihood, space, minima.pars[0], data, Status(int(minima.status[0])))
    if first_goal > goal and not around.edm <= goal and around.status not in FAILED:
        minima = minimize(likelihood, problem._replace(start=minima.pars), solver=solver, maxiter=maxiter, goal=goal)
        iterations += int(minima.iterations[0])
        around = uncertainties(likelihood, space, minima.pars[0], data, Status(int(minima.status[0])))

    climbs, doubted = around.status in FAILED, doubts(model, data, minima.pars[0], around)
    rescues: tuple[str, ...] = ()
    if climbs or doubted or several_minima(model):
        first = minima._replace(status=np.array([around.status if climbs else minima.status[0]]))
        options: dict[str, Any] = {"solver": solver, "maxiter": maxiter, "goal": goal}
        solved = explore(model, problem, rescue(model, problem, first, **options), **options)
        if doubted and not climbs:
            solved = explore_doubts(model, problem, solved, around, doubted, **options)
        rescues, iterations = solved.rescues[0], iterations + int(solved.iterations[0] - minima.iterations[0])
        if solved.status[0] != first.status[0] or not np.array_equal(solved.pars, minima.pars):
            minima = solved.minima
            around = uncertainties(likelihood, space, minima.pars[0], data, Status(int(minima.status[0])))

    if not around.settled and around.status not in FAILED:
        start = problem._replace(start=minima.pars)
        finest = minimize(likelihood, start, maxiter=maxiter, goal=min(goal, SETTLED / FLAT))
        iterations += int(finest.iterations[0])
        closer = uncertainties(likelihood, space, finest.pars[0], data, Status(int(finest.status[0])))
        if closer.settled or not closer.status.converged:
            minima, around = finest, closer
        elif around.status.converged:
            around = around._replace(status=Status.STALLED)

    told = [f"the first attempt failed ({Status(int(first.status[0])).name}), then {rescues[-1]}"] if rescues else []
    return FitResults(
        bestfit=minima.pars[0],
        uncertainty=around.sigma,
        labels=list(space.names),
        corr_mat=around.correlation,
        best_twice_nll=2.0 * around.nll,
        diagnosis=diagnosis_of(
            model, data, space, minima, around,
            edm_goal=goal, solver=solver, iterations=iterations + 1, rescues=rescues, warnings=told,
        ),
    )  # fmt: skip


def diagnosis_of(
    model: Model,
    data: NumpyArray,
    space: ParameterSpace,
    minima: Minima[NumpyArray],
    around: Uncertainties,
    *,
    warnings: list[str],
    **known: Any,
) -> Diagnosis:
    """All that is known about the fit of one lane; ``known`` are further attributes of the diagnosis."""
    (lower, upper), pars, likelihood = space.box(), minima.pars[0], likelihood_of(model)
    notes = [*around.warnings, *_remarks(model, pars, around.expected), *review(model).findings.messages]
    lowest = int(np.argmin(around.expected))
    return Diagnosis(
        status=around.status,
        edm=around.edm if around.edm <= known["edm_goal"] else float(minima.edm[0]),
        projected_gradient=around.gradient,
        fixed=space.named(lower >= upper),
        at_bound=space.named((lower < upper) & ((pars <= lower) | (pars >= upper))),
        flat=around.flat,
        eigenvalues=around.eigenvalues,
        lowest_yield=float(around.expected[lowest]),
        lowest_bin=bin_name(model, lowest),
        warnings=(*(() if around.status.converged else (around.status.message,)), *warnings, *notes),
        engine=likelihood.engine,
        device=device(),
        versions=versions(),
        model_digest=model_digest(model),
        data_digest=hashlib.sha256(data.tobytes()).hexdigest(),
        seed=SEED,
        **known,
    )


def _remarks(model: Model, pars: NumpyArray, expected: NumpyArray) -> list[str]:
    """What a user should know of the best-fit point, beyond its status."""
    remarks = [
        f"negative yield {expected[index]:.4g} expected in {bin_name(model, int(index))}"
        for index in np.flatnonzero(expected < 0)
    ]
    stuck = [model.config.par_names[i] for i in np.flatnonzero(kinked(model)) if pars[i] == 0]
    if stuck:
        remarks.append(f"at the kink of their interpolation, where the Hessian is one-sided: {', '.join(stuck)}")
    return remarks
