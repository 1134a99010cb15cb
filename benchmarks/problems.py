"""The benchmark models, seeded: S and G are tiny counting models, M and L have the sizes of real measurements.

| name | channels x bins | samples | parameters | constraints |
|---|---|---|---|---|
| S | 1 x 2 | 2 | 3 | shapesys |
| M | 5 x 20 | 6 | 141 | normsys, histosys, staterror |
| G | 50 x 4 | 2 | 201 | shapesys |
| L | 20 x 50 | 15 | 1151 | normsys, histosys, staterror |
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pyhf

from jaxfit import workspaces
from jaxfit.examples import ttbar

__all__ = ["NAMES", "model_and_data", "sized", "spec"]

NAMES = ("S", "G", "M", "L", "ttbar")


def spec(name: str) -> dict[str, Any]:
    """The workspace of a problem."""
    if name == "S":
        return _counting(channels=1, bins=2, signal=12.0, background=55.0, uncertainty=8.0, seed=1)
    if name == "G":
        return _counting(channels=50, bins=4, signal=2.0, background=50.0, uncertainty=5.0, seed=3)
    if name == "M":
        return _shapes(channels=5, bins=20, samples=6, systematics=40, fraction=0.5, seed=11)
    if name == "L":
        return _shapes(channels=20, bins=50, samples=15, systematics=150, fraction=0.3, seed=12)
    if name == "ttbar":
        with tempfile.TemporaryDirectory() as folder:
            return ttbar.workspace(Path(folder))
    return workspaces.load(name)


def model_and_data(name: str) -> tuple[pyhf.Model, list[float]]:
    """Model and observed data of a problem, or of a workspace file; interpolation codes 4 and 4p."""
    return workspaces.model_and_data(spec(name))


def sized(*, systematics: int, bins: int) -> dict[str, Any]:
    """A workspace like M and L of any size: 5 samples, in channels of at most 50 bins, with a gamma a bin."""
    width = min(bins, 50)
    return _shapes(channels=bins // width, bins=width, samples=5, systematics=systematics, fraction=0.5, seed=13)


def _workspace(channels: list[dict[str, Any]], expected: list[np.ndarray], rng: np.random.Generator) -> dict[str, Any]:
    observations = [
        {"name": channel["name"], "data": rng.poisson(total).astype(float).tolist()}
        for channel, total in zip(channels, expected, strict=True)
    ]
    measurement = {"name": "measurement", "config": {"poi": "mu", "parameters": []}}
    return {"channels": channels, "observations": observations, "measurements": [measurement], "version": "1.0.0"}


def _counting(
    *, channels: int, bins: int, signal: float, background: float, uncertainty: float, seed: int
) -> dict[str, Any]:
    """A signal strength and one uncorrelated background uncertainty a bin."""
    rng = np.random.default_rng(seed)
    made, expected = [], []
    for c in range(channels):
        s = signal * (1.0 + 0.05 * rng.random(bins))
        b = background * (1.0 + 0.05 * rng.random(bins))
        normfactor = {"name": "mu", "type": "normfactor", "data": None}
        shapesys = {"name": f"background_{c:02d}", "type": "shapesys", "data": [uncertainty] * bins}
        samples = [
            {"name": "signal", "data": s.tolist(), "modifiers": [normfactor]},
            {"name": "background", "data": b.tolist(), "modifiers": [shapesys]},
        ]
        made.append({"name": f"channel_{c:02d}", "samples": samples})
        expected.append(s + b)
    return _workspace(made, expected, rng)


def _shapes(*, channels: int, bins: int, samples: int, systematics: int, fraction: float, seed: int) -> dict[str, Any]:
    """A peak over falling backgrounds; alternately normsys and histosys, each on a ``fraction`` of the samples."""
    rng = np.random.default_rng(seed)
    x = (np.arange(bins) + 0.5) / bins
    affected = rng.random((samples, systematics)) < fraction
    affected[rng.integers(samples, size=systematics), np.arange(systematics)] = True
    size = rng.normal(0.0, 0.03, (samples, systematics))
    tilt = rng.normal(0.0, 0.04, (samples, systematics))
    asymmetry = rng.uniform(0.7, 1.3, (samples, systematics))
    made, expected = [], []
    for c in range(channels):
        total, here = np.zeros(bins), []
        for s in range(samples):
            if s == 0:
                nominal = 1.0 + 25.0 * rng.uniform(0.5, 1.5) * np.exp(-0.5 * ((x - 0.6) / 0.12) ** 2)
            else:
                nominal = 2.0 + rng.uniform(20.0, 200.0) * np.exp(-x * rng.uniform(0.5, 2.0))
            modifiers: list[dict[str, Any]] = [{"name": "mu", "type": "normfactor", "data": None}] if s == 0 else []
            for p in np.flatnonzero(affected[s]):
                strength, down = rng.uniform(0.5, 1.5), asymmetry[s, p]
                if p % 2 == 0:
                    data = {"hi": 1.0 + strength * size[s, p], "lo": 1.0 - strength * size[s, p] * down}
                    modifiers.append({"name": f"norm_{p:03d}", "type": "normsys", "data": data})
                else:
                    shift = strength * (tilt[s, p] * (2.0 * x - 1.0) + 0.5 * size[s, p])
                    hi, lo = nominal * (1.0 + shift), nominal * (1.0 - shift * down)
                    data = {"hi_data": hi.tolist(), "lo_data": lo.tolist()}
                    modifiers.append({"name": f"shape_{p:03d}", "type": "histosys", "data": data})
            errors = (0.25 * np.sqrt(nominal)).tolist()
            modifiers.append({"name": f"staterror_{c:02d}", "type": "staterror", "data": errors})
            here.append({"name": f"sample_{s:02d}", "data": nominal.tolist(), "modifiers": modifiers})
            total += nominal
        made.append({"name": f"channel_{c:02d}", "samples": here})
        expected.append(total)
    return _workspace(made, expected, rng)
