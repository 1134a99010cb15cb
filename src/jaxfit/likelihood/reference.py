"""pyhf's own expectations and constraints on its JAX backend, differentiated by JAX: any model at all."""

from __future__ import annotations

import sys
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import pyhf

from jaxfit.arrow import ArrowMatrix, ArrowVector
from jaxfit.likelihood import constraints
from jaxfit.typing import Array, Bool, Data, Float, Int, NumpyArray, Pars, Scalar

__all__ = ["Reference", "pyhf_nll"]

_BACKEND_LOCK = threading.RLock()


def _import_backends() -> dict[str, Any]:
    """pyhf's backends, imported without a trace: its JAX backend switches x64 on for the whole process."""
    x64, first = jax.config.read("jax_enable_x64"), "pyhf.tensor.jax_backend" not in sys.modules
    backends = {name: getattr(pyhf.tensor, f"{name}_backend")(precision="64b") for name in ("jax", "numpy")}
    jax.config.update("jax_enable_x64", x64)
    if first:
        pyhf.events.subscribe("tensorlib_changed")(_switch_x64_on)
    return backends


def _switch_x64_on() -> None:
    """What pyhf does when the user first chooses its JAX backend, and would not do after the import above.

    Without it pyhf would compute in single precision.
    """
    tensorlib, _ = pyhf.get_backend()
    if tensorlib.name == "jax" and tensorlib is not _BACKENDS["jax"] and not _CHOSEN:
        _CHOSEN.append(tensorlib)
        jax.config.update("jax_enable_x64", True)
        pyhf.events.trigger("tensorlib_changed")()  # models that are older than this module have been told before it


_CHOSEN: list[Any] = []
_BACKENDS = _import_backends()


def pyhf_nll(model: pyhf.Model, pars: NumpyArray, data: NumpyArray) -> float:
    """-log(likelihood) as pyhf computes it with numpy."""
    with _backend("numpy"):
        return -float(model.logpdf(pars.tolist(), data.tolist())[0])


@contextmanager
def _backend(name: str) -> Iterator[None]:
    """One of pyhf's backends for a while; the global backend and optimizer are put back afterwards."""
    with _BACKEND_LOCK:
        tensorlib, optimizer = pyhf.get_backend()
        try:
            pyhf.set_backend(_BACKENDS[name], optimizer)
            yield
        finally:
            # models keep arrays of the backend that is current: no tracers of this trace
            with jax.ensure_compile_time_eval():
                pyhf.set_backend(tensorlib, optimizer)


class _Handle:
    """Keeps the model out of JAX's caches: a compiled program lives longer than the model it was traced from."""

    def __init__(self, model: pyhf.Model) -> None:
        self.model = weakref.ref(model)

    def nll(self, pars: Pars, data: Data) -> Scalar:
        """pyhf's, but for Poisson terms that have derivatives in empty bins, too."""
        with _backend("jax"):
            model = self._model()
            n, aux = jnp.split(data, [model.config.nmaindata])
            nu = jnp.asarray(model.expected_actualdata(pars))
            constraint = jnp.asarray(model.constraint_logpdf(aux, pars)) if aux.size else 0.0
        return jnp.sum(constraints.poisson_deviance(n, nu) + constraints.poisson_constant(n)) - constraint

    def expected(self, pars: Pars) -> Float[Array, "bins"]:
        with _backend("jax"):
            return jnp.asarray(self._model().expected_data(pars, include_auxdata=False))

    def by_sample(self, pars: Pars) -> Float[Array, "samples bins"]:
        with _backend("jax"):
            return jnp.asarray(self._model().main_model.expected_data(pars, return_by_sample=True))

    def bins(self) -> int:
        return int(self._model().config.nmaindata)

    def _model(self) -> pyhf.Model:
        model = self.model()
        if model is None:  # only a new trace comes here, and traces are made while the caller holds the model
            raise ReferenceError("the pyhf model of this likelihood has been deleted")
        return model


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Reference:
    """See the module; implements :class:`jaxfit.likelihood.protocol.Likelihood` with everything in the border."""

    order: Int[Array, "pars"]
    handle: _Handle = field(metadata={"static": True})
    reason: str = field(metadata={"static": True})

    @classmethod
    def of(cls, model: pyhf.Model, reason: str = "asked for") -> Reference:
        """The reference likelihood of a model; hold on to the model while using it."""
        return cls(jnp.arange(model.config.npars), _Handle(model), reason)

    @property
    def engine(self) -> str:
        """Name of this implementation and why it is used."""
        return f"reference ({self.reason})"

    @property
    def rows(self) -> Int[Array, "slots bins"]:
        """There are no blocks."""
        return jnp.zeros((0, 0), dtype=int)

    @property
    def bin_rows(self) -> Int[Array, "slots bins"]:
        """There are no blocks."""
        return jnp.zeros((0, self.handle.bins()), dtype=int)

    @property
    def kinked(self) -> Bool[Array, "globals"] | None:
        """Not known of a model that could not be lowered."""
        return None

    def split(self, pars: Pars, padding: float = 1.0) -> ArrowVector:
        """All parameters are in the border."""
        return ArrowVector(pars, jnp.zeros((0, 0), pars.dtype))

    def join(self, vector: ArrowVector) -> Pars:
        """The border."""
        return vector.border

    def offset(self, data: Data) -> Scalar:
        """Nothing is split off."""
        return jnp.zeros((), data.dtype)

    def value(self, vector: ArrowVector, data: Data) -> Scalar:
        """NLL; infinite where pyhf's is NaN."""
        value = self.handle.nll(vector.border, data)
        return jnp.where(jnp.isnan(value), jnp.inf, value)

    def gradient(self, vector: ArrowVector, data: Data) -> ArrowVector:
        """Gradient by reverse mode."""
        return vector._replace(border=jax.grad(self.handle.nll)(vector.border, data))

    def derivatives(self, vector: ArrowVector, data: Data, exact: Scalar) -> tuple[Scalar, ArrowVector, ArrowMatrix]:
        """Value, gradient and exact Hessian; without ``exact`` its absolute diagonal is added, to keep it positive."""
        hessian = jax.hessian(self.handle.nll)(vector.border, data)
        damping = (1.0 - exact) * (jnp.abs(jnp.diag(hessian)) + 1e-6)
        size = vector.border.shape[0]
        matrix = ArrowMatrix(
            hessian + jnp.diag(damping),
            jnp.zeros((size, 0, 0)),
            jnp.zeros((0, 0, 0)),
            jnp.zeros((0, 0, 0)),
            jnp.zeros((0, 0, 0)),
        )
        return self.value(vector, data), self.gradient(vector, data), matrix

    def expected(self, pars: Pars) -> Float[Array, "bins"]:
        """Expected yields of all bins."""
        return self.handle.expected(pars)

    def yields(self, vector: ArrowVector) -> Float[Array, "bins"]:
        """The same for parameters in arrow form."""
        return self.expected(vector.border)

    def by_sample(self, vector: ArrowVector) -> Float[Array, "samples bins"]:
        """Expected yields of every sample in all bins."""
        return self.handle.by_sample(vector.border)

    def profile(self, vector: ArrowVector, lower: ArrowVector, upper: ArrowVector, data: Data) -> ArrowVector:
        """There is nothing to profile."""
        return vector
