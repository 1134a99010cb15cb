"""How fitters and times are called, and which times count, on the page of benchmarks and in its figures."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

__all__ = ["OURS", "color", "converged", "duration", "label", "ordered"]

GATE = 1e-4  # of 2 NLL above the best known

OURS = "jaxfit_newton"
_LABELS = {
    "jaxfit_newton": "jaxfit",
    "jaxfit_reference": "jaxfit, pyhf's likelihood",
    "cabinetry_minuit": "cabinetry (MINUIT)",
    "pyhf_scipy": "pyhf + scipy",
    "pyhf_scipy_jax": "pyhf/JAX + scipy",
    "pyhf_minuit_jax": "pyhf/JAX + MINUIT",
    "roofit": "RooFit",
    "nextstat": "NextStat",
    "everwillow": "pyhf/JAX + everwillow",
}
_COLORS = {
    "jaxfit_newton": "#d62728",
    "jaxfit_reference": "#e8888a",
    "jaxfit_stock": "#f4a582",
    "cabinetry_minuit": "#1f77b4",
    "pyhf_scipy": "#17becf",
    "pyhf_scipy_jax": "#8c9eb8",
    "pyhf_minuit_jax": "#5b4ea0",
    "roofit": "#2ca02c",
    "nextstat": "#bc8f00",
    "everwillow": "#e377c2",
    "evermore": "#8c564b",
    "rabbit": "#7f7f7f",
}


def label(fitter: str) -> str:
    """The name of a fitter for readers; ``jaxfit_stock:lbfgsb`` is jaxfit with that solver."""
    kind, _, solver = fitter.partition(":")
    return f"jaxfit, {solver}" if solver else _LABELS.get(kind, kind)


def color(fitter: str) -> str:
    """The same in all figures."""
    return _COLORS.get(fitter.partition(":")[0], "black")


def ordered(fitters: Iterable[str]) -> list[str]:
    """jaxfit first, then the others as the colours have them."""
    known = list(_COLORS)
    return sorted(
        set(fitters), key=lambda name: (known.index(k) if (k := name.partition(":")[0]) in known else 99, name)
    )


def converged(row: Mapping[str, Any]) -> bool:
    """Whether the time of a comparison's row is a speed: it was judged, and found in agreement."""
    judged = row["gap"] is not None or row["deviation"] is not None
    return row["verdict"] == "ok" and judged and not (row["gap"] is not None and not row["gap"] <= GATE)


def duration(seconds: float) -> str:
    """A time with two or three digits: 37 us, 0.29 ms, 5.0 s, 49 min."""
    for limit, unit, factor in ((1e-4, "µs", 1e6), (1.0, "ms", 1e3), (120.0, "s", 1.0), (7200.0, "min", 1 / 60)):
        if seconds < limit:
            return f"{_two(seconds * factor)} {unit}"
    return f"{_two(seconds / 3600)} h"


def _two(number: float) -> str:
    """At least two significant digits, never an exponent."""
    return f"{number:.0f}" if number >= 10 else f"{number:.1f}" if number >= 1 else f"{number:.2f}"
