"""What a ranking and a calculation of impacts return: where the uncertainty of a parameter of interest comes from."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from jaxfit.results import significant
from jaxfit.statuses import Status
from jaxfit.storage import Results
from jaxfit.typing import NumpyArray

__all__ = ["ImpactResults", "RankingResults"]

_SHOWN = 20  # parameters of a table


@dataclass(frozen=True, eq=False, repr=False)
class RankingResults(Results, kind="ranking"):
    """Result of a ranking by refits; ``cabinetry.visualize.ranking`` takes it unchanged.

    An impact is the shift of the parameter of interest in a fit with a nuisance parameter held away from its best fit:
    pre-fit by the width of its constraint, post-fit by its uncertainty, up or down. It is exactly 0 where there is
    nothing to shift by (fixed parameters; pre-fit, unconstrained ones), NaN where the fit failed or the parameter has
    no uncertainty.

    Attributes:
        bestfit: best-fit values of all parameters but the parameter of interest.
        uncertainty: their uncertainties from the Hessian.
        labels: their names.
        prefit_up: shifts of the parameter of interest, one for every label.
        prefit_down: see ``prefit_up``.
        postfit_up: see ``prefit_up``.
        postfit_down: see ``prefit_up``.
        name: the parameter of interest.
        statuses: how the four refits of every label ended, in the order of the attributes above; OK where the impact
            is 0 without one, NOT_RUN where it is NaN without one.
        rescues: attempts after the first one failed, of the refits that needed them.
        warnings: one sentence for everything worth knowing.
    """

    bestfit: NumpyArray
    uncertainty: NumpyArray
    labels: list[str]
    prefit_up: NumpyArray
    prefit_down: NumpyArray
    postfit_up: NumpyArray
    postfit_down: NumpyArray
    name: str = ""
    statuses: tuple[tuple[Status, ...], ...] = ()
    rescues: dict[str, tuple[str, ...]] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    @property
    def converged(self) -> bool:
        """Whether every refit is a minimum within the bounds."""
        return all(status.converged for four in self.statuses for status in four)

    def __repr__(self) -> str:
        failed = sum(not status.converged for four in self.statuses for status in four)
        return f"RankingResults({self.name!r}, {len(self.labels)} parameters, {failed} refits not converged)"

    def __str__(self) -> str:
        """The parameters with the largest post-fit impacts first, as cabinetry draws them."""
        columns = {
            "post-fit up": self.postfit_up,
            "post-fit down": self.postfit_down,
            "pre-fit up": self.prefit_up,
            "pre-fit down": self.prefit_down,
        }
        lines = [f"impacts on {self.name}, by refits"]
        size = np.fmax(np.abs(self.postfit_up), np.abs(self.postfit_down))
        return "\n".join(lines + _table(self.labels, columns, size) + [f"warning: {text}" for text in self.warnings])


@dataclass(frozen=True, eq=False, repr=False)
class ImpactResults(Results, kind="impacts"):
    """Impacts on a parameter of interest from the covariance matrix C, linear in all parameters.

    With sigma_k the post-fit and Delta_k the pre-fit width of nuisance parameter k and mu the parameter of interest:

    - ``postfit`` C_mu,k / sigma_k: what a ranking finds by refits with k held at its best fit + sigma_k.
    - ``prefit`` C_mu,k Delta_k / sigma_k^2: the same with k held at its best fit + Delta_k; 0 without a constraint.
    - ``global_shifts`` C_mu,k sqrt(curvature of the constraint of k), C_mu,k / Delta_k for a normal one: the shift of
      mu when the auxiliary measurement of k is shifted by its own standard deviation and nothing is held
      (arXiv:2307.04007). They add in quadrature, in any order and grouping, to sigma_mu^2 without the statistical part.

    Attributes:
        name: the parameter of interest.
        value: its best-fit value.
        sigma: its uncertainty.
        labels: names of all other parameters.
        bestfit: their best-fit values.
        uncertainty: their uncertainties.
        prefit: pre-fit impacts, signed, for a shift upwards.
        postfit: post-fit impacts, signed, for a shift upwards.
        global_shifts: global impacts, signed, for a shift upwards.
        groups: the parameters of every group; every parameter is in one group.
        global_parts: for every group, and "statistical" for the observed events, the quadratic sum of the global
            impacts. These add in quadrature to ``sigma``: what is free (normalisations) counts as statistical; a
            constraint of mu itself is a part of its own.
        conditional_parts: for every group G, how much smaller the uncertainty would be, in quadrature, with the group
            held at its best fit: C_mu,G (C_G,G)^-1 C_G,mu under the root; "statistical" is the uncertainty that is left
            with all constrained parameters held. These do not add up.
        status: how the fit ended; there are no impacts (NaN) where there is no covariance.
        warnings: one sentence for everything worth knowing.
    """

    name: str
    value: float
    sigma: float
    labels: list[str]
    bestfit: NumpyArray
    uncertainty: NumpyArray
    prefit: NumpyArray
    postfit: NumpyArray
    global_shifts: NumpyArray
    groups: dict[str, tuple[str, ...]]
    global_parts: dict[str, float]
    conditional_parts: dict[str, float]
    status: Status = Status.OK
    warnings: tuple[str, ...] = ()

    @property
    def converged(self) -> bool:
        """Whether the fit ended in a minimum within the bounds."""
        return self.status.converged

    @property
    def definitions(self) -> dict[str, str]:
        """How each number is defined, by attribute; C is the covariance matrix."""
        return dict(_DEFINITIONS)

    def __repr__(self) -> str:
        return f"ImpactResults({self.name!r}, {len(self.labels)} parameters, {len(self.groups)} groups)"

    def __str__(self) -> str:
        """The parameters with the largest post-fit impacts, and the groups."""
        columns = {"post-fit": self.postfit, "pre-fit": self.prefit, "global": self.global_shifts}
        value, sigma = significant(self.value, self.sigma), significant(self.sigma, self.sigma)
        lines = [f"{self.name} = {value} +/- {sigma}, impacts by the covariance"]
        lines += _table(self.labels, columns, np.abs(self.postfit))
        names = list(self.global_parts)
        parts = {
            "global": np.array([self.global_parts[name] for name in names]),
            "conditional": np.array([self.conditional_parts.get(name, np.nan) for name in names]),
        }
        lines += ["", *_table(names, parts, parts["global"])]
        lines += [f"{attribute}: {text}" for attribute, text in _DEFINITIONS]
        return "\n".join(lines + [f"warning: {text}" for text in self.warnings])


_DEFINITIONS = (
    ("postfit", "C_mu,k / sigma_k, parameter held at its best fit + post-fit width"),
    ("prefit", "C_mu,k Delta_k / sigma_k^2, parameter held at its best fit + pre-fit width"),
    ("global_shifts", "C_mu,k sqrt(constraint's curvature), auxiliary datum shifted, nothing held (arXiv:2307.04007)"),
    ("global_parts", "quadratic sums of global_shifts; with the statistical part they add in quadrature to sigma"),
    ("conditional_parts", "sqrt(C_mu,G (C_G,G)^-1 C_G,mu), group held at its best fit; they do not add up"),
)


def _table(labels: list[str], columns: dict[str, NumpyArray], size: NumpyArray) -> list[str]:
    """Rows in decreasing order of their size, NaN last, no more than fit on a page."""
    order = np.argsort(-np.nan_to_num(size, nan=-1.0), kind="stable")[:_SHOWN]
    width = max([len(labels[i]) for i in order], default=0)
    lines = [" " * width + "".join(f"  {title:>13}" for title in columns)]
    for i in order:
        lines.append(f"{labels[i]:<{width}}" + "".join(f"  {column[i]:>13.4g}" for column in columns.values()))
    return lines + ([f"and {len(labels) - _SHOWN} more"] if len(labels) > _SHOWN else [])
