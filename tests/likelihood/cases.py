"""A pyhf model, its lowered likelihood and pyhf's own, each compiled once a session; how their numbers are compared."""

import copy
from collections.abc import Callable
from functools import cache, cached_property, partial
from pathlib import Path
from typing import NamedTuple
from zlib import crc32

import jax
import models
import numpy as np
import pyhf
from pyhf.modifiers import histfactory_set
from pyhf.modifiers.normfactor import normfactor_builder, normfactor_combined

from jaxfit import workspaces
from jaxfit.likelihood import Compact, lower, parameter_space
from jaxfit.likelihood.reference import _backend

# so many programs run only for a moment: their compilation is the cost
FAST_COMPILATION = {"xla_backend_optimization_level": 0, "xla_llvm_disable_expensive_passes": True}


class Point(NamedTuple):
    """What a likelihood says at one point; parameters in pyhf's order."""

    nll: float
    gradient: np.ndarray
    hessian: np.ndarray
    expected: np.ndarray


def assert_nll(found: float, expected: float, absolute: float = 1e-8) -> None:
    assert abs(found - expected) <= max(1e-10 * abs(2 * expected), absolute), (found, expected)


def assert_gradient(found: np.ndarray, expected: np.ndarray, curvature: np.ndarray, relative: float = 1e-8) -> None:
    """Relative to each component, or to the change of that component over one standard deviation."""
    scale = np.abs(expected) + np.sqrt(np.abs(np.diag(curvature)))
    np.testing.assert_array_less(np.abs(found - expected), relative * scale + 1e-90)


def assert_hessian(found: np.ndarray, expected: np.ndarray, relative: float = 1e-7) -> None:
    diagonal = np.sqrt(np.abs(np.diag(expected)))
    scale = np.abs(expected) + np.outer(diagonal, diagonal)
    np.testing.assert_array_less(np.abs(found - expected), relative * scale + 1e-90)


@partial(jax.jit, compiler_options=FAST_COMPILATION)
def _compact_point(likelihood, pars, data, exact):
    vector = likelihood.split(pars)
    value, gradient, hessian = likelihood.derivatives(vector, data, exact)
    order = likelihood.order
    return (
        likelihood.value(vector, data) + likelihood.offset(data),
        value + likelihood.offset(data),
        likelihood.join(gradient),
        hessian.to_dense()[order][:, order],
        likelihood.expected(pars),
    )


class Case:
    """A pyhf model and its data; the compiled functions are made when they are first asked for."""

    def __init__(self, model: pyhf.Model, data: list[float]) -> None:
        self.model = model
        self.data = np.asarray(data)
        self.space = parameter_space(model)
        self.start = self.space.start

    @cached_property
    def compact(self) -> Compact:
        return lower(self.model)

    def at(self, pars: np.ndarray, exact: float = 1.0) -> Point:
        """The lowered likelihood; its two ways to the value are the same number."""
        value, again, gradient, hessian, expected = _compact_point(self.compact, pars, self.data, exact)
        np.testing.assert_allclose(value, again, rtol=1e-14)
        return Point(float(value), np.asarray(gradient), np.asarray(hessian), np.asarray(expected))

    def pyhf_nll(self, pars: np.ndarray) -> float:
        """pyhf's own NLL with its numpy backend."""
        return -float(self.model.logpdf(pars, self.data)[0])

    def pyhf_expected(self, pars: np.ndarray) -> np.ndarray:
        return np.asarray(self.model.expected_data(pars, include_auxdata=False))

    @cached_property
    def _reference(self) -> tuple[Callable, Callable]:
        def pyhf_nll(pars: jax.Array, data: jax.Array) -> jax.Array:
            with _backend("jax"):
                return -self.model.logpdf(pars, data)[0]

        nll = jax.jit(pyhf_nll)  # is traced only once, and with it pyhf's backend switched
        gradient, hessian = jax.grad(nll), jax.hessian(nll)
        return (
            jax.jit(gradient, compiler_options=FAST_COMPILATION),
            jax.jit(lambda pars, data: (gradient(pars, data), hessian(pars, data)), compiler_options=FAST_COMPILATION),
        )

    def reference_gradient(self, pars: np.ndarray) -> np.ndarray:
        """JAX's derivative of pyhf's NLL."""
        return np.asarray(self._reference[0](pars, self.data))

    def reference_derivatives(self, pars: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """JAX's gradient and Hessian of pyhf's NLL."""
        gradient, hessian = self._reference[1](pars, self.data)
        return np.asarray(gradient), np.asarray(hessian)

    def assert_derivatives(self, pars: np.ndarray) -> None:
        """Gradient and Hessian against those of pyhf's NLL."""
        point = self.at(pars)
        gradient, hessian = self.reference_derivatives(pars)
        assert_gradient(point.gradient, gradient, point.hessian)
        assert_hessian(point.hessian, hessian)

    def points(self, count: int) -> list[np.ndarray]:
        """Random points within the bounds where the model is defined: drawn towards the start point until it is."""
        rng = np.random.default_rng(crc32(",".join(self.space.names).encode()))
        lower_bounds = self.space.lower.copy()
        if self.model.config.modifier_settings["histosys"]["interpcode"] == "code2":
            # pyhf 0.7.6 departs from its documentation below -1, see jaxfit.likelihood.interpolation
            shapes = [name for name, kind in self.model.config.modifiers if kind == "histosys"]
            where = [self.space.index(name) for name in shapes]
            lower_bounds[where] = np.maximum(lower_bounds[where], -1.0)
        observed = self.data[: self.model.config.nmaindata]
        found = []
        for _ in range(count):
            pars = rng.uniform(lower_bounds, self.space.upper)
            while (nu := self.at(pars).expected).min() < 0 or (nu[observed > 0] <= 0).any():
                pars = 0.5 * (pars + self.start)
            found.append(pars)
        return found


@cache
def case_of(name: str, normsys: str = "code4", histosys: str = "code4p") -> Case:
    return Case(*models.model_and_data(name, normsys, histosys))


@cache
def case_of_file(path: Path) -> Case:
    return Case(*workspaces.model_and_data(workspaces.load(path)))


class Squared(normfactor_combined):
    """A custom modifier: the square of its parameter."""

    name = "squared"

    def apply(self, pars):
        factors = super().apply(pars)
        return None if factors is None else factors**2


CUSTOM = {**histfactory_set, "squared": (normfactor_builder, Squared)}


def custom_model(kind="squared", modifier_set=CUSTOM):
    spec = copy.deepcopy(models.WORKSPACES["normsys"])
    for sample in spec["channels"][0]["samples"]:
        for modifier in sample["modifiers"]:
            if modifier["type"] == "normfactor":
                modifier["type"] = kind
    model = pyhf.Model({"channels": spec["channels"]}, modifier_set=modifier_set, poi_name="mu", validate=False)
    return model, np.array([*spec["observations"][0]["data"], *model.config.auxdata])
