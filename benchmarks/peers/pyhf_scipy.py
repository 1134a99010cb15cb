"""pyhf with SLSQP of scipy, numpy backend: derivatives by differences; no uncertainties."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyhf

from benchmarks.peers.protocol import Held, Peer, Point

__all__ = ["Fitter"]


class Fitter(Peer):
    """``pyhf.infer.mle.fit``."""

    settings = "SLSQP, tolerance 1e-10, differences"

    def __init__(self, spec: dict[str, Any]) -> None:
        pyhf.set_backend("numpy", pyhf.optimize.scipy_optimizer(tolerance=1e-10, maxiter=100_000), precision="64b")
        super().__init__(spec)

    def fit(self, data: np.ndarray, held: Held, start: Point | None) -> Point:
        init = np.array(self.model.config.suggested_init() if start is None else start)
        fixed = np.array(self.model.config.suggested_fixed())
        for name, value in held.items():
            index = self.model.config.par_names.index(name)
            init[index], fixed[index] = value, True
        return pyhf.infer.mle.fit(data, self.model, init_pars=init.tolist(), fixed_params=fixed.tolist())
