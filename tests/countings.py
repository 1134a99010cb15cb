"""Counting experiments, of which everything is known: one bin, a known background, no nuisance parameters.

The estimate of mu is (n - b) / s within its bounds, and probabilities are finite sums of Poisson probabilities.
"""

import numpy as np
import pyhf
from scipy.stats import poisson

__all__ = ["LARGEST", "counting", "p_values", "statistics", "tail"]

LARGEST = 60.0  # upper bound of mu


def counting(background: float = 3.0, signal: float = 1.0) -> pyhf.Model:
    """mu * signal + background in one bin; 0 <= mu <= 60."""
    modifiers = [{"type": "normfactor", "name": "mu", "data": None}]
    samples = [
        {"name": "signal", "data": [signal], "modifiers": modifiers},
        {"name": "background", "data": [background], "modifiers": []},
    ]
    parameters = [{"name": "mu", "inits": [1.0], "bounds": [[0.0, LARGEST]]}]
    spec = {"channels": [{"name": "SR", "samples": samples}], "parameters": parameters}
    return pyhf.Model(spec, poi_name="mu")


def statistics(
    test_stat: str, value: float | np.ndarray, n: int | np.ndarray, background: float = 3.0, signal: float = 1.0
) -> np.ndarray:
    """The test statistic of a value of mu for n events."""
    best = np.clip((n - background) / signal, 0.0, LARGEST)

    def log_likelihood(mu):
        return poisson.logpmf(n, mu * signal + background)

    ratio = 2.0 * (log_likelihood(best) - log_likelihood(value))
    if test_stat in ("q", "qtilde"):
        return np.where(best > value, 0.0, ratio)
    return ratio


def tail(test_stat: str, value: float, observed: int, mu: float, background: float = 3.0, signal: float = 1.0) -> float:
    """Probability, for the parameter mu, of a test statistic of ``value`` at least as large as for ``observed``."""
    mean = mu * signal + background
    n = np.arange(int(mean + 20.0 * np.sqrt(mean) + 50.0))
    own = statistics(test_stat, value, observed, background, signal)
    large = statistics(test_stat, value, n, background, signal) >= own - 1e-9
    return float(poisson.pmf(n, mean)[large].sum())


def p_values(mu: np.ndarray, observed: int, background: float = 3.0) -> np.ndarray:
    """p-values of the construction of Feldman and Cousins: probabilities of n that are not ranked before ``observed``.

    arXiv:physics/9711021 ranks n by P(n | mu) / P(n | best mu), where mu is at least 0. ``observed`` is accepted if
    those that are ranked before it have less than the confidence level together.
    """
    n, value = np.arange(100), mu[:, None]
    large = statistics("ttilde", value, n, background) >= statistics("ttilde", value, observed, background) - 1e-9
    return np.where(large, poisson.pmf(n, value + background), 0.0).sum(axis=1)
