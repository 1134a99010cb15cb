"""pyhf with SLSQP of scipy and exact gradients of its JAX backend, compiled anew for each set of held parameters."""

from __future__ import annotations

from benchmarks.peers import pyhf_scipy

__all__ = ["Fitter"]


class Fitter(pyhf_scipy.Fitter):
    """The same with the other backend."""

    settings = "SLSQP, tolerance 1e-10, gradients by JAX"
    backend = "jax"
    compiles = True
