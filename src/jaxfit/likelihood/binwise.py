"""Conditional minimum of one bin-wise parameter gamma in closed form, everything else held.

The bin expects nu = rest + slope * gamma and observes n. Each constraint gives a quadratic equation
(arXiv:1103.0354 section 5 for the normal case; Barlow and Beeston, Comput. Phys. Commun. 77 (1993) 219).
"""

from __future__ import annotations

import jax.numpy as jnp

from jaxfit.typing import Bins

__all__ = ["free_minimum", "normal_minimum", "poisson_minimum"]

_FAR = 1e300  # beyond every bound


def normal_minimum(n: Bins, rest: Bins, slope: Bins, aux: Bins, sigma: Bins) -> Bins:
    """Gamma constrained by a normal distribution around ``aux`` of width ``sigma``.

    Solved for the yield, nu^2 + nu (slope^2 sigma^2 - nu_0) - n slope^2 sigma^2 = 0 with nu_0 = rest + aux * slope,
    which has exactly one positive root and needs no division by the slope.
    """
    variance = (slope * sigma) ** 2
    half = 0.5 * (rest + aux * slope - variance)
    root = jnp.sqrt(half**2 + n * variance)
    nu = jnp.where(half >= 0, half + root, n * variance / jnp.where(half >= 0, 1.0, root - half))
    ratio = jnp.where(n > 0, n / jnp.where(nu > 0, nu, 1.0), 0.0)
    # a ratio that is rounded is wrong by eps sigma^2 slope, a yield by eps nu / slope
    by_yield = (n > 0) & (variance > nu)
    return jnp.where(by_yield, (nu - rest) / jnp.where(by_yield, slope, 1.0), aux + sigma**2 * slope * (ratio - 1.0))


def poisson_minimum(n: Bins, rest: Bins, slope: Bins, count: Bins, tau: Bins) -> Bins:
    """Gamma constrained by an auxiliary measurement ``count`` that expects ``tau * gamma``.

    The root of total * slope * gamma^2 + 2 half * gamma = count * rest at which nu is positive.
    """
    total = slope + tau
    half = 0.5 * (total * rest - (n + count) * slope)
    root = jnp.sqrt(jnp.maximum(half**2 + total * slope * count * rest, 0.0))
    upward = (half < 0) | ((half == 0) & (slope != 0))
    larger = (root - half) / jnp.where(upward, total * slope, 1.0)
    smaller = count * rest / jnp.where(half > 0, half + root, 1.0)
    alone = count / jnp.where(total > 0, total, 1.0)  # nothing observed, or gamma without effect
    observed = jnp.where(upward, larger, jnp.where(half > 0, smaller, alone))
    return jnp.where(n > 0, observed, jnp.where(total > 0, alone, _FAR))


def free_minimum(n: Bins, rest: Bins, slope: Bins, gamma: Bins) -> Bins:
    """Unconstrained gamma: expect what is observed, or as little as the bounds allow; stays where it has no effect."""
    observed = (n - rest) / jnp.where(slope == 0, 1.0, slope)
    return jnp.where(slope == 0, gamma, jnp.where(n > 0, observed, -jnp.sign(slope) * _FAR))
