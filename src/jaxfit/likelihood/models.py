"""What a fit needs of a pyhf model besides its likelihood: a sound specification, parameters, and data that fit it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple, NoReturn
from weakref import WeakKeyDictionary

import jax
import jax.numpy as jnp
import numpy as np
import pyhf

from jaxfit import lanes, specs
from jaxfit.errors import InputError
from jaxfit.likelihood import constraints
from jaxfit.parameters import ParameterSpace
from jaxfit.typing import NumpyArray, NumpyMask, ObservedData

__all__ = [
    "Review",
    "auxiliary_positions",
    "bin_name",
    "checked_data",
    "constraint_table",
    "parameter_space",
    "review",
    "saturated_nll",
    "unconstrained_count",
]

_REVIEWS: WeakKeyDictionary[pyhf.Model, Review] = WeakKeyDictionary()
_SPACES: WeakKeyDictionary[pyhf.Model, ParameterSpace] = WeakKeyDictionary()
_TABLES: WeakKeyDictionary[Any, tuple[NumpyArray, NumpyArray, NumpyArray, NumpyArray]] = WeakKeyDictionary()
_LARGEST = np.finfo(float).max


class Review(NamedTuple):
    """What the specification of a model tells.

    Attributes:
        findings: what is legal but worth telling.
        lowest: least value of every entry of the data.
        highest: largest value of every entry of the data, 0 in bins of which nothing is expected.
    """

    findings: specs.Findings
    lowest: NumpyArray
    highest: NumpyArray


def review(model: pyhf.Model) -> Review:
    """Check the specification of a model, once, and keep what it tells as long as the model lives.

    Modifiers that are not pyhf's own are left alone, and negative yields if the model clips them.

    Raises:
        InputError: a specification that no fit can use; the text names the place.
    """
    if model not in _REVIEWS:
        main = model.main_model
        own = {kind for kind, made in main.modifiers_appliers.items() if type(made).__module__.startswith("pyhf.")}
        clipped = main.clip_sample_data is not None or main.clip_bin_data is not None
        contents = specs.check(model.spec, kinds=specs.KINDS & own, clipped=clipped)
        kind, aux, _, _ = constraint_table(model.config)
        lowest = np.zeros(model.config.nmaindata + model.config.nauxdata)
        lowest[aux[kind == 1]] = -_LARGEST
        highest = np.full(lowest.size, _LARGEST)
        if not clipped:
            highest[: model.config.nmaindata][specs.empty_bins(contents)] = 0.0
        _REVIEWS[model] = Review(specs.findings(contents), lowest, highest)
    return _REVIEWS[model]


def parameter_space(model: pyhf.Model) -> ParameterSpace:
    """Names, start values, bounds and fixed parameters that a model suggests.

    Raises:
        InputError: a specification that no fit can use.
    """
    if model not in _SPACES:
        review(model)
        config = model.config
        bounds = np.array(config.suggested_bounds(), dtype=float).reshape(-1, 2)
        _SPACES[model] = ParameterSpace(
            names=tuple(config.par_names),
            start=np.array(config.suggested_init(), dtype=float),
            lower=bounds[:, 0],
            upper=bounds[:, 1],
            fixed=np.array(config.suggested_fixed(), dtype=bool),
            poi=None,
        )
    return replace(_SPACES[model], poi=model.config.poi_name)  # which users set


def bin_name(model: pyhf.Model, index: int) -> str:
    """Channel and bin of a position in the main data, for messages."""
    for channel, where in model.config.channel_slices.items():
        if where.start <= index < where.stop:
            return f"channel {channel!r} bin {index - where.start}"
    raise IndexError(index)


def checked_data(model: pyhf.Model, data: ObservedData) -> NumpyArray:
    """Observed and auxiliary data of a model as an array.

    Args:
        model: a pyhf model.
        data: the observed events of every channel by name, or pyhf's list: those of all channels, which pyhf sorts by
            name, and the auxiliary data. By name no order can be mistaken; the auxiliary data then are the model's.

    Raises:
        InputError: a missing or unknown channel, a wrong length; an entry that is no finite number; a negative number
            of events, or events where the model can expect none; a specification that no fit can use.
    """
    limits = review(model)
    config = model.config
    if isinstance(data, Mapping):
        data = [*specs.counts(data, config.channel_nbins), *config.auxdata]
    try:
        array = np.asarray(data)
    except ValueError:
        raise InputError("data is not a list of numbers") from None
    expected = limits.lowest.size
    if array.shape != (expected,):
        hint = ": the auxiliary data are missing (model.config.auxdata)" if array.shape == (config.nmaindata,) else ""
        found = array.shape[0] if array.ndim == 1 else f"an array of shape {array.shape}"
        raise InputError(
            f"data: expected {expected} entries ({config.nmaindata} bins and {config.nauxdata} auxiliary data), "
            f"found {found}{hint}"
        )
    if array.dtype.kind not in "fiu" or (isinstance(data, list) and bool in map(type, data)):
        raise InputError("data is not a list of numbers")
    array = array.astype(float, copy=False)
    for index in np.flatnonzero(~((limits.lowest <= array) & (array <= limits.highest))):
        _refuse_datum(model, int(index), float(array[index]))
    return array


def _refuse_datum(model: pyhf.Model, index: int, value: float) -> NoReturn:
    if index >= model.config.nmaindata:
        expected = "a number of at least 0, as it is counted" if np.isfinite(value) else "a number"
        raise InputError(f"data: auxiliary datum {index - model.config.nmaindata} is {value:g}, expected {expected}")
    place = bin_name(model, index)
    if value > 0 and np.isfinite(value):
        raise InputError(
            f"impossible data: {place} has {value:g} events, and none are expected there whatever the parameters: "
            "drop the bin, or give a sample some yield in it"
        )
    raise InputError(f"data: {place} is {value:g}, expected a number of events")


def constraint_table(config: Any) -> tuple[NumpyArray, NumpyArray, NumpyArray, NumpyArray]:
    """Constraint of every parameter, with one neutral entry more for padding; found once.

    Returns:
        The kind (0 none, 1 normal, 2 Poisson), the position of the auxiliary datum in the data, the width of a normal
        constraint, and the factor tau of a Poisson constraint, which expects tau * gamma.
    """
    if config not in _TABLES:
        _TABLES[config] = _constraint_table(config)
    return _TABLES[config]


def _constraint_table(config: Any) -> tuple[NumpyArray, NumpyArray, NumpyArray, NumpyArray]:
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
    for column in (kind, aux, sigma, tau):
        column.flags.writeable = False
    return kind, aux, sigma, tau


def saturated_nll(model: pyhf.Model, data: NumpyArray) -> NumpyArray:
    """NLL where every bin expects what it observes and every constraint is at its maximum, of toys (toys, data)."""
    kind, aux, sigma, _ = constraint_table(model.config)
    counts = np.concatenate([data[:, : model.config.nmaindata], data[:, aux[kind == 2]]], axis=1)
    with jax.enable_x64(True):
        constant = float(constraints.normal_constant(jnp.asarray(sigma[kind == 1])).sum())
    (found,) = lanes.run(lambda part, *_: (constraints.poisson_constant(jnp.asarray(part[0])).sum(axis=1),), (counts,))
    return found + constant


def auxiliary_positions(model: pyhf.Model, pars: NumpyMask) -> NumpyArray:
    """Where in the data the auxiliary data of some parameters are."""
    kind, position, _, _ = constraint_table(model.config)
    return np.asarray(position[:-1][(kind[:-1] > 0) & pars])


def unconstrained_count(model: pyhf.Model) -> int:
    """Number of free parameters without a constraint (``cabinetry.model_utils.unconstrained_parameter_count``)."""
    kind = constraint_table(model.config)[0][:-1]
    return int(((kind == 0) & ~np.array(model.config.suggested_fixed())).sum())
