"""Terms of the likelihood: Poisson and normal, written as deviances.

nu - n log nu summed over bins is 1e5 to 1e7 and its rounding as large as the last steps of a fit. The deviance
nu - n - n log(nu / n) is of the order of the goodness of fit; what it leaves out depends on the data only.
"""

from __future__ import annotations

from functools import reduce
from operator import mul
from typing import Any

import jax
import jax.numpy as jnp

from jaxfit.typing import Array, Float

__all__ = ["normal_constant", "poisson_constant", "poisson_deviance", "poisson_slopes"]

_LARGEST = 1e300  # a ratio that would overflow: its logarithm does not count


def poisson_deviance(n: Float[Array, "..."], nu: Float[Array, "..."]) -> Float[Array, "..."]:
    """nu - n - n log(nu / n), minus the Poisson log-probability up to :func:`poisson_constant`.

    nu itself for n = 0, also where nu is negative, as in pyhf (a fit that ends there says so); infinite where something
    is observed but nothing or less expected, and where n or nu is no number.
    """
    possible = ((nu > 0) & (n > 0)) | ((n == 0) & ~jnp.isnan(nu))
    observed = jnp.where(n > 0, n, 1.0)
    yields = jnp.where(possible & (n > 0), nu, observed)
    excess, log = yields - observed, _log_ratio(yields, observed)
    near = jnp.abs(log) < 0.5
    deviance = jnp.where(near, observed * (excess / observed - log), excess - observed * log)
    return jnp.where(possible, jnp.where(n > 0, deviance, nu), jnp.inf)


@jax.custom_jvp
def _log_ratio(a: Float[Array, "..."], b: Float[Array, "..."]) -> Float[Array, "..."]:
    """log(a / b) to full precision where a is close to b, too, with a single logarithm, which is what costs time.

    There log(1 + x) is x log(u) / (u - 1) with u = 1 + x as it is rounded (D. Goldberg, ACM Comput. Surv. 23 (1991) 5,
    theorem 4).
    """
    x = (a - b) / b
    near = jnp.abs(x) < 0.5
    u = jnp.where(near, 1.0 + x, jnp.minimum(a / b, _LARGEST))
    log = jnp.log(u)
    return jnp.where(near, jnp.where(u == 1.0, x, x * (log / jnp.where(u == 1.0, 1.0, u - 1.0))), log)


@_log_ratio.defjvp
def _log_ratio_slope(primals: tuple[Any, Any], tangents: tuple[Any, Any]) -> tuple[Any, Any]:
    (a, b), (da, db) = primals, tangents
    return _log_ratio(a, b), da / a - db / b


def poisson_slopes(n: Float[Array, "..."], nu: Float[Array, "..."]) -> tuple[Float[Array, "..."], Float[Array, "..."]]:
    """First derivative (nu - n) / nu and second derivative n / nu^2 of the deviance; finite at n = nu = 0.

    The difference is formed first: 1 - n / nu is rounded to 1e-16, which is 1e-7 standard deviations at n = 1e18.
    """
    safe = jnp.where(nu == 0, 1.0, nu)
    return jnp.where(n > 0, (nu - n) / safe, 1.0), jnp.where(n > 0, n / safe, 0.0) / safe


def poisson_constant(n: Float[Array, "..."]) -> Float[Array, "..."]:
    """n - n log n + log Gamma(n + 1), for n >= 16 by Stirling's series (a difference of large numbers otherwise).

    Below, Gamma(n + 1) = Gamma(n + 17) / ((n + 1) ... (n + 16)), which is much faster than a logarithm of Gamma.
    """
    small = jnp.clip(n, 0.0, 16.0)
    positive = jnp.where(small > 0, small, 1.0)
    x = jnp.where(n < 16.0, small + 16.0, n)
    y = 1.0 / x
    series = 0.5 * jnp.log(2 * jnp.pi * x) + y * (1 / 12 - y**2 * (1 / 360 - y**2 * (1 / 1260 - y**2 / 1680)))
    product = reduce(mul, (small + k for k in range(1, 17)))
    direct = small - small * jnp.log(positive) + (series + x * jnp.log(x) - x) - jnp.log(product)
    return jnp.where(n < 16.0, direct, series)


def normal_constant(sigma: Float[Array, "..."]) -> Float[Array, "..."]:
    """log(sigma sqrt(2 pi))."""
    return jnp.log(sigma) + 0.5 * jnp.log(2 * jnp.pi)
