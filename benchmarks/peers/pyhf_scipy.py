"""pyhf with SLSQP of scipy, numpy backend: derivatives by differences; no uncertainties."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyhf

from benchmarks.peers.protocol import Held, Peer, Point

__all__ = ["Fitter"]


class Fitter(Peer):
    """``pyhf.infer.mle.fit``."""

    settings = "SLSQP, tolerance 1e-10, derivatives by differences"
    backend = "numpy"

    def __init__(self, spec: dict[str, Any]) -> None:
        optimizer = pyhf.optimize.scipy_optimizer(tolerance=1e-10, maxiter=100_000)
        pyhf.set_backend(self.backend, optimizer, precision="64b")
        super().__init__(spec)

    def fit(self, data: np.ndarray, held: Held, start: Point | None) -> Point:
        init, fixed = self.settings_of(held, start)
        found = pyhf.infer.mle.fit(data.tolist(), self.model, init_pars=init.tolist(), fixed_params=fixed.tolist())
        return np.asarray(found)

    def limit(self, bracket: tuple[float, float]) -> np.ndarray:
        observed, expected = pyhf.infer.intervals.upper_limits.upper_limit(
            self.data.tolist(), self.model, scan=None, rtol=1e-4
        )
        return np.append(np.asarray(observed), np.asarray(expected))
