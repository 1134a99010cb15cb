"""p-values of profile likelihood ratios by the asymptotic formulae of arXiv:1007.1727 (Cowan, Cranmer, Gross, Vitells).

The estimate of the parameter of interest is normally distributed around its true value with a width sigma that the
Asimov data give: the statistic of data that expect a value mu' is A = ((mu - mu') / sigma)^2 (section 3.2).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.special import log_ndtr, ndtr

from jaxfit.errors import InputError, suggest
from jaxfit.typing import NumpyArray

__all__ = ["STATISTICS", "PValues", "p_values"]

STATISTICS = ("qtilde", "q", "q0", "ttilde", "t")
_DISTRIBUTIONS = ("normal", "clipped_normal")
_FLUCTUATIONS = np.array([2.0, 1.0, 0.0, -1.0, -2.0])  # of -mu_hat / sigma: upwards fluctuations of mu_hat last


class PValues(NamedTuple):
    """Tails of the tested hypothesis (CLsb) and of the Asimov data's (CLb), and CLs; any shape.

    CLs is their ratio for "qtilde" and "q"; for the others, which set no upper limit, CLsb itself.
    """

    CLsb: NumpyArray
    CLb: NumpyArray
    CLs: NumpyArray


def p_values(
    test_stat: str, statistic: NumpyArray, asimov: NumpyArray, calc_base_dist: str = "normal"
) -> tuple[PValues, PValues]:
    """Observed and expected p-values, as ``pyhf.infer.calculators.AsymptoticCalculator`` defines them.

    Args:
        test_stat: "qtilde", "q", "q0", "ttilde" or "t".
        statistic: its value for the data.
        asimov: its value for the Asimov data, of the same shape.
        calc_base_dist: "normal", or "clipped_normal" to hold expected estimates below the tested value.

    Returns:
        The observed ones, and the expected ones with a last axis for the fluctuations (-2, -1, 0, 1, 2).

    Raises:
        InputError: unknown names, or a clipped distribution of a two-sided statistic.
    """
    if test_stat not in STATISTICS:
        raise InputError(suggest("test_stat", test_stat, STATISTICS))
    if calc_base_dist not in _DISTRIBUTIONS:
        raise InputError(suggest("calc_base_dist", calc_base_dist, _DISTRIBUTIONS))
    root, root_asimov = np.sqrt(statistic), np.sqrt(asimov)
    if test_stat in ("t", "ttilde"):
        if calc_base_dist != "normal":
            raise InputError(f"calc_base_dist is {calc_base_dist!r}: a two-sided statistic has nothing to clip")
        bounded = test_stat == "ttilde"
        observed = _two_sided(root, root_asimov, bounded)
        return observed, _two_sided(*_fluctuated(root_asimov[..., None], bounded), bounded)
    difference = root - root_asimov
    if test_stat == "qtilde":  # equation 65: beyond the Asimov value the estimate would be negative
        with np.errstate(divide="ignore", invalid="ignore"):
            difference = np.where(root <= root_asimov, difference, (statistic - asimov) / (2.0 * root_asimov))
    fluctuations = np.broadcast_to(_FLUCTUATIONS, (*root.shape, 5))
    if calc_base_dist == "clipped_normal":
        fluctuations = np.maximum(fluctuations, -root_asimov[..., None])
    observed = _one_sided(difference, root_asimov, ratio=test_stat != "q0")
    return observed, _one_sided(fluctuations, root_asimov[..., None], ratio=test_stat != "q0")


def _one_sided(difference: NumpyArray, root_asimov: NumpyArray, *, ratio: bool) -> PValues:
    """Sections 3.5 to 3.7, for the difference of sqrt(q) and sqrt(A), which is -mu_hat / sigma."""
    upper = difference + root_asimov
    CLsb, CLb = ndtr(-upper), ndtr(-difference)
    # the ratio of logarithms is exact where both tails are too small for a number
    with np.errstate(invalid="ignore"):
        return PValues(CLsb, CLb, np.exp(log_ndtr(-upper) - log_ndtr(-difference)) if ratio else CLsb)


def _two_sided(root: NumpyArray, root_asimov: NumpyArray, bounded: bool) -> PValues:
    """Section 3.3; ``bounded`` 3.4."""
    CLsb = 2.0 * ndtr(-root)
    CLb = ndtr(-root - root_asimov) + ndtr(root_asimov - root)
    if bounded:
        with np.errstate(divide="ignore", invalid="ignore"):
            below = (root**2 + root_asimov**2) / (2.0 * root_asimov)
            above = (root**2 - root_asimov**2) / (2.0 * root_asimov)
        beyond = root > root_asimov  # the estimate would be negative
        CLsb = np.where(beyond, ndtr(-root) + ndtr(-below), CLsb)
        CLb = np.where(beyond, ndtr(-root - root_asimov) + ndtr(-above), CLb)
    return PValues(CLsb, CLb, CLsb)


def _fluctuated(root_asimov: NumpyArray, bounded: bool) -> tuple[NumpyArray, NumpyArray]:
    """sqrt(t) for the fluctuations of the estimate; ``bounded``, a negative one is replaced by 0 (equation 11)."""
    root = np.abs(root_asimov + _FLUCTUATIONS)
    if bounded:
        beyond = np.sqrt(np.maximum(root_asimov**2 + 2.0 * root_asimov * _FLUCTUATIONS, 0.0))
        root = np.where(_FLUCTUATIONS > 0, beyond, root)
    return root, np.broadcast_to(root_asimov, root.shape)
