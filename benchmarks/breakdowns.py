"""Where the time of a warm fit with uncertainties goes.

The pieces are the functions that a fit runs, each repeated within a compiled loop, so that no call from Python is in
their times; times the number of iterations they add up to less than the fit, and the rest is said. An iteration
evaluates everything once at its trial point: there is no search along a line beside it, only further iterations.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple
from unittest.mock import patch

import jax
import jax.numpy as jnp
import numpy as np
import pyhf

import jaxfit
from benchmarks import problems
from benchmarks.timing import clocked, timed
from jaxfit import curvatures
from jaxfit.inference import fits, uncertainties
from jaxfit.likelihood import checked_data, likelihood_of, parameter_space
from jaxfit.minimization import Problems, minimize
from jaxfit.solvers import newton
from jaxfit.threads import computing
from jaxfit.typing import NumpyArray

__all__ = ["measure"]

_REPEATS = 21
_ROUND = 30  # calls of a piece in a loop


def measure(names: Sequence[str] = ("L", "M", "ttbar")) -> list[dict[str, Any]]:
    """The rows of a record's "breakdowns": seconds of a fit with uncertainties, and of its parts.

    Args:
        names: of problems, or workspace files.
    """
    return [_breakdown(name, *problems.model_and_data(name)) for name in names]


def _breakdown(name: str, model: pyhf.Model, data: list[float]) -> dict[str, Any]:
    space, observed = parameter_space(model), checked_data(model, data)
    likelihood, (lower, upper) = likelihood_of(model), space.box()
    problem = Problems(observed[None], space.start[None], lower[None], upper[None])

    def solve(maxiter: int | None = None) -> Any:
        return minimize(likelihood, problem, goal=fits._LAST_STEP, maxiter=maxiter)

    minima = solve()
    total, minimization, around = _clocked(lambda: jaxfit.fit(model, data))
    count = int(minima.iterations[0])
    exact = sum(float(solve(k).edm[0]) < newton._SWITCH for k in range(1, count))  # from there on it is exact
    piece = _pieces(likelihood, space.box(), minima.pars[0], observed)
    parts = {
        "gammas in closed form": (count + 1) * piece.profile,
        "rates and first derivatives": count * piece.first,
        "second derivatives": exact * piece.second,
        "product JᵀkJ": count * piece.product,
        "factorisation": count * piece.factorisation,
        "solution": count * piece.solution,
    }
    parts["rest of the minimisation"] = minimization - sum(parts.values())
    parts |= {"uncertainties": around, "checks and diagnosis": total - minimization - around}
    what = f"fit with uncertainties, {count} iterations, {exact} of them with the exact Hessian"
    return {"of": what, "problem": name, "total": total, "parts": parts}


def _clocked(fit: Callable[[], Any]) -> tuple[float, float, float]:
    """Seconds of a fit, of the minimisation in it, and of what finds the curvature at its end."""
    within = {"minimize": 0.0, "curvature": 0.0}

    def clock(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **options: Any) -> Any:
            seconds, found = clocked(lambda: function(*args, **options))
            within[name] += seconds
            return found

        return call

    rounds = []
    fit()
    with (
        patch.object(fits, "minimize", clock("minimize", minimize)),
        patch.object(uncertainties, "curvature", clock("curvature", curvatures.curvature)),
    ):
        for _ in range(_REPEATS):
            within.update(minimize=0.0, curvature=0.0)
            seconds, _ = clocked(fit)
            rounds.append((seconds, *within.values()))
    total, minimization, around = np.median(rounds, axis=0)
    return float(total), float(minimization), float(around)


class _Pieces(NamedTuple):
    """Seconds of the pieces of one iteration."""

    profile: float
    first: float  # rates, gradient and Jacobian
    second: float  # what the exact Hessian takes above that
    product: float
    factorisation: float
    solution: float


def _pieces(likelihood: Any, box: tuple[NumpyArray, NumpyArray], pars: NumpyArray, data: NumpyArray) -> _Pieces:
    with computing():
        point, low, high = (likelihood.split(jnp.asarray(a)) for a in (pars, *box))
        profile = _seconds(lambda x, *args: args[0].profile(x, *args[1:]), point, likelihood, low, high, data)

        def derivatives(x: Any, *args: Any) -> Any:
            return args[0].derivatives(x, *args[1:])

        first = _seconds(derivatives, point, likelihood, data, jnp.asarray(0.0))
        both = _seconds(derivatives, point, likelihood, data, jnp.asarray(1.0))
        _, gradient, hessian = jax.jit(derivatives)(point, likelihood, data, jnp.asarray(1.0))
        every = likelihood.split(jnp.asarray(box[0] < box[1], dtype=float), padding=0.0)

        def factorise(changed: Any, matrix: Any) -> Any:
            return matrix._replace(core=changed[0]).factor(changed[1])

        whole = _seconds(factorise, (hessian.core, every), hessian)
        factor = jax.jit(factorise)((hessian.core, every), hessian)
        matrix = factor.cholesky @ factor.cholesky.T
        cholesky = _seconds(lambda a: jnp.linalg.cholesky(a, symmetrize_input=False), matrix)
        solution = _seconds(lambda v, f: f.solve(v), gradient, factor)
    return _Pieces(profile, first, max(both - first, 0.0), whole - cholesky, cholesky, solution)


def _seconds(function: Callable[..., Any], changed: Any, *args: Any) -> float:
    """Of one call among many in a compiled loop, each of which depends on the one before through ``changed``."""

    @jax.jit
    def loop(changed: Any, *args: Any) -> Any:
        none = jax.tree.map(lambda a: jnp.zeros(a.shape, a.dtype), jax.eval_shape(function, changed, *args))

        def body(_: Any, found: Any) -> Any:
            nothing = 1e-300 * jax.tree.leaves(found)[0].ravel()[0]
            return function(jax.tree.map(lambda a: a + nothing, changed), *args)

        return jax.lax.fori_loop(0, _ROUND, body, none)

    return timed(lambda: jax.block_until_ready(loop(changed, *args)))[0] / _ROUND
