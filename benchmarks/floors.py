"""A fit and a scan of one model beside cabinetry with MINUIT and beside the matrix product that no fit can do without.

Times are the median of several warm calls on this machine; ratios are what travels. MINUIT runs as cabinetry runs it
(numpy backend, float64). A model on which it would take more than the budget is timed in part, and the table says so.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import cabinetry
import jax
import jax.numpy as jnp
import numpy as np
import pyhf

import jaxfit
from benchmarks.timing import clocked, row, timed
from jaxfit import Status
from jaxfit.inference.explorations import doubts, several_minima
from jaxfit.inference.fits import diagnosis_of
from jaxfit.inference.uncertainties import uncertainties
from jaxfit.likelihood import checked_data, likelihood_of, parameter_space
from jaxfit.minimization import Problems, minimize

__all__ = ["report"]


def bare_product(model: pyhf.Model) -> Callable[[], Any]:
    """J.T @ (k*J), J with a row a bin and a column a global parameter: the floor of one Newton iteration."""
    rng = np.random.default_rng(0)
    with jax.enable_x64(True):
        columns = likelihood_of(model).split(jnp.zeros(model.config.npars)).border.size
        jacobian, weights = (
            jnp.asarray(rng.normal(size=(model.config.nmaindata, columns))),
            jnp.ones(model.config.nmaindata),
        )
        product = jax.jit(lambda k, jacobian: jacobian.T @ (k[:, None] * jacobian))

    def run() -> Any:
        with jax.enable_x64(True):
            return jax.block_until_ready(product(weights, jacobian))

    return run


def turns(fit: Callable[[], Any], product: Callable[[], Any], repeat: int = 7) -> tuple[float, float, Any]:
    """Median time of a fit, its median ratio to the product, and its result; in turns, as machines have slow phases."""
    fit()
    pairs = [(timed(fit, 5), timed(product, 15)) for _ in range(repeat)]
    ratios = [own[0] / other[0] for own, other in pairs]
    return float(np.median([own[0] for own, _ in pairs])), float(np.median(ratios)), pairs[0][0][1]


def minuit_fit(model: pyhf.Model, data: list[float], budget: float) -> tuple[float, Any, str]:
    """Seconds of ``cabinetry.fit.fit``, its result, a remark; above the budget an estimate from part of the work."""
    parameters = np.array(model.config.suggested_init())
    one = timed(lambda: model.logpdf(parameters, data), 5)[0]
    # HESSE alone differentiates numerically by every pair of free parameters
    calls = (~np.array(model.config.suggested_fixed())).sum() ** 2 / 2
    if one * calls > budget:
        return one * calls, None, f"not run: HESSE alone needs {calls:.0f} calls of {1e3 * one:.0f} ms"
    start = time.perf_counter()
    try:
        result, remark = cabinetry.fit.fit(model, data), ""
    except pyhf.exceptions.FailedMinimization as error:
        result, remark = None, f"(it fails: {str(error).splitlines()[0]})"
    return time.perf_counter() - start, result, remark


def checks_of(model: pyhf.Model, data: list[float]) -> float:
    """Seconds of all that a fit does besides fitting: the checks of its input, and its diagnosis."""
    likelihood, space, checked = likelihood_of(model), parameter_space(model), checked_data(model, data)
    lower, upper = space.box()
    minima = minimize(likelihood, Problems(checked[None], space.start[None], lower[None], upper[None]))
    around = uncertainties(likelihood, space, minima.pars[0], checked, Status(int(minima.status[0])))
    known: dict[str, Any] = {"edm_goal": 1e-8, "solver": "newton", "iterations": 1, "rescues": ()}

    def check() -> None:
        checked_data(model, data)
        several_minima(model)
        doubts(model, checked, minima.pars[0], around)
        diagnosis_of(model, checked, space, minima, around, warnings=[], **known)

    return timed(check, 101)[0]


def report(name: str, model: pyhf.Model, data: list[float], budget: float) -> None:
    """One block of the table."""
    poi = model.config.poi_name
    start = time.perf_counter()
    jaxfit.fit(model, data)
    first = time.perf_counter() - start
    product = bare_product(model)
    fit, ratio, ours = turns(lambda: jaxfit.fit(model, data), product)
    checks = checks_of(model, data)
    matrices = [clocked(lambda result=jaxfit.fit(model, data): result.corr_mat)[0] for _ in range(7)]  # noqa: B008
    scan, points = timed(lambda: jaxfit.scan(model, data, poi, n_steps=41), 7)
    failed = sum(not status.converged for status in points.statuses)
    seconds, theirs, remark = minuit_fit(model, data, budget)

    print(f"\n{name}: {model.config.npars} parameters, {model.config.nmaindata} bins")
    row("jaxfit.fit with uncertainties, first", first, "traces and compiles, unless a model of this shape did before")
    row(
        "jaxfit.fit with uncertainties, warm",
        fit,
        f"{ours.status.name}, EDM {ours.edm:.0e}, {ours.iterations} iterations",
    )
    row("... of which checks and diagnosis", checks, f"{100 * checks / fit:.1f} % of it")
    row("corr_mat, when it is first read", float(np.median(matrices)), "")
    row("jaxfit.scan of the POI, 41 points, warm", scan, f"= {scan / fit:.1f} fits, {failed} points not converged")
    row("J.T @ (k*J) of this size", fit / ratio, f"a warm fit is {ratio:.0f} of them, measured in turns")
    row("cabinetry.fit.fit", seconds, f"= {seconds / fit:.0f} x jaxfit.fit {remark}")
    if theirs is not None:
        pull = np.abs(theirs.bestfit - ours.bestfit) / np.where(ours.uncertainty > 0, ours.uncertainty, 1.0)
        sigmas = (result.uncertainty[model.config.poi_index] for result in (ours, theirs))
        print(
            f"  agreement: 2NLL jaxfit - MINUIT {ours.best_twice_nll - theirs.best_twice_nll:+.1e}, best fits within "
            f"{pull.max():.1e} sigma, sigma(POI) {' and '.join(f'{sigma:.5f}' for sigma in sigmas)}"
        )
