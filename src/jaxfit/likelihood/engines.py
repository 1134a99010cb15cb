"""Which implementation of the likelihood a model gets."""

from __future__ import annotations

from weakref import WeakKeyDictionary

import jax
from pyhf import Model

from jaxfit.likelihood.lowering import NotLowerable, lower
from jaxfit.likelihood.models import review
from jaxfit.likelihood.protocol import Likelihood
from jaxfit.likelihood.reference import Reference

__all__ = ["likelihood_of", "reference_of"]

_CACHE: WeakKeyDictionary[Model, Likelihood] = WeakKeyDictionary()


def likelihood_of(model: Model) -> Likelihood:
    """The likelihood of a model, lowered once and kept as long as the model lives.

    Raises:
        InputError: a specification that no fit can use.
    """
    if model not in _CACHE:
        review(model)
        with jax.enable_x64(True):
            try:
                _CACHE[model] = lower(model)
            except NotLowerable as reason:
                _CACHE[model] = Reference.of(model, reason=str(reason))
    return _CACHE[model]


def reference_of(model: Model) -> Likelihood:
    """pyhf's own likelihood of a model."""
    likelihood = likelihood_of(model)
    return likelihood if isinstance(likelihood, Reference) else Reference.of(model)
