"""ROOT's RooFit with the vectorised evaluation on the CPU: HistFactory models by way of HS3, minima by Minuit2."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyhf
import ROOT
from scipy.optimize import brentq
from scipy.stats import norm

from benchmarks.peers.protocol import Held, Peer, Point

__all__ = ["Fitter", "answer"]

ROOT.RooMsgService.instance().setGlobalKillBelow(ROOT.RooFit.FATAL)
ROOT.gErrorIgnoreLevel = ROOT.kFatal


class Fitter(Peer):
    """One likelihood object, whose data, global observables and parameters change; parameter i of pyhf is ``p{i}``."""

    settings = "EvalBackend cpu, MIGRAD with strategy 0 (1 if that fails), eps 1e-3, derivatives by differences; HESSE"

    def __init__(self, spec: dict[str, Any]) -> None:
        super().__init__(spec)
        config = self.model.config
        self._workspace = ROOT.RooWorkspace("workspace")
        ROOT.RooJSONFactoryWSTool(self._workspace).importJSONfromString(json.dumps(_hs3(spec, self.model)))
        for part in self._workspace.components():
            if isinstance(part, ROOT.RooRealSumPdf):
                part.setAttribute("BinnedLikelihood")  # as HistFactory does: yields are no densities to integrate
            elif isinstance(part, ROOT.PiecewiseInterpolation):
                part.setPositiveDefinite(False)  # as in pyhf, yields may be negative
        self._pars = [self._workspace.var(f"p{i}") for i in range(config.npars)]
        for par, bounds in zip(self._pars, config.suggested_bounds(), strict=True):
            par.setRange(*bounds)
        self._steps = [par.getError() for par in self._pars]
        self._aux = [self._workspace.var(f"nom_{par}") for name in config.auxdata_order for par in _pars(config, name)]
        self._bins, self._given = self._workspace.data("data"), self.data
        self._counts = self._dataset(self.data)
        fixed = ROOT.RooFit.GlobalObservables(ROOT.RooArgSet(*filter(None, self._aux)))
        how = (ROOT.RooFit.EvalBackend("cpu"), fixed, ROOT.RooFit.Offset("initial"))
        self._nll = self._workspace.pdf("pdf").createNLL(self._counts, *how)

    def fit(self, data: np.ndarray, held: Held, start: Point | None) -> Point:
        self._minimize(data, held, start)
        return np.array([par.getVal() for par in self._pars])

    def uncertainties(self) -> tuple[Point, np.ndarray]:
        self._minimize(self.data, {}, None).hesse()
        errors = [0.0 if par.isConstant() else par.getError() for par in self._pars]
        return np.array([par.getVal() for par in self._pars]), np.array(errors)

    def limit(self, bracket: tuple[float, float]) -> np.ndarray:
        background = self.fit(self.data, {self.poi: 0.0}, None)
        observed, asimov = self._root_q(self.data), self._root_q(self.model.expected_data(background))

        def excess(tested: float, shift: float | None) -> float:
            """CLs above 0.05 of the data, or of data so many standard deviations above what is expected."""
            own, width = observed(tested) if shift is None else 0.0, asimov(tested)
            statistic = own - width if own <= width else (own**2 - width**2) / (2.0 * width)
            statistic = statistic if shift is None else -shift
            return float(norm.sf(statistic + width) / norm.sf(statistic)) - 0.05

        tolerance = 1e-4 * (bracket[1] - bracket[0])
        return np.array([brentq(excess, *bracket, args=(n,), xtol=tolerance) for n in (None, -2, -1, 0, 1, 2)])

    def _root_q(self, data: np.ndarray) -> Callable[[float], float]:
        """The root of q-tilde; the POI is bounded by 0."""
        best, index = self.fit(data, {}, None), self.model.config.poi_index
        lowest = self._nll.getVal()

        @cache
        def root(tested: float) -> float:
            if best[index] >= tested:
                return 0.0
            self.fit(data, {self.poi: tested}, best)
            return float(np.sqrt(max(2.0 * (self._nll.getVal() - lowest), 0.0)))

        return root

    def _minimize(self, data: np.ndarray, held: Held, start: Point | None) -> Any:
        if not np.array_equal(data, self._given):
            counts = self._dataset(data)
            self._nll.setData(counts, False)
            self._counts, self._given = counts, data
        init, fixed = self.settings_of(held, start)
        for par, value, step, constant in zip(self._pars, init.tolist(), self._steps, fixed.tolist(), strict=True):
            par.setVal(value)
            par.setError(step)
            par.setConstant(constant)
        minimizer = ROOT.RooMinimizer(self._nll)
        minimizer.setPrintLevel(-1)
        minimizer.setEps(1e-3)
        for strategy in (0, 1):
            minimizer.setStrategy(strategy)
            if not minimizer.minimize("Minuit2", "Migrad"):
                return minimizer
        raise RuntimeError("MIGRAD: no valid minimum")

    def _dataset(self, data: np.ndarray) -> Any:
        """The counts of all bins; the auxiliary data become the values of the global observables."""
        counts, main = self._bins.emptyClone(), self.model.config.nmaindata
        for i, count in enumerate(data[:main].tolist()):
            counts.add(self._bins.get(i), count)
        for nominal, value in zip(self._aux, data[main:].tolist(), strict=True):
            if nominal:  # a bin without uncertainty has none
                nominal.setVal(value)
        return counts


def _pars(config: Any, name: str) -> list[str]:
    """Our names of the parameters of one of pyhf's sets."""
    return [f"p{i}" for i in range(config.npars)[config.par_slice(name)]]


def _hs3(spec: dict[str, Any], model: pyhf.Model) -> dict[str, Any]:
    """The model in the HEP statistics serialization standard, with a data set of the bins in pyhf's order."""
    given = {channel["name"]: channel for channel in spec["channels"]}
    labels = [f"c{c:06d}" for c in range(len(given))]  # ROOT sorts them
    distributions, data = [], []
    for label, name in zip(labels, model.config.channels, strict=True):
        bins = model.config.channel_nbins[name]
        axes = [{"name": f"x_{label}", "min": 0, "max": bins, "nbins": bins}]
        samples = [_sample(f"s{s}", sample, model.config) for s, sample in enumerate(given[name]["samples"])]
        made = {"name": label, "type": "histfactory_dist", "axes": axes, "samples": samples}
        distributions.append(made | {"staterror": {"relThreshold": 0.0, "constraint_type": "Gauss"}})
        data.append({"name": f"data_{label}", "type": "binned", "axes": axes, "contents": [1.0] * bins})
    joined = {"index_cat": "channel", "indices": list(range(len(given))), "labels": labels}
    pdfs = {"pdf": {"distributions": labels, **joined}}
    internal = {"combined_distributions": pdfs, "combined_datasets": {"data": joined}}
    parts = {"distributions": distributions, "data": data, "misc": {"ROOT_internal": internal}}
    return {"metadata": {"hs3_version": "0.2"}, **parts}


def _sample(label: str, sample: dict[str, Any], config: Any) -> dict[str, Any]:
    values, modifiers = {"contents": sample["data"]}, []
    for modifier in sample["modifiers"]:
        kind, data, pars = modifier["type"], modifier["data"], _pars(config, modifier["name"])
        made = {"name": pars[0], "type": kind, "parameter": pars[0]}
        if kind == "normsys":
            made["data"] = data
        elif kind == "histosys":
            made["data"] = {side: {"contents": data[f"{side}_data"]} for side in ("lo", "hi")}
        elif kind == "staterror":
            values["errors"] = data
            made |= {"parameters": pars, "constraint_type": "Gauss"}
        elif kind == "shapesys":
            relative = [error / count if count else 0.0 for error, count in zip(data, sample["data"], strict=True)]
            made |= {"parameters": pars, "constraint_type": "Poisson", "data": {"vals": relative}}
        elif kind != "normfactor":
            raise NotImplementedError(f"modifiers of type {kind}")
        modifiers.append(made)
    return {"name": label, "data": values, "modifiers": modifiers}


def answer(path: str) -> tuple[float, float]:
    """Best fit and uncertainty of the POI, from a workspace file."""
    fitter = Fitter(json.loads(Path(path).read_text(encoding="utf-8")))
    values, errors = fitter.uncertainties()
    index = fitter.model.config.poi_index
    return float(values[index]), float(errors[index])


if __name__ == "__main__":
    print(*answer(sys.argv[1]))
