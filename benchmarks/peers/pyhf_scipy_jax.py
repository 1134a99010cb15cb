"""pyhf with SLSQP of scipy and exact gradients of its JAX backend, compiled anew for each set of held parameters."""

from __future__ import annotations

import numpy as np

from benchmarks.peers import pyhf_scipy

__all__ = ["Fitter"]


class Fitter(pyhf_scipy.Fitter):
    """The same with the other backend."""

    settings = "SLSQP, tolerance 1e-10, gradients by JAX"
    backend = "jax"
    compiles = True

    def limit(self, bracket: tuple[float, float]) -> np.ndarray:
        raise NotImplementedError("pyhf 0.7.6 compares arrays of JAX in its search for limits")
