"""Projected Newton for arrow-shaped problems with bounds, as a jaxopt solver.

Far from the minimum the exact Hessian of a likelihood is often indefinite; there the Fisher matrix, which is always
positive, gives the step. Once the expected decrease is small the exact Hessian takes over and convergence is quadratic;
where it is not positive yet, a mixture of both.
Parameters on a bound whose gradient points outwards are held (Bertsekas, SIAM J. Control Optim. 20 (1982) 221); steps
are clipped to the box; a step that does not lower the function is shortened.

Every iteration evaluates value, gradient and Hessian once, at the trial point, and factorises once: no inner loops, so
that a batch costs no more than its slowest lane, and never two factorisations (with two, XLA:CPU of jaxlib 0.10 hangs).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import jaxopt
from jaxopt.base import OptStep

from jaxfit.arrow import ArrowMatrix, ArrowVector
from jaxfit.statuses import Status
from jaxfit.typing import Array, Bool, Globals, Int, Scalar

__all__ = ["Newton", "NewtonState"]

Box = tuple[ArrowVector, ArrowVector]
T = TypeVar("T")

_RUNNING = -1
_SHORTEST = 1e-9  # of a step, before the search along it is given up
_SMALLEST_SHARE = 0.02  # of the exact Hessian, before it is left out
_SWITCH = 1.0  # EDM below which the exact Hessian is first tried
_SIDE = 1e-300  # distance from a kink at which a derivative is the left-hand one


class NewtonState(NamedTuple):
    """State of the iteration.

    ``error`` is the EDM, twice the expected decrease of the function, at the last accepted point; ``decrease`` the same
    for the step being tried (0 if there is none), ``exact`` the share of the exact Hessian in the next one.
    ``side`` is the side of its kink on which a parameter moves, ``blocked`` are parameters held for one step.
    """

    iter_num: Int[Array, ""]
    value: Scalar
    error: Scalar
    decrease: Scalar
    step: ArrowVector
    side: Globals
    blocked: Bool[Array, "globals"]
    scale: Scalar
    exact: Scalar
    status: Int[Array, ""]


@dataclass(eq=False)
class Newton(jaxopt.base.IterativeSolver):
    """Minimise a function of an :class:`ArrowVector` within a box.

    Attributes:
        derivatives: ``(params, exact, *args) -> (value, gradient, ArrowMatrix)``; ``exact`` is 1 for the exact
            Hessian, 0 for a positive approximation of it, in between for a mixture.
        profile: ``(params, lower, upper, *args) -> params`` with a value that is not higher; the identity will do.
        gradient: ``(params, *args) -> gradient``, only used with ``kinked``.
        kinked: ``(*args) -> mask`` of border parameters with a kink at 0; None if there are none.
        maxiter: most evaluations of the derivatives.
        tol: EDM at which the iteration ends.
        damping: of the approximate Hessian in units of its diagonal, without which flat directions have no inverse; a
            large one makes steps shorter (Levenberg and Marquardt).
        exact: share of the exact Hessian in the first step, 1 if the start is near the minimum.
        implicit_diff: differentiate the solution through the optimality condition.
        implicit_diff_solve: linear solver for that, jaxopt's default if None.
    """

    derivatives: Callable[..., tuple[Scalar, ArrowVector, ArrowMatrix]]
    profile: Callable[..., ArrowVector]
    gradient: Callable[..., ArrowVector]
    kinked: Callable[..., Bool[Array, "globals"]] | None = None
    maxiter: int = 100
    tol: float = 1e-8
    damping: float = 1e-10
    exact: float = 0.0
    implicit_diff: bool = True
    implicit_diff_solve: Callable[..., Any] | None = None
    jit: bool = True
    verbose: bool = False

    def init_state(self, init_params: ArrowVector, bounds: Box, *args: Any) -> NewtonState:
        """The state before the first evaluation."""
        zero = jnp.zeros((), init_params.border.dtype)
        still = ArrowVector.combine(jnp.zeros_like, init_params)
        return NewtonState(
            iter_num=jnp.asarray(0),
            value=zero + jnp.inf,
            error=zero + jnp.inf,
            decrease=zero,
            step=still,
            side=still.border,
            blocked=jnp.zeros_like(still.border, dtype=bool),
            scale=zero + 1.0,
            exact=zero + self.exact,
            status=jnp.asarray(_RUNNING),
        )

    def update(self, params: ArrowVector, state: NewtonState, bounds: Box, *args: Any) -> OptStep:
        """Evaluate the trial point; accept it and find the next step, or shorten this one."""
        lower, upper = bounds
        mask = None if self.kinked is None else self.kinked(*args)
        trial = _fence(state.iter_num, self.profile, self._move(params, state, bounds, mask), lower, upper, *args)
        side, held = jnp.zeros_like(state.side), jnp.zeros_like(state.side, dtype=bool)
        at = trial
        if mask is not None:
            side, held = self._sides(trial, mask, bounds, *args)
            left = mask & (trial.border == 0) & (side < 0)
            at = trial._replace(border=jnp.where(left, -_SIDE, trial.border))
        value, gradient, hessian = _fence(state.iter_num, self.derivatives, at, state.exact, *args)

        free = ArrowVector.combine(_free, trial, gradient, lower, upper)
        # blocked parameters stay so until a step has been made
        blocked = state.blocked & (state.decrease == 0)
        free = free._replace(border=jnp.where(held | blocked, 0.0, free.border))
        factor = hessian.factor(free, damping=self.damping * (1.0 - state.exact))
        step = ArrowVector.combine(jnp.negative, factor.solve(gradient))
        edm = -gradient.dot(step)
        usable = factor.positive & jnp.isfinite(edm)

        slack = 1e-12 * (1.0 + jnp.abs(value))
        lowers = value <= state.value - 1e-4 * state.scale * state.decrease + slack
        accept = lowers & jnp.isfinite(value)
        # a step that leaves the box, or its side of a kink, from right on the edge is clipped to something that may not
        # descend: hold those parameters and find the step of the others
        wrong = _leaves(trial.border, step.border, lower.border, upper.border)
        if mask is not None:
            wrong = wrong | (mask & (trial.border == 0) & (side * step.border < 0))
        wrong = wrong & (free.border > 0) & accept & usable
        edge = jnp.any(wrong)
        moved = accept & usable & ~edge
        # a point without a positive Hessian is tried again with more of the approximate one in it
        again = accept & ~usable & (state.exact > 0)
        converged = moved & (state.exact == 1) & (edm <= self.tol) & (~jnp.any(blocked) | (state.error <= self.tol))
        stationary = again & (state.exact == 1) & (state.error <= self.tol)
        shorter = state.scale * jnp.where(accept, 1.0, 0.4)
        less = jnp.where(state.exact > _SMALLEST_SHARE, 0.5 * state.exact, 0.0)
        more = jnp.where(edm < _SWITCH, jnp.where(state.exact > 0, jnp.minimum(2.0 * state.exact, 1.0), 1.0), 0.0)

        status = jnp.where(converged, Status.OK, _RUNNING)
        status = jnp.where(stationary, Status.NOT_A_MINIMUM, status)
        status = jnp.where(accept & ~usable & ~again, Status.SINGULAR, status)
        status = jnp.where(~accept & (shorter < _SHORTEST), Status.STALLED, status)
        status = jnp.where((state.iter_num == 0) & ~accept, Status.NONFINITE, status)
        new_state = NewtonState(
            iter_num=state.iter_num + 1,
            value=jnp.where(accept, value, state.value),
            error=jnp.where(moved, jnp.abs(edm), state.error),
            decrease=jnp.where(moved, edm, jnp.where(accept, 0.0, state.decrease)),
            step=_select(moved, step, _select(accept, ArrowVector.combine(jnp.zeros_like, step), state.step)),
            side=jnp.where(accept, side, state.side),
            blocked=jnp.where(accept, blocked | wrong, state.blocked),
            scale=jnp.where(moved, 1.0, shorter),
            exact=jnp.where(moved, more, jnp.where(again, less, state.exact)),
            status=status,
        )
        return OptStep(_select(accept, trial, params), new_state)

    def optimality_fun(self, params: ArrowVector, bounds: Box, *args: Any) -> ArrowVector:
        """Zero at a minimum within the box: the projected gradient step."""
        gradient = self.derivatives(params, jnp.asarray(1.0), *args)[1]
        return ArrowVector.combine(lambda x, g, low, high: x - jnp.clip(x - g, low, high), params, gradient, *bounds)

    def _run(self, init_params: ArrowVector, bounds: Box, *args: Any) -> OptStep:
        # jaxopt's own loop unrolls the first update, which doubles the program to compile
        def cond(carry: OptStep) -> Bool[Array, ""]:
            running: Array = (carry.state.status == _RUNNING) & (carry.state.iter_num < self.maxiter)
            return running

        def body(carry: OptStep) -> OptStep:
            return self.update(carry.params, carry.state, bounds, *args)

        carry = OptStep(init_params, self.init_state(init_params, bounds, *args))
        params, state = jax.lax.while_loop(cond, body, carry)
        state = state._replace(status=jnp.where(state.status == _RUNNING, Status.NOT_CONVERGED, state.status))
        # the last step is free, and takes the parameters from sqrt(EDM) to about its square from the minimum; one that
        # is cut off at a bound would lead anywhere (along a flat direction it may be long)
        mask = None if self.kinked is None else self.kinked(*args)
        last = self.profile(self._move(params, state, bounds, mask), *bounds, *args)
        leaving = ArrowVector.combine(
            lambda x, step, low, high: (x + state.scale * step < low) | (x + state.scale * step > high),
            params, state.step, *bounds,
        )  # fmt: skip
        whole = ~(jnp.any(leaving.border) | jnp.any(leaving.blocks))
        return OptStep(_select((state.status == Status.OK) & whole, last, params), state)

    def _move(
        self, params: ArrowVector, state: NewtonState, bounds: Box, mask: Bool[Array, "globals"] | None
    ) -> ArrowVector:
        trial = ArrowVector.combine(
            lambda x, step, low, high: jnp.clip(x + state.scale * step, low, high), params, state.step, *bounds
        )
        if mask is None:
            return trial
        return trial._replace(border=jnp.where(mask & (state.side * trial.border < 0), 0.0, trial.border))

    def _sides(
        self, trial: ArrowVector, mask: Bool[Array, "globals"], bounds: Box, *args: Any
    ) -> tuple[Globals, Bool[Array, "globals"]]:
        """The side of its kink on which each parameter moves on, and which are held there by both slopes."""
        at = mask & (trial.border == 0)
        right = self.gradient(trial, *args).border
        left = self.gradient(trial._replace(border=jnp.where(at, -_SIDE, trial.border)), *args).border
        down_right = jnp.where(bounds[1].border > 0, jnp.maximum(-right, 0.0), 0.0)
        down_left = jnp.where(bounds[0].border < 0, jnp.maximum(left, 0.0), 0.0)
        descent = jnp.where(down_left > down_right, -1.0, 1.0)
        return jnp.where(at, descent, jnp.sign(trial.border)), at & (down_left <= 0) & (down_right <= 0)


def _free(x: Array, gradient: Array, low: Array, high: Array) -> Array:
    outwards = ((x <= low) & (gradient > 0)) | ((x >= high) & (gradient < 0))
    free: Array = jnp.where(outwards | (low >= high), 0.0, 1.0)
    return free


def _leaves(x: Array, step: Array, low: Array, high: Array) -> Bool[Array, "..."]:
    leaves: Array = ((x <= low) & (step < 0)) | ((x >= high) & (step > 0))
    return leaves


def _select(choice: Bool[Array, ""], yes: ArrowVector, no: ArrowVector) -> ArrowVector:
    return ArrowVector.combine(lambda a, b: jnp.where(choice, a, b), yes, no)


def _fence(step: Int[Array, ""], function: Callable[..., T], *args: Any) -> T:
    """The value of a function as finished arrays: XLA:CPU otherwise evaluates it again for each of its many uses.

    A condition that always holds (a step is not negative), but that XLA does not see through.
    """
    traced = jax.jit(function)  # once for both uses
    shapes = jax.eval_shape(traced, *args)
    value: T = jax.lax.cond(step >= 0, traced, lambda *_: jax.tree.map(jnp.zeros_like, shapes), *args)
    return value
