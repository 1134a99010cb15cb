"""p-values of profile likelihood ratios by toys: the distributions of a test statistic under two hypotheses.

The conventions of ``pyhf.infer.calculators.ToyCalculator``: toys of either hypothesis are drawn at the parameters that
fit the observed data best under it, auxiliary data included; a p-value is the fraction of toys whose statistic is at
least the observed one; expected values are percentiles of the p-values of the background's toys.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple, TypeAlias

import numpy as np
from scipy.special import ndtr

from jaxfit.inference.asymptotics import PValues
from jaxfit.inference.ratios import Ratios, test_statistic
from jaxfit.inference.trials import Ensemble, Label, Trials, derived_seed
from jaxfit.typing import NumpyArray, NumpyMask

__all__ = ["Tails", "binomial_error", "bootstraps", "exact_tails", "fraction", "toy_tails"]

TIES = 1e-7  # of a test statistic: values that differ by less are equal, but for the precision of fits
_PERCENTILES = 100.0 * ndtr(np.arange(-2.0, 3.0))
_BOOTSTRAPS = 100

_Samples: TypeAlias = tuple[NumpyArray, NumpyArray]


class Tails(NamedTuple):
    """p-values of some tested values and their statistical errors, and how many toys they are made of."""

    observed: PValues  # points
    observed_error: PValues
    expected: PValues  # points 5
    expected_error: PValues
    used: NumpyArray  # points, of the tested and of the background's hypothesis
    resampled: NumpyArray  # points bootstraps 6, CLs: observed and expected; the background's toys are common to points

    def remarks(self, name: str, values: NumpyArray) -> list[str]:
        """Where CLs has no value, since no toy of the background has as large a statistic as the data."""
        without = values[(self.observed.CLb == 0) & np.isnan(self.observed.CLs)]
        points = ", ".join(f"{value:g}" for value in without)
        why = "where no toy of the background has the statistic of the data: raise ntoys"
        return [f"CLs has no value at {name} = {points}, {why}"] if without.size else []

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
    return Tails(observed, zeros[0], expected, zeros[1], np.zeros((*observed.CLs.shape, 2)), np.zeros(0))


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
        both = signal[:, 0], background[:, k]
        known = tuple(np.isfinite(own) for own in both)
        samples = both[0][known[0]], both[1][known[1]]
        seeds = derived_seed(trials.seed, Label.BOOTSTRAP, value), derived_seed(trials.seed, Label.BOOTSTRAP)
        weights = bootstraps(seeds, known)
        ratio = test_stat in ("q", "qtilde")
        tests.append((*_observed(samples, observed[k], ratio), *_expected(samples, weights, observed[k], ratio)))
        used.append([own.size for own in samples])
    *parts, resampled = (np.stack(part) for part in zip(*tests, strict=True))
    found, error, expected, expected_error = (PValues(*np.moveaxis(part, 1, 0)) for part in parts)
    return Tails(found, error, expected, expected_error, np.array(used, dtype=float), resampled)


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


def bootstraps(seeds: tuple[int, int], known: tuple[NumpyMask, ...]) -> Iterator[tuple[NumpyArray, ...]]:
    """How often each toy is in each bootstrap of two ensembles, with a seed each; of toys that are not known, none."""
    for k in range(_BOOTSTRAPS):
        yield tuple(
            np.bincount(np.random.default_rng([seed, k]).integers(own.size, size=own.size), minlength=own.size)[own]
            for seed, own in zip(seeds, known, strict=True)
        )


def _observed(samples: _Samples, statistic: float, ratio: bool) -> tuple[NumpyArray, NumpyArray]:
    """CLsb, CLb and CLs, and their errors."""
    (CLsb, CLsb_error), (CLb, CLb_error) = (fraction(own, statistic) for own in samples)
    CLs, CLs_error = CLsb, CLsb_error
    if ratio:
        CLs = CLsb / CLb if CLb > 0 else np.nan
        CLs_error = float(np.hypot(CLsb_error, CLs * CLb_error)) / CLb if CLb > 0 else np.nan
    return np.array([CLsb, CLb, CLs]), np.array([CLsb_error, CLb_error, CLs_error])


def _expected(
    samples: _Samples, weights: Iterable[tuple[NumpyArray, ...]], statistic: float, ratio: bool
) -> tuple[NumpyArray, NumpyArray, NumpyArray]:
    """Percentiles of CLsb, CLb and CLs of the background's toys, their errors, and CLs of all bootstraps.

    Args:
        samples: the test statistic of toys of the tested and of the background's hypothesis.
        weights: how often each of these is in each bootstrap, sample by sample.
        statistic: of the data, for CLs of the bootstraps.
        ratio: whether CLs is one, or CLsb.
    """
    if not all(own.size for own in samples):
        nothing = np.full((3, 5), np.nan)
        return nothing, nothing, np.full((_BOOTSTRAPS, 6), np.nan)
    orders = [np.argsort(own) for own in samples]
    background = samples[1][orders[1]]
    at = np.append(background, statistic) - TIES
    first = [np.searchsorted(own[order], at) for own, order in zip(samples, orders, strict=True)]

    def curves(*counts: NumpyArray) -> NumpyArray:
        """All three of the data and of the percentiles (3, 6), each toy counted several times."""
        tails = [np.append(np.cumsum(own[::-1], dtype=int)[::-1], 0) / own.sum() for own in counts]
        toys = np.append(-1, np.repeat(np.arange(background.size), counts[1]))  # the data are last
        CLsb, CLb = (tail[start[toys]] for tail, start in zip(tails, first, strict=True))
        CLs = np.divide(CLsb, CLb, out=np.full_like(CLsb, np.nan), where=CLb > 0) if ratio else CLsb
        values = np.stack([CLsb, CLb, CLs])
        return np.column_stack([values[:, 0], np.percentile(values[:, 1:], _PERCENTILES, axis=1).T])

    found = curves(*(np.ones(own.size, dtype=int) for own in samples))[:, 1:]
    resampled = np.array([curves(*(own[order] for own, order in zip(pair, orders, strict=True))) for pair in weights])
    # where no toy passes, none does in any bootstrap
    one, other = (binomial_error(0, own.size) for own in samples)
    least = np.stack([np.full(5, one), np.full(5, other), one / found[1] if ratio else np.full(5, one)])
    return found, np.maximum(np.std(resampled[:, :, 1:], axis=0), least), resampled[:, 2]
