"""``cabinetry.fit``: MINUIT with pyhf's numpy backend, derivatives by differences; every fit has uncertainties."""

from __future__ import annotations

from typing import Any

import cabinetry
import numpy as np
import pyhf

from benchmarks.peers.protocol import Held, Peer, Point

__all__ = ["Fitter"]


class Fitter(Peer):
    """As a user of cabinetry runs it."""

    settings = "MIGRAD with tolerance 0.01 (with the default of 0.1 toys miss the gate), HESSE; limits to 1e-3"

    def __init__(self, spec: dict[str, Any]) -> None:
        pyhf.set_backend("numpy", precision="64b")
        super().__init__(spec)

    def fit(self, data: np.ndarray, held: Held, start: Point | None) -> Point:
        return self._fit(data, held, start).bestfit

    def uncertainties(self) -> tuple[Point, np.ndarray]:
        result = self._fit(self.data, {}, None)
        return result.bestfit, result.uncertainty

    def limit(self, bracket: tuple[float, float]) -> np.ndarray:
        found = cabinetry.fit.limit(self.model, self.data.tolist(), bracket=bracket, poi_tolerance=1e-3)
        return np.append(found.observed_limit, found.expected_limit)

    def _fit(self, data: np.ndarray, held: Held, start: Point | None) -> Any:
        init, fixed = self.settings_of(held, start)
        how = {"init_pars": init.tolist(), "fix_pars": fixed.tolist(), "tolerance": 0.01}
        return cabinetry.fit.fit(self.model, data.tolist(), **how)
