"""Conditional minimum of one bin-wise parameter gamma in closed form, everything else held.

The bin expects nu = rest + slope * gamma and observes n. Each constraint gives a quadratic equation
(arXiv:1103.0354 section 5 for the normal case; Barlow and Beeston, Comput. Phys. Commun. 77 (1993) 219).
"""

from __future__ import annotations

import jax.numpy as jnp

from jaxfit.typing import Bins

__all__ = ["free_minimum", "normal_minimum", "poisson_minimum"]


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
    return aux + sigma**2 * slope * (ratio - 1.0)


def poisson_minimum(n: Bins, rest: Bins, slope: Bins, count: Bins, tau: Bins) -> Bins:
    """Gamma constrained by an auxiliary measurement ``count`` that expects ``tau * gamma``."""
    total = slope + tau
    a = total * slope
    half = 0.5 * (total * rest - (n + count) * slope)
    root = jnp.sqrt(jnp.maximum(half**2 + a * count * rest, 0.0))
    below = jnp.where(a > 0, (root - half) / jnp.where(a > 0, a, 1.0), count / tau)
    return jnp.where(half < 0, below, jnp.where(half > 0, count * rest / jnp.where(half > 0, half + root, 1.0), below))


def free_minimum(n: Bins, rest: Bins, slope: Bins, gamma: Bins) -> Bins:
    """Unconstrained gamma: expect what is observed; stays where it has no effect."""
    return jnp.where(slope > 0, (n - rest) / jnp.where(slope > 0, slope, 1.0), gamma)
