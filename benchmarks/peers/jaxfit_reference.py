"""jaxfit on pyhf's own JAX likelihood: what models with custom modifiers get."""

from __future__ import annotations

from typing import Any

from benchmarks.peers import jaxfit_stock
from jaxfit.likelihood import engines, reference_of

__all__ = ["Fitter"]


class Fitter(jaxfit_stock.Fitter):
    """Newton on the reference likelihood."""

    settings = "EDM 1e-8, derivatives of pyhf's log-density by JAX"

    def __init__(self, spec: dict[str, Any]) -> None:
        super().__init__(spec)
        engines._CACHE[self.model] = reference_of(self.model)
