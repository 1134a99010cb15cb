"""What the auxiliary measurements tell of the parameters: pre-fit widths, curvatures; and what they modify."""

from __future__ import annotations

import numpy as np
import pyhf

from jaxfit.likelihood.models import constraint_table
from jaxfit.typing import NumpyArray

__all__ = ["constraint_curvatures", "modifier_types", "prefit_widths"]


def prefit_widths(model: pyhf.Model) -> NumpyArray:
    """Width of every parameter's constraint, 1 / sqrt(tau) for a Poisson one.

    0 for parameters without constraint and those that the model fixes (``cabinetry.model_utils.prefit_uncertainties``).
    """
    kind, _, sigma, tau = (column[:-1] for column in constraint_table(model.config))
    width = np.where(kind == 1, sigma, np.where(kind == 2, 1.0 / np.sqrt(tau), 0.0))
    return np.where(model.config.suggested_fixed(), 0.0, width)


def constraint_curvatures(model: pyhf.Model, data: NumpyArray, pars: NumpyArray) -> NumpyArray:
    """Second derivative of every parameter's constraint term of the NLL at a point; 0 without a constraint.

    1 / sigma^2, or count / gamma^2 for a Poisson constraint.
    """
    kind, aux, sigma, _ = (column[:-1] for column in constraint_table(model.config))
    found, poisson = np.where(kind == 1, 1.0 / sigma**2, 0.0), np.flatnonzero(kind == 2)
    found[poisson] = data[aux[poisson]] / pars[poisson] ** 2
    return found


def modifier_types(model: pyhf.Model) -> tuple[str, ...]:
    """Type of every parameter's modifier; several of one name are joined, as in "histosys + normsys"."""
    types: dict[str, set[str]] = {}
    for name, kind in model.config.modifiers:
        types.setdefault(name, set()).add(kind)
    return tuple(
        " + ".join(sorted(types[name]))
        for name in model.config.par_order
        for _ in range(model.config.param_set(name).n_parameters)
    )
