"""Goodness of fit with the saturated model."""

from __future__ import annotations

import jax
import numpy as np

from jaxfit.likelihood import Model, saturated_nll, unconstrained_count
from jaxfit.typing import NumpyArray

__all__ = ["goodness_of_fit"]


def goodness_of_fit(model: Model, data: NumpyArray, best_twice_nll: float) -> float:
    """p-value of 2 NLL above the saturated model's, as ``cabinetry.fit`` defines it (arXiv:1007.1727 for chi-square).

    NaN if there are no degrees of freedom (bins minus unconstrained parameters).
    """
    degrees = model.config.nmaindata - unconstrained_count(model)
    if degrees <= 0:
        return float(np.nan)
    with jax.enable_x64(True):
        excess = best_twice_nll - 2.0 * saturated_nll(model, data)
        return float(jax.scipy.stats.chi2.sf(excess, degrees))
