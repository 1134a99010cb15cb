"""Compiled questions about one point: the likelihood around it, covariances, expected yields."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxfit.arrow import ArrowFactor, ArrowVector
from jaxfit.likelihood import Likelihood
from jaxfit.typing import Array, Bool, Data, Float, Int, NumpyArray, NumpyMask, Pars, Scalar

__all__ = ["Curvature", "covariance_columns", "curvature", "expected_yields", "hessian", "nll", "slopes"]

_MASKS = 64  # of a compiled program


class Curvature(NamedTuple):
    """The likelihood around one point: NLL, gradient, EDM, widths, expected yields, the Hessian."""

    nll: float
    gradient: NumpyArray
    edm: float
    sigma: NumpyArray
    diagonal: NumpyArray
    positive: bool  # definite
    expected: NumpyArray
    correlation: Callable[[], NumpyArray]  # takes longer than an iteration if parameters are many


def curvature(
    likelihood: Likelihood, pars: NumpyArray, free: NumpyMask, held: NumpyMask, data: NumpyArray
) -> Curvature:
    """NLL, expected yields and inverse Hessian over the ``free`` parameters (zero elsewhere) at a point.

    The slopes of ``held`` parameters (on a bound) do not count in the EDM.
    """
    masks = np.asarray(free, dtype=float), np.asarray(free & ~held, dtype=float)
    with jax.enable_x64(True):
        factor, order, rows, *packed = _curvature(likelihood, pars, *masks, data)
        (nll, edm, positive), (gradient, sigma, diagonal), expected = jax.device_get(packed)

    def correlation() -> NumpyArray:
        with jax.enable_x64(True):
            return np.asarray(_correlation(factor, order, rows))

    return Curvature(float(nll), gradient, float(edm), sigma, diagonal, bool(positive), expected, correlation)


def hessian(likelihood: Likelihood, pars: NumpyArray, data: NumpyArray) -> NumpyArray:
    """The dense Hessian of the NLL over all parameters, for a diagnosis."""
    with jax.enable_x64(True):
        dense = np.asarray(_hessian(likelihood, pars, data))
        order = np.asarray(likelihood.order)
    return np.asarray(dense[np.ix_(order, order)])


def covariance_columns(
    likelihood: Likelihood, pars: NumpyArray, data: NumpyArray, index: int, masks: NumpyMask
) -> tuple[NumpyArray, NumpyMask]:
    """Covariances of parameter ``index`` with all parameters, for several sets of free parameters.

    Args:
        likelihood: of the model.
        pars: where its Hessian is taken.
        data: main and auxiliary data.
        index: a parameter that is free in all sets.
        masks: the free parameters, one set a row; the others are held.

    Returns:
        The columns of the inverse Hessian, one a row, zero where not free; and for which sets the Hessian is positive
        definite (the others have no covariance).
    """
    columns, positive = [], []
    unit = np.zeros(len(pars))
    unit[index] = 1.0
    with jax.enable_x64(True):
        for first in range(0, len(masks), _MASKS):
            part = np.asarray(masks[first : first + _MASKS], dtype=float)
            padded = np.concatenate([part, np.ones((_MASKS - len(part), part.shape[1]))])
            found = _columns(likelihood, pars, data, unit, padded, len(part))
            columns.append(np.asarray(found[0])[: len(part)])
            positive.append(np.asarray(found[1])[: len(part)])
    return np.concatenate(columns), np.concatenate(positive)


def expected_yields(likelihood: Likelihood, pars: NumpyArray) -> NumpyArray:
    """Expected yields of all bins, in the order of the data."""
    with jax.enable_x64(True):
        return np.asarray(_expected(likelihood, pars))


def nll(likelihood: Likelihood, pars: NumpyArray, data: NumpyArray) -> float:
    """-log(likelihood), all constants included."""
    with jax.enable_x64(True):
        return float(_nll(likelihood, pars, data))


def slopes(likelihood: Likelihood, pars: NumpyArray, data: NumpyArray) -> NumpyArray:
    """Gradient of -log(likelihood)."""
    with jax.enable_x64(True):
        return np.asarray(_slopes(likelihood, pars, data))


@jax.jit
def _curvature(likelihood: Likelihood, pars: Pars, free: Pars, moving: Pars, data: Data) -> tuple[Any, ...]:
    """Packed into few arrays, of which each takes as long to fetch as a small model to evaluate."""
    value, gradient, matrix = likelihood.derivatives(likelihood.split(pars), data, jnp.asarray(1.0))
    factor = matrix.factor(likelihood.split(free, padding=0.0))
    if likelihood.kinked is not None:  # held there by different slopes on both sides
        border = jnp.where(likelihood.kinked & (likelihood.split(pars).border == 0), 0.0, gradient.border)
        gradient = gradient._replace(border=border)
    slopes = ArrowVector.combine(jnp.multiply, gradient, likelihood.split(moving, padding=0.0))
    order, rows = likelihood.order, likelihood.rows
    scalars = jnp.stack([value + likelihood.offset(data), slopes.dot(factor.solve(slopes)), factor.positive])
    columns = [likelihood.join(slopes), factor.widths(order, rows), likelihood.join(matrix.diagonal())]
    return factor, order, rows, scalars, jnp.stack(columns), likelihood.expected(pars)


@jax.jit
def _hessian(likelihood: Likelihood, pars: Pars, data: Data) -> Float[Array, "all all"]:
    return likelihood.derivatives(likelihood.split(pars), data, jnp.asarray(1.0))[2].to_dense()


_correlation = jax.jit(ArrowFactor.correlation)


@jax.jit
def _columns(
    likelihood: Likelihood, pars: Pars, data: Data, unit: Pars, masks: Float[Array, "sets pars"], number: int
) -> tuple[Float[Array, "sets pars"], Bool[Array, "sets"]]:
    matrix = likelihood.derivatives(likelihood.split(pars), data, jnp.asarray(1.0))[2]
    one = likelihood.split(unit, padding=0.0)

    def body(
        i: Int[Array, ""], found: tuple[Float[Array, "sets pars"], Bool[Array, "sets"]]
    ) -> tuple[Float[Array, "sets pars"], Bool[Array, "sets"]]:
        factor = matrix.factor(likelihood.split(masks[i], padding=0.0))
        column = likelihood.join(factor.solve(one))
        return found[0].at[i].set(column), found[1].at[i].set(factor.positive)

    none = jnp.zeros_like(masks), jnp.zeros(len(masks), dtype=bool)
    found: tuple[Float[Array, "sets pars"], Bool[Array, "sets"]] = jax.lax.fori_loop(0, number, body, none)
    return found


@jax.jit
def _expected(likelihood: Likelihood, pars: Pars) -> Float[Array, "bins"]:
    return likelihood.expected(pars)


@jax.jit
def _nll(likelihood: Likelihood, pars: Pars, data: Data) -> Scalar:
    return likelihood.value(likelihood.split(pars), data) + likelihood.offset(data)


@jax.jit
def _slopes(likelihood: Likelihood, pars: Pars, data: Data) -> Pars:
    return likelihood.join(likelihood.gradient(likelihood.split(pars), data))
