"""A small record of benchmarks, as a run would write it."""

from __future__ import annotations

from typing import Any

__all__ = ["record", "row"]


def row(peer: str, seconds: float | None, problem: str = "M", task: str = "fit", **known: Any) -> dict[str, Any]:
    """A converged row of the comparisons."""
    return {
        "problem": problem, "task": task, "peer": peer, "settings": f"tolerance of {peer}", "seconds": seconds,
        "first": seconds, "made": 1, "parts": 1, "gap": 1e-9, "pull": 2e-5, "deviation": None, "verdict": "ok",
        "error": "",
    } | known  # fmt: skip


def record() -> dict[str, Any]:
    """All kinds of rows."""
    growth = {"task": "fit, 1000 bins", "sizes": [10, 100, 1000], "seconds": [1e-3, 1e-2, 0.5], "exponent_of_all": 1.3}
    return {
        "machine": ["Some CPU, 2 cores", "load 0.1"],
        "versions": {"jax": "0.10.2", "pyhf": "0.7.6"},
        "comparisons": [
            row("jaxfit_newton", 1e-3, first=2.5),
            row("cabinetry_minuit", 5.6),
            row("pyhf_scipy", 1e-4, gap=0.3, verdict="not converged"),
            row("nextstat", 5e-5, "S"),
            row("jaxfit_newton", 2e-4, "S"),
            row("cabinetry_minuit", 900.0, task="ranking", made=8, parts=560),
            row("jaxfit_newton", 0.1, task="ranking"),
            row("roofit", None, task="ranking", gap=None, pull=None, verdict="no answer", error="Error: a | b"),
            row("jaxfit_newton", 0.01, task="limit", gap=None, pull=None, deviation=0.0),
            row("cabinetry_minuit", 9.0, task="limit", gap=None, pull=None, deviation=2e-4),
        ],
        "scaling": [
            {"what": "nuisance parameters", "fitter": "jaxfit_newton", "memory_mib": [1.0, 2.0, 30.0], "exponent": 2.3}
            | growth,
            {"what": "bins", "fitter": "cabinetry_minuit", "memory_mib": [1.0, 2.0, 3.0], "exponent": 1.7} | growth,
        ],
        "breakdowns": [
            {"of": "fit, 4 iterations", "problem": "L", "total": 0.02, "parts": {"product": 0.015, "rest": 0.005}}
        ],
        "starts": [
            {"fitter": "jaxfit_newton", "problem": "ttbar", "cache": "cold", "seconds": 4.0, "imports": 1.5,
             "parts": {"import": 1.0, "compile": 2.0}},
            {"fitter": "nextstat", "problem": "ttbar", "cache": "none", "seconds": 0.4, "imports": 1.5, "parts": {}},
        ],
        "gpu": [],
    }  # fmt: skip
