"""jaxopt's own solvers by name, over a plain vector within a box.

All of them are first-order methods: they work in units of the curvature at the start point (``scale``), without which a
model with parameters of different sizes keeps them busy for thousands of iterations.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import jax.numpy as jnp
import jaxopt

from jaxfit.typing import Array, Int, Pars, Scalar

__all__ = ["STOCK", "run_scipy", "run_stock"]

STOCK = ("lbfgsb", "bfgs", "projected_gradient")

Function = Callable[..., Scalar]


def run_stock(
    name: str, function: Function, start: Pars, lower: Pars, upper: Pars, scale: Pars, *args: Any, maxiter: int
) -> tuple[Pars, Int[Array, ""]]:
    """Minimise ``function(x, *args)`` within bounds; the minimum and the number of iterations.

    ``bfgs`` knows no bounds: it minimises over MINUIT's internal parameters, in which the box is everything
    (F. James, MINUIT reference manual, CERN D506, section 1.3.1).
    """
    options = {"maxiter": maxiter, "implicit_diff": False, "unroll": False}
    if name == "bfgs":
        to_external, internal = _unbounded(start, lower, upper, scale)
        solver = jaxopt.BFGS(lambda y, *args: function(to_external(y), *args), tol=1e-7, **options)
        y, state = solver.run(internal, *args)
        return to_external(y), state.iter_num

    def scaled(y: Pars, *args: Any) -> Scalar:
        return function(jnp.clip(y * scale, lower, upper), *args)

    box = (lower / scale, upper / scale)
    if name == "lbfgsb":
        solver = jaxopt.LBFGSB(scaled, tol=1e-6, history_size=20, **options)
        y, state = solver.run(start / scale, box, *args)
    else:
        solver = jaxopt.ProjectedGradient(scaled, jaxopt.projection.projection_box, tol=1e-6, **options)
        y, state = solver.run(start / scale, box, *args)
    return jnp.clip(y * scale, lower, upper), state.iter_num


def run_scipy(
    function: Function, start: Pars, lower: Pars, upper: Pars, scale: Pars, *args: Any, maxiter: int
) -> tuple[Pars, Int[Array, ""]]:
    """The same with scipy's L-BFGS-B, which runs on the host: it can be neither traced nor batched."""
    if bool(jnp.all(lower >= upper)):  # of which scipy returns a result that jaxopt does not expect
        return start, jnp.asarray(0)
    y, state = _scipy_solver(function, maxiter).run(start / scale, (lower / scale, upper / scale), scale, *args)
    return jnp.clip(y * scale, lower, upper), jnp.asarray(state.iter_num)


@cache
def _scipy_solver(function: Function, maxiter: int) -> jaxopt.ScipyBoundedMinimize:
    """One solver for all calls: each compiles its function anew."""
    return jaxopt.ScipyBoundedMinimize(
        fun=lambda y, scale, *args: function(y * scale, *args),
        method="l-bfgs-b",
        maxiter=maxiter,
        options={"maxfun": 20 * maxiter, "maxcor": 20, "ftol": 1e-15, "gtol": 1e-8},
    )


def _unbounded(start: Pars, lower: Pars, upper: Pars, scale: Pars) -> tuple[Callable[[Pars], Pars], Pars]:
    two, low, high = jnp.isfinite(lower) & jnp.isfinite(upper), jnp.isfinite(lower), jnp.isfinite(upper)
    safe_low, safe_high = jnp.where(low, lower, 0.0), jnp.where(high, upper, 0.0)
    middle, half = 0.5 * (safe_low + safe_high), 0.5 * (safe_high - safe_low)
    width = jnp.where(half > 0, half, 1.0)
    # units of y in which the function is about as curved as in units of scale
    unit = scale / jnp.where(two, width, scale)

    def to_external(y: Pars) -> Pars:
        root = jnp.sqrt((y * scale) ** 2 + 1.0) - 1.0
        one = jnp.where(low, safe_low + root, jnp.where(high, safe_high - root, y * scale))
        return jnp.where(two, middle + half * jnp.sin(y * unit), one)

    # a bound itself is left alone: the internal parameter has no slope there
    fraction = jnp.clip((start - middle) / width, -0.9, 0.9)
    distance = jnp.where(low, start - safe_low, safe_high - start)
    root = jnp.sqrt((jnp.maximum(distance, 0.1 * scale) + 1.0) ** 2 - 1.0) / scale
    return to_external, jnp.where(two, jnp.arcsin(fraction) / unit, jnp.where(low | high, root, start / scale))
