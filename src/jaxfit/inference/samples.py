"""Ensembles of toys: drawn from a model or around data, and fitted."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from jaxfit.diagnoses import versions
from jaxfit.ensembles import ToyResults
from jaxfit.errors import InputError
from jaxfit.inference.campaigns import Workers, carry_out
from jaxfit.inference.experiments import Plan
from jaxfit.inference.failures import Policy, checked_policy, report
from jaxfit.likelihood import (
    Auxiliary,
    Model,
    checked_data,
    expected_data,
    model_digest,
    parameter_space,
    parameters_of,
    sampler,
)
from jaxfit.minimization import edm_goal
from jaxfit.parameters import ParameterSpace
from jaxfit.results import FitResults
from jaxfit.statuses import Status
from jaxfit.typing import NumpyArray, ObservedData

__all__ = ["MEMORY", "boxes", "toys", "whole"]

MEMORY = 2.0**27  # bytes


def toys(
    model: Model,
    n: int,
    *,
    pars: FitResults | Mapping[str, float] | Sequence[float] | None = None,
    seed: int = 0,
    first: int = 0,
    aux: Auxiliary = "sampled",
    bootstrap: ObservedData | None = None,
    poi_values: Sequence[float] = (),
    poi_name: str | None = None,
    fix_pars: Mapping[str, bool | float] | Sequence[bool] | None = None,
    par_bounds: Mapping[str, tuple[float, float]] | Sequence[tuple[float, float]] | None = None,
    maxiter: int | None = None,
    tolerance: float | None = None,
    executor: Workers = None,
    checkpoint: str | os.PathLike[str] | None = None,
    max_memory: float = MEMORY,
    progress: bool | None = None,
    on_failure: Policy = "warn",
) -> ToyResults:
    """Draw toys from a model and fit them.

    Toy i depends on the seed and on i only, not on chunks, devices or workers. Fits start at the parameters that the
    toys are drawn from. Where pyhf's likelihood has its minimum at a negative yield in a bin without events, the fit
    ends at the edge of positive yields instead, as OK_AT_BOUND.

    Args:
        model: a pyhf model with any interpolation codes and modifiers.
        n: number of toys.
        pars: the parameters that the toys are drawn from, as for :func:`jaxfit.asimov`; default nominal.
        seed: of the random numbers, an integer of at least 0.
        first: number of the first toy, to share an ensemble between machines.
        aux: "sampled": the auxiliary data of each toy are drawn, too, as in pyhf; "nominal": they are the model's.
        bootstrap: observed data, as for :func:`jaxfit.fit`, around which to draw the toys instead: Poisson numbers with
            the observed ones as means, and auxiliary data around the observed ones (unless ``aux`` is "nominal").
        poi_values: values of the parameter of interest at which to make further fits of each toy.
        poi_name: that parameter, default the model's.
        fix_pars: parameters that the fits hold at the value in ``pars``, or at another one (a mapping with numbers).
        par_bounds: as for :func:`jaxfit.fit`.
        maxiter: as for :func:`jaxfit.fit`.
        tolerance: as for :func:`jaxfit.fit`.
        executor: who does it; default threads, one for each core or GPU. An ``Executor`` of ``concurrent.futures``
            form, such as that of a process pool or of ``dask.distributed``; or a function that makes one, which is
            called again when a process pool breaks because a worker died.
        checkpoint: a folder in which finished chunks are kept. The same call goes on where it was stopped, also with
            more toys; chunks that other machines made can be put into it.
        max_memory: bytes that the arrays of a chunk of toys may take, roughly; results come on top.
        progress: whether to show a progress bar; default in a terminal.
        on_failure: as for :func:`jaxfit.fit`. Toys that fail stay, with their status.

    Returns:
        Estimates, uncertainties and statuses of all toys. After an interrupt from the keyboard, those that are left are
        NOT_RUN.

    Raises:
        InputError: settings that do not fit the model, a negative yield at ``pars``, or a checkpoint of other toys.
        JaxfitError: a chunk of toys failed three times, for example because its workers died.
        FitError: fits failed, with ``on_failure="raise"``.

    Warns:
        FitWarning: the same by default, with their number.
    """
    checked_policy(on_failure)
    count, start, key = whole("n", n, 1), whole("first", first, 0), whole("seed", seed, 0)
    truth = parameters_of(model, pars=pars)
    space = parameter_space(model).override(truth.tolist(), fix_pars, par_bounds)
    expected, nominal = expected_data(model, truth), np.asarray(model.config.auxdata)
    if bootstrap is not None:
        expected = checked_data(model, bootstrap)
        nominal = expected[model.config.nmaindata :]
    index = space.poi_index(poi_name) if len(poi_values) or poi_name is not None else None
    values = np.array(poi_values, dtype=float)
    if values.ndim != 1 or not np.isfinite(values).all():
        raise InputError("poi_values must be finite numbers, in a list")
    if not max_memory > 0:
        raise InputError(f"max_memory is {max_memory!r}, expected a number of bytes")
    plan = Plan(
        model=model,
        sampler=sampler(
            model, expected, aux, nominal if bootstrap is None else expected[len(expected) - len(nominal) :]
        ),
        seed=key,
        **boxes(space, index, values),
        kept=np.ones(len(space.names), dtype=bool),
        widths=True,
        options={"maxiter": maxiter, "goal": edm_goal(tolerance)},
    )
    found = carry_out(
        plan, start, count, executor=executor, checkpoint=checkpoint, max_memory=max_memory, progress=progress
    )
    result = ToyResults(
        labels=list(space.names),
        truth=truth,
        bestfit=found.pars,
        uncertainty=found.sigma,
        best_twice_nll=2.0 * found.nll[:, 0],
        edm=found.edm,
        iterations=found.iterations,
        status=found.status[:, 0],
        poi="" if index is None else space.names[index],
        poi_values=values,
        poi_twice_nll=2.0 * found.nll[:, 1:],
        poi_status=found.status[:, 1:],
        seed=key,
        aux=aux,
        bootstrap=bootstrap is not None,
        model_digest=model_digest(model),
        versions=versions(),
    )
    if not result.converged:
        report(_failures(result), result, on_failure)
    return result


def boxes(space: ParameterSpace, index: int | NumpyArray | None, values: NumpyArray) -> dict[str, NumpyArray]:
    """Start points and bounds of the best fit and of fits with parameters held: one value a fit, or one row of them."""
    lower, upper = (np.repeat(bound[None], 1 + len(values), axis=0) for bound in space.box())
    start = np.clip(np.repeat(space.start[None], 1 + len(values), axis=0), lower, upper)
    if index is not None:
        start[1:, index] = lower[1:, index] = upper[1:, index] = values
    return {"start": start, "lower": lower, "upper": upper}


def whole(argument: str, value: Any, least: int) -> int:
    """Check a whole number."""
    if not isinstance(value, (int, np.integer)) or isinstance(value, bool) or value < least:
        raise InputError(f"{argument} is {value!r}, expected a whole number of at least {least}")
    return int(value)


def _failures(result: ToyResults) -> str:
    """How many fits did not converge, and how they ended."""
    texts = []
    for what, statuses in (("best fits", result.status), (f"fits with {result.poi} held", result.poi_status.ravel())):
        values, numbers = np.unique(statuses[statuses > Status.OK_AT_BOUND], return_counts=True)
        if values.size:
            listed = ", ".join(f"{k} {Status(int(value)).name}" for value, k in zip(values, numbers, strict=True))
            texts.append(f"{numbers.sum()} of {statuses.size} {what} did not converge: {listed}")
    return "; ".join(texts)
