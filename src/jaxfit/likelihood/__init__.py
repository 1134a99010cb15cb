"""The only reader of pyhf's models: the likelihood as arrays and pure functions.

``likelihood_of`` chooses the implementation: the lowered one (:mod:`compact`), or pyhf's own log-density
(:mod:`reference`) for a model that cannot be lowered.
"""

from __future__ import annotations

from weakref import WeakKeyDictionary

import jax
from pyhf import Model

from jaxfit.likelihood.auxiliaries import asimov_data, constraint_curvatures, modifier_types, prefit_widths
from jaxfit.likelihood.compact import Compact
from jaxfit.likelihood.lowering import NotLowerable, lower
from jaxfit.likelihood.models import bin_name, checked_data, parameter_space, saturated_nll, unconstrained_count
from jaxfit.likelihood.protocol import Likelihood
from jaxfit.likelihood.reference import Reference

__all__ = [
    "Compact",
    "Likelihood",
    "Model",
    "NotLowerable",
    "Reference",
    "asimov_data",
    "bin_name",
    "checked_data",
    "constraint_curvatures",
    "likelihood_of",
    "lower",
    "modifier_types",
    "parameter_space",
    "prefit_widths",
    "saturated_nll",
    "unconstrained_count",
]

_CACHE: WeakKeyDictionary[Model, Likelihood] = WeakKeyDictionary()


def likelihood_of(model: Model) -> Likelihood:
    """The likelihood of a model, lowered once and kept as long as the model lives."""
    if model not in _CACHE:
        with jax.enable_x64(True):
            try:
                _CACHE[model] = lower(model)
            except NotLowerable as reason:
                _CACHE[model] = Reference.of(model, reason=str(reason))
    return _CACHE[model]
