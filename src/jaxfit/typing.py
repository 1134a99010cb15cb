"""Array shapes used in signatures.

Dimension names: ``pars`` all model parameters in pyhf's order, ``data`` main and auxiliary data in pyhf's order,
``globals`` parameters of the border and ``slots bins`` bin-wise parameters (see :mod:`jaxfit.arrow`), ``lanes``
elements of a batch of fits.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
from jax import Array
from jaxtyping import Bool, Float, Int

Scalar: TypeAlias = Float[Array, ""]
Pars: TypeAlias = Float[Array, "pars"]
Data: TypeAlias = Float[Array, "data"]
Globals: TypeAlias = Float[Array, "globals"]
Bins: TypeAlias = Float[Array, "blocks width"]
Slots: TypeAlias = Float[Array, "slots blocks width"]

# What data can be given as: pyhf's list of main and auxiliary data, or the observed events of every channel by name.
ObservedData: TypeAlias = Sequence[float] | Mapping[str, Sequence[float]]

NumpyArray: TypeAlias = np.ndarray[Any, np.dtype[Any]]
NumpyMask: TypeAlias = np.ndarray[Any, np.dtype[np.bool_]]

__all__ = [
    "Array",
    "Bins",
    "Bool",
    "Data",
    "Float",
    "Globals",
    "Int",
    "NumpyArray",
    "NumpyMask",
    "ObservedData",
    "Pars",
    "Scalar",
    "Slots",
]
