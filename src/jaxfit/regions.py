"""What intervals and two-dimensional scans return: which values of one or two parameters the data allow."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from jaxfit.results import significant
from jaxfit.statuses import Status
from jaxfit.storage import Results
from jaxfit.typing import NumpyArray, NumpyMask

__all__ = ["ONE_SIGMA", "FeldmanCousinsResults", "IntervalResults", "Scan2DResults"]

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


@dataclass(frozen=True, eq=False, repr=False)
class FeldmanCousinsResults(Results, kind="feldman_cousins"):
    """Confidence intervals of one parameter, or regions of two, by toys with the ordering of Feldman and Cousins.

    "grid" below is the shape of the grid, (values) or (values of the first, values of the second).

    Attributes:
        names: the parameters, one or two.
        bestfit: their best-fit values, within their bounds.
        parameter_values: the values of each that make the grid, in increasing order.
        statistic: -2 log(likelihood) of the data at every point, minimised over everything else, above the best fit's
            (grid); NaN where a fit failed.
        critical_values: the belt (grid): the smallest value that a fraction of at least ``confidence_level`` of a
            point's toys does not exceed.
        p_values: fraction of a point's toys with at least the statistic of the data (grid).
        p_values_error: binomial error of it (grid).
        confidence_level: of the region.
        ntoys: toys that were drawn at every point.
        ntoys_used: those of them whose fits all converged (grid); NaN where there were none.
        left_out: how many of the toys of all points were left out, by the status of the fit that failed.
        status: how the best fit to the data ended.
        statuses: how the fits to the data ended, the grid's last axis first.
        warnings: one sentence for everything worth knowing.
    """

    names: tuple[str, ...]
    bestfit: NumpyArray
    parameter_values: tuple[NumpyArray, ...]
    statistic: NumpyArray
    critical_values: NumpyArray
    p_values: NumpyArray
    p_values_error: NumpyArray
    confidence_level: float
    ntoys: int
    ntoys_used: NumpyArray
    left_out: dict[str, int]
    status: Status
    statuses: tuple[Status, ...]
    warnings: tuple[str, ...] = ()

    @property
    def accepted(self) -> NumpyMask:
        """Which points are in the region (grid)."""
        return np.asarray(self.p_values > 1.0 - self.confidence_level)

    @property
    def intervals(self) -> tuple[tuple[float, float], ...]:
        """The intervals of a single parameter; none for two.

        Ends are where the p-value, linear between the points of the grid, is 1 - ``confidence_level``; an interval that
        goes on beyond the grid ends with it.
        """
        if len(self.names) != 1:
            return ()
        values, excess = self.parameter_values[0], self.p_values - (1.0 - self.confidence_level)
        inside = np.concatenate([[False], self.accepted, [False]])
        edges = np.flatnonzero(np.diff(inside.astype(int)))

        def end(inner: int, outer: int) -> float:
            if not 0 <= outer < len(values) or np.isnan(excess[outer]):
                return float(values[inner])
            return float(
                values[inner] + (values[outer] - values[inner]) * excess[inner] / (excess[inner] - excess[outer])
            )

        pairs = zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True)
        return tuple((end(first, first - 1), end(after - 1, after)) for first, after in pairs)

    @property
    def interval(self) -> tuple[float, float]:
        """From the lowest to the highest end of the intervals, which is what Feldman and Cousins quote; NaN if none."""
        found = self.intervals
        return (found[0][0], found[-1][1]) if found else (float("nan"), float("nan"))

    @property
    def converged(self) -> bool:
        """Whether all fits to the data are minima within the bounds, and no toy was left out."""
        return self.status.converged and all(status.converged for status in self.statuses) and not self.left_out

    def __repr__(self) -> str:
        size = " x ".join(str(len(values)) for values in self.parameter_values)
        return (
            f"FeldmanCousinsResults({', '.join(map(repr, self.names))}, {size} points, {self.ntoys} toys each, "
            f"{self.accepted.sum()} accepted)"
        )

    def __str__(self) -> str:
        """The best fit and the intervals, or the extent of the region."""
        best = ", ".join(f"{name} = {value:.5g}" for name, value in zip(self.names, self.bestfit, strict=True))
        lines = [
            f"Feldman-Cousins at {100 * self.confidence_level:.4g} % confidence level, {self.ntoys} toys a point",
            f"best fit: {best}",
        ]
        if len(self.names) == 1:
            found = [f"[{low:.5g}, {high:.5g}]" for low, high in self.intervals]
            lines.append(f"{self.names[0]} in {' or '.join(found)}" if found else "no point of the grid is accepted")
        else:
            inside = np.nonzero(self.accepted)
            extents = [values[i] for values, i in zip(self.parameter_values, inside, strict=True)]
            pairs = zip(self.names, extents, strict=True)
            found = [f"{name} in [{own.min():.5g}, {own.max():.5g}]" for name, own in pairs if own.size]
            lines.append(f"accepted points: {', '.join(found)}" if found else "no point of the grid is accepted")
        return "\n".join(lines + [f"warning: {text}" for text in self.warnings])
