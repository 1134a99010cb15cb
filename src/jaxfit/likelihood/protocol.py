"""What a minimiser may ask of a likelihood."""

from __future__ import annotations

from typing import Protocol

from jaxfit.arrow import ArrowMatrix, ArrowVector
from jaxfit.typing import Array, Bool, Data, Float, Int, Pars, Scalar

__all__ = ["Likelihood"]


class Likelihood(Protocol):
    """A negative log-likelihood over parameters in pyhf's order, and the same over an :class:`ArrowVector`.

    Implementations are pytrees: arrays are passed into compiled programs, never closed over. All methods can be traced.
    """

    @property
    def engine(self) -> str:
        """Name of the implementation, with the reason if it is a fallback."""
        ...

    @property
    def order(self) -> Int[Array, "pars"]:
        """Position of every parameter in (border, blocks.ravel())."""
        ...

    @property
    def rows(self) -> Int[Array, "slots bins"]:
        """The inverse map for the blocks; padding points behind the last parameter."""
        ...

    @property
    def bin_rows(self) -> Int[Array, "slots bins"]:
        """:attr:`rows` in the order of the data."""
        ...

    @property
    def kinked(self) -> Bool[Array, "globals"] | None:
        """Border parameters whose likelihood has a kink at 0 (interpolation codes 0 and 1), None if there are none."""
        ...

    def split(self, pars: Pars, padding: float = 1.0) -> ArrowVector:
        """A vector over all parameters, in arrow form; unused slots get ``padding``."""
        ...

    def join(self, vector: ArrowVector) -> Pars:
        """The inverse of :meth:`split`."""
        ...

    def value(self, vector: ArrowVector, data: Data) -> Scalar:
        """NLL minus :meth:`offset`: a sum of small terms; infinite where the model is not defined."""
        ...

    def offset(self, data: Data) -> Scalar:
        """The part of the NLL that depends on the data only (it would drown the rest in rounding)."""
        ...

    def gradient(self, vector: ArrowVector, data: Data) -> ArrowVector:
        """Gradient of :meth:`value`."""
        ...

    def derivatives(self, vector: ArrowVector, data: Data, exact: Scalar) -> tuple[Scalar, ArrowVector, ArrowMatrix]:
        """Value, gradient and Hessian; with ``exact`` 0 the always positive Fisher approximation of the Hessian."""
        ...

    def expected(self, pars: Pars) -> Float[Array, "bins"]:
        """Expected yields of all bins, in the order of the data."""
        ...

    def yields(self, vector: ArrowVector) -> Float[Array, "bins"]:
        """The same for parameters in arrow form."""
        ...

    def by_sample(self, vector: ArrowVector) -> Float[Array, "samples bins"]:
        """Expected yields of every sample of the model by itself."""
        ...

    def profile(self, vector: ArrowVector, lower: ArrowVector, upper: ArrowVector, data: Data) -> ArrowVector:
        """The vector with its blocks moved, one slot after the other, to their conditional minimum within bounds."""
        ...
