"""Significance of a signal."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from scipy.special import ndtri

from jaxfit.inference.asymptotics import p_values
from jaxfit.inference.campaigns import Workers
from jaxfit.inference.distributions import exact_tails, toy_tails
from jaxfit.inference.failures import Policy, checked_policy, report
from jaxfit.inference.ratios import Ratios
from jaxfit.inference.trials import Trials, checked_calctype
from jaxfit.likelihood import Model, checked_data, parameter_space
from jaxfit.minimization import edm_goal
from jaxfit.statuses import Status
from jaxfit.typing import NumpyArray, ObservedData
from jaxfit.verdicts import SignificanceResults

__all__ = ["significance"]


def significance(
    model: Model,
    data: ObservedData,
    *,
    calctype: str = "asymptotics",
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
) -> SignificanceResults:
    """Observed and expected significance of a positive signal, with the signature of ``cabinetry.fit.significance``.

    The test statistic q0 and asymptotic formulae (arXiv:1007.1727); expected for a parameter of interest of 1.

    By toys, as :func:`jaxfit.hypotest`: the p-value is the fraction of the background's toys that look at least as much
    like a signal as the data, the expected one the median of toys with a parameter of interest of 1. A significance is
    the quantile of the normal distribution that belongs to the p-value, at least 0.

    Args:
        model: a pyhf model with any interpolation codes and modifiers.
        data: the observed events of every channel by name (safe: pyhf sorts channels), or pyhf's list with the
            auxiliary data, as ``cabinetry.model_utils.model_and_data`` returns it.
        calctype: "asymptotics" or "toybased".
        ntoys: toys of each hypothesis.
        seed: of the random numbers, as for :func:`jaxfit.hypotest`.
        poi_name: the parameter of interest, default the model's.
        init_pars: as for :func:`jaxfit.fit`, as all further arguments.
        fix_pars: see ``init_pars``.
        par_bounds: see ``init_pars``.
        strategy: accepted for cabinetry's sake, without meaning here.
        maxiter: see ``init_pars``.
        tolerance: see ``init_pars``.
        executor: who fits the toys, as for :func:`jaxfit.toys`.
        checkpoint: a folder in which finished toys are kept; the same call goes on where it was stopped.
        progress: whether to show progress bars of the toys; default in a terminal.
        on_failure: see ``init_pars``; all fits count alike.
        accept: as for :func:`jaxfit.hypotest`.

    Returns:
        p-values and significances, with statistical errors if by toys; NaN where a fit did not converge.

    Raises:
        InputError: no parameter of interest, or a fixed one, or anything :func:`jaxfit.fit` refuses.
        FitError: a fit did not converge, with ``on_failure="raise"``.

    Warns:
        FitWarning: the same by default.
    """
    checked_policy(on_failure)
    space, observed = parameter_space(model).override(init_pars, fix_pars, par_bounds), checked_data(model, data)
    index = space.poi_index(poi_name)
    options: dict[str, Any] = {"maxiter": maxiter, "goal": edm_goal(tolerance)}
    trials = None
    if checked_calctype(calctype):
        trials = Trials(model, space, np.array([index]), ntoys, seed, accept, executor, checkpoint, progress, options)
    ratios = Ratios(model, observed, space, index, 1.0, accept, positive_yields=bool(trials), **options)
    ratios.add(np.zeros(1))
    statistic, asimov = ratios.statistics("q0")
    tails = toy_tails(ratios, trials, "q0", np.zeros(1)) if trials else exact_tails(*p_values("q0", statistic, asimov))
    notes = [*ratios.remarks("q0"), *(trials.remarks if trials else ())]
    p = np.array([tails.observed.CLsb[0], tails.expected.CLsb[0, 2]])
    error = np.array([tails.observed_error.CLsb[0], tails.expected_error.CLsb[0, 2]])
    significances, spread = np.sqrt([statistic[0], asimov[0]]), np.zeros(2)
    if trials:
        significances = np.where(np.isnan(p), np.nan, np.maximum(-ndtri(p), 0.0))
        density = np.exp(-0.5 * significances**2) / np.sqrt(2.0 * np.pi)
        spread = np.divide(error, density, out=np.full(2, np.inf), where=~(p == 0))
        notes += _too_few(p, trials)
    result = SignificanceResults(
        observed_p_value=float(p[0]),
        observed_significance=float(significances[0]),
        expected_p_value=float(p[1]),
        expected_significance=float(significances[1]),
        name=space.names[index],
        bestfit=ratios.bestfit,
        status=ratios.statuses[0],
        rescues=ratios.rescues,
        warnings=tuple(notes),
        calctype=calctype,
        ntoys=trials.ntoys if trials else 0,
        left_out=trials.left_out if trials else {},
        observed_p_value_error=float(error[0]),
        observed_significance_error=float(spread[0]),
        expected_p_value_error=float(error[1]),
        expected_significance_error=float(spread[1]),
    )
    if notes:
        report("; ".join(notes), result, on_failure)
    return result


def _too_few(p_values: NumpyArray, trials: Trials) -> list[str]:
    """A p-value of 0 only says that there are too few toys."""
    which = [name for name, p in zip(("observed", "expected"), p_values, strict=True) if p == 0]
    if not which:
        return []
    names = f"{' and '.join(which)} p-value{'s are' if len(which) > 1 else ' is'}"
    return [f"the {names} below what {trials.ntoys} toys can tell, about {3.0 / trials.ntoys:.1g}: raise ntoys"]
