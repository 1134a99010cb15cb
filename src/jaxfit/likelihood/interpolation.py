"""Interpolation of systematic variations between templates (pyhf.interpolators), and its derivatives.

Codes 0 and 1 have a kink at alpha = 0; there the functions take the branch of alpha > 0, so every derivative at exactly
0 is the right-hand one. The left-hand one is found at any negative alpha, however small.
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from jaxfit.typing import Array, Float, NumpyArray

__all__ = ["KINKED", "code4_coefficients", "factor", "shape", "with_derivatives"]

KINKED = frozenset({"code0", "code1"})

# Polynomial of code4 from value, slope and curvature at alpha = +-1 (CERN-OPEN-2012-016; pyhf.interpolators.code4)
_CODE4 = (
    np.array(
        [
            [15, -15, -7, -7, 1, -1],
            [24, 24, -9, 9, 1, 1],
            [-10, 10, 10, 10, -2, 2],
            [-24, -24, 14, -14, -2, -2],
            [3, -3, -3, -3, 1, -1],
            [8, 8, -5, 5, 1, 1],
        ]
    )
    / 16.0
)


def code4_coefficients(log_hi: NumpyArray, log_lo: NumpyArray) -> NumpyArray:
    """The six polynomial coefficients of code4, first axis, for normsys factors given by their logarithms."""
    hi, lo = np.exp(log_hi), np.exp(log_lo)
    boundary = np.stack([hi - 1, lo - 1, log_hi * hi, -log_lo * lo, log_hi**2 * hi, log_lo**2 * lo])
    return np.asarray(np.einsum("ij,j...->i...", _CODE4, boundary))


def factor(
    code: str,
    alpha: Float[Array, "..."],
    log_hi: Float[Array, "..."],
    log_lo: Float[Array, "..."],
    poly: Float[Array, "6 ..."],
) -> Float[Array, "..."]:
    """Multiplicative factor of a normsys at ``alpha`` (code1: exponential, code4: polynomial within +-1)."""
    outside = jnp.exp(jnp.where(alpha >= 0, alpha * log_hi, -alpha * log_lo))
    if code == "code1":
        return outside
    near = jnp.clip(alpha, -1.0, 1.0)
    inside = 1.0 + near * jnp.polyval(poly[::-1], near)
    return jnp.where(jnp.abs(alpha) < 1, inside, outside)


def shape(code: str, alpha: Float[Array, "n"]) -> Float[Array, "2 n"]:
    """Weights of the symmetric, (hi - lo) / 2, and antisymmetric, (hi + lo) / 2 - nominal, part of a histosys.

    Every additive code is linear in these two templates. Below -1, code2 follows pyhf's documentation; pyhf 0.7.6
    itself computes (b - 2a) alpha instead of (b - 2a)(alpha + 1) there (scikit-hep/pyhf issue 2668).
    """
    size = jnp.where(alpha >= 0, alpha, -alpha)
    if code == "code0":
        return jnp.stack([alpha, size])
    inside = jnp.abs(alpha) <= 1
    if code == "code2":
        beyond = jnp.where(alpha >= 0, alpha - 1, alpha + 1)
        return jnp.stack([jnp.where(inside, alpha, beyond), jnp.where(inside, alpha**2, 2 * jnp.abs(beyond))])
    square = jnp.where(inside, alpha, 0.0) ** 2
    return jnp.stack([alpha, jnp.where(inside, square * (15 - 10 * square + 3 * square**2) / 8, size)])


def with_derivatives(
    function: Callable[[Float[Array, "..."]], Float[Array, "..."]], x: Float[Array, "..."]
) -> tuple[Float[Array, "..."], Float[Array, "..."], Float[Array, "..."]]:
    """Value, first and second derivative of an elementwise function."""

    def slope(x: Float[Array, "..."]) -> tuple[Float[Array, "..."], Float[Array, "..."]]:
        return jax.jvp(function, (x,), (jnp.ones_like(x),))

    (value, first), (_, second) = jax.jvp(slope, (x,), (jnp.ones_like(x),))
    return value, first, second
