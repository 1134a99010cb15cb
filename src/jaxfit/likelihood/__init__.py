"""The only reader of pyhf's models: the likelihood as arrays and pure functions.

``likelihood_of`` chooses the implementation: the lowered one (:mod:`compact`), or pyhf's own log-density
(:mod:`reference`) for a model that cannot be lowered.
"""

from pyhf import Model

from jaxfit.likelihood.auxiliaries import constraint_curvatures, modifier_types, prefit_widths
from jaxfit.likelihood.compact import Compact
from jaxfit.likelihood.engines import likelihood_of, reference_of
from jaxfit.likelihood.facts import kinked, model_digest, possible, same_sided
from jaxfit.likelihood.lowering import NotLowerable, lower
from jaxfit.likelihood.models import (
    auxiliary_positions,
    bin_name,
    checked_data,
    parameter_space,
    review,
    saturated_nll,
    unconstrained_count,
)
from jaxfit.likelihood.predictions import ModelPrediction, asimov, expected_data, parameters_of, prediction
from jaxfit.likelihood.protocol import Likelihood
from jaxfit.likelihood.reference import Reference, pyhf_nll
from jaxfit.likelihood.samplers import Auxiliary, Sampler, draw, sampler

__all__ = [
    "Auxiliary",
    "Compact",
    "Likelihood",
    "Model",
    "ModelPrediction",
    "NotLowerable",
    "Reference",
    "Sampler",
    "asimov",
    "auxiliary_positions",
    "bin_name",
    "checked_data",
    "constraint_curvatures",
    "draw",
    "expected_data",
    "kinked",
    "likelihood_of",
    "lower",
    "model_digest",
    "modifier_types",
    "parameter_space",
    "parameters_of",
    "possible",
    "prediction",
    "prefit_widths",
    "pyhf_nll",
    "reference_of",
    "review",
    "same_sided",
    "sampler",
    "saturated_nll",
    "unconstrained_count",
]
