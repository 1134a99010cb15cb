r"""Rows (one sample in one block of bins): their yields, and the yields' derivatives by the global parameters.

    Y_row,b = F_row(theta) * [ T_row,b + sum_p w_p(theta_p) Delta_row,b,p ]

F is the product of normfactors, luminosity and normsys factors, w the weights of additive histosys shifts Delta.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxfit.likelihood import interpolation
from jaxfit.typing import Array, Bool, Float, Globals, Int

__all__ = ["RowState", "Rows"]

# Stands in for a factor that is exactly 0 in logarithmic derivatives F'/F: F is divided by it and multiplied by it
_TINY = 1e-100


class RowState(NamedTuple):
    """What the rows are at one point."""

    shifted: Float[Array, "blocks rows width"]  # T + sum w Delta
    factor: Float[Array, "blocks rows"]
    safe_factor: Float[Array, "blocks rows"]  # the same, tiny where it is 0
    logs: Float[Array, "blocks rows globals"]  # F_p / F
    curvatures: Float[Array, "blocks rows globals"]  # F_pp / F
    slopes: Float[Array, "two shapes"]  # w'
    bends: Float[Array, "two shapes"]  # w''


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Rows:
    """Templates and modifiers of all rows; indices point into the global parameters."""

    nominal: Float[Array, "blocks rows width"]
    shifts: Float[Array, "blocks rows width twice_shapes"]  # symmetric parts, then antisymmetric parts
    shape_index: Int[Array, "shapes"]
    shape_column: Int[Array, "globals"]  # position of a global parameter among the shapes, behind their end if none
    log_hi: Float[Array, "blocks rows norms"]
    log_lo: Float[Array, "blocks rows norms"]
    poly: Float[Array, "6 blocks rows norms"]
    norm_index: Int[Array, "norms"]
    scaled: Bool[Array, "blocks rows scales"]  # normfactors and luminosity
    scale_index: Int[Array, "scales"]
    factor_column: Int[Array, "globals"]  # the same as shape_column among norms, then scales
    classes: Float[Array, "blocks classes rows"]  # 1 where the row belongs to the class
    factor_code: str = field(metadata={"static": True})
    shape_code: str = field(metadata={"static": True})

    def at(self, theta: Globals) -> RowState:
        """The rows at a point (what a caller does not use is not computed)."""
        weights, slopes, bends = interpolation.with_derivatives(
            partial(interpolation.shape, self.shape_code), theta[self.shape_index]
        )
        moved = self.shifts.reshape(self.nominal.size, weights.size) @ weights.ravel()
        norms, norms_1, norms_2 = interpolation.with_derivatives(
            lambda alpha: interpolation.factor(self.factor_code, alpha, self.log_hi, self.log_lo, self.poly),
            jnp.broadcast_to(theta[self.norm_index], self.log_hi.shape),
        )
        scales = jnp.where(self.scaled, theta[self.scale_index][None, None], 1.0)
        factor = jnp.prod(norms, axis=-1) * jnp.prod(scales, axis=-1)
        norms, scales = (jnp.where(f == 0, _TINY, f) for f in (norms, scales))
        none = jnp.zeros((*self.nominal.shape[:2], 1))
        logs = jnp.concatenate([norms_1 / norms, jnp.where(self.scaled, 1.0 / scales, 0.0), none], axis=-1)
        curvatures = jnp.concatenate([norms_2 / norms, jnp.zeros_like(scales), none], axis=-1)
        return RowState(
            shifted=self.nominal + moved.reshape(self.nominal.shape),
            factor=factor,
            safe_factor=jnp.prod(norms, axis=-1) * jnp.prod(scales, axis=-1),
            logs=logs[..., self.factor_column],
            curvatures=curvatures[..., self.factor_column],
            slopes=slopes,
            bends=bends,
        )

    def class_yields(self, state: RowState) -> Float[Array, "classes blocks width"]:
        """Sum of the rows of every class."""
        return jnp.einsum("kqs,ks,ksb->qkb", self.classes, state.factor, state.shifted)

    def jacobian(self, state: RowState) -> Float[Array, "globals classes blocks width"]:
        """Derivatives of the class yields: F_p u + F w'_p Delta_p, with u = T + sum w Delta."""
        belongs = self.classes * state.safe_factor[:, None]  # block, class, row
        scaled = jnp.einsum("kqs,ksp,ksb->pqkb", belongs, state.logs, state.shifted)
        moved = _weighted(state.slopes, jnp.einsum("kqs,ksbz->kqbz", belongs, self.shifts))  # block, class, bin, shape
        moved = jnp.concatenate([jnp.transpose(moved, (3, 1, 0, 2)), jnp.zeros_like(scaled[:1])])
        return scaled + moved[self.shape_column]

    def bending(self, state: RowState, slopes: Float[Array, "classes blocks width"]) -> Float[Array, "globals globals"]:
        """Second derivatives of the class yields, contracted with the NLL's slopes by them.

        Per row F_pr u + F_p w'_r Delta_r + F_r w'_p Delta_p + F w''_p Delta_p.
        """
        size = state.logs.shape[2]
        omega = jnp.einsum("kqs,qkb->ksb", self.classes, slopes) * state.safe_factor[..., None]
        total = jnp.sum(omega * state.shifted, axis=-1)  # block, row
        contracted = jnp.einsum("ksb,ksbz->ksz", omega, self.shifts)
        first = _weighted(state.slopes, contracted)
        first = jnp.concatenate([first, jnp.zeros((*total.shape, 1))], axis=-1)[..., self.shape_column]
        logs = state.logs.reshape(total.size, size)
        half = logs.T @ (0.5 * total[..., None] * state.logs + first).reshape(total.size, size)
        diagonal = jnp.einsum("ks,ksp->p", total, state.curvatures) + 2.0 * jnp.einsum("ksp,ksp->p", state.logs, first)
        bends = jnp.sum(_weighted(state.bends, contracted), axis=(0, 1))
        diagonal = diagonal + jnp.append(bends, 0.0)[self.shape_column]
        # the product's own diagonal would be F_p F_p u / F
        return jnp.where(jnp.eye(size, dtype=bool), diagonal[:, None], half + half.T)


def _weighted(
    weights: Float[Array, "two shapes"], templates: Float[Array, "... twice_shapes"]
) -> Float[Array, "... shapes"]:
    """Symmetric and antisymmetric parts of the shifts, in their weights."""
    symmetric, antisymmetric = jnp.split(templates, 2, axis=-1)
    leading = (1,) * (templates.ndim - 1)
    return weights[0].reshape(*leading, -1) * symmetric + weights[1].reshape(*leading, -1) * antisymmetric
