"""The surroundings in which compiled programs run: double precision, and one thread for LAPACK.

XLA on a CPU factorises matrices with the LAPACK of scipy, whose own threads wait for each other by spinning. For the
matrices of a fit that only costs time, on a busy machine a hundred times the time of the fit itself, and several fits
at once take the cores from each other. Threads of ours (:func:`jaxfit.lanes.run`) use the cores better.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import jax
import scipy.linalg  # noqa: F401  # loads the library
from threadpoolctl import ThreadpoolController

__all__ = ["computing", "cores"]

_LOCK = threading.Lock()
_BEFORE: list[int] = []  # numbers of threads to restore
_within = 0  # threads of ours


@contextmanager
def computing() -> Iterator[None]:
    """Run compiled programs within this; everything is as before when the last thread has left."""
    global _within
    with _LOCK:
        if _within == 0:
            _BEFORE[:] = [library.num_threads for library in _libraries()]
            _set([1] * len(_BEFORE))
        _within += 1
    try:
        with jax.enable_x64(True):
            yield
    finally:
        with _LOCK:
            _within -= 1
            if _within == 0:
                _set(_BEFORE)


def cores() -> int:
    """Those that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _set(numbers: list[int]) -> None:
    for library, number in zip(_libraries(), numbers, strict=True):
        # threadpoolctl gives OpenBLAS to the first thread that asks and ignores all others; here the lock is enough
        setter = getattr(library, "_real_set_num_threads", library.set_num_threads)
        setter(number)


@cache
def _libraries() -> list[Any]:
    found: list[Any] = ThreadpoolController().select(user_api="blas").lib_controllers
    return found
