"""Terms of the likelihood: Poisson and normal, written as deviances.

nu - n log nu summed over bins is 1e5 to 1e7 and its rounding as large as the last steps of a fit. The deviance
nu - n - n log(nu / n) is of the order of the goodness of fit; what it leaves out depends on the data only.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from jaxfit.typing import Array, Float

__all__ = ["normal_constant", "poisson_constant", "poisson_deviance", "poisson_slopes"]


def poisson_deviance(n: Float[Array, "..."], nu: Float[Array, "..."]) -> Float[Array, "..."]:
    """nu - n - n log(nu / n), minus the Poisson log-probability up to :func:`poisson_constant`.

    nu itself for n = 0, also where nu is negative, as in pyhf (a fit that ends there says so); infinite where something
    is observed but nothing or less expected, and where n or nu is no number.
    """
    possible = ((nu > 0) & (n > 0)) | ((n == 0) & ~jnp.isnan(nu))
    observed = jnp.where(n > 0, n, 1.0)
    ratio = jnp.where(possible & (n > 0), nu / observed, 1.0)
    excess = (jnp.where(possible & (n > 0), nu, observed) - observed) / observed
    # log1p keeps the digits where nu is close to n, log those where nu is tiny
    log = jnp.where(jnp.abs(excess) < 0.5, jnp.log1p(excess), jnp.log(ratio))
    return jnp.where(possible, jnp.where(n > 0, observed * (excess - log), nu), jnp.inf)


def poisson_slopes(n: Float[Array, "..."], nu: Float[Array, "..."]) -> tuple[Float[Array, "..."], Float[Array, "..."]]:
    """First derivative 1 - n / nu and second derivative n / nu^2 of the deviance; finite at n = nu = 0."""
    ratio = jnp.where(n > 0, n / jnp.where(nu == 0, 1.0, nu), 0.0)
    return 1.0 - ratio, ratio / jnp.where(nu == 0, 1.0, nu)


def poisson_constant(n: Float[Array, "..."]) -> Float[Array, "..."]:
    """n - n log n + log Gamma(n + 1), by Stirling's series for n >= 16 (a difference of large numbers otherwise)."""
    small = jnp.clip(n, 0.0, 16.0)
    positive = jnp.where(small > 0, small, 1.0)
    direct = small - small * jnp.log(positive) + jax.scipy.special.gammaln(small + 1.0)
    x = 1.0 / jnp.maximum(n, 16.0)
    series = 0.5 * jnp.log(2 * jnp.pi / x) + x * (1 / 12 - x**2 * (1 / 360 - x**2 * (1 / 1260 - x**2 / 1680)))
    return jnp.where(n < 16.0, direct, series)


def normal_constant(sigma: Float[Array, "..."]) -> Float[Array, "..."]:
    """log(sigma sqrt(2 pi))."""
    return jnp.log(sigma) + 0.5 * jnp.log(2 * jnp.pi)
