"""What is known about a fit besides its numbers: whether they can be trusted, and what to do if not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import version

import jax
import numpy as np

from jaxfit.statuses import Status
from jaxfit.typing import NumpyArray

__all__ = ["Diagnosis", "device", "versions"]

_PACKAGES = ("jaxfit-histfactory", "pyhf", "jax", "jaxlib", "jaxopt", "numpy")


@cache
def versions() -> dict[str, str]:
    """Of the packages that the numbers depend on."""
    return {name: version(name) for name in _PACKAGES}


def device() -> str:
    """What JAX computes on."""
    return str(jax.devices()[0].device_kind)


@dataclass(frozen=True, eq=False)
class Diagnosis:
    """How one fit ended, on what, and with what.

    Attributes:
        status: how the fit ended, with ``status.message`` saying what to do.
        edm: estimated vertical distance of -2 log(likelihood) to the minimum, as MINUIT defines it.
        edm_goal: the EDM at which the fit was allowed to end.
        projected_gradient: slopes of -log(likelihood), in the order of the labels; zero for parameters that are fixed,
            or on a bound that holds them.
        fixed: names of the fixed parameters; all others were free.
        at_bound: names of free parameters on one of their bounds.
        flat: names of parameters along which the likelihood is flat or curved downwards, where there is no covariance.
        eigenvalues: smallest and largest eigenvalue of the Hessian scaled to a unit diagonal, where they were needed to
            find ``flat``, otherwise NaN (:attr:`jaxfit.FitResults.eigenvalues` computes them from the correlations).
        lowest_yield: lowest expected yield of all bins.
        lowest_bin: channel and bin where that is.
        iterations: evaluations of the derivatives.
        rescues: attempts after the first one failed, each with how it ended; empty if the first did not fail.
        verification: what an independent check found, empty if none was asked for.
        warnings: one sentence for everything worth knowing.
        engine: the likelihood that was used, with the reason if it is a fallback.
        solver: the minimiser that was used.
        dtype: precision of the computation.
        device: where it ran.
        versions: of the packages that the numbers depend on.
        model_digest: SHA-256 of the model's parameters, templates and modifiers as they were fitted.
        data_digest: SHA-256 of the data.
        seed: of the random numbers of restarts and toys.
        toy: index of the toy, -1 for a fit to given data.
    """

    status: Status = Status.OK
    edm: float = 0.0
    edm_goal: float = 0.0
    projected_gradient: NumpyArray = field(default_factory=lambda: np.zeros(0))
    fixed: tuple[str, ...] = ()
    at_bound: tuple[str, ...] = ()
    flat: tuple[str, ...] = ()
    eigenvalues: tuple[float, float] = (np.nan, np.nan)
    lowest_yield: float = np.nan
    lowest_bin: str = ""
    iterations: int = 0
    rescues: tuple[str, ...] = ()
    verification: str = ""
    warnings: tuple[str, ...] = ()
    engine: str = ""
    solver: str = ""
    dtype: str = "float64"
    device: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)
    model_digest: str = ""
    data_digest: str = ""
    seed: int = 0
    toy: int = -1

    def __str__(self) -> str:
        """Everything, a line each; what to do comes first."""
        gradient = np.abs(self.projected_gradient).max(initial=0.0)
        versions = ", ".join(f"{name} {version}" for name, version in self.versions.items())
        lines = {
            "EDM": f"{self.edm:.1e} (goal {self.edm_goal:.1e})",
            "projected gradient": f"at most {gradient:.1e}",
            "fixed": ", ".join(self.fixed),
            "at bound": ", ".join(self.at_bound),
            "flat": ", ".join(self.flat),
            "eigenvalues": "{:.3g} to {:.3g}".format(*self.eigenvalues) if np.isfinite(self.eigenvalues).all() else "",
            "lowest yield": f"{self.lowest_yield:.4g} in {self.lowest_bin}" if self.lowest_bin else "",
            "iterations": f"{self.iterations}",
            "rescues": ", ".join(self.rescues),
            "verification": self.verification,
            "computed with": f"{self.solver}, {self.engine} likelihood, {self.dtype} on {self.device}, {versions}",
            "model": self.model_digest,
            "data": self.data_digest,
        }
        shown = [f"{self.status.name}: {self.status.message}", *(f"warning: {text}" for text in self.warnings)]
        return "\n".join(shown + [f"{name:<20}{text}" for name, text in lines.items() if text])
