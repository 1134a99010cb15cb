"""What a batch of fits needs to know of a model, found once and kept as long as the model lives."""

from __future__ import annotations

import hashlib
from weakref import WeakKeyDictionary

import jax
import numpy as np
import pyhf

from jaxfit.likelihood.compact import Compact
from jaxfit.likelihood.engines import likelihood_of
from jaxfit.likelihood.models import review
from jaxfit.typing import NumpyArray, NumpyMask

__all__ = ["kinked", "model_digest", "possible", "same_sided"]

_DIGESTS: WeakKeyDictionary[pyhf.Model, str] = WeakKeyDictionary()
_KINKED: WeakKeyDictionary[pyhf.Model, NumpyMask] = WeakKeyDictionary()
_SAME_SIDED: WeakKeyDictionary[pyhf.Model, NumpyMask] = WeakKeyDictionary()


def model_digest(model: pyhf.Model) -> str:
    """SHA-256 of parameter names, suggested settings, and the arrays and interpolation codes of the likelihood."""
    if model not in _DIGESTS:
        config, likelihood = model.config, likelihood_of(model)
        settings = config.suggested_init(), config.suggested_bounds(), config.suggested_fixed(), config.auxdata
        digest = hashlib.sha256(repr((config.par_names, config.channel_nbins, settings)).encode())
        if isinstance(likelihood, Compact):
            digest.update(repr((likelihood.templates.factor_code, likelihood.templates.shape_code)).encode())
        else:
            digest.update(pyhf.utils.digest(model.spec).encode())
        for leaf in jax.tree.leaves(likelihood):
            digest.update(np.asarray(leaf).tobytes())
        _DIGESTS[model] = digest.hexdigest()
    return _DIGESTS[model]


def kinked(model: pyhf.Model) -> NumpyMask:
    """Parameters at whose 0 the likelihood has a kink (interpolation codes 0 and 1)."""
    if model not in _KINKED:
        likelihood = likelihood_of(model)
        order, border = np.asarray(likelihood.order), likelihood.kinked
        every = np.zeros(order.max(initial=-1) + 1, dtype=bool)
        if border is not None:
            every[: border.size] = border
        _KINKED[model] = every[order]
    return _KINKED[model]


def same_sided(model: pyhf.Model) -> NumpyMask:
    """Parameters that shift yields to the same side both up and down, so that there can be several minima."""
    if model not in _SAME_SIDED:
        names = review(model).findings.same_sided
        _SAME_SIDED[model] = np.array([name in names for name in model.config.par_names])
    return _SAME_SIDED[model]


def possible(model: pyhf.Model, data: NumpyArray) -> tuple[NumpyMask, NumpyMask]:
    """Which sets of data (the first axis) are finite and not negative, and which have no event where none can be."""
    checked = review(model)
    valid = ((checked.lowest <= data) & np.isfinite(data)).all(axis=1)
    return np.asarray(valid), np.asarray((data <= checked.highest).all(axis=1))
