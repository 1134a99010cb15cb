"""Compiled questions about one point: the likelihood around it, covariances, expected yields."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxfit import lanes
from jaxfit.arrow import ArrowFactor, ArrowVector
from jaxfit.likelihood import Likelihood
from jaxfit.threads import computing
from jaxfit.typing import Array, Bool, Data, Float, NumpyArray, NumpyMask, Pars, Scalar

__all__ = ["Curvature", "covariance_columns", "curvature", "expected_yields", "hessian", "nll", "slopes", "widths"]


class Curvature(NamedTuple):
    """The likelihood around one point: NLL, gradient, EDM, widths, expected yields, the Hessian."""

    nll: float
    gradient: NumpyArray
    edm: float
    sigma: NumpyArray
    diagonal: NumpyArray
    positive: bool  # definite
    distance: float  # of the events in a bin from those expected, in standard deviations, at most
    expected: NumpyArray
    correlation: Callable[[], NumpyArray]  # takes longer than an iteration if parameters are many


def curvature(
    likelihood: Likelihood, pars: NumpyArray, free: NumpyMask, held: NumpyMask, data: NumpyArray
) -> Curvature:
    """NLL, expected yields and inverse Hessian over the ``free`` parameters (zero elsewhere) at a point.

    The slopes of ``held`` parameters (on a bound) do not count in the EDM.
    """
    masks = np.asarray(free, dtype=float), np.asarray(free & ~held, dtype=float)
    with computing():
        factor, order, rows, *packed = _curvature(likelihood, pars, *masks, data)
        (nll, edm, positive, distance), (gradient, sigma, diagonal), expected = jax.device_get(packed)

    def correlation() -> NumpyArray:
        with computing():
            return np.asarray(_correlation(factor, order, rows))

    return Curvature(
        float(nll), gradient, float(edm), sigma, diagonal, bool(positive), float(distance), expected, correlation
    )


def hessian(likelihood: Likelihood, pars: NumpyArray, data: NumpyArray) -> NumpyArray:
    """The dense Hessian of the NLL over all parameters, for a diagnosis."""
    with computing():
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
    unit = np.zeros(len(pars))
    unit[index] = 1.0

    columns, positive = lanes.run(
        lambda part, number, width: _columns(likelihood, pars, data, unit, *part, number, width),
        (np.asarray(masks, dtype=float),),
    )
    return columns, positive


def widths(
    likelihood: Likelihood, pars: NumpyArray, data: NumpyArray, free: NumpyMask
) -> tuple[NumpyArray, NumpyArray]:
    """Standard deviations from the Hessian at many points.

    Args:
        likelihood: of the model.
        pars: points, (lanes, parameters).
        data: main and auxiliary data, (lanes, data).
        free: parameters over which to invert the Hessian, (lanes, parameters); at least one a lane.

    Returns:
        Their standard deviations, 0 elsewhere; and the largest of their variances in units of the conditional variance,
        infinite where the Hessian is not positive definite.
    """
    sigma, inflation = lanes.run(
        lambda part, number, width: _widths(likelihood, part, number, width),
        (pars, data, np.asarray(free, dtype=float)),
    )
    return sigma, inflation


def expected_yields(likelihood: Likelihood, pars: NumpyArray) -> NumpyArray:
    """Expected yields of all bins, in the order of the data."""
    with computing():
        return np.asarray(_expected(likelihood, pars))


def nll(likelihood: Likelihood, pars: NumpyArray, data: NumpyArray) -> float:
    """-log(likelihood), all constants included."""
    with computing():
        return float(_nll(likelihood, pars, data))


def slopes(likelihood: Likelihood, pars: NumpyArray, data: NumpyArray) -> NumpyArray:
    """Gradient of -log(likelihood)."""
    with computing():
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
    edm, expected = slopes.dot(factor.solve(slopes)), likelihood.expected(pars)
    distance = jnp.max(jnp.abs(data[: expected.size] - expected) / jnp.sqrt(jnp.maximum(expected, 1.0)))
    scalars = jnp.stack([value + likelihood.offset(data), edm, factor.positive, distance])
    columns = [likelihood.join(slopes), factor.widths(order, rows), likelihood.join(matrix.diagonal())]
    return factor, order, rows, scalars, jnp.stack(columns), expected


@jax.jit
def _hessian(likelihood: Likelihood, pars: Pars, data: Data) -> Float[Array, "all all"]:
    return likelihood.derivatives(likelihood.split(pars), data, jnp.asarray(1.0))[2].to_dense()


_correlation = jax.jit(ArrowFactor.correlation)


@partial(jax.jit, static_argnames="width")
def _columns(
    likelihood: Likelihood,
    pars: Pars,
    data: Data,
    unit: Pars,
    masks: Float[Array, "sets pars"],
    number: int,
    width: int,
) -> tuple[Float[Array, "sets pars"], Bool[Array, "sets"]]:
    matrix = likelihood.derivatives(likelihood.split(pars), data, jnp.asarray(1.0))[2]
    one = likelihood.split(unit, padding=0.0)

    def column(mask: Pars) -> tuple[Pars, Bool[Array, ""]]:
        factor = matrix.factor(likelihood.split(mask, padding=0.0))
        return likelihood.join(factor.solve(one)), factor.positive

    empty = jnp.zeros_like(masks), jnp.zeros(len(masks), dtype=bool)
    return lanes.each_lane(column, masks, empty, number, width)


@partial(jax.jit, static_argnames="width")
def _widths(
    likelihood: Likelihood,
    points: tuple[Float[Array, "lanes pars"], Float[Array, "lanes data"], Float[Array, "lanes pars"]],
    number: int,
    width: int,
) -> tuple[Float[Array, "lanes pars"], Float[Array, "lanes"]]:
    def one(point: tuple[Pars, Data, Pars]) -> tuple[Pars, Scalar]:
        pars, data, free = point
        matrix = likelihood.derivatives(likelihood.split(pars), data, jnp.asarray(1.0))[2]
        factor = matrix.factor(likelihood.split(free, padding=0.0))
        sigma = factor.widths(likelihood.order, likelihood.rows)
        inflation = jnp.max(free * sigma**2 * likelihood.join(matrix.diagonal()))
        return sigma, jnp.where(factor.positive, inflation, jnp.inf)

    empty = jnp.zeros_like(points[0]), jnp.zeros(len(points[0]), points[0].dtype)
    return lanes.each_lane(one, points, empty, number, width)


@jax.jit
def _expected(likelihood: Likelihood, pars: Pars) -> Float[Array, "bins"]:
    return likelihood.expected(pars)


@jax.jit
def _nll(likelihood: Likelihood, pars: Pars, data: Data) -> Scalar:
    return likelihood.value(likelihood.split(pars), data) + likelihood.offset(data)


@jax.jit
def _slopes(likelihood: Likelihood, pars: Pars, data: Data) -> Pars:
    return likelihood.join(likelihood.gradient(likelihood.split(pars), data))
