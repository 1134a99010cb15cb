"""What a fit needs of a pyhf model besides its likelihood: parameters, and data that fit it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pyhf

from jaxfit.errors import InputError
from jaxfit.likelihood import constraints
from jaxfit.parameters import ParameterSpace
from jaxfit.typing import NumpyArray

__all__ = ["bin_name", "checked_data", "constraint_table", "parameter_space", "saturated_nll", "unconstrained_count"]


def parameter_space(model: pyhf.Model) -> ParameterSpace:
    """Names, start values, bounds and fixed parameters that a model suggests."""
    config = model.config
    bounds = np.array(config.suggested_bounds(), dtype=float).reshape(-1, 2)
    return ParameterSpace(
        names=tuple(config.par_names),
        start=np.array(config.suggested_init(), dtype=float),
        lower=bounds[:, 0],
        upper=bounds[:, 1],
        fixed=np.array(config.suggested_fixed(), dtype=bool),
        poi=config.poi_name,
    )


def bin_name(model: pyhf.Model, index: int) -> str:
    """Channel and bin of a position in the main data, for messages."""
    for channel, where in model.config.channel_slices.items():
        if where.start <= index < where.stop:
            return f"channel {channel!r} bin {index - where.start}"
    raise IndexError(index)


def checked_data(model: pyhf.Model, data: Sequence[float]) -> NumpyArray:
    """Observed and auxiliary data of a model as an array.

    Raises:
        InputError: wrong length; an entry that is NaN or infinite; a negative number of events.
    """
    config = model.config
    try:
        array = np.asarray(data, dtype=float)
    except (TypeError, ValueError):
        raise InputError("data is not a list of numbers") from None
    expected = config.nmaindata + config.nauxdata
    if array.shape != (expected,):
        hint = ": the auxiliary data are missing (model.config.auxdata)" if array.shape == (config.nmaindata,) else ""
        found = array.shape[0] if array.ndim == 1 else f"an array of shape {array.shape}"
        raise InputError(
            f"data: expected {expected} entries ({config.nmaindata} bins and {config.nauxdata} auxiliary data), "
            f"found {found}{hint}"
        )
    main = array[: config.nmaindata]
    for index in np.flatnonzero(~(np.isfinite(main) & (main >= 0))):
        raise InputError(f"data: {bin_name(model, int(index))} is {main[index]:g}, expected a number of events")
    for index in np.flatnonzero(~np.isfinite(array[config.nmaindata :])):
        raise InputError(f"data: auxiliary datum {index} is {array[config.nmaindata + index]:g}, expected a number")
    return array


def constraint_table(config: Any) -> tuple[NumpyArray, NumpyArray, NumpyArray, NumpyArray]:
    """Constraint of every parameter, with one neutral entry more for padding.

    Returns:
        The kind (0 none, 1 normal, 2 Poisson), the position of the auxiliary datum in the data, the width of a normal
        constraint, and the factor tau of a Poisson constraint, which expects tau * gamma.
    """
    kind = np.zeros(config.npars + 1, dtype=int)
    aux = np.full(config.npars + 1, config.nmaindata + config.nauxdata)
    sigma, tau = np.ones(config.npars + 1), np.ones(config.npars + 1)
    position = config.nmaindata
    for name in config.auxdata_order:
        paramset, where = config.param_set(name), config.par_slice(name)
        aux[where] = np.arange(position, position + paramset.n_parameters)
        position += paramset.n_parameters
        if paramset.pdf_type == "normal":
            kind[where], sigma[where] = 1, paramset.width()
        else:
            kind[where], tau[where] = 2, paramset.factors
    return kind, aux, sigma, tau


def saturated_nll(model: pyhf.Model, data: NumpyArray) -> float:
    """NLL where every bin expects what it observes and every constraint is at its maximum."""
    kind, aux, sigma, _ = constraint_table(model.config)
    with jax.enable_x64(True):
        counts = np.concatenate([data[: model.config.nmaindata], data[aux[kind == 2]]])
        widths = sigma[kind == 1]
        terms = constraints.poisson_constant(jnp.asarray(counts)), constraints.normal_constant(jnp.asarray(widths))
        return float(sum(term.sum() for term in terms))


def unconstrained_count(model: pyhf.Model) -> int:
    """Number of free parameters without a constraint (``cabinetry.model_utils.unconstrained_parameter_count``)."""
    kind = constraint_table(model.config)[0][:-1]
    return int(((kind == 0) & ~np.array(model.config.suggested_fixed())).sum())
