r"""The lowered likelihood: the same function as pyhf's, over what exists instead of dense tensors of mostly zeros.

Channels are cut into blocks of equal width; a *row* is one sample in one block (:mod:`jaxfit.likelihood.rows`). Rows
of a block that carry the same bin-wise factors form a *class*; a bin expects

    nu_b = sum_classes Y_class,b * product of the class's factors

so nu is multilinear in the bin's own coordinates: class yields, shared factors (shapefactors that several channels
use: global parameters) and gammas. Value, gradient and Hessian follow by the chain rule from these few coordinates
per bin, dz/dtheta (``basis``) and the second derivatives of the rows.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import jax
import jax.numpy as jnp

from jaxfit.arrow import ArrowMatrix, ArrowVector
from jaxfit.likelihood import binwise, constraints
from jaxfit.likelihood.rows import Rows, RowState
from jaxfit.typing import Array, Bins, Bool, Data, Float, Globals, Int, Pars, Scalar, Slots

__all__ = ["Compact", "GlobalConstraint", "SlotConstraint"]


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class GlobalConstraint:
    """Normal constraints of the global parameters; an infinite width where there is none."""

    aux: Int[Array, "globals"]  # position in the data
    sigma: Globals


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class SlotConstraint:
    """Constraints of the bin-wise parameters: ``normal``, ``poisson`` or neither; ``kinds`` are those that occur."""

    aux: Int[Array, "slots blocks width"]  # position in the data
    normal: Bool[Array, "slots blocks width"]
    poisson: Bool[Array, "slots blocks width"]
    sigma: Slots
    tau: Slots
    kinds: tuple[str, ...] = field(metadata={"static": True})  # what does not occur is not computed


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Compact:
    """See the module; implements :class:`jaxfit.likelihood.protocol.Likelihood`."""

    templates: Rows
    members: Float[Array, "blocks classes factors"]  # factors of a class: own gammas first, then shared ones
    samples: Float[Array, "blocks samples rows"]  # 1 where the row is of the model's sample
    shared_index: Int[Array, "shared blocks width"]
    global_constraint: GlobalConstraint
    slot_constraint: SlotConstraint
    main: Int[Array, "blocks width"]  # position in the data, padding points behind its end
    bins: Int[Array, "bins"]  # the inverse of main, flattened
    order: Int[Array, "pars"]
    border_rows: Int[Array, "globals"]
    slot_rows: Int[Array, "slots blocks width"]
    kink_mask: Bool[Array, "globals"]
    has_kinks: bool = field(metadata={"static": True})

    @property
    def engine(self) -> str:
        """Name of this implementation."""
        return "compact"

    @property
    def rows(self) -> Int[Array, "slots bins"]:
        """Position of every slot's parameter in the model's order."""
        return self.slot_rows.reshape(self.slot_rows.shape[0], self.main.size)

    @property
    def bin_rows(self) -> Int[Array, "slots bins"]:
        """The same in the order of the data."""
        return self.rows[:, self.bins]

    @property
    def kinked(self) -> Bool[Array, "globals"] | None:
        """Global parameters with a kink at 0."""
        return self.kink_mask if self.has_kinks else None

    def split(self, pars: Pars, padding: float = 1.0) -> ArrowVector:
        """Arrow form of a vector over all parameters."""
        padded = jnp.concatenate([pars, jnp.full(1, padding, pars.dtype)])
        return ArrowVector(padded[self.border_rows], padded[self.rows])

    def join(self, vector: ArrowVector) -> Pars:
        """Vector over all parameters in the model's order."""
        return jnp.concatenate([vector.border, vector.blocks.ravel()])[self.order]

    def offset(self, data: Data) -> Scalar:
        """Terms of the NLL that depend on the data only."""
        n, aux = self._observed(data)
        slots, globals_ = self.slot_constraint, self.global_constraint
        terms = [constraints.poisson_constant(n)]
        if "normal" in slots.kinds:
            terms.append(jnp.where(slots.normal, constraints.normal_constant(slots.sigma), 0.0))
        if "poisson" in slots.kinds:
            constant = constraints.poisson_constant(jnp.where(slots.poisson, aux, 0.0))
            terms.append(jnp.where(slots.poisson, constant, 0.0))
        wide = jnp.isinf(globals_.sigma)
        border = jnp.where(wide, 0.0, constraints.normal_constant(jnp.where(wide, 1.0, globals_.sigma)))
        return sum((jnp.sum(term) for term in terms), start=jnp.sum(border))

    def expected(self, pars: Pars) -> Float[Array, "bins"]:
        """Expected yields of all bins, in the order of the data."""
        return self.yields(self.split(pars))

    def yields(self, vector: ArrowVector) -> Float[Array, "bins"]:
        """The same for parameters in arrow form."""
        return self._yields(self._class_yields(vector.border), self._factors(vector)).ravel()[self.bins]

    def by_sample(self, vector: ArrowVector) -> Float[Array, "samples bins"]:
        """Expected yields of every sample of the model in all bins, in the order of the data."""
        state = self.templates.at(vector.border)
        products = jnp.einsum("kqs,qkb->ksb", self.templates.classes, self._class_factors(self._factors(vector)))
        yields = jnp.einsum("kns,ks,ksb,ksb->nkb", self.samples, state.factor, state.shifted, products)
        return yields.reshape(yields.shape[0], -1)[:, self.bins]

    def value(self, vector: ArrowVector, data: Data) -> Scalar:
        """NLL minus offset."""
        n, aux = self._observed(data)
        nu = self._yields(self._class_yields(vector.border), self._factors(vector))
        return self._sum_terms(vector, n, aux, data, nu)

    def gradient(self, vector: ArrowVector, data: Data) -> ArrowVector:
        """Gradient of the value."""
        slopes: ArrowVector = self.derivatives(vector, data, jnp.asarray(0.0))[1]
        return slopes

    @jax.jit
    def derivatives(self, vector: ArrowVector, data: Data, exact: Scalar) -> tuple[Scalar, ArrowVector, ArrowMatrix]:
        """Value, gradient, and Hessian (``exact`` 1) or its Fisher approximation (``exact`` 0)."""
        n, aux = self._observed(data)
        rows = self.templates.at(vector.border)
        yields = self.templates.class_yields(rows)
        factors = self._factors(vector)
        own = self.slot_rows.shape[0]

        # the bin: nu and its derivatives by class yields (z < classes), shared factors (z >= classes) and gammas
        product, product_1, product_2 = self._products(factors)
        nu = jnp.sum(yields * product, axis=0)
        by_factor = jnp.einsum("qkb,qjkb->jkb", yields, product_1)
        by_z = jnp.concatenate([product, by_factor[own:]])
        by_gamma = by_factor[:own]
        twice_factor = jnp.einsum("qkb,qijkb->ijkb", yields, product_2)
        classes = yields.shape[0]
        twice_zz = jnp.zeros((by_z.shape[0],) * 2 + nu.shape)
        twice_zz = twice_zz.at[:classes, classes:].set(product_1[:, own:])
        twice_zz = twice_zz.at[classes:, :classes].set(jnp.swapaxes(product_1[:, own:], 0, 1))
        twice_zz = twice_zz.at[classes:, classes:].set(twice_factor[own:, own:])
        twice_gz = jnp.concatenate([jnp.swapaxes(product_1[:, :own], 0, 1), twice_factor[:own, own:]], axis=1)
        twice_gg = twice_factor[:own, :own]

        first, second = constraints.poisson_slopes(n, nu)
        # expected curvature 1 / nu; without events the likelihood is linear in nu, and 1 / nu would stop it short of 0
        fisher = jnp.where(nu > 0, 1.0 / jnp.where(nu > 0, jnp.where(n > 0, nu, jnp.maximum(nu, 1.0)), 1.0), 0.0)
        second = exact * second + (1.0 - exact) * fisher
        bent = exact * first
        term_1, term_2 = self._slot_slopes(vector, aux)

        basis = self._basis(rows)
        # most iterations are over before the exact Hessian is wanted
        bending = jax.lax.cond(
            exact > 0, self.templates.bending, lambda *_: jnp.zeros((basis.shape[0],) * 2), rows, bent[None] * product
        )
        flat = (nu.size,)
        second, bent = second[None, None], bent[None, None]
        core = second * by_z[:, None] * by_z[None] + bent * twice_zz
        cross = second * by_gamma[:, None] * by_z[None] + bent * twice_gz
        blocks = second * by_gamma[:, None] * by_gamma[None] + bent * twice_gg
        blocks = blocks + jnp.eye(own)[:, :, None, None] * term_2[None]

        pull, precision = self._pull(vector.border, data)
        gradient = ArrowVector(
            jnp.einsum("pzb,zb->p", basis, (first[None] * by_z).reshape(by_z.shape[0], -1)) + pull * precision,
            (first[None] * by_gamma + term_1).reshape((own, *flat)),
        )
        hessian = ArrowMatrix(
            bending + jnp.diag(precision),
            basis,
            core.reshape(core.shape[:2] + flat),
            cross.reshape(cross.shape[:2] + flat),
            blocks.reshape(blocks.shape[:2] + flat),
        )
        return self._sum_terms(vector, n, aux, data, nu), gradient, hessian

    @jax.jit
    def profile(self, vector: ArrowVector, lower: ArrowVector, upper: ArrowVector, data: Data) -> ArrowVector:
        """Gammas moved to their conditional minimum, slot by slot (exact where a bin has one gamma)."""
        own = self.slot_rows.shape[0]
        if own == 0:
            return vector
        n, aux = self._observed(data)
        yields = self._class_yields(vector.border)
        slots = self.slot_constraint
        low, high = lower.blocks.reshape(self.slot_rows.shape), upper.blocks.reshape(self.slot_rows.shape)
        factors = self._factors(vector)
        for j in range(own):
            with_j = self.members[:, :, j].T[:, :, None]
            others = jnp.prod(jnp.where(self._member_mask(), factors[None], 1.0).at[:, j].set(1.0), axis=1)
            slope = jnp.sum(yields * others * with_j, axis=0)
            rest = jnp.sum(yields * others * (1.0 - with_j), axis=0)
            best = binwise.free_minimum(n, rest, slope, factors[j])
            if "normal" in slots.kinds:
                normal = binwise.normal_minimum(n, rest, slope, aux[j], slots.sigma[j])
                best = jnp.where(slots.normal[j], normal, best)
            if "poisson" in slots.kinds:
                poisson = binwise.poisson_minimum(n, rest, slope, aux[j], slots.tau[j])
                best = jnp.where(slots.poisson[j], poisson, best)
            best = jnp.where(jnp.isfinite(best), best, factors[j])
            factors = factors.at[j].set(jnp.clip(best, low[j], high[j]))
        return vector._replace(blocks=factors[:own].reshape(own, -1))

    # -- the bins -----------------------------------------------------------------------------------------------------

    def _observed(self, data: Data) -> tuple[Bins, Slots]:
        padded = jnp.concatenate([data, jnp.zeros(1, data.dtype)])
        return padded[self.main], padded[self.slot_constraint.aux]

    def _factors(self, vector: ArrowVector) -> Float[Array, "factors blocks width"]:
        return jnp.concatenate([vector.blocks.reshape(self.slot_rows.shape), vector.border[self.shared_index]])

    def _class_yields(self, theta: Globals) -> Float[Array, "classes blocks width"]:
        return self.templates.class_yields(self.templates.at(theta))

    def _basis(self, rows: RowState) -> Float[Array, "globals z bins"]:
        """dz/dtheta for all bins: the class yields' Jacobian, then a selection for shared factors."""
        jacobian = self.templates.jacobian(rows)
        size = jacobian.shape[0]
        shared = jax.nn.one_hot(self.shared_index, size, axis=0)  # global, shared, block, bin
        both = jnp.concatenate([jacobian, shared], axis=1)
        return both.reshape(size, both.shape[1], self.main.size)

    def _member_mask(self) -> Bool[Array, "classes factors blocks 1"]:
        return (jnp.transpose(self.members, (1, 2, 0)) > 0)[..., None]

    def _class_factors(self, factors: Float[Array, "factors blocks width"]) -> Float[Array, "classes blocks width"]:
        return jnp.prod(jnp.where(self._member_mask(), factors[None], 1.0), axis=1)

    def _yields(
        self, yields: Float[Array, "classes blocks width"], factors: Float[Array, "factors blocks width"]
    ) -> Bins:
        return jnp.sum(yields * self._class_factors(factors), axis=0)

    def _products(
        self, factors: Float[Array, "factors blocks width"]
    ) -> tuple[Float[Array, "q k b"], Float[Array, "q j k b"], Float[Array, "q i j k b"]]:
        """Each class's product of factors, and its first and second derivatives by them (products of the others)."""
        mask = self._member_mask()
        each = jnp.where(mask, factors[None], 1.0)
        eye = jnp.eye(factors.shape[0], dtype=bool)[None, :, :, None, None]
        without = jnp.where(eye, 1.0, each[:, None])  # class, removed, factor, block, bin
        first = jnp.where(mask, jnp.prod(without, axis=2), 0.0)
        twice = jnp.where(eye[:, None], 1.0, without[:, :, None])  # class, removed, removed, factor, block, bin
        both = mask[:, :, None] & mask[:, None] & ~eye
        second = jnp.where(both, jnp.prod(twice, axis=3), 0.0)
        return jnp.prod(each, axis=1), first, second

    def _slot_slopes(self, vector: ArrowVector, aux: Slots) -> tuple[Slots, Slots]:
        slots = self.slot_constraint
        gamma = vector.blocks.reshape(self.slot_rows.shape)
        first = second = jnp.zeros_like(gamma)
        if "normal" in slots.kinds:
            normal = jnp.where(slots.normal, 1.0 / slots.sigma**2, 0.0)
            first, second = normal * (gamma - aux), normal
        if "poisson" in slots.kinds:
            by_gamma, twice = constraints.poisson_slopes(aux / slots.tau, gamma)
            first = first + jnp.where(slots.poisson, slots.tau * by_gamma, 0.0)
            second = second + jnp.where(slots.poisson, slots.tau * twice, 0.0)
        return first, second

    def _pull(self, border: Globals, data: Data) -> tuple[Globals, Globals]:
        padded = jnp.concatenate([data, jnp.zeros(1, data.dtype)])
        return border - padded[self.global_constraint.aux], 1.0 / self.global_constraint.sigma**2

    def _sum_terms(self, vector: ArrowVector, n: Bins, aux: Slots, data: Data, nu: Bins) -> Scalar:
        slots = self.slot_constraint
        gamma = vector.blocks.reshape(self.slot_rows.shape)
        terms = [constraints.poisson_deviance(n, nu)]
        if "normal" in slots.kinds:
            terms.append(jnp.where(slots.normal, 0.5 * ((gamma - aux) / slots.sigma) ** 2, 0.0))
        if "poisson" in slots.kinds:
            # not tau * gamma: at 1e18 events that product is rounded to 1e-7 standard deviations
            safe = jnp.where(slots.poisson, aux / slots.tau, 1.0), jnp.where(slots.poisson, gamma, 1.0)
            terms.append(slots.tau * constraints.poisson_deviance(*safe))
        pull, precision = self._pull(vector.border, data)
        return sum((jnp.sum(term) for term in terms), start=0.5 * jnp.sum(pull**2 * precision))
