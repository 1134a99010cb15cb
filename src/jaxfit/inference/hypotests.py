"""Hypothesis tests of a parameter of interest with profile likelihood ratios."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

import numpy as np

from jaxfit.errors import InputError, suggest
from jaxfit.inference.asymptotics import STATISTICS, p_values
from jaxfit.inference.campaigns import Workers
from jaxfit.inference.distributions import exact_tails, toy_tails
from jaxfit.inference.failures import Policy, checked_policy, report
from jaxfit.inference.ratios import Ratios
from jaxfit.inference.trials import Trials, checked_calctype
from jaxfit.likelihood import Model, checked_data, parameter_space
from jaxfit.minimization import edm_goal
from jaxfit.statuses import Status
from jaxfit.typing import NumpyArray, ObservedData
from jaxfit.verdicts import HypotestResults

__all__ = ["hypotest"]


def hypotest(
    poi_test: float | Sequence[float],
    data: ObservedData,
    pdf: Model,
    init_pars: Mapping[str, float] | Sequence[float] | None = None,
    par_bounds: Mapping[str, tuple[float, float]] | Sequence[tuple[float, float]] | None = None,
    fixed_params: Mapping[str, bool | float] | Sequence[bool] | None = None,
    calctype: str = "asymptotics",
    *,
    test_stat: str = "qtilde",
    calc_base_dist: str = "normal",
    ntoys: int = 2000,
    seed: int = 0,
    poi_name: str | None = None,
    maxiter: int | None = None,
    tolerance: float | None = None,
    executor: Workers = None,
    checkpoint: str | os.PathLike[str] | None = None,
    progress: bool | None = None,
    on_failure: Policy = "warn",
    accept: Sequence[Status] = (),
) -> HypotestResults:
    """Test values of a parameter of interest, with the conventions of ``pyhf.infer.hypotest``.

    Asymptotic formulae (arXiv:1007.1727); N values take 2 N + 3 fits, the 2 N of them as one batch. The Asimov data are
    those of the fit with the parameter at 0 (at 1 for "q0"), auxiliary data included.

    By toys (as ``pyhf.infer.calculators.ToyCalculator``): ``ntoys`` are drawn at the parameters of this fit, and as
    many at those of the fit at every tested value, auxiliary data included; N values take (3 N + 1) ``ntoys`` fits. A
    p-value is the fraction of toys whose statistic is at least the observed one; toys with fits that failed are left
    out. Statistical errors of all of them are in the result. Where pyhf's likelihood has its minimum at a negative
    yield in a bin without events, fits end at the edge of positive yields, as in :func:`jaxfit.toys`.

    Args:
        poi_test: one value or several; 0 for "q0".
        data: the observed events of every channel by name (safe: pyhf sorts channels), or pyhf's list with the
            auxiliary data, as ``cabinetry.model_utils.model_and_data`` returns it.
        pdf: a pyhf model with any interpolation codes and modifiers.
        init_pars: as for :func:`jaxfit.fit`.
        par_bounds: as for :func:`jaxfit.fit`; tested values may be outside of them.
        fixed_params: as ``fix_pars`` of :func:`jaxfit.fit`.
        calctype: "asymptotics" or "toybased".
        test_stat: "qtilde" or "q" for upper limits, "q0" for a discovery, "ttilde" or "t" for two-sided intervals;
            those with a tilde are for a parameter with a lower bound of 0, as pyhf's models have it.
        calc_base_dist: "normal", or "clipped_normal" to hold the expected estimates below the tested value (not
            with toys).
        ntoys: toys of each hypothesis.
        seed: of the random numbers, an integer of at least 0. The toys of a tested value depend on it and on the value
            only, those of the Asimov data's hypothesis are the same for all values.
        poi_name: the parameter of interest, default the model's.
        maxiter: as for :func:`jaxfit.fit`.
        tolerance: as for :func:`jaxfit.fit`.
        executor: who fits the toys, as for :func:`jaxfit.toys`.
        checkpoint: a folder in which finished toys are kept; the same call goes on where it was stopped.
        progress: whether to show progress bars of the toys; default in a terminal.
        on_failure: as for :func:`jaxfit.fit`; all fits count alike.
        accept: statuses of fits, besides OK and OK_AT_BOUND, that may enter a test statistic, such as MULTIPLE_MINIMA.

    Returns:
        Test statistic, p-values and CLs, observed and expected; NaN where a fit did not converge.

    Raises:
        InputError: no parameter of interest, or a fixed one; an unknown statistic; values that are not finite, or
            anything :func:`jaxfit.fit` refuses.
        FitError: a fit did not converge, or the bounds do not fit the test statistic, with ``on_failure="raise"``.

    Warns:
        FitWarning: the same by default.
    """
    checked_policy(on_failure)
    space, observed = parameter_space(pdf).override(init_pars, fixed_params, par_bounds), checked_data(pdf, data)
    index, options = space.poi_index(poi_name), {"maxiter": maxiter, "goal": edm_goal(tolerance)}
    values = _values(poi_test, test_stat)
    trials = None
    if checked_calctype(calctype):
        if calc_base_dist != "normal":
            raise InputError(f"calc_base_dist is {calc_base_dist!r}, which is for asymptotic formulae: leave it out")
        held = np.array([index])
        trials = Trials(pdf, space, held, ntoys, seed, accept, executor, checkpoint, progress, options)
    asimov_poi = 1.0 if test_stat == "q0" else 0.0
    ratios = Ratios(pdf, observed, space, index, asimov_poi, accept, positive_yields=bool(trials), **options)
    ratios.add(values.ravel())
    statistic, asimov = (found.reshape(values.shape) for found in ratios.statistics(test_stat))
    if trials:
        tails = toy_tails(ratios, trials, test_stat, values.ravel())
    else:
        tails = exact_tails(*p_values(test_stat, statistic.ravel(), asimov.ravel(), calc_base_dist))

    notes = ratios.remarks(test_stat)
    if trials:
        notes += [*trials.remarks, *tails.remarks(space.names[index], values.ravel())]
    result = HypotestResults(
        name=space.names[index],
        poi_values=values,
        bestfit=ratios.bestfit,
        test_stat=test_stat,
        statistic=statistic[()],
        statistic_asimov=asimov[()],
        **tails.attributes(values.shape),
        statuses=ratios.statuses,
        rescues=ratios.rescues,
        warnings=tuple(notes),
        calctype=calctype,
        ntoys=trials.ntoys if trials else 0,
        left_out=trials.left_out if trials else {},
    )
    if notes:
        report("; ".join(notes), result, on_failure)
    return result


def _values(poi_test: float | Sequence[float], test_stat: str) -> NumpyArray:
    if test_stat not in STATISTICS:
        raise InputError(suggest("test_stat", test_stat, STATISTICS))
    try:
        values = np.asarray(poi_test, dtype=float)
    except (TypeError, ValueError):
        raise InputError(f"poi_test is {poi_test!r}, expected a number or a list of numbers") from None
    if values.ndim > 1 or not values.size or not np.isfinite(values).all():
        raise InputError("poi_test must be a finite number, or a list of finite numbers, at least one")
    if test_stat == "q0" and values.any():
        raise InputError("q0 tests the absence of a signal: poi_test must be 0")
    return values
