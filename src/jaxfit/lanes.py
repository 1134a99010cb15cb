"""Batches of lanes for compiled programs: the only chunking.

A batch is cut into parts that are padded to one of a few sizes, with which programs are compiled; how many of its lanes
count is a number passed in. Neither the size of the part nor who computes it changes what becomes of a lane.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from typing import Any, TypeVar

import jax
import numpy as np

from jaxfit.threads import computing, cores
from jaxfit.typing import Int, NumpyArray

__all__ = ["LARGEST", "each_lane", "run", "together"]

_SIZES = (1, 64, 1024)  # lanes of a compiled program
LARGEST = _SIZES[-1]
_FEWEST = 2000  # numbers that a batch has, for another thread to be worth its while

In = TypeVar("In")
Out = TypeVar("Out")
Part = tuple[NumpyArray, ...]


def run(
    program: Callable[[Part, int, int], tuple[Any, ...]],
    arrays: Part,
    undone: Callable[[int], tuple[NumpyArray, ...]] | None = None,
) -> tuple[NumpyArray, ...]:
    """Compute all lanes of a batch, on every core.

    Args:
        program: compiled, from a padded part, its number of lanes, and :func:`together`, to arrays with these lanes.
        arrays: with a leading axis of lanes, at least one.
        undone: what becomes, after an interrupt from the keyboard, of the lanes from the given one on. Without it, or
            before anything was computed, the interrupt is passed on.
    """
    count, threads = len(arrays[0]), _threads(arrays)
    length = -(-count // _number_of_parts(count, threads))

    def compute(first: int) -> tuple[NumpyArray, ...]:
        part = tuple(np.asarray(array[first : first + length]) for array in arrays)
        number = len(part[0])
        size = next(size for size in _SIZES if size >= number)
        padded = tuple(np.concatenate([a, np.repeat(a[:1], size - number, axis=0)]) for a in part)
        with computing():
            return tuple(np.asarray(a)[:number] for a in program(padded, number, together(size)))

    firsts, found = range(0, count, length), []
    with ThreadPoolExecutor(threads) if min(threads, len(firsts)) > 1 else nullcontext() as pool:
        try:
            for part in pool.map(compute, firsts) if pool else map(compute, firsts):
                found.append(part)
        except KeyboardInterrupt:
            if undone is None or not found:
                raise
            found.append(undone(length * len(found)))
    return tuple(np.concatenate(field) for field in zip(*found, strict=True))


def _number_of_parts(count: int, threads: int) -> int:
    least = -(-count // LARGEST)
    if least > 1:
        return -(-least // threads) * threads
    return min(threads, count)


def _threads(arrays: Part) -> int:
    """One for each core, unless the batch is small, a GPU computes, or whoever has threads of his own divides it."""
    alone = jax.default_backend() == "cpu" and threading.current_thread() is threading.main_thread()
    return cores() if alone and sum(array.size for array in arrays) >= _FEWEST else 1


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
