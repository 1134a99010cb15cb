"""Matrices with an arrow's shape: a dense border and one small block per bin.

The Hessian of a binned likelihood couples the global parameters with everything, but two bin-wise parameters only if
they sit in one bin. Written with the bins' own coordinates z (class yields, see :mod:`jaxfit.likelihood.compact`) it is

    border x border   corner + sum_b basis_b^T core_b basis_b
    blocks x border   cross_b basis_b
    blocks x blocks   blocks_b                     (one small matrix per bin)

so that eliminating the blocks (a Schur complement) only changes ``core`` and costs one matrix product.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxfit.typing import Array, Bool, Float, Int, Scalar

__all__ = ["ArrowFactor", "ArrowMatrix", "ArrowVector"]


class ArrowVector(NamedTuple):
    """A vector over all parameters: global ones in ``border``, bin-wise ones in ``blocks`` (slot, bin)."""

    border: Float[Array, "globals"]
    blocks: Float[Array, "slots bins"]

    @staticmethod
    def combine(function: Callable[..., Array], *vectors: ArrowVector) -> ArrowVector:
        """The elementwise ``function`` of some vectors."""
        return ArrowVector(*(function(*parts) for parts in zip(*vectors, strict=True)))

    def dot(self, other: ArrowVector) -> Scalar:
        """The scalar product."""
        return jnp.vdot(self.border, other.border) + jnp.vdot(self.blocks, other.blocks)


class ArrowMatrix(NamedTuple):
    """A symmetric matrix in arrow form; ``z`` counts the coordinates of one bin."""

    corner: Float[Array, "globals globals"]
    basis: Float[Array, "globals z bins"]
    core: Float[Array, "z z bins"]
    cross: Float[Array, "slots z bins"]
    blocks: Float[Array, "slots slots bins"]

    def factor(self, free: ArrowVector, damping: Scalar | float = 0.0) -> ArrowFactor:
        """Factorise the rows and columns that are ``free``; ``positive`` tells whether they are positive definite.

        ``damping`` is added to the border's diagonal in units of it (1 where it is zero): it gives a semidefinite
        matrix an inverse.
        """
        slots, bins = free.blocks.shape
        on = free.blocks
        cross = self.cross * on[:, None]
        identity = jnp.broadcast_to(jnp.eye(slots, dtype=on.dtype)[:, :, None], (slots, slots, bins))
        blocks = jnp.where((on[:, None] * on[None]) > 0, self.blocks, identity)
        inverse, pivots_positive = _invert_blocks(blocks)
        core = self.core - jnp.einsum("izb,ijb,jyb->zyb", cross, inverse, cross)
        basis = self.basis * free.border[:, None, None]
        size, z, _ = basis.shape
        weighted = jnp.einsum("zyb,pyb->pzb", core, basis)
        schur = basis.reshape(size, z * bins) @ weighted.reshape(size, z * bins).T
        schur += jnp.where((free.border[:, None] * free.border[None]) > 0, self.corner, jnp.eye(size, dtype=on.dtype))
        diagonal = jnp.diag(schur)
        schur += jnp.diag(jnp.where((diagonal == 0) & (damping > 0), 1.0, damping * jnp.abs(diagonal)))
        cholesky = jnp.linalg.cholesky(schur, symmetrize_input=False)
        positive = pivots_positive & jnp.all(jnp.isfinite(cholesky))
        return ArrowFactor(cholesky, inverse, cross, basis, free, positive)

    def diagonal(self) -> ArrowVector:
        """The diagonal."""
        border = jnp.diag(self.corner) + jnp.einsum("pzb,zyb,pyb->p", self.basis, self.core, self.basis)
        return ArrowVector(border, jnp.einsum("iib->ib", self.blocks))

    def to_dense(self) -> Float[Array, "pars pars"]:
        """The whole matrix, border first, then the blocks slot by slot (for small matrices: tests, diagnostics)."""
        slots, _, bins = self.cross.shape
        border = self.corner + jnp.einsum("pzb,zyb,qyb->pq", self.basis, self.core, self.basis)
        side = jnp.einsum("izb,pzb->ibp", self.cross, self.basis).reshape(slots * bins, border.shape[0])
        blocks = jnp.einsum("ijb,bc->ibjc", self.blocks, jnp.eye(bins)).reshape(slots * bins, slots * bins)
        return jnp.block([[border, side.T], [side, blocks]])


class ArrowFactor(NamedTuple):
    """A factorised :class:`ArrowMatrix`: Cholesky factor of the border's Schur complement, inverse blocks."""

    cholesky: Float[Array, "globals globals"]
    inverse_blocks: Float[Array, "slots slots bins"]
    cross: Float[Array, "slots z bins"]
    basis: Float[Array, "globals z bins"]
    free: ArrowVector
    positive: Bool[Array, ""]

    def solve(self, vector: ArrowVector) -> ArrowVector:
        """Solve with the free part; components that are not free come out as zero."""
        blocks = vector.blocks * self.free.blocks
        border = vector.border * self.free.border
        reduced = jnp.einsum("ijb,jb->ib", self.inverse_blocks, blocks)
        border = border - jnp.einsum("pzb,izb,ib->p", self.basis, self.cross, reduced)
        border = jax.scipy.linalg.cho_solve((self.cholesky, True), border) * self.free.border
        coupling = jnp.einsum("izb,pzb,p->ib", self.cross, self.basis, border)
        return ArrowVector(border, reduced - jnp.einsum("ijb,jb->ib", self.inverse_blocks, coupling))

    def widths(self, order: Int[Array, "pars"], rows: Int[Array, "slots bins"]) -> Float[Array, "pars"]:
        """Square roots of the diagonal of the dense inverse: uncertainties, for a Hessian; zero where not free.

        ``order[i]`` is the position of row i of the result in (border, blocks.ravel()), ``rows`` the inverse map for
        the blocks; block entries whose row is out of range (padding) are dropped.
        """
        tall, blocks = self._root(order, rows)
        return jnp.sqrt(jnp.sum(tall**2, axis=1).at[rows].add(jnp.einsum("iib->ib", blocks), mode="drop"))

    def correlation(self, order: Int[Array, "pars"], rows: Int[Array, "slots bins"]) -> Float[Array, "pars pars"]:
        """The dense inverse in units of its :meth:`widths`: correlations, for a Hessian."""
        tall, blocks = self._root(order, rows)
        sigma = self.widths(order, rows)
        unit = jnp.where(sigma > 0, 1.0 / jnp.where(sigma > 0, sigma, 1.0), 0.0)
        tall = tall * unit[:, None]
        padded = jnp.append(unit, 0.0)[rows]
        blocks = blocks * padded[:, None] * padded[None]
        return (tall @ tall.T).at[rows[:, None], rows[None]].add(blocks, mode="drop")

    def _root(
        self, order: Int[Array, "pars"], rows: Int[Array, "slots bins"]
    ) -> tuple[Float[Array, "pars globals"], Float[Array, "slots slots bins"]]:
        """V and D^-1 of the dense inverse V V^T + blockdiag(D^-1), by block inversion.

        V = [L^-T; -D^-1 C L^-T] with L L^T the Schur complement and C the coupling of blocks and border.
        """
        size = self.cholesky.shape[0]
        root = jax.scipy.linalg.solve_triangular(self.cholesky, jnp.eye(size), lower=True).T
        root = root * self.free.border[:, None]
        lifted = jnp.einsum("ijb,jzb,pzb->ibp", self.inverse_blocks, self.cross, self.basis)
        tall = jnp.concatenate([root, -lifted.reshape(rows.size, size) @ root])[order]
        on = self.free.blocks
        return tall, self.inverse_blocks * (on[:, None] * on[None])


def _invert_blocks(blocks: Float[Array, "n n bins"]) -> tuple[Float[Array, "n n bins"], Bool[Array, ""]]:
    """Inverse of every block by the sweep operator, and whether all pivots are positive (positive definite)."""
    positive = jnp.asarray(True)
    size = blocks.shape[0]
    if size == 1:
        return 1.0 / blocks, jnp.all(blocks > 0.0)
    for k in range(size):
        pivot = blocks[k, k]
        positive = positive & jnp.all(pivot > 0.0)
        row = blocks[k] / pivot[None]
        blocks = (blocks - blocks[:, k][:, None] * row[None]).at[k].set(row).at[:, k].set(row)
        blocks = blocks.at[k, k].set(-1.0 / pivot)
    return -blocks, positive
