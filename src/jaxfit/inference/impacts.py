"""Impacts on a parameter of interest from the covariance: no refits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Literal

import numpy as np

from jaxfit.breakdowns import ImpactResults
from jaxfit.curvatures import covariance_columns
from jaxfit.errors import InputError, suggest
from jaxfit.inference.failures import Policy, checked_policy, report
from jaxfit.inference.rankings import nominal_fit
from jaxfit.likelihood import (
    Model,
    checked_data,
    constraint_curvatures,
    likelihood_of,
    modifier_types,
    parameter_space,
    prefit_widths,
)
from jaxfit.minimization import edm_goal
from jaxfit.results import FitResults
from jaxfit.statuses import Status
from jaxfit.typing import NumpyArray, ObservedData

__all__ = ["STATISTICAL", "impacts"]

STATISTICAL = "statistical"
_GROUP_OF_TYPE = {"staterror": "MC statistical", "shapesys": "MC statistical", "normfactor": "normalisation"}


def impacts(
    model: Model,
    data: ObservedData,
    *,
    groups: Mapping[str, str | Sequence[str]] | Sequence[str] | None = None,
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
) -> ImpactResults:
    """Post-fit, pre-fit and global impacts of all parameters from the covariance, and of groups of them.

    The definitions are those of :class:`jaxfit.ImpactResults`; global impacts are those of arXiv:2307.04007.

    Args:
        model: a pyhf model with any interpolation codes and modifiers.
        data: the observed events of every channel by name (safe: pyhf sorts channels), or pyhf's list with the
            auxiliary data, as ``cabinetry.model_utils.model_and_data`` returns it.
        groups: the parameters of a group by its name, as names or patterns (``"jes_*"``); or only patterns, which are
            then the names, too. What is in no group is grouped as by default: "MC statistical" (staterror and
            shapesys), "normalisation" (normfactor), and by modifier type.
        fit_results: of the same model, data and settings, from :func:`jaxfit.fit` or cabinetry; default a new fit.
        poi_name: the parameter of interest, default the model's.
        init_pars: as for :func:`jaxfit.fit`, as all further arguments.
        fix_pars: see ``init_pars``.
        par_bounds: see ``init_pars``.
        strategy: accepted for cabinetry's sake, without meaning here.
        maxiter: see ``init_pars``.
        tolerance: see ``init_pars``.
        custom_fit: accepted for cabinetry's sake, without meaning here.
        on_failure: see ``init_pars``.

    Returns:
        Impacts of all parameters but the parameter of interest, and the parts of its uncertainty.

    Raises:
        InputError: no parameter of interest, or a fixed one; fit results of another model; a group without a parameter,
            a parameter in two groups, or anything :func:`jaxfit.fit` refuses.
        FitError: the fit did not end in a minimum, or there is no covariance, with ``on_failure="raise"``.

    Warns:
        FitWarning: the same by default.
    """
    checked_policy(on_failure)
    space, observed = parameter_space(model).override(init_pars, fix_pars, par_bounds), checked_data(model, data)
    index, likelihood = space.poi_index(poi_name), likelihood_of(model)
    members = _members(space.names, index, modifier_types(model), groups)
    best, notes = nominal_fit(model, observed, space, fit_results, maxiter=maxiter, goal=edm_goal(tolerance))

    # the covariance of the parameter of interest with all others: once with everything free, once with every group
    # held, and once with everything held that has an auxiliary measurement
    free = np.isfinite(best.uncertainty) & (best.uncertainty > 0)
    free[index] = True
    curvatures = constraint_curvatures(model, observed, best.bestfit)
    held = np.array([np.zeros_like(free), *members.values(), curvatures > 0])
    held[:, index] = False
    columns, positive = covariance_columns(likelihood, best.bestfit, observed, index, free & ~held)
    positive &= np.isfinite(best.uncertainty[index])
    variances = np.where(positive, columns[:, index], np.nan)
    column = np.where(np.isnan(best.uncertainty) | ~positive[0], np.nan, columns[0])
    if not positive[0]:
        notes.append(f"no impacts, as {space.names[index]} has no uncertainty")

    prefit, postfit = prefit_widths(model), np.where(best.uncertainty > 0, best.uncertainty, np.inf)
    shifts = column * np.sqrt(curvatures)
    squares = np.where(np.isnan(best.uncertainty) & positive[0], 0.0, shifts**2)
    statistical = variances[0] - squares.sum()
    if statistical < 0:  # far from Asimov data the curvature of the observed events' terms can be negative
        notes.append(f"the statistical part of the variance is negative: {statistical:.3g}")
        statistical = np.nan
    parts = {name: float(np.sqrt(squares[inside].sum())) for name, inside in members.items()}
    if curvatures[index] > 0:
        parts[f"constraint of {space.names[index]}"] = float(np.abs(shifts[index]))
    conditional = np.sqrt(np.maximum(variances[0] - variances[1:-1], 0.0))
    others = np.delete(np.arange(len(free)), index)
    result = ImpactResults(
        name=space.names[index],
        value=float(best.bestfit[index]),
        sigma=float(np.sqrt(variances[0])),
        labels=[space.names[i] for i in others],
        bestfit=best.bestfit[others],
        uncertainty=best.uncertainty[others],
        prefit=(column * prefit / postfit**2)[others],
        postfit=(column / postfit)[others],
        global_shifts=shifts[others],
        groups={name: tuple(space.names[i] for i in np.flatnonzero(inside)) for name, inside in members.items()},
        global_parts={STATISTICAL: float(np.sqrt(statistical)), **parts},
        conditional_parts={
            STATISTICAL: float(np.sqrt(variances[-1])),
            **dict(zip(members, conditional.tolist(), strict=True)),
        },
        status=best.status if isinstance(best, FitResults) else Status.OK,
        warnings=tuple(notes),
    )
    if notes:
        report("; ".join(notes), result, on_failure)
    return result


def _members(
    names: tuple[str, ...],
    index: int,
    types: tuple[str, ...],
    groups: Mapping[str, str | Sequence[str]] | Sequence[str] | None,
) -> dict[str, NumpyArray]:
    """Which parameters are in a group; every one but the parameter of interest in exactly one."""
    chosen: list[str | None] = [None] * len(names)
    for group, patterns in _patterns(groups).items():
        found = [i for i, name in enumerate(names) if i != index and any(_matches(name, p) for p in patterns)]
        if not found:
            raise InputError(f"group {group!r}: {suggest('parameter or pattern', ', '.join(patterns), names)}")
        for i in found:
            if chosen[i] is not None:
                raise InputError(f"groups: {names[i]!r} is in {chosen[i]!r} and in {group!r}, expected one group")
            chosen[i] = group
    for i, kind in enumerate(types):
        if i != index and chosen[i] is None:
            chosen[i] = _GROUP_OF_TYPE.get(kind, kind)
    return {group: np.array([one == group for one in chosen]) for group in dict.fromkeys(chosen) if group is not None}


def _patterns(groups: Mapping[str, str | Sequence[str]] | Sequence[str] | None) -> dict[str, list[str]]:
    if groups is None:
        return {}
    if isinstance(groups, str):
        groups = [groups]
    given = groups if isinstance(groups, Mapping) else {pattern: pattern for pattern in groups}
    if STATISTICAL in given:
        raise InputError(f"groups: {STATISTICAL!r} is the part of the observed events, choose another name")
    return {name: [patterns] if isinstance(patterns, str) else list(patterns) for name, patterns in given.items()}


def _matches(name: str, pattern: str) -> bool:
    """By name, also of all bins (``stat`` for ``stat[0]``), or by pattern; names may contain brackets."""
    return name == pattern or name.rpartition("[")[0] == pattern or fnmatchcase(name, pattern)
