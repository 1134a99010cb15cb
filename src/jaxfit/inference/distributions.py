"""p-values of profile likelihood ratios by toys: the distributions of a test statistic under two hypotheses.

The conventions of ``pyhf.infer.calculators.ToyCalculator``: toys of either hypothesis are drawn at the parameters that
fit the observed data best under it, auxiliary data included; a p-value is the fraction of toys whose statistic is at
least the observed one; expected values are percentiles of the p-values of the background's toys.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.special import ndtr

from jaxfit.inference.asymptotics import PValues
from jaxfit.inference.ratios import Ratios, test_statistic
from jaxfit.inference.trials import Ensemble, Label, Trials, derived_seed
from jaxfit.typing import NumpyArray

__all__ = ["Tails", "binomial_error", "exact_tails", "fraction", "toy_tails"]

TIES = 1e-7  # of a test statistic: values that differ by less are equal, but for the precision of fits
_PERCENTILES = 100.0 * ndtr(np.arange(-2.0, 3.0))
_BOOTSTRAPS = 100


class Tails(NamedTuple):
    """p-values of some tested values and their statistical errors, and how many toys they are made of."""

    observed: PValues  # points
    observed_error: PValues
    expected: PValues  # points 5
    expected_error: PValues
    used: NumpyArray  # points, of the tested and of the background's hypothesis

    def attributes(self, shape: tuple[int, ...]) -> dict[str, NumpyArray]:
        """By their names in :class:`jaxfit.HypotestResults`, for points of this shape."""
        found = {"ntoys_used": self.used.reshape(*shape, 2)}
        named = (
            (self.observed, "obs", ""),
            (self.observed_error, "obs", "_error"),
            (self.expected, "exp", ""),
            (self.expected_error, "exp", "_error"),
        )
        for values, kind, suffix in named:
            for name, value in values._asdict().items():
                found[f"{name}_{kind}{suffix}"] = value.reshape((*shape, *value.shape[1:]))[()]
        return found


def exact_tails(observed: PValues, expected: PValues) -> Tails:
    """Without toys there are no statistical errors."""
    zeros = [PValues(*(np.zeros_like(value) for value in values)) for values in (observed, expected)]
    return Tails(observed, zeros[0], expected, zeros[1], np.zeros((*observed.CLs.shape, 2)))


def toy_tails(ratios: Ratios, trials: Trials, test_stat: str, values: NumpyArray) -> Tails:
    """Test some values, for which the fits to the observed data were made.

    The background's toys are the same for all values; those of a value depend on the seed and on the value only.
    """
    positions = [int(np.flatnonzero(ratios.values == value)[-1]) for value in values]
    observed, parameters = ratios.statistics(test_stat)[0][positions], ratios.parameters[positions]
    background = np.zeros((0, len(values)))
    if np.isfinite(ratios.background).all():
        background = _statistics(trials.run(ratios.background, values[:, None], Label.BACKGROUND), test_stat, values)
    tests, used = [], []
    for k, value in enumerate(values):
        signal = np.zeros((0, 1))
        if np.isfinite(parameters[k]).all():
            toys = trials.run(parameters[k], np.array([[value]]), Label.TESTED_VALUE, value)
            signal = _statistics(toys, test_stat, np.array([value]))
        own, other = (column[np.isfinite(column)] for column in (signal[:, 0], background[:, k]))
        rng = np.random.default_rng(derived_seed(trials.seed, Label.BOOTSTRAP, value))
        tests.append(_test(own, other, observed[k], test_stat in ("q", "qtilde"), rng))
        used.append([own.size, other.size])
    found, error, expected, expected_error = (PValues(*np.stack(part, axis=1)) for part in zip(*tests, strict=True))
    return Tails(found, error, expected, expected_error, np.array(used, dtype=float))


def _statistics(toys: Ensemble, test_stat: str, values: NumpyArray) -> NumpyArray:
    statistic = test_statistic(test_stat, toys.twice_deltas, toys.estimates, values)
    return np.where(np.isnan(toys.twice_deltas), np.nan, statistic)


def fraction(samples: NumpyArray, value: float) -> tuple[float, float]:
    """Fraction of the samples that are at least as large as a value, and its error; NaN if there are none."""
    if np.isnan(value) or not samples.size:
        return float("nan"), float("nan")
    number = int((samples >= value - TIES).sum())
    return number / samples.size, binomial_error(number, samples.size)


def binomial_error(number: int, total: int) -> float:
    """Error of the fraction number / total: the standard deviation of its Beta posterior for a uniform prior.

    Close to sqrt(p (1 - p) / n), but not 0 where none or all of the toys pass.
    """
    passed, failed = number + 1.0, total - number + 1.0
    return float(np.sqrt(passed * failed / (passed + failed + 1.0)) / (passed + failed))


def _test(
    signal: NumpyArray, background: NumpyArray, observed: float, ratio: bool, rng: np.random.Generator
) -> tuple[NumpyArray, ...]:
    """Observed CLsb, CLb and CLs, their errors, expected ones and their errors."""
    (CLsb, CLsb_error), (CLb, CLb_error) = fraction(signal, observed), fraction(background, observed)
    CLs, CLs_error = CLsb, CLsb_error
    if ratio:
        CLs = CLsb / CLb if CLb > 0 else np.nan
        CLs_error = np.hypot(CLsb_error, CLs * CLb_error) / CLb if CLb > 0 else np.nan
    nothing = (np.full((3, 5), np.nan),) * 2
    expected = _expected(signal, background, ratio, rng) if signal.size and background.size else nothing
    return np.array([CLsb, CLb, CLs]), np.array([CLsb_error, CLb_error, CLs_error]), *expected


def _expected(
    signal: NumpyArray, background: NumpyArray, ratio: bool, rng: np.random.Generator
) -> tuple[NumpyArray, NumpyArray]:
    """Percentiles of the p-values of the background's toys; their standard deviations over bootstraps of all toys."""
    samples = np.sort(signal), np.sort(background)
    first = [np.searchsorted(own, samples[1] - TIES) for own in samples]

    def band(weights: list[NumpyArray]) -> NumpyArray:
        toys = np.repeat(np.arange(len(background)), weights[1])
        tails = [np.append(np.cumsum(weight[::-1])[::-1], 0) / len(weight) for weight in weights]
        CLsb, CLb = (tail[start[toys]] for tail, start in zip(tails, first, strict=True))
        return np.asarray(np.percentile([CLsb, CLb, CLsb / CLb if ratio else CLsb], _PERCENTILES, axis=1).T)

    found = band([np.ones(len(own), dtype=int) for own in samples])
    bootstraps = [
        band([np.bincount(rng.integers(len(own), size=len(own)), minlength=len(own)) for own in samples])
        for _ in range(_BOOTSTRAPS)
    ]
    # where no toy passes, none does in any bootstrap
    one, other = (binomial_error(0, len(own)) for own in samples)
    least = [np.full(5, one), np.full(5, other), one / found[1] if ratio else np.full(5, one)]
    return found, np.maximum(np.std(bootstraps, axis=0), least)
