"""jaxfit's likelihood with jaxopt's own solvers, which have no batches of their own and no second derivatives."""

from __future__ import annotations

from typing import Any

import numpy as np

import jaxfit
from benchmarks.peers.protocol import Held, Peer, Point

__all__ = ["Fitter"]


class Fitter(Peer):
    """``jaxfit.fit`` with the solver that is named."""

    settings = "jaxopt's, to an EDM of 1e-8 where it gets there"
    compiles = True

    def __init__(self, spec: dict[str, Any], solver: str = "newton") -> None:
        super().__init__(spec)
        self.solver = solver

    def fit(self, data: np.ndarray, held: Held, start: Point | None) -> Point:
        return self._fit(data, held, start).bestfit

    def uncertainties(self) -> tuple[Point, np.ndarray]:
        result = self._fit(self.data, {}, None)
        return result.bestfit, result.uncertainty

    def _fit(self, data: np.ndarray, held: Held, start: Point | None) -> jaxfit.FitResults:
        how: dict[str, Any] = {"solver": self.solver, "on_failure": "ignore", "fix_pars": held}
        if start is not None:
            how["init_pars"] = start.tolist()
        return jaxfit.fit(self.model, data, **how)
