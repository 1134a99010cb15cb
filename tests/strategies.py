"""Hypothesis strategies for random valid workspaces.

``workspaces`` takes the structure of a model of the registry (channels, bins, samples, bin-wise modifiers, which
parameters there are) and draws every number: the arrays keep their shapes, so that all workspaces of a skeleton run
through one compiled program. ``structures`` draws the structure as well.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import models
import numpy as np
import pyhf
from hypothesis import strategies as st

__all__ = ["Fuzzed", "structures", "workspaces"]

Spec = dict[str, Any]
Draw = Callable[[st.SearchStrategy[Any]], Any]
# by channel the number of bins and, by sample, the types and names of its modifiers
Layout = dict[str, tuple[int, dict[str, list[tuple[str, str]]]]]

_BINWISE = ("staterror", "shapesys", "shapefactor")
_FREE = ("normfactor", "shapefactor")
# decades of the expected yields; "mixed" is for bins of different sizes, up to 21 decades apart
_DECADES = {"usual": (0, 4), "tiny": (-6, -1), "huge": (5, 15)}
_TRAITS = (
    "empty bins",
    "far data",
    "mixed",
    "negative yields",
    "no events",
    "one-sided",
    "same side",
    "settings",
    "spread",
    "tiny uncertainties",
    "wide",
    "zero uncertainties",
    "zero yields",
)


@dataclass(frozen=True)
class Fuzzed:
    """A workspace, the interpolation codes to read it with, and a seed for what else is random."""

    spec: Spec
    normsys: str
    histosys: str
    seed: int

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        """Hypothesis prints a failing case as JSON, to reproduce it."""
        printer.text(json.dumps(asdict(self)))

    def model_and_data(self) -> tuple[pyhf.Model, np.ndarray]:
        """The pyhf model and its data."""
        workspace = pyhf.Workspace(self.spec)
        settings = {"normsys": {"interpcode": self.normsys}, "histosys": {"interpcode": self.histosys}}
        model = workspace.model(modifier_settings=settings)
        return model, np.array(workspace.data(model))

    def points(self, model: pyhf.Model, count: int) -> list[np.ndarray]:
        """The start point, and points within the bounds: near and far, on bounds, at kinks and joints."""
        config, rng = model.config, np.random.default_rng(self.seed)
        low, high = np.array(config.suggested_bounds(), dtype=float).T
        start = np.array(config.suggested_init(), dtype=float)
        found = [start]
        for _ in range(count):
            pars = start + rng.random() ** 3 * (rng.uniform(low, high) - start)
            special = np.where(low == -high, rng.choice([-1.0, -1e-12, 0.0, 1.0], low.size), rng.choice([low, start]))
            found += [pars, np.clip(np.where(rng.random(low.size) < 0.5, special, pars), low, high)]
        return found

    @property
    def several_minima(self) -> bool:
        """Whether the likelihood may have several minima.

        Yields that do not rise or fall with a parameter throughout have the same value at several of its values; a kink
        or a jump may be a ridge between two minima; and so may a product of parameters that nothing constrains, yields
        of both signs, or data of which parameters can explain one part or the other, but not both.
        """
        for channel, observed in zip(self.spec["channels"], self.spec["observations"], strict=True):
            total = np.sum([sample["data"] for sample in channel["samples"]], axis=0)
            if (np.abs(observed["data"] - total) > 8.0 * np.sqrt(np.maximum(total, 1.0))).any():
                return True
            for sample in channel["samples"]:
                nominal = np.array(sample["data"])
                free = [modifier for modifier in sample["modifiers"] if modifier["type"] in _FREE]
                if len(free) > 1 or (nominal < 0).any() or any(self._bends(m, nominal) for m in sample["modifiers"]):
                    return True
        return False

    def _bends(self, modifier: Spec, nominal: np.ndarray) -> bool:
        data = modifier["data"]
        if modifier["type"] == "normsys":
            up, down, kinked = np.log(data["hi"]), -np.log(data["lo"]), self.normsys == "code1"
        elif modifier["type"] == "histosys":
            up, down = np.array(data["hi_data"]) - nominal, nominal - np.array(data["lo_data"])
            kinked = self.histosys != "code4p"
        else:
            return False
        # the polynomials of codes 4 and 4p turn back where one side is less than about a seventh of the other
        return bool(np.any((up != down) & (kinked | (1.35 * np.abs(up - down) >= np.abs(up + down)))))


class _Numbers:
    """Draws the numbers of one workspace, which has a few of the unusual traits."""

    def __init__(self, draw: Draw) -> None:
        self.draw = draw
        self.decades = _DECADES[draw(st.sampled_from(["usual", "usual", *_DECADES]))]
        self.traits = draw(st.sets(st.sampled_from(_TRAITS), max_size=4))
        if "mixed" in self.traits:
            self.decades = (-6, 15)

    def number(self, low: float, high: float) -> float:
        return float(self.draw(st.floats(low, high, allow_subnormal=False)))

    def sometimes(self, trait: str) -> bool:
        return trait in self.traits and bool(self.draw(st.integers(0, 2)) == 2)

    def sizes(self, bins: int) -> list[float]:
        """Scale of the yields in every bin of a channel."""
        first = self.draw(st.integers(*self.decades))
        decades = [self.draw(st.integers(*self.decades)) if "mixed" in self.traits else first for _ in range(bins)]
        return [0.0 if self.sometimes("empty bins") else 10.0**decade for decade in decades]

    def yields(self, sizes: list[float], others: list[float]) -> list[float]:
        """Yields of a sample on top of others; together they are not negative for any start value of a normfactor."""
        found = []
        for size, other in zip(sizes, others, strict=True):
            value = 0.0 if self.sometimes("zero yields") else size * self.number(0.1, 1.0)
            found.append(-0.015 * value if other > 0 and self.sometimes("negative yields") else value)
        return found

    def data(self, kind: str, nominal: list[float], sizes: list[float]) -> Any:
        """The data of a modifier."""
        if kind == "normsys":
            up, down = self._variation()
            hi, lo = np.exp(up), np.exp(-down)
            return {"hi": float(hi), "lo": float(lo)}
        if kind == "histosys":
            hi, lo = [], []
            for value, size in zip(nominal, sizes, strict=True):
                up, down = self._variation()
                reach = size if self.sometimes("zero yields") else value
                hi.append(float(value + up * reach))
                lo.append(float(value - down * reach))
            return {"hi_data": hi, "lo_data": lo}
        if kind in ("staterror", "shapesys"):
            smallest = -9.0 if kind == "shapesys" and self.sometimes("tiny uncertainties") else -2.0
            return [
                0.0 if self.sometimes("zero uncertainties") else abs(value) * 10.0 ** self.number(smallest, 0.0)
                for value in nominal
            ]
        return None

    def _variation(self) -> tuple[float, float]:
        """Relative changes upwards and downwards, of one sign as a rule."""
        up, down = self.number(0.05, 0.3), self.number(0.05, 0.3)
        if self.sometimes("one-sided"):
            down = 0.0
        elif self.sometimes("same side"):
            down = -down
        elif self.sometimes("wide"):
            up, down = 8.0 * up, 8.0 * down
        return (up, down) if self.draw(st.booleans()) else (-up, -down)

    def observed(self, total: float) -> float:
        if total <= 0 or self.sometimes("no events"):
            return 0.0
        if self.sometimes("far data"):
            return total * self.number(0.2, 5.0)
        return max(float(np.rint(total + self.number(-3.0, 3.0) * np.sqrt(total))), 0.0)

    def settings(self, kind: str, name: str, auxdata: Sequence[float], size: int) -> Spec:
        """What a measurement says of a parameter."""
        setting: Spec = {"name": name}
        if kind in ("normsys", "histosys"):
            setting["auxdata"] = [self.number(-1.5, 1.5)]
            setting["inits"] = [self.number(-1.0, 1.0)]
            setting["bounds"] = [[-self.number(1.5, 6.0), self.number(1.5, 6.0)]]
        elif kind == "lumi":
            center = self.number(0.7, 1.3)
            setting |= {"auxdata": [center], "sigmas": [self.number(0.005, 0.2)], "inits": [center]}
            setting["bounds"] = [[0.2, 3.0]]
        elif kind == "normfactor":
            setting["inits"] = [self.number(0.5, 2.0)]
            setting["bounds"] = [[self.draw(st.sampled_from([0.0, 0.05, -5.0])), self.number(3.0, 50.0)]]
        elif kind == "staterror":
            setting["auxdata"] = [self.number(0.8, 1.2) for _ in range(size)]
            setting["sigmas"] = [10.0 ** self.number(-2.0, 0.0) for _ in range(size)]
            setting["bounds"] = [[0.5, 2.0]] * size
        elif kind == "shapesys":
            setting["auxdata"] = [tau * self.number(0.7, 1.4) for tau in auxdata]
        else:
            setting["inits"] = [self.number(0.5, 2.0) for _ in range(size)]
        return setting | ({"fixed": True} if self.draw(st.integers(0, 5)) == 5 else {})


def _fuzzed(numbers: _Numbers, layout: Layout, poi: str, codes: tuple[str, str]) -> Fuzzed:
    """Numbers for a layout."""
    channels, observations = [], []
    for channel, (bins, contents) in layout.items():
        sizes, samples, total = numbers.sizes(bins), [], [0.0] * bins
        for sample, modifiers in contents.items():
            nominal = numbers.yields(sizes, total)
            total = [a + b for a, b in zip(total, nominal, strict=True)]
            found = [
                {"type": kind, "name": name, "data": numbers.data(kind, nominal, sizes)} for kind, name in modifiers
            ]
            samples.append({"name": sample, "data": nominal, "modifiers": found})
        channels.append({"name": channel, "samples": samples})
        observations.append({"name": channel, "data": [numbers.observed(value) for value in total]})

    lumi = {"name": "lumi", "auxdata": [1.0], "sigmas": [0.02], "inits": [1.0], "bounds": [[0.5, 1.5]]}
    config = pyhf.Model({"channels": channels, "parameters": [lumi]}, poi_name=poi or None, validate=False).config
    kinds, parameters = dict(config.modifiers), []
    for name in config.par_order:
        paramset = config.param_set(name)
        if numbers.sometimes("settings"):
            auxdata = paramset.auxdata if paramset.constrained else []
            parameters.append(numbers.settings(kinds[name], name, auxdata, paramset.n_parameters))
        elif kinds[name] == "lumi":
            parameters.append(lumi)
    spec = {
        "channels": channels,
        "observations": observations,
        "measurements": [{"name": "fit", "config": {"poi": poi, "parameters": parameters}}],
        "version": "1.0.0",
    }
    return Fuzzed(spec, *codes, numbers.draw(st.integers(0, 2**32 - 1)))


@st.composite
def workspaces(draw: Draw, skeletons: Sequence[tuple[str, str, str]]) -> Fuzzed:
    """Workspaces with the structure of registry models, given by name with their interpolation codes."""
    name, *codes = draw(st.sampled_from(skeletons))
    spec, numbers = models.WORKSPACES[name], _Numbers(draw)
    layout: Layout = {}
    places: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for channel in spec["channels"]:
        contents: dict[str, list[tuple[str, str]]] = {}
        layout[channel["name"]] = len(channel["samples"][0]["data"]), contents
        for sample in channel["samples"]:
            kinds = [(modifier["type"], modifier["name"]) for modifier in sample["modifiers"]]
            contents[sample["name"]] = [kind for kind in kinds if kind[0] in _BINWISE]
            for kind in kinds:
                if kind[0] not in _BINWISE:
                    places.setdefault(kind, []).append((channel["name"], sample["name"]))
    # which samples the other modifiers act on is data too
    everywhere = [(channel, sample) for channel, (_, contents) in layout.items() for sample in contents]
    for kind, known in places.items():
        chosen = st.lists(st.sampled_from(everywhere), min_size=1, unique=True)
        for channel_name, sample_name in draw(chosen) if numbers.sometimes("spread") else known:
            layout[channel_name][1][sample_name].append(kind)
    return _fuzzed(numbers, layout, spec["measurements"][0]["config"]["poi"], (codes[0], codes[1]))


@st.composite
def structures(draw: Draw) -> Fuzzed:
    """Workspaces of any structure."""
    numbers = _Numbers(draw)
    bins = draw(st.lists(st.integers(1, 4), min_size=1, max_size=3))
    layout: Layout = {}
    for index, size in enumerate(bins):
        channel, contents = f"channel{index}", {}
        for row in range(draw(st.integers(1, 4))):
            pool = [
                ("normfactor", "mu"),
                ("normfactor", "k"),
                ("lumi", "lumi"),
                *((kind, name) for kind in ("normsys", "histosys") for name in ("a", "b", "c")),
                ("staterror", f"stat_{channel}"),
                ("shapesys", f"model_{channel}_{row}"),
                ("shapefactor", f"free_{channel}"),
                *([("shapefactor", "shape")] if len(set(bins)) == 1 else []),
            ]
            contents[f"sample{row}"] = draw(st.lists(st.sampled_from(pool), max_size=5, unique=True))
        layout[channel] = size, contents
    first = layout["channel0"][1]["sample0"]
    first += [] if ("normfactor", "mu") in first else [("normfactor", "mu")]
    return _fuzzed(numbers, layout, "mu", draw(st.sampled_from(models.CODES)))
