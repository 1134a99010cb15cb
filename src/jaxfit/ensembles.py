"""Ensembles of fits to toy data: arrays with one row a toy, and their summary."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from jaxfit.errors import InputError, suggest
from jaxfit.statuses import Status
from jaxfit.storage import ArrayResults, Results
from jaxfit.typing import NumpyArray, NumpyMask

__all__ = ["ToyResults", "ToySummary"]

_LEVELS = {"68.3 %": 1.0, "95 %": 1.959963984540054}  # standard deviations


@dataclass(frozen=True, eq=False, repr=False)
class ToyResults(ArrayResults, kind="toys"):
    """Fits to an ensemble of toys. Saved as npz (numpy's, without pickle); :func:`jaxfit.load_results` reads it.

    Attributes:
        labels: names of the parameters.
        truth: the parameters that the toys were drawn from (parameters); of a bootstrap, those that fits started at.
        bestfit: best-fit values (toys, parameters).
        uncertainty: from the Hessian (toys, parameters); 0 for fixed parameters, NaN where there is no covariance.
        best_twice_nll: -2 log(likelihood) at the best fit (toys).
        edm: EDM there (toys).
        iterations: of the fit (toys).
        status: how the fit ended, values of :class:`jaxfit.Status` (toys).
        poi: the parameter that was held in further fits, "" if there are none.
        poi_values: where it was held (values).
        poi_twice_nll: -2 log(likelihood) of these fits (toys, values).
        poi_status: how they ended (toys, values).
        seed: of the random numbers: toy i depends on it and on i only.
        aux: "sampled" auxiliary data, or "nominal".
        bootstrap: whether the toys were drawn around observed data.
        model_digest: SHA-256 of the model.
        versions: of the libraries.
    """

    labels: list[str]
    truth: NumpyArray
    bestfit: NumpyArray
    uncertainty: NumpyArray
    best_twice_nll: NumpyArray
    edm: NumpyArray
    iterations: NumpyArray
    status: NumpyArray
    poi: str
    poi_values: NumpyArray
    poi_twice_nll: NumpyArray
    poi_status: NumpyArray
    seed: int
    aux: str
    bootstrap: bool
    model_digest: str
    versions: dict[str, str]

    def __len__(self) -> int:
        return len(self.status)

    def __repr__(self) -> str:
        return (
            f"ToyResults({len(self)} toys, {len(self.labels)} parameters, {len(self) - self.usable().sum()} left out)"
        )

    def __str__(self) -> str:
        return str(self.summary())

    @property
    def converged(self) -> bool:
        """Whether all fits of all toys are minima within the bounds."""
        return bool((self.status <= Status.OK_AT_BOUND).all() and (self.poi_status <= Status.OK_AT_BOUND).all())

    @property
    def counts(self) -> dict[Status, int]:
        """How many of the best fits ended with each status."""
        values, numbers = np.unique(self.status, return_counts=True)
        return {Status(int(value)): int(number) for value, number in zip(values, numbers, strict=True)}

    @property
    def twice_deltas(self) -> NumpyArray:
        """-2 log(likelihood) of the fits with ``poi`` held above the best fit's (toys, values); NaN if one failed."""
        good = self.usable()[:, None] & (self.poi_status <= Status.OK_AT_BOUND)
        return np.where(good, self.poi_twice_nll - self.best_twice_nll[:, None], np.nan)

    @property
    def pulls(self) -> NumpyArray:
        """(bestfit - truth) / uncertainty (toys, parameters); NaN where that is no number."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(self.uncertainty > 0, (self.bestfit - self.truth) / self.uncertainty, np.nan)

    def usable(self, accept: Sequence[Status] = ()) -> NumpyMask:
        """Which best fits are minima within the bounds, or ended in one of the statuses to ``accept``."""
        return np.isin(self.status, [Status.OK, Status.OK_AT_BOUND, *accept])

    def summary(self, parameters: Sequence[str] | None = None, *, accept: Sequence[Status] = ()) -> ToySummary:
        """Bias, pulls and coverage.

        Args:
            parameters: names, default all that vary.
            accept: statuses of fits, besides OK and OK_AT_BOUND, to count in.

        Raises:
            InputError: an unknown parameter.
        """
        known = {name: i for i, name in enumerate(self.labels)}
        for name in parameters or ():
            if name not in known:
                raise InputError(suggest("parameter", name, self.labels))
        usable = self.usable(accept)
        varying = np.flatnonzero((np.nan_to_num(self.uncertainty[usable], nan=1.0) > 0).any(axis=0))
        chosen = varying if parameters is None else np.array([known[name] for name in parameters], dtype=int)
        number = int(usable.sum())
        shifts, pulls = (self.bestfit - self.truth)[usable][:, chosen], self.pulls[usable][:, chosen]
        defined = np.isfinite(pulls)
        n = defined.sum(axis=0)
        with np.errstate(divide="ignore", invalid="ignore"):
            pulls = np.where(defined, pulls, 0.0)
            mean = pulls.sum(axis=0) / n
            width = np.sqrt((np.where(defined, pulls - mean, 0.0) ** 2).sum(axis=0) / (n - 1))
            covered = np.array([(defined & (np.abs(pulls) <= z)).sum(axis=0) / n for z in _LEVELS.values()]).T
            return ToySummary(
                labels=[self.labels[i] for i in chosen],
                truth=self.truth[chosen],
                bias=shifts.sum(axis=0) / number,
                bias_error=np.std(shifts, axis=0, ddof=1) / np.sqrt(number) if number > 1 else np.full(n.shape, np.nan),
                pull_mean=mean,
                pull_mean_error=width / np.sqrt(n),
                pull_width=width,
                pull_width_error=width / np.sqrt(2.0 * (n - 1)),
                coverage=covered,
                coverage_error=np.sqrt(covered * (1.0 - covered) / n[:, None]),
                toys=len(self),
                used=number,
                left_out={s.name: k for s, k in self.counts.items() if not (s.converged or s in accept)},
            )


@dataclass(frozen=True, eq=False, repr=False)
class ToySummary(Results, kind="toy summary"):
    """Bias, pulls and coverage of an ensemble, one entry a parameter; errors are statistical.

    Attributes:
        labels: names of the parameters.
        truth: the parameters that the toys were drawn from.
        bias: mean of bestfit - truth.
        bias_error: of the mean.
        pull_mean: mean of (bestfit - truth) / uncertainty.
        pull_mean_error: of the mean.
        pull_width: standard deviation of the pulls.
        pull_width_error: for normally distributed pulls.
        coverage: how often the truth is within 1 and 1.96 uncertainties of the best fit (parameters, 2): 0.683 and 0.95
            are expected.
        coverage_error: binomial.
        toys: number of toys.
        used: number of those that the summary is made of.
        left_out: number of the others by status.
    """

    labels: list[str]
    truth: NumpyArray
    bias: NumpyArray
    bias_error: NumpyArray
    pull_mean: NumpyArray
    pull_mean_error: NumpyArray
    pull_width: NumpyArray
    pull_width_error: NumpyArray
    coverage: NumpyArray
    coverage_error: NumpyArray
    toys: int
    used: int
    left_out: dict[str, int]

    @property
    def converged(self) -> bool:
        """Whether no toy was left out."""
        return self.used == self.toys

    def __repr__(self) -> str:
        return f"ToySummary({self.used} of {self.toys} toys, {len(self.labels)} parameters)"

    def __str__(self) -> str:
        """A table, one parameter a line."""
        wide = max([9, *map(len, self.labels)])
        lines = [f"{self.toys} toys" + (", all fits converged" if self.converged else f", {self._missing()}")]
        columns = ("truth", "bias", "pull mean", "pull width", *(f"coverage {level}" for level in _LEVELS))
        lines.append(f"{'parameter':<{wide}} {columns[0]:>10}" + "".join(f" {title:>19}" for title in columns[1:]))
        values = np.column_stack([self.bias, self.pull_mean, self.pull_width, self.coverage])
        errors = np.column_stack([self.bias_error, self.pull_mean_error, self.pull_width_error, self.coverage_error])
        for name, truth, row, error in zip(self.labels, self.truth, values, errors, strict=True):
            pairs = "".join(f" {v:>10.4f} +-{e:>6.4f}" for v, e in zip(row, error, strict=True))
            lines.append(f"{name:<{wide}} {truth:>10.4g}{pairs}")
        return "\n".join(lines)

    def _missing(self) -> str:
        listed = ", ".join(f"{number} {status}" for status, number in self.left_out.items())
        return f"{self.toys - self.used} left out of what follows: {listed}"
