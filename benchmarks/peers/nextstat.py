"""NextStat: a fitter written in Rust, with its own scan and ranking; toys only of main data."""

from __future__ import annotations

import json
import sys
from typing import Any

import nextstat
import numpy as np

from benchmarks.peers.protocol import Held, Peer, Point

__all__ = ["Fitter", "answer"]


class Fitter(Peer):
    """``MaximumLikelihoodEstimator``: ``fit_minimum`` for minima, ``fit`` with uncertainties."""

    settings = "its defaults; minima by fit_minimum"

    def __init__(self, spec: dict[str, Any]) -> None:
        super().__init__(spec)
        self._own = nextstat.from_pyhf(json.dumps(spec))
        self._fitter = nextstat.MaximumLikelihoodEstimator()
        names = self._own.parameter_names()
        self._order = [names.index(name) for name in self.model.config.par_names]
        self._bounds = list(self._own.suggested_bounds())

    def fit(self, data: np.ndarray, held: Held, start: Point | None) -> Point:
        if not np.array_equal(data[self.model.config.nmaindata :], self.data[self.model.config.nmaindata :]):
            raise NotImplementedError("auxiliary data that vary")
        bounds, init = list(self._bounds), None
        if start is not None:
            init = np.empty(len(start))
            init[self._order] = start
        for name, value in held.items():
            index = self._order[self.model.config.par_names.index(name)]
            bounds[index] = (value, value)
            if init is not None:
                init[index] = value
        how: dict[str, Any] = {} if init is None else {"init_pars": init.tolist()}
        if held:
            how["bounds"] = bounds
        return np.array(self._fitter.fit_minimum(self._own, **how).parameters)[self._order]

    def uncertainties(self) -> tuple[Point, np.ndarray]:
        found = self._fitter.fit(self._own)
        return np.array(found.parameters)[self._order], np.array(found.uncertainties)[self._order]


def answer(path: str) -> tuple[float, float]:
    """Best fit and uncertainty of the POI, from a workspace file."""
    with open(path, encoding="utf-8") as file:
        model = nextstat.from_pyhf(file.read())
    found = nextstat.MaximumLikelihoodEstimator().fit(model)
    return found.parameters[model.poi_index()], found.uncertainties[model.poi_index()]


if __name__ == "__main__":
    print(*answer(sys.argv[1]))
