"""What a fit or a scan returns: cabinetry's attribute names, and what cabinetry does not say."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from jaxfit.diagnoses import Diagnosis
from jaxfit.statuses import Status
from jaxfit.storage import Results
from jaxfit.typing import NumpyArray

__all__ = ["FitResults", "ScanResults", "significant"]


class _OnDemand:
    """A field that may be given as a function without arguments: it is called when the field is first read."""

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, instance: Any, owner: type | None = None) -> NumpyArray:
        if instance is None:
            raise AttributeError(self._name)  # a dataclass then sees no default
        value: NumpyArray | Callable[[], NumpyArray] = vars(instance)[self._name]
        if callable(value):
            value = vars(instance)[self._name] = value()
        return value

    def __set__(self, instance: Any, value: NumpyArray | Callable[[], NumpyArray]) -> None:
        vars(instance)[self._name] = value


@dataclass(frozen=True, eq=False, repr=False)
class FitResults(Results, kind="fit"):
    """Result of a maximum likelihood fit; ``cabinetry.visualize`` and ``cabinetry.tabulate`` take it unchanged.

    Attributes:
        bestfit: best-fit values, in the order of ``labels``.
        uncertainty: from the Hessian; exactly 0 for fixed parameters, NaN where there is no covariance.
        labels: parameter names, equal to ``model.config.par_names``.
        corr_mat: correlation matrix, made when it is first read; zero rows and columns for fixed parameters.
        best_twice_nll: -2 log(likelihood) at the best fit.
        goodness_of_fit: p-value of the saturated model, -1 if not asked for, NaN without degrees of freedom.
        minos_uncertainty: uncertainties by parameter name from profile likelihoods, empty if not asked for.
        diagnosis: how the fit ended, on what and with what; ``print(result.diagnosis)`` shows all of it.
    """

    bestfit: NumpyArray
    uncertainty: NumpyArray
    labels: list[str]
    corr_mat: _OnDemand = _OnDemand()
    best_twice_nll: float  # type: ignore[misc]  # mypy takes the descriptor above for a default
    goodness_of_fit: float = -1
    minos_uncertainty: dict[str, tuple[float, float]] = field(default_factory=dict)
    diagnosis: Diagnosis = field(default_factory=Diagnosis)

    @property
    def status(self) -> Status:
        """How the fit ended, with ``status.message`` saying what to do."""
        return self.diagnosis.status

    @property
    def edm(self) -> float:
        """Estimated vertical distance of -2 log(likelihood) to the minimum, as MINUIT defines it."""
        return self.diagnosis.edm

    @property
    def edm_goal(self) -> float:
        """The EDM at which the fit was allowed to end."""
        return self.diagnosis.edm_goal

    @property
    def at_bound(self) -> tuple[str, ...]:
        """Names of parameters on one of their bounds."""
        return self.diagnosis.at_bound

    @property
    def warnings(self) -> tuple[str, ...]:
        """One sentence for everything worth knowing."""
        return self.diagnosis.warnings

    @property
    def engine(self) -> str:
        """The likelihood that was used, with the reason if it is a fallback."""
        return self.diagnosis.engine

    @property
    def solver(self) -> str:
        """The minimiser that was used."""
        return self.diagnosis.solver

    @property
    def iterations(self) -> int:
        """Evaluations of the derivatives."""
        return self.diagnosis.iterations

    @property
    def eigenvalues(self) -> tuple[float, float]:
        """Smallest and largest eigenvalue of the Hessian of the free parameters, scaled to a unit diagonal."""
        free = np.flatnonzero(self.uncertainty > 0)
        if not free.size or np.isfinite(self.diagnosis.eigenvalues).all():
            return self.diagnosis.eigenvalues
        hessian = np.linalg.inv(self.corr_mat[np.ix_(free, free)])
        scale = np.sqrt(np.diag(hessian))
        values = np.linalg.eigvalsh(hessian / np.outer(scale, scale))
        return float(values[0]), float(values[-1])

    @property
    def converged(self) -> bool:
        """Whether this is a minimum within the bounds."""
        return self.status.converged

    @property
    def covariance(self) -> NumpyArray:
        """Covariance matrix of all parameters."""
        return np.asarray(self.corr_mat * np.outer(self.uncertainty, self.uncertainty))

    def __repr__(self) -> str:
        state = self.status.name
        return f"FitResults({len(self.labels)} parameters, 2NLL {self.best_twice_nll:.6f}, EDM {self.edm:.1e}, {state})"

    def __str__(self) -> str:
        """The parameter table, below one line on how the fit ended."""
        width = max(map(len, self.labels))
        notes = {name: "on bound" for name in self.at_bound}
        lines = [
            f"{self.status.name}: 2NLL = {self.best_twice_nll:.6f}, EDM = {self.edm:.1e} "
            f"(goal {self.edm_goal:.1e}), "
            f"{self.iterations} iterations, {self.solver}, {self.engine} likelihood"
        ]
        for name, value, sigma in zip(self.labels, self.bestfit, self.uncertainty, strict=True):
            note = "  (constant)" if sigma == 0.0 else f"  ({notes[name]})" if name in notes else ""
            lines.append(f"{name:<{width}} = {significant(value, sigma)} +/- {significant(sigma, sigma)}{note}")
        if self.goodness_of_fit != -1:
            lines.append(f"goodness of fit (saturated model): p-value {self.goodness_of_fit:.4f}")
        return "\n".join(lines + [f"warning: {text}" for text in self.warnings])


@dataclass(frozen=True, eq=False, repr=False)
class ScanResults(Results, kind="scan"):
    """Result of a profile likelihood scan; ``cabinetry.visualize.scan`` takes it unchanged.

    Attributes:
        name: the scanned parameter.
        bestfit: its best-fit value.
        uncertainty: its uncertainty from the Hessian.
        parameter_values: the values at which it was held.
        delta_nlls: -2 log(likelihood) there, minimised over everything else, above the best fit's.
        statuses: how each of these fits ended.
        edms: their EDM.
        rescues: attempts that each of them took after the first one failed.
        warnings: one sentence for everything worth knowing.
        engine: the likelihood that was used, with the reason if it is a fallback.
        solver: the minimiser that was used.
    """

    name: str
    bestfit: float
    uncertainty: float
    parameter_values: NumpyArray
    delta_nlls: NumpyArray
    statuses: tuple[Status, ...] = ()
    edms: NumpyArray = field(default_factory=lambda: np.zeros(0))
    rescues: tuple[tuple[str, ...], ...] = ()
    warnings: tuple[str, ...] = ()
    engine: str = ""
    solver: str = ""

    @property
    def converged(self) -> bool:
        """Whether every point is a minimum within the bounds."""
        return all(status.converged for status in self.statuses)

    def __repr__(self) -> str:
        failed = sum(not status.converged for status in self.statuses)
        return f"ScanResults({self.name!r}, {len(self.parameter_values)} points, {failed} not converged)"

    def __str__(self) -> str:
        """The points, one a line."""
        lines = [
            f"{self.name} = {significant(self.bestfit, self.uncertainty)} "
            f"+/- {significant(self.uncertainty, self.uncertainty)}"
        ]
        statuses = self.statuses or (Status.OK,) * len(self.parameter_values)
        for value, delta, status in zip(self.parameter_values, self.delta_nlls, statuses, strict=True):
            lines.append(f"{value:>12.6g}  {delta:>12.6f}" + ("" if status.converged else f"  {status.name}"))
        return "\n".join(lines + [f"warning: {text}" for text in self.warnings])


def significant(value: float, sigma: float) -> str:
    """The value with two significant digits of its uncertainty (four decimals where there is none)."""
    if not np.isfinite(sigma) or sigma <= 0:
        return f"{value:.4f}"
    return f"{value:.{min(max(1 - int(np.floor(np.log10(sigma))), 0), 12)}f}"
