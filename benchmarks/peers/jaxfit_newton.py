"""jaxfit itself, by its public functions; the parameters at the minima of a batch are found outside of the clock."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

import jaxfit
from benchmarks.peers import jaxfit_stock
from benchmarks.peers.protocol import Made, Point

__all__ = ["SEED", "Fitter"]

SEED = 1  # of the toys, which jaxfit.toys draws and the others are given
_JUDGED, _REFITS = 20, 600  # toys and refits at most
_AGREE, _CLOSE = 1e-5, 1e-4  # of 2 NLL, and of the POI in its standard deviations (EDM 1e-8): timed beside judged


class Fitter(jaxfit_stock.Fitter):
    """Batches where there is a function for them."""

    settings = "EDM 1e-8; every fit has its uncertainties, toys are drawn within the time"

    def scan(self, values: Sequence[float], budget: float) -> Made:
        found = jaxfit.scan(self.model, self.data, self.poi, values=values, on_failure="ignore")

        def points() -> list[Point]:
            fits = [self._fit(self.data, {self.poi: value}, None) for value in values]
            best = jaxfit.fit(self.model, self.data, on_failure="ignore").best_twice_nll
            _check([fit.best_twice_nll - best for fit in fits], found.delta_nlls, 1.0)
            return [fit.bestfit for fit in fits]

        return Made(len(values), points)

    def ranking(self, refits: Sequence[tuple[str, float]], budget: float) -> Made:
        found = jaxfit.ranking(self.model, self.data, on_failure="ignore")

        def points() -> list[Point]:
            best, index = jaxfit.fit(self.model, self.data), self.model.config.poi_index
            fits = [self._fit(self.data, {name: value}, None) for name, value in refits[:_REFITS]]
            timed = {name: (*up_down,) for name, *up_down in zip(
                found.labels, found.prefit_up, found.prefit_down, found.postfit_up, found.postfit_down, strict=True
            )}  # fmt: skip
            for (name, _), fit in zip(refits, fits, strict=False):
                impact = fit.bestfit[index] - best.bestfit[index]
                nearest = min(timed[name], key=lambda other, impact=impact: abs(other - impact))
                _check([impact], [nearest], best.uncertainty[index], _CLOSE)
            return [fit.bestfit for fit in fits]

        return Made(len(refits), points)

    def limit(self, bracket: tuple[float, float]) -> np.ndarray:
        found = jaxfit.limit(self.model, self.data, on_failure="ignore")
        return np.append(found.observed_limit, found.expected_limit)

    def toys(self, data: Sequence[np.ndarray], tested: float, budget: float) -> Made:
        found = jaxfit.toys(self.model, len(data), seed=SEED, poi_values=[tested], on_failure="ignore")

        def points() -> list[Point]:
            held = [self._fit(toy, {self.poi: tested}, None) for toy in data[:_JUDGED]]
            deltas = [fit.best_twice_nll for fit in held] - found.best_twice_nll[:_JUDGED]
            _check(deltas, found.twice_deltas[:_JUDGED, 0], 1.0)
            return [point for i, fit in enumerate(held) for point in (found.bestfit[i], fit.bestfit)]

        return Made(len(data), points)


def _check(judged: Any, timed: Any, scale: float, limit: float = _AGREE) -> None:
    """The fits that are judged give what was timed."""
    difference = float(np.max(np.abs(np.asarray(judged) - np.asarray(timed))) / scale)
    if not difference <= limit:
        raise RuntimeError(f"single fits differ from the batch by {difference:.1e}")
