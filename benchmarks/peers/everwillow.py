"""everwillow, which fits any JAX likelihood, on pyhf's, as its documentation has it.

The parameters are two leaves, the POI and all others: with a leaf for each, M takes minutes to compile. Which of them
are held is data of the likelihood, so that nothing is compiled twice.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import everwillow
import jax
import jax.numpy as jnp
import numpy as np
import optimistix
import pyhf
from everwillow import uncertainty
from everwillow.hypotest import calculators
from everwillow.hypotest.upper_limit import upper_limit
from everwillow.parameters.transforms import TransformBase
from everwillow.statelib import State

from benchmarks.peers.protocol import Held, Peer, Point

__all__ = ["Fitter", "answer"]

_EDGE = 1e-4  # of a parameter's range, which a start keeps from its bounds: there the transform is flat


class _Bounds(TransformBase):
    """MINUIT's, of arrays, in units of the constraints' widths: everwillow's own takes only numbers."""

    def __init__(self, lower: np.ndarray, upper: np.ndarray, width: np.ndarray) -> None:
        self.lower, self.half, self.scale = lower, (upper - lower) / 2, (upper - lower) / 2 / width

    def unwrap(self, value: Any) -> Any:
        return self.scale * jnp.arcsin((value - self.lower) / self.half - 1)

    def wrap(self, value: Any) -> Any:
        return self.lower + self.half * (jnp.sin(value / self.scale) + 1)


class Fitter(Peer):
    """``everwillow.fit``, ``uncertainties``, ``AsymptoticCalculator`` and ``upper_limit``, compiled.

    One fit after another: ``jax.vmap``, as its toys have it, is slower on all but the smallest models.
    """

    settings = "BFGS, tolerances 1e-8, in units of the constraints' widths; limits by bisection to 1e-5 of CLs"
    compiles = True

    def __init__(self, spec: dict[str, Any]) -> None:
        pyhf.set_backend("jax", precision="64b")
        super().__init__(spec)
        config = self.model.config
        lower, upper = np.array(config.suggested_bounds()).T
        self._range = lower + _EDGE * (upper - lower), upper - _EDGE * (upper - lower)
        sets = [config.param_set(name) for name in config.par_order]
        widths = np.concatenate([each.width() if each.constrained else np.ones(each.n_parameters) for each in sets])
        parts = [self._leaves(part) for part in (lower, upper, np.where(widths > 0, widths, 1.0))]
        self._how = {
            "bounds": State.from_pytree({leaf: _Bounds(*(part[leaf] for part in parts)) for leaf in parts[0]}),
            "solver": optimistix.BFGS(rtol=1e-8, atol=1e-8),
            "max_steps": 10_000,
            "throw": False,  # the gate judges
        }
        self._fit, self._sigmas = jax.jit(self._minimum), jax.jit(self._errors)
        self._limits = jax.jit(self._bisections)

    def fit(self, data: np.ndarray, held: Held, start: Point | None) -> Point:
        return np.asarray(self._fit(*self._job(data, held, start)))

    def uncertainties(self) -> tuple[Point, np.ndarray]:
        best = self.fit(self.data, {}, None)
        return best, np.asarray(self._sigmas(best))

    def limit(self, bracket: tuple[float, float]) -> np.ndarray:
        asimov = self.model.expected_data(self.fit(self.data, {self.poi: 0.0}, None))
        return np.asarray(self._limits(bracket, asimov, *self._job(self.data, {}, None)))

    def _job(self, data: np.ndarray, held: Held, start: Point | None) -> tuple[np.ndarray, ...]:
        values, fixed = self.settings_of(held, start)
        return np.clip(values, *self._range), data, ~fixed, values

    # -- traced --------------------------------------------------------------------------------------------------------

    def _leaves(self, values: Any) -> dict[str, Any]:
        index = self.model.config.poi_index
        return {"poi": values[index], "others": jnp.delete(values, index, assume_unique_indices=True)}

    def _joined(self, leaves: dict[str, Any]) -> Any:
        return jnp.insert(leaves["others"], self.model.config.poi_index, leaves["poi"])

    def _nll(self, leaves: dict[str, Any], observation: Any) -> Any:
        data, free, held = observation
        return -self.model.logpdf(jnp.where(free, self._joined(leaves), held), data)[0]

    def _minimum(self, start: Any, data: Any, free: Any, held: Any) -> Any:
        state = State.from_pytree(self._leaves(start))
        found = everwillow.fit(self._nll, state, (data, free, held), **self._how)
        return jnp.where(free, self._joined(found.params.to_pytree()), held)

    def _bisections(self, bracket: Any, asimov: Any, start: Any, data: Any, free: Any, held: Any) -> Any:
        """Observed, then expected: one program for all."""
        state, observed, expected = State.from_pytree(self._leaves(start)), (data, free, held), (asimov, free, held)
        test = calculators.AsymptoticCalculator(self._nll, state, observed, "poi", asimov_observation=expected)
        solver = optimistix.Bisection(rtol=1e-4, atol=1e-5, flip=True)

        def levels(value: Any) -> Any:
            found = test.test(value, **self._how)
            return jnp.stack([test.cls(found), *(level for _, level in test.expected(found).cl_s)])

        return jax.lax.map(lambda i: upper_limit(lambda value: levels(value)[i], bracket, solver=solver), jnp.arange(6))

    def _errors(self, best: Any) -> Any:
        """Here every leaf must be a number, and the names sorted."""
        names = [f"{i:06}" for i in range(len(best))]
        fixed = {name: ... for name, held in zip(names, self.model.config.suggested_fixed(), strict=True) if held}
        found = uncertainty.uncertainties(
            lambda leaves, data: -self.model.logpdf(jnp.stack([leaves[name] for name in names]), data)[0],
            State.from_pytree(dict(zip(names, best, strict=True))),
            self.data,
            fixed=State.from_pytree(fixed),
        )
        return jnp.stack([0.0 if name in fixed else found[name] for name in names])


def answer(path: str) -> tuple[float, float]:
    """Best fit and uncertainty of the POI, from a workspace file."""
    fitter = Fitter(json.loads(Path(path).read_text(encoding="utf-8")))
    best, sigma = fitter.uncertainties()
    return best[fitter.model.config.poi_index], sigma[fitter.model.config.poi_index]


if __name__ == "__main__":
    print(*answer(sys.argv[1]))
