"""Toy data, drawn on the device: toy i depends on the seed and on i, and on nothing else.

The streams of random numbers are JAX's (Threefry, one key for each toy), so that they are the same on all devices.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pyhf

from jaxfit import lanes
from jaxfit.errors import InputError, suggest
from jaxfit.likelihood.models import constraint_table
from jaxfit.typing import Array, Data, Float, Int, NumpyArray

__all__ = ["Auxiliary", "Sampler", "draw", "sampler"]

Auxiliary = Literal["sampled", "nominal"]
_AUXILIARIES = ("sampled", "nominal")
_LARGE = 1e5  # events; the variance of JAX's Poisson numbers is off by 1 % from 1e6 and by 50 % from 1e8


class Sampler(NamedTuple):
    """The distribution of toy data.

    Attributes:
        mean: expected main and auxiliary data.
        sigma: width of a normal distribution, 0 for a datum that does not vary, NaN for a Poisson distribution.
    """

    mean: NumpyArray
    sigma: NumpyArray


def sampler(model: pyhf.Model, expected: NumpyArray, aux: str, nominal: NumpyArray) -> Sampler:
    """How toy data of a model are distributed: as in ``pyhf.Model.make_pdf(pars).sample``.

    Args:
        model: a pyhf model.
        expected: main and auxiliary data that are expected.
        aux: "sampled" from each constraint's own density, or "nominal".
        nominal: the auxiliary data of all toys in this case.

    Raises:
        InputError: an unknown ``aux``, or a negative number of events is expected.
    """
    if aux not in _AUXILIARIES:
        raise InputError(suggest("aux", aux, _AUXILIARIES))
    main = model.config.nmaindata
    mean, sigma = np.array(expected, dtype=float), np.full(len(expected), np.nan)
    if not (mean[:main] >= 0).all():
        raise InputError(f"no toys where a negative yield is expected: {mean[:main].min():.4g} in a bin; change pars")
    if aux == "nominal":
        mean[main:], sigma[main:] = nominal, 0.0
    else:
        kind, position, width, _ = constraint_table(model.config)
        sigma[position[kind == 1]] = width[kind == 1]
    return Sampler(mean, sigma)


def draw(distribution: Sampler, seed: int, first: int, count: int) -> NumpyArray:
    """The toys ``first`` to ``first + count - 1`` of a seed, (toys, data)."""
    (drawn,) = lanes.run(
        lambda part, *_: (_draw(distribution.mean, distribution.sigma, seed, part[0]),),
        (np.arange(first, first + count),),
    )
    return drawn


@jax.jit
def _draw(mean: Data, sigma: Data, seed: Int[Array, ""], toys: Int[Array, "toys"]) -> Float[Array, "toys data"]:
    root, counted = jax.random.key(seed), jnp.isnan(sigma)
    large = counted & (mean > _LARGE)
    width = jnp.where(counted, jnp.sqrt(mean), sigma)

    def one(toy: Int[Array, ""]) -> Data:
        key, other = jax.random.split(jax.random.fold_in(root, toy))
        counts = jax.random.poisson(key, jnp.where(counted & ~large, mean, 0.0))
        z = jax.random.normal(other, mean.shape)
        # quantiles of large Poisson numbers by the first terms of the Cornish-Fisher expansion, exact to order 1 / mean
        many = jnp.round(mean + width * z + (z**2 - 1.0) / 6.0)
        return jnp.where(counted, jnp.where(large, many, counts), mean + width * z)

    return jax.vmap(one)(toys)
