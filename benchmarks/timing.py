"""Medians of warm calls, and the lines of the tables."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

__all__ = ["clocked", "row", "timed"]


def timed(function: Callable[[], Any], repeat: int = 15) -> tuple[float, Any]:
    """Median time of a warm call in seconds, and its result."""
    result = function()
    times = []
    for _ in range(repeat):
        start = time.perf_counter()
        result = function()
        times.append(time.perf_counter() - start)
    return float(np.median(times)), result


def clocked(function: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds of one call, and its result."""
    start = time.perf_counter()
    result = function()
    return time.perf_counter() - start, result


def row(label: str, seconds: float, remark: str) -> None:
    """One line of the table."""
    print(f"  {label:<40}{1e3 * seconds:14.3f} ms   {remark}")
