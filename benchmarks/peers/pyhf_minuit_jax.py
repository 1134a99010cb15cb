"""What a clever user writes: MINUIT on pyhf's JAX likelihood, one compiled value and one compiled gradient."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
import pyhf
from iminuit import Minuit

from benchmarks.peers.protocol import Held, Peer, Point

__all__ = ["Fitter"]


class Fitter(Peer):
    """Data are passed in and held parameters are MINUIT's, so that nothing is compiled twice."""

    settings = "MIGRAD with strategy 1, tolerance 0.01 and gradients by JAX; HESSE by MINUIT"
    compiles = True

    def __init__(self, spec: dict[str, Any]) -> None:
        pyhf.set_backend("jax", precision="64b")
        super().__init__(spec)
        self._value = jax.jit(lambda pars, data: -2.0 * self.model.logpdf(pars, data)[0])
        self._slopes = jax.jit(jax.grad(lambda pars, data: -2.0 * self.model.logpdf(pars, data)[0]))

    def fit(self, data: np.ndarray, held: Held, start: Point | None) -> Point:
        return np.array(self._minuit(data, held, start).values)

    def uncertainties(self) -> tuple[Point, np.ndarray]:
        found = self._minuit(self.data, {}, None)
        found.hesse()
        return np.array(found.values), np.where(found.fixed, 0.0, found.errors)

    def _minuit(self, data: np.ndarray, held: Held, start: Point | None) -> Minuit:
        init, fixed = self.settings_of(held, start)
        found = Minuit(
            lambda pars: float(self._value(pars, data)), init, grad=lambda pars: np.asarray(self._slopes(pars, data))
        )
        found.limits, found.errordef, found.strategy = self.model.config.suggested_bounds(), 1.0, 1
        found.tol, found.fixed = 0.01, fixed
        found.migrad()
        if not found.valid:
            raise RuntimeError("MIGRAD: no valid minimum")
        return found
