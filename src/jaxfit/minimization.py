"""A batch of fit problems in, a batch of minima out.

Everything that differs from fit to fit (data, start point, bounds, which parameters are fixed) is an array; the EDM
goal and the iteration limit are numbers passed in: none of them compiles anything.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Generic, NamedTuple, TypeAlias, TypeVar

import jax
import jax.numpy as jnp
import numpy as np

from jaxfit import lanes
from jaxfit.errors import InputError, suggest
from jaxfit.likelihood import Likelihood
from jaxfit.solvers import SOLVERS, STOCK, Newton, run_minuit, run_scipy, run_stock
from jaxfit.statuses import Status
from jaxfit.threads import computing
from jaxfit.typing import Array, Bool, Data, Int, NumpyArray, Pars, Scalar

__all__ = ["EDM_GOAL", "Minima", "Problems", "edm_goal", "minimize"]

EDM_GOAL = 1e-8
_DAMPING = 1e-10
_MAXITER = {
    "newton": 100,
    "lbfgsb": 5_000,
    "bfgs": 5_000,
    "projected_gradient": 20_000,
    "scipy": 5_000,
    "minuit": 100_000,
}

T = TypeVar("T")  # numpy arrays on the host, JAX arrays within a program


class Problems(NamedTuple, Generic[T]):
    """Fit problems, one a lane (the first axis); a parameter is fixed where its bounds are equal."""

    data: T  # lanes data
    start: T  # lanes pars
    lower: T  # lanes pars
    upper: T  # lanes pars


class Minima(NamedTuple, Generic[T]):
    """What became of the lanes; ``nll`` includes all constants, ``edm`` is MINUIT's for 2 NLL."""

    pars: T  # lanes pars
    nll: T  # lanes
    edm: T  # lanes
    iterations: T  # lanes
    status: T  # lanes


HostSolver: TypeAlias = Callable[[Likelihood, Problems[Array], Pars, int], tuple[Pars, Any]]


def edm_goal(tolerance: float | None) -> float:
    """MINUIT's meaning of a tolerance, EDM < 0.002 * tolerance; 1e-8 if none is given."""
    return EDM_GOAL if tolerance is None else 0.002 * tolerance


def minimize(
    likelihood: Likelihood,
    problems: Problems[NumpyArray],
    *,
    solver: str = "newton",
    maxiter: int | None = None,
    goal: float = EDM_GOAL,
    damping: float = _DAMPING,
    near: bool = False,
) -> Minima[NumpyArray]:
    """Solve a batch of problems.

    Args:
        likelihood: shared by all lanes.
        problems: arrays with a leading axis of lanes.
        solver: "newton", one of jaxopt's ("lbfgsb", "bfgs", "projected_gradient", "scipy"), or "minuit".
        maxiter: most iterations, default by solver (100 for newton).
        goal: EDM at which a lane ends; its last step makes it about the square of that.
        damping: of Newton steps far from the minimum; 1 halves them.
        near: the start points are much nearer to their minima than a standard deviation.

    Returns:
        The minima; after a keyboard interrupt, if there are any, with the lanes that are left as NOT_RUN.

    Raises:
        InputError: unknown solver.
    """
    if solver not in SOLVERS:
        raise InputError(suggest("solver", solver, SOLVERS))
    limit = maxiter or _MAXITER[solver]
    if len(problems.start) == 0:
        none, count = np.zeros(0), np.zeros(0, dtype=int)
        return Minima(np.zeros_like(problems.start), none, none, count, count)
    if solver in _ON_HOST:
        run = _ON_HOST[solver]
        with computing():
            one_by_one = [
                _solve_on_host(likelihood, Problems(*lane), run, limit, goal) for lane in zip(*problems, strict=True)
            ]
        return _stack(one_by_one)

    every = tuple(np.asarray(a, dtype=float) for a in problems)
    solved = lanes.run(
        lambda part, number, width: _solve_batch(
            likelihood, Problems(*part), number, solver, limit, goal, damping, float(near), width
        ),
        every,
        undone=partial(_not_run, problems),
    )
    return Minima(*solved)


@partial(jax.jit, static_argnames=("solver", "width"))
def _solve_batch(
    likelihood: Likelihood,
    problems: Problems[Array],
    number: int,
    solver: str,
    maxiter: int,
    goal: float,
    damping: float,
    exact: float,
    width: int,
) -> Minima[Array]:
    solve = partial(_solve, likelihood, solver=solver, maxiter=maxiter, goal=goal, damping=damping, exact=exact)
    like = problems.start
    number_of, count = jnp.zeros(len(like), like.dtype), jnp.zeros(len(like), dtype=int)
    empty = Minima(jnp.zeros_like(like), number_of, number_of, count, count)
    return lanes.each_lane(solve, problems, empty, number, width)


def _solve(
    likelihood: Likelihood,
    problem: Problems[Array],
    *,
    solver: str,
    maxiter: int,
    goal: float,
    damping: float,
    exact: float,
) -> Minima[Array]:
    """One lane."""
    data, start, lower, upper = problem
    box = likelihood.split(lower), likelihood.split(upper)
    point = likelihood.split(jnp.clip(start, lower, upper))
    if solver in STOCK:
        pars, iterations = run_stock(
            solver, _function, start, lower, upper, _scale(likelihood, start, data), likelihood, data,
            maxiter=maxiter,
        )  # fmt: skip
        return _judge(likelihood, problem, pars, iterations, goal)
    newton = Newton(
        derivatives=lambda x, exact, likelihood, data: likelihood.derivatives(x, data, exact),
        profile=lambda x, low, high, likelihood, data: likelihood.profile(x, low, high, data),
        gradient=lambda x, likelihood, data: likelihood.gradient(x, data),
        kinked=None if likelihood.kinked is None else lambda likelihood, data: likelihood.kinked,
        maxiter=maxiter,
        tol=goal,
        damping=damping,
        exact=exact,
        implicit_diff=False,
    )
    solution, state = newton.run(point, box, likelihood, data)
    pars = likelihood.join(solution)
    negative = jnp.any(likelihood.yields(solution) < 0)
    status = _refine_status(pars, lower, upper, negative, state.status)
    return Minima(pars, state.value + likelihood.offset(data), state.error, state.iter_num, status)


def _solve_on_host(
    likelihood: Likelihood, problem: Problems[NumpyArray], run: HostSolver, maxiter: int, goal: float
) -> Minima[NumpyArray]:
    """One lane with a solver that cannot be traced."""
    device = Problems(*(jnp.asarray(a, dtype=float) for a in problem))
    scale = _scale_program(likelihood, device.start, device.data)
    pars, iterations = run(likelihood, device, scale, maxiter)
    judged = _judge_program(likelihood, device, pars, iterations, goal)
    return Minima(*(np.asarray(a) for a in judged))


def _run_scipy(likelihood: Likelihood, problem: Problems[Array], scale: Pars, maxiter: int) -> tuple[Pars, Any]:
    data, start, lower, upper = problem
    return run_scipy(_function, start, lower, upper, scale, likelihood, data, maxiter=maxiter)


def _run_minuit(likelihood: Likelihood, problem: Problems[Array], scale: Pars, maxiter: int) -> tuple[Any, Any]:
    data, start, lower, upper = (np.asarray(a) for a in problem)
    function, slopes = (partial(program, likelihood=likelihood, data=data) for program in (_value_program, _slopes))
    return run_minuit(function, slopes, start, lower, upper, np.asarray(scale), maxiter=maxiter)


def _not_run(problems: Problems[NumpyArray], first: int) -> Minima[NumpyArray]:
    rest = problems.start[first:]
    nothing, none = np.full(len(rest), np.nan), np.zeros(len(rest), dtype=int)
    return Minima(np.asarray(rest, dtype=float), nothing, nothing, none, np.full(len(rest), Status.NOT_RUN))


def _stack(minima: list[Minima[NumpyArray]]) -> Minima[NumpyArray]:
    return Minima(*(np.stack([np.asarray(a) for a in field]) for field in zip(*minima, strict=True)))


def _function(pars: Pars, likelihood: Likelihood, data: Data) -> Scalar:
    return likelihood.value(likelihood.split(pars), data)


def _scale(likelihood: Likelihood, start: Pars, data: Data) -> Pars:
    """Width of the likelihood along each parameter at the start point, as far as it has one."""
    diagonal = likelihood.derivatives(likelihood.split(start), data, jnp.asarray(0.0))[2].diagonal()
    curved = likelihood.join(diagonal)
    return jnp.where(jnp.isfinite(curved) & (curved > 0), jax.lax.rsqrt(jnp.where(curved > 0, curved, 1.0)), 1.0)


def _judge(
    likelihood: Likelihood, problem: Problems[Array], pars: Pars, iterations: Int[Array, ""], goal: float
) -> Minima[Array]:
    """EDM and status of a point that a solver without second derivatives calls a minimum."""
    data, _, lower, upper = problem
    value, gradient, matrix = likelihood.derivatives(likelihood.split(pars), data, jnp.asarray(1.0))
    slopes = likelihood.join(gradient)
    held = (lower >= upper) | ((pars <= lower) & (slopes > 0)) | ((pars >= upper) & (slopes < 0))
    factor = matrix.factor(likelihood.split(jnp.where(held, 0.0, 1.0), padding=0.0))
    edm = gradient.dot(factor.solve(gradient))
    status = jnp.where(edm <= goal, Status.OK, Status.NOT_CONVERGED)
    status = jnp.where(factor.positive, status, Status.NOT_A_MINIMUM)
    status = jnp.where(jnp.isfinite(value), status, Status.NONFINITE)
    status = _refine_status(pars, lower, upper, jnp.any(likelihood.expected(pars) < 0), status)
    return Minima(pars, value + likelihood.offset(data), edm, iterations, status)


def _refine_status(
    pars: Pars, lower: Pars, upper: Pars, negative: Bool[Array, ""], status: Int[Array, ""]
) -> Int[Array, ""]:
    at_bound = jnp.any((lower < upper) & ((pars <= lower) | (pars >= upper)))
    refined = jnp.where(at_bound, Status.OK_AT_BOUND, Status.OK)
    refined = jnp.where(negative, Status.NEGATIVE_EXPECTATION, refined)
    return jnp.where(status == Status.OK, refined, status)


_scale_program, _judge_program, _value_program = jax.jit(_scale), jax.jit(_judge), jax.jit(_function)
_slopes = jax.jit(lambda pars, likelihood, data: likelihood.join(likelihood.gradient(likelihood.split(pars), data)))
_ON_HOST: dict[str, HostSolver] = {"scipy": _run_scipy, "minuit": _run_minuit}
