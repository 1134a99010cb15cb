"""Batches of lanes for compiled programs: the only chunking.

A batch is cut into parts that are padded to one of a few sizes, with which programs are compiled; how many of its lanes
count is a number passed in. The size of the part does not change what becomes of a lane.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import jax
import numpy as np

from jaxfit.typing import Int, NumpyArray

__all__ = ["LARGEST", "each_lane", "parts", "together"]

_SIZES = (1, 64, 1024)  # lanes of a compiled program
LARGEST = _SIZES[-1]

In = TypeVar("In")
Out = TypeVar("Out")


def parts(arrays: tuple[NumpyArray, ...]) -> Iterator[tuple[int, int, tuple[NumpyArray, ...]]]:
    """Cut arrays with a leading axis of lanes: the first lane of a part, its number of lanes, the padded arrays."""
    for first in range(0, len(arrays[0]), LARGEST):
        part = [np.asarray(array[first : first + LARGEST]) for array in arrays]
        number = len(part[0])
        padding = next(size for size in _SIZES if size >= number) - number
        yield first, number, tuple(np.concatenate([a, np.repeat(a[:1], padding, axis=0)]) for a in part)


def together(lanes: int) -> int:
    """Lanes that advance together: on a CPU each lane by itself, which stops when it is done; elsewhere all."""
    return 1 if jax.default_backend() == "cpu" else lanes


def each_lane(function: Callable[[In], Out], lanes: In, empty: Out, number: int | Int[Any, ""], width: int) -> Out:
    """Apply a traced function to the first ``number`` lanes of a part.

    Args:
        function: of one lane, a pytree of arrays.
        lanes: a pytree of arrays with a leading axis of lanes.
        empty: what the function returns, with that axis: zeros, which stay where nothing is computed.
        number: may be traced.
        width: see :func:`together`; divides the length of the axis.
    """
    chunks = jax.tree.map(lambda a: a.reshape(-1, width, *a.shape[1:]), (lanes, empty))

    def body(i: Int[Any, ""], found: Out) -> Out:
        chunk = jax.tree.map(lambda a: a[i], chunks[0])
        if width == 1:
            one = function(jax.tree.map(lambda a: a[0], chunk))
            value = jax.tree.map(lambda a: a[None], one)
        else:
            value = jax.vmap(function)(chunk)
        updated: Out = jax.tree.map(lambda all_, new: all_.at[i].set(new), found, value)
        return updated

    found = jax.lax.fori_loop(0, (number + width - 1) // width, body, chunks[1])
    joined: Out = jax.tree.map(lambda a: a.reshape(-1, *a.shape[2:]), found)
    return joined
