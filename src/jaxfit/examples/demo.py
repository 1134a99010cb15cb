"""The ttbar analysis from histograms to figures, as ``jaxfit demo`` runs it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import cabinetry
from pyhf import Model

import jaxfit
from jaxfit import plot, workspaces
from jaxfit.examples import ttbar

__all__ = ["run"]


def run(
    folder: Path, step: Callable[[str], AbstractContextManager[None]]
) -> tuple[Model, jaxfit.FitResults, jaxfit.ScanResults]:
    """Build, fit, scan and draw.

    Args:
        folder: receives what the analysis makes, ``fit.json``, ``scan.json`` and ``figures/``.
        step: a context manager that is told the name of every step.
    """
    with step("histograms and workspace"):
        spec = ttbar.workspace(folder)
    with step("model"):
        model, data = workspaces.model_and_data(spec)
    with step("fit"):
        result = jaxfit.fit(model, data, goodness_of_fit=True)
        result.save(folder / "fit.json")
    with step("scan of 41 points"):
        scan = jaxfit.scan(model, data, "ttbar_norm", n_steps=41)
        scan.save(folder / "scan.json")
    with step("figures"):
        config = cabinetry.configuration.load(folder / "config.yml")
        plot.save(plot.fit_figures(model, data, result, config) | plot.scan_figures(scan), folder / "figures")
    return model, result, scan
