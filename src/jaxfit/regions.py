"""What intervals and two-dimensional scans return: which values of one or two parameters the data allow."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from jaxfit.results import significant
from jaxfit.statuses import Status
from jaxfit.storage import Results
from jaxfit.typing import NumpyArray

__all__ = ["ONE_SIGMA", "IntervalResults", "Scan2DResults"]

ONE_SIGMA = 2.0 * NormalDist().cdf(1.0) - 1.0  # 68.27 %


@dataclass(frozen=True, eq=False, repr=False)
class IntervalResults(Results, kind="intervals"):
    """Confidence intervals from profile likelihoods, as MINUIT's MINOS finds them.

    Attributes:
        labels: names of the parameters.
        bestfit: their best-fit values.
        uncertainty: their uncertainties from the Hessian.
        lower: lower ends of the intervals; NaN where not found.
        upper: upper ends.
        lower_at_bound: whether an interval ends on the parameter's lower bound, before the level is reached.
        upper_at_bound: the same for the upper bound.
        confidence_level: of every interval by itself.
        status: how the best fit ended.
        statuses: how the fits at the lower and the upper ends ended.
        warnings: one sentence for everything worth knowing.
        engine: the likelihood that was used, with the reason if it is a fallback.
    """

    labels: list[str]
    bestfit: NumpyArray
    uncertainty: NumpyArray
    lower: NumpyArray
    upper: NumpyArray
    lower_at_bound: tuple[bool, ...]
    upper_at_bound: tuple[bool, ...]
    confidence_level: float
    status: Status = Status.OK
    statuses: tuple[tuple[Status, Status], ...] = ()
    warnings: tuple[str, ...] = ()
    engine: str = ""

    @property
    def minos_uncertainty(self) -> dict[str, tuple[float, float]]:
        """Distances of the ends to the best fit, by name: (negative, positive), as in ``cabinetry.fit.FitResults``."""
        ends = zip(self.labels, self.lower - self.bestfit, self.upper - self.bestfit, strict=True)
        return {name: (float(down), float(up)) for name, down, up in ends}

    @property
    def converged(self) -> bool:
        """Whether all ends were found, and all fits are minima within the bounds."""
        found = np.isfinite(self.lower).all() and np.isfinite(self.upper).all()
        statuses = [self.status, *(status for both in self.statuses for status in both)]
        return bool(found) and all(status.converged for status in statuses)

    def __repr__(self) -> str:
        lost = int((~np.isfinite(self.lower)).sum() + (~np.isfinite(self.upper)).sum())
        return f"IntervalResults({len(self.labels)} parameters, {self.confidence_level:.4g}, {lost} ends not found)"

    def __str__(self) -> str:
        """The intervals, one a line."""
        width = max(map(len, self.labels), default=0)
        lines = [f"profile likelihood intervals at {100 * self.confidence_level:.4g} % confidence level"]
        ends = zip(self.lower_at_bound, self.upper_at_bound, strict=True)
        for i, (name, (down, up)) in enumerate(self.minos_uncertainty.items()):
            values = [significant(value, self.uncertainty[i]) for value in (self.bestfit[i], -down, up)]
            low, high = (significant(value, self.uncertainty[i]) for value in (self.lower[i], self.upper[i]))
            sides = [side for side, bound in zip(("lower", "upper"), next(ends), strict=True) if bound]
            note = f"  (bound: {' and '.join(sides)})" if sides else ""
            lines.append(f"{name:<{width}} = {values[0]} -{values[1]} +{values[2]}  [{low}, {high}]{note}")
        return "\n".join(lines + [f"warning: {text}" for text in self.warnings])


@dataclass(frozen=True, eq=False, repr=False)
class Scan2DResults(Results, kind="scan2d"):
    """Result of a profile likelihood scan over two parameters.

    Attributes:
        names: the two parameters, x and y.
        bestfit: their best-fit values.
        uncertainty: their uncertainties from the Hessian.
        correlation: of the two, from the Hessian.
        parameter_values: the values of x, and those of y.
        delta_nlls: -2 log(likelihood) at (x, y), minimised over everything else, above the best fit's; NaN where the
            fit failed.
        confidence_levels: of the contours.
        contours: for every level its lines, each an array (points, 2); the first point is also the last where a line
            is closed.
        status: how the best fit ended.
        statuses: how the fits at (x, y) ended.
        warnings: one sentence for everything worth knowing.
        engine: the likelihood that was used, with the reason if it is a fallback.
        solver: the minimiser that was used.
    """

    names: tuple[str, str]
    bestfit: NumpyArray
    uncertainty: NumpyArray
    correlation: float
    parameter_values: tuple[NumpyArray, NumpyArray]
    delta_nlls: NumpyArray
    confidence_levels: tuple[float, ...]
    contours: tuple[tuple[NumpyArray, ...], ...]
    status: Status = Status.OK
    statuses: tuple[tuple[Status, ...], ...] = ()
    warnings: tuple[str, ...] = ()
    engine: str = ""
    solver: str = ""

    @property
    def converged(self) -> bool:
        """Whether the best fit and every point are minima within the bounds."""
        return self.status.converged and self._failed == 0

    @property
    def _failed(self) -> int:
        return sum(not status.converged for row in self.statuses for status in row)

    def __repr__(self) -> str:
        size = " x ".join(str(len(values)) for values in self.parameter_values)
        return f"Scan2DResults({self.names[0]!r}, {self.names[1]!r}, {size} points, {self._failed} not converged)"

    def __str__(self) -> str:
        """The best fit, and the extent of every contour."""
        lines = [
            f"{name} = {significant(value, sigma)} +/- {significant(sigma, sigma)}"
            for name, value, sigma in zip(self.names, self.bestfit, self.uncertainty, strict=True)
        ]
        lines.append(f"correlation {self.correlation:.3f}")
        for level, contour in zip(self.confidence_levels, self.contours, strict=True):
            extent = "not within the ranges"
            if contour:
                points = np.concatenate(contour)
                pairs = zip(self.names, points.min(axis=0), points.max(axis=0), self.uncertainty, strict=True)
                extent = ", ".join(f"{n} in [{significant(a, s)}, {significant(b, s)}]" for n, a, b, s in pairs)
            lines.append(f"{100 * level:.4g} % contour: {extent}")
        return "\n".join(lines + [f"warning: {text}" for text in self.warnings])
