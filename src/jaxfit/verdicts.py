"""What hypothesis tests return: p-values, limits, significances."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from jaxfit.statuses import Status
from jaxfit.storage import Results
from jaxfit.typing import NumpyArray

__all__ = ["LIMITS", "GoodnessOfFitResults", "HypotestResults", "LimitResults", "SignificanceResults"]

LIMITS = ("observed", "expected -2 sigma", "expected -1 sigma", "expected", "expected +1 sigma", "expected +2 sigma")


@dataclass(frozen=True, eq=False, repr=False)
class HypotestResults(Results, kind="hypotest"):
    """Hypothesis tests of one or several values of a parameter of interest, by asymptotic formulae or by toys.

    "points" below is the shape of the tested values: none for a number, n for n of them. Expected values are those for
    Asimov data and an estimate of the parameter that fluctuates by (-2, -1, 0, 1, 2) standard deviations, in pyhf's
    order; by toys, those percentiles of the p-values of the Asimov data's hypothesis. All are NaN at a point that needs
    a fit that did not converge.

    Attributes:
        name: the parameter of interest.
        poi_values: the tested values (points).
        bestfit: the best-fit value.
        test_stat: "qtilde", "q", "q0", "ttilde" or "t" of arXiv:1007.1727.
        statistic: its value for the data (points).
        statistic_asimov: its value for the Asimov data (points).
        CLsb_obs: p-value of the tested hypothesis (points).
        CLb_obs: the same tail of the Asimov data's hypothesis (points).
        CLs_obs: their ratio for "qtilde" and "q"; CLsb itself for the others, which set no upper limits, as
            ``pyhf.infer.hypotest`` returns it for "q0" (points).
        CLsb_exp: expected values of the first (points, 5).
        CLb_exp: expected values of the second (points, 5).
        CLs_exp: expected values of the third (points, 5).
        statuses: how the fits of every point ended, the worst of five each.
        rescues: attempts after the first one failed, of the fits that needed them.
        warnings: one sentence for everything worth knowing.
        calctype: "asymptotics" or "toybased".
        ntoys: toys that were drawn from each hypothesis, 0 without toys.
        ntoys_used: toys of the tested and of the Asimov data's hypothesis whose fits all converged (points, 2).
        left_out: how many values of the test statistic are missing, by the status of the fit that failed.
        CLsb_obs_error: statistical error of ``CLsb_obs``, from the number of toys (points); 0 without toys.
        CLb_obs_error: the same of ``CLb_obs``, and so on.
        CLs_obs_error: see ``CLb_obs_error``.
        CLsb_exp_error: see ``CLb_obs_error`` (points, 5); from bootstraps of the toys.
        CLb_exp_error: see ``CLsb_exp_error``.
        CLs_exp_error: see ``CLsb_exp_error``.
    """

    name: str
    poi_values: NumpyArray
    bestfit: float
    test_stat: str
    statistic: NumpyArray
    statistic_asimov: NumpyArray
    CLsb_obs: NumpyArray
    CLb_obs: NumpyArray
    CLs_obs: NumpyArray
    CLsb_exp: NumpyArray
    CLb_exp: NumpyArray
    CLs_exp: NumpyArray
    statuses: tuple[Status, ...]
    rescues: dict[str, tuple[str, ...]] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    calctype: str = "asymptotics"
    ntoys: int = 0
    ntoys_used: NumpyArray = field(default_factory=lambda: np.zeros(0))
    left_out: dict[str, int] = field(default_factory=dict)
    CLsb_obs_error: NumpyArray = field(default_factory=lambda: np.zeros(0))
    CLb_obs_error: NumpyArray = field(default_factory=lambda: np.zeros(0))
    CLs_obs_error: NumpyArray = field(default_factory=lambda: np.zeros(0))
    CLsb_exp_error: NumpyArray = field(default_factory=lambda: np.zeros(0))
    CLb_exp_error: NumpyArray = field(default_factory=lambda: np.zeros(0))
    CLs_exp_error: NumpyArray = field(default_factory=lambda: np.zeros(0))

    @property
    def converged(self) -> bool:
        """Whether all fits are minima within the bounds."""
        return all(status.converged for status in self.statuses)

    def __repr__(self) -> str:
        failed = sum(not status.converged for status in self.statuses)
        return f"HypotestResults({self.test_stat}, {self.name!r}, {len(self.statuses)} points, {failed} not converged)"

    def __str__(self) -> str:
        """The points, one a line; below each, if by toys, the statistical errors."""
        value = "CLs" if self.test_stat in ("qtilde", "q") else "p"
        titles = (self.name, self.test_stat, value, *(f"{value}({n:+d})" if n else f"{value}(0)" for n in range(-2, 3)))
        lines = ["".join(f"{title:>12}" for title in titles)]
        columns = np.column_stack(
            [np.ravel(self.poi_values), np.ravel(self.statistic), np.ravel(self.CLs_obs), self.CLs_exp.reshape(-1, 5)]
        )
        for row, status in zip(columns, self.statuses, strict=True):
            lines.append("".join(f"{number:>12.5g}" for number in row) + _unless_converged(status))
            if self.ntoys:
                point = len(lines) // 2 - 1
                errors = (np.ravel(self.CLs_obs_error)[point], *self.CLs_exp_error.reshape(-1, 5)[point])
                lines.append(f"{'+-':>24}" + "".join(f"{error:>12.2g}" for error in errors))
        if self.ntoys:
            lines.append(f"{self.ntoys} toys of each hypothesis")
        return "\n".join(lines + [f"warning: {text}" for text in self.warnings])


@dataclass(frozen=True, eq=False, repr=False)
class LimitResults(Results, kind="limit"):
    """Observed and expected upper limits by CLs; ``cabinetry.visualize.limit`` takes it unchanged.

    Attributes:
        observed_limit: the value of the parameter of interest at which CLs is 1 - ``confidence_level``; NaN if it was
            not found.
        expected_limit: the same for the five expected values of CLs, for estimates that fluctuate by (-2, ..., 2)
            standard deviations; NaN where not found.
        observed_CLs: CLs at ``poi_values``; NaN where a fit failed.
        expected_CLs: its expected values there (points, 5).
        poi_values: the tested values, in increasing order.
        confidence_level: of the limits.
        name: the parameter of interest.
        bestfit: its best-fit value.
        statuses: how the fits at every tested value ended, the worst of five each.
        rescues: attempts after the first one failed, of the fits that needed them.
        warnings: one sentence for everything worth knowing.
        calctype: "asymptotics" or "toybased".
        ntoys: toys that were drawn from each hypothesis at every tested value, 0 without toys.
        left_out: as in :class:`HypotestResults`.
        observed_limit_error: statistical error of it, from the number of toys; 0 without toys.
        expected_limit_error: the same of the expected ones.
        observed_CLs_error: the same of CLs (points).
        expected_CLs_error: the same of its expected values (points, 5).
    """

    observed_limit: float
    expected_limit: NumpyArray
    observed_CLs: NumpyArray
    expected_CLs: NumpyArray
    poi_values: NumpyArray
    confidence_level: float
    name: str = ""
    bestfit: float = 0.0
    statuses: tuple[Status, ...] = ()
    rescues: dict[str, tuple[str, ...]] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    calctype: str = "asymptotics"
    ntoys: int = 0
    left_out: dict[str, int] = field(default_factory=dict)
    observed_limit_error: float = 0.0
    expected_limit_error: NumpyArray = field(default_factory=lambda: np.zeros(5))
    observed_CLs_error: NumpyArray = field(default_factory=lambda: np.zeros(0))
    expected_CLs_error: NumpyArray = field(default_factory=lambda: np.zeros(0))

    @property
    def converged(self) -> bool:
        """Whether all limits were found, and all fits are minima within the bounds."""
        found = np.isfinite(self.observed_limit) and np.isfinite(self.expected_limit).all()
        return bool(found) and all(status.converged for status in self.statuses)

    def __repr__(self) -> str:
        failed = sum(not status.converged for status in self.statuses)
        found = f"observed {self.observed_limit:.4g}, expected {self.expected_limit[2]:.4g}"
        return f"LimitResults({self.name!r}, {found}, {len(self.poi_values)} points, {failed} not converged)"

    def __str__(self) -> str:
        """The six limits."""
        lines = [f"upper limits on {self.name} at {100 * self.confidence_level:g} % confidence level"]
        limits = (self.observed_limit, *self.expected_limit)
        errors = (self.observed_limit_error, *self.expected_limit_error)
        lines += [
            f"{name:<17} {value:.5g}" + (f" +- {error:.2g}" if self.ntoys else "")
            for name, value, error in zip(LIMITS, limits, errors, strict=True)
        ]
        return "\n".join(lines + [f"warning: {text}" for text in self.warnings])


@dataclass(frozen=True, eq=False, repr=False)
class SignificanceResults(Results, kind="significance"):
    """Significance of a positive signal, with cabinetry's attribute names; NaN where a fit failed.

    Attributes:
        observed_p_value: probability of the background alone to look at least as much like a signal as the data.
        observed_significance: the same in standard deviations.
        expected_p_value: median for a parameter of interest of 1.
        expected_significance: the same in standard deviations.
        name: the parameter of interest.
        bestfit: its best-fit value.
        status: how the fits ended, the worst of five.
        rescues: attempts after the first one failed, of the fits that needed them.
        warnings: one sentence for everything worth knowing.
        calctype: "asymptotics" or "toybased".
        ntoys: toys that were drawn from each hypothesis, 0 without toys.
        left_out: as in :class:`HypotestResults`.
        observed_p_value_error: statistical error of it, from the number of toys; 0 without toys.
        observed_significance_error: the same of the next three; infinite for a significance that is.
        expected_p_value_error: see ``observed_significance_error``.
        expected_significance_error: see ``observed_significance_error``.
    """

    observed_p_value: float
    observed_significance: float
    expected_p_value: float
    expected_significance: float
    name: str = ""
    bestfit: float = 0.0
    status: Status = Status.OK
    rescues: dict[str, tuple[str, ...]] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    calctype: str = "asymptotics"
    ntoys: int = 0
    left_out: dict[str, int] = field(default_factory=dict)
    observed_p_value_error: float = 0.0
    observed_significance_error: float = 0.0
    expected_p_value_error: float = 0.0
    expected_significance_error: float = 0.0

    @property
    def converged(self) -> bool:
        """Whether all fits are minima within the bounds."""
        return self.status.converged

    def __repr__(self) -> str:
        found = f"observed {self.observed_significance:.3f}, expected {self.expected_significance:.3f}"
        return f"SignificanceResults({self.name!r}, {found}, {self.status.name})"

    def __str__(self) -> str:
        """Observed and expected, with their p-values."""
        lines = [f"significance of {self.name} > 0"]
        for name in ("observed", "expected"):
            z, p = (
                f"{getattr(self, f'{name}_{what}'):.3{form}}"
                for what, form in (("significance", "f"), ("p_value", "g"))
            )
            if self.ntoys:
                z += f" +- {getattr(self, f'{name}_significance_error'):.3f}"
                p += f" +- {getattr(self, f'{name}_p_value_error'):.2g}"
            lines.append(f"{name} {z} (p = {p})")
        return "\n".join(lines + [f"warning: {text}" for text in self.warnings])


@dataclass(frozen=True, eq=False, repr=False)
class GoodnessOfFitResults(Results, kind="goodness_of_fit"):
    """How well a model describes data.

    Attributes:
        statistic: -2 log(likelihood) of the best fit above that of the saturated model; NaN if the fit failed.
        degrees: degrees of freedom, bins minus unconstrained parameters.
        p_value: probability of a statistic at least as large; NaN without degrees of freedom, or without toys.
        p_value_error: its binomial error, 0 without toys.
        calctype: "asymptotics" (the chi-square distribution) or "toybased".
        ntoys: toys that were drawn.
        ntoys_used: those of them whose fits converged.
        left_out: how many were left out, by the status of the fit.
        status: how the fit to the data ended.
        rescues: attempts after its first one failed.
        warnings: one sentence for everything worth knowing.
    """

    statistic: float
    degrees: int
    p_value: float
    p_value_error: float
    calctype: str
    ntoys: int
    ntoys_used: int
    left_out: dict[str, int]
    status: Status
    rescues: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def converged(self) -> bool:
        """Whether all fits are minima within the bounds."""
        return self.status.converged and not self.left_out

    def __repr__(self) -> str:
        return f"GoodnessOfFitResults(p-value {self.p_value:.4f}, {self.calctype}, {self.status.name})"

    def __str__(self) -> str:
        """The p-value and how it was found."""
        number = "1 degree" if self.degrees == 1 else f"{self.degrees} degrees"
        how = f"chi-square {self.statistic:.5g} with {number} of freedom"
        error = ""
        if self.calctype == "toybased":
            how, error = f"statistic {self.statistic:.5g}, {self.ntoys_used} toys", f" +- {self.p_value_error:.4f}"
        lines = [f"goodness of fit (saturated model): p-value {self.p_value:.4f}{error} ({how})"]
        return "\n".join(lines + [f"warning: {text}" for text in self.warnings])


def _unless_converged(status: Status) -> str:
    return "" if status.converged else f"  {status.name}"
