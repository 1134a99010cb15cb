"""Goodness of fit with the saturated model, by the chi-square distribution or by toys."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np

from jaxfit.inference.campaigns import Workers
from jaxfit.inference.distributions import fraction
from jaxfit.inference.failures import Policy, checked_policy, report
from jaxfit.inference.rescues import solve
from jaxfit.inference.trials import Ensemble, Label, Trials, checked_calctype
from jaxfit.lanes import LARGEST
from jaxfit.likelihood import Model, checked_data, draw, parameter_space, saturated_nll, unconstrained_count
from jaxfit.minimization import Problems, edm_goal
from jaxfit.statuses import Status
from jaxfit.typing import NumpyArray, ObservedData
from jaxfit.verdicts import GoodnessOfFitResults

__all__ = ["degrees_of_freedom", "goodness_of_fit", "saturated_p_value"]


def goodness_of_fit(
    model: Model,
    data: ObservedData,
    *,
    calctype: str = "asymptotics",
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
) -> GoodnessOfFitResults:
    """How well a model describes data: -2 log(likelihood) of the best fit above that of the saturated model.

    The p-value is that of a chi-square distribution with as many degrees of freedom as there are more bins than
    unconstrained parameters (as in ``cabinetry.fit``), or the fraction of toys with at least this statistic. Toys are
    drawn at the best fit and fitted as the data are; auxiliary data of fixed parameters are those of the data.

    Args:
        model: a pyhf model with any interpolation codes and modifiers.
        data: the observed events of every channel by name (safe: pyhf sorts channels), or pyhf's list with the
            auxiliary data, as ``cabinetry.model_utils.model_and_data`` returns it.
        calctype: "asymptotics" or "toybased".
        ntoys: number of toys.
        seed: of the random numbers, an integer of at least 0.
        init_pars: as for :func:`jaxfit.fit`, as further arguments.
        fix_pars: see ``init_pars``.
        par_bounds: see ``init_pars``.
        maxiter: see ``init_pars``.
        tolerance: see ``init_pars``.
        executor: who fits the toys, as for :func:`jaxfit.toys`.
        checkpoint: a folder in which finished toys are kept; the same call goes on where it was stopped.
        progress: whether to show a progress bar of the toys; default in a terminal.
        on_failure: see ``init_pars``; fits to the data and to toys count alike.
        accept: statuses of fits, besides OK and OK_AT_BOUND, that count.

    Returns:
        Statistic and p-value; NaN if the fit to the data failed, or without degrees of freedom.

    Raises:
        InputError: an unknown ``calctype``, numbers out of range, or anything :func:`jaxfit.fit` refuses.
        FitError: a fit did not converge, with ``on_failure="raise"``.

    Warns:
        FitWarning: the same by default.
    """
    checked_policy(on_failure)
    space, observed = parameter_space(model).override(init_pars, fix_pars, par_bounds), checked_data(model, data)
    options: dict[str, Any] = {"maxiter": maxiter, "goal": edm_goal(tolerance)}
    toybased, none = checked_calctype(calctype), np.zeros(0, dtype=int)
    trials = Trials(model, space, none, ntoys, seed, accept, executor, checkpoint, progress, options)
    lower, upper = space.box()
    problem = Problems(observed[None], space.start[None], lower[None], upper[None])
    best = solve(model, problem, positive_yields=toybased, **options)
    status = Status(int(best.status[0]))
    usable = status.converged or status in accept
    statistic = float(2.0 * (best.nll[0] - saturated_nll(model, observed[None])[0])) if usable else float("nan")

    p_value, error, used = float("nan"), 0.0, 0
    if usable and toybased:
        toys = trials.run(best.pars[0], np.zeros((0, 0)), Label.BEST_FIT, observed=observed)
        samples = toys.twice_nll - 2.0 * _saturated(model, toys, trials.ntoys)
        samples = samples[np.isfinite(samples)]
        (p_value, error), used = fraction(samples, statistic), samples.size
    elif usable:
        p_value = saturated_p_value(model, observed, 2.0 * float(best.nll[0]))
    notes = [] if usable else [f"the fit failed ({status.name}): {status.message}"]
    result = GoodnessOfFitResults(
        statistic=statistic,
        degrees=degrees_of_freedom(model),
        p_value=p_value,
        p_value_error=error,
        calctype=calctype,
        ntoys=trials.ntoys if toybased else 0,
        ntoys_used=used,
        left_out=trials.left_out,
        status=status,
        rescues=best.rescues[0],
        warnings=(*notes, *trials.remarks),
    )
    if result.warnings:
        report("; ".join(result.warnings), result, on_failure)
    return result


def saturated_p_value(model: Model, data: NumpyArray, best_twice_nll: float) -> float:
    """p-value of 2 NLL above the saturated model's, as ``cabinetry.fit`` defines it (arXiv:1007.1727 for chi-square).

    NaN if there are no degrees of freedom (bins minus unconstrained parameters).
    """
    degrees = degrees_of_freedom(model)
    if degrees <= 0:
        return float(np.nan)
    with jax.enable_x64(True):
        excess = best_twice_nll - 2.0 * saturated_nll(model, data[None])[0]
        return float(jax.scipy.stats.chi2.sf(excess, degrees))


def degrees_of_freedom(model: Model) -> int:
    """Bins minus unconstrained parameters; none or negative if the model can describe anything."""
    return int(model.config.nmaindata) - unconstrained_count(model)


def _saturated(model: Model, toys: Ensemble, number: int) -> NumpyArray:
    """NLL of the saturated model for every toy, which is drawn again."""
    firsts = range(0, number, LARGEST)
    chunks = (draw(toys.sampler, toys.seed, first, min(LARGEST, number - first)) for first in firsts)
    return np.concatenate([saturated_nll(model, chunk) for chunk in chunks])
