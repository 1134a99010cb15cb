"""What a model expects: Asimov data, and yields with their uncertainties before and after a fit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pyhf

from jaxfit.arrow import ArrowVector
from jaxfit.errors import InputError
from jaxfit.likelihood.auxiliaries import prefit_widths
from jaxfit.likelihood.engines import likelihood_of
from jaxfit.likelihood.models import parameter_space
from jaxfit.likelihood.protocol import Likelihood
from jaxfit.results import FitResults
from jaxfit.typing import Array, Float, Int, NumpyArray, Pars

__all__ = ["ModelPrediction", "asimov", "expected_data", "parameters_of", "prediction"]

_TOGETHER = 64  # variations that are evaluated at once, which bounds the memory


@dataclass(frozen=True, eq=False, repr=False)
class ModelPrediction:
    """Expected yields and their uncertainties; ``cabinetry.visualize`` and ``cabinetry.tabulate`` take it unchanged.

    Channels and samples are in the order of ``model.config.channels`` and ``model.config.samples``; a sample that a
    channel does not have expects nothing there.

    Attributes:
        model: the model.
        model_yields: yields, indexed by channel, sample and bin.
        total_stdev_model_bins: their uncertainties, with one sample more: the sum of all.
        total_stdev_model_channels: uncertainties of the yields summed over a channel, by channel and sample, as above.
        label: what the prediction is, by default "pre-fit" or "post-fit".
    """

    model: pyhf.Model
    model_yields: list[list[list[float]]]
    total_stdev_model_bins: list[list[list[float]]]
    total_stdev_model_channels: list[list[float]]
    label: str

    def __repr__(self) -> str:
        return f"ModelPrediction({self.label!r}, {len(self.model_yields)} channels)"


def asimov(
    model: pyhf.Model,
    *,
    poi: float | None = None,
    pars: FitResults | Mapping[str, float] | Sequence[float] | None = None,
) -> list[float]:
    """Data that a model expects, main and auxiliary (arXiv:1007.1727): a fit to them finds these parameters again.

    The auxiliary data always follow the parameters, as in ``model.expected_data`` and ``cabinetry.model_utils``: a
    normal constraint expects the parameter itself, a Poisson one its factor tau times the parameter.

    Args:
        model: a pyhf model with any interpolation codes and modifiers.
        poi: value of the parameter of interest; default as for all others.
        pars: the parameters: a fit's result, a mapping by name (what is not named is nominal), or a list over all.
            Nominal, the default, is as in ``cabinetry.model_utils.asimov_parameters``: parameters with a constraint
            at 0 (normsys, histosys) or 1, whatever their auxiliary data, the others at the model's start value.

    Returns:
        Data for :func:`jaxfit.fit`, in pyhf's order.

    Raises:
        InputError: an unknown parameter, a list or result of another model, a value that is not finite, or ``poi`` for
            a model without a parameter of interest.
    """
    data: list[float] = expected_data(model, parameters_of(model, poi=poi, pars=pars)).tolist()
    return data


def parameters_of(
    model: pyhf.Model,
    *,
    poi: float | None = None,
    pars: FitResults | Mapping[str, float] | Sequence[float] | None = None,
) -> NumpyArray:
    """All parameters of a model, given in one of the ways of :func:`asimov`."""
    space = parameter_space(model)
    given: Any = pars
    if hasattr(given, "bestfit"):
        space.check_labels(given.labels)
        given = given.bestfit.tolist()
    values = space.values("pars", given, _nominal(model))
    if poi is not None:
        if space.poi is None:
            raise InputError("the model has no parameter of interest: name the parameter in pars")
        values = space.values("poi", {space.poi: poi}, values)
    return values


def expected_data(model: pyhf.Model, pars: NumpyArray) -> NumpyArray:
    """Main and auxiliary data that a model expects."""
    return np.array(pyhf.tensorlib.tolist(model.expected_data(pyhf.tensorlib.astensor(pars))))


def prediction(
    model: pyhf.Model, *, fit_results: FitResults | None = None, label: str | None = None
) -> ModelPrediction:
    """Expected yields and their uncertainties, as ``cabinetry.model_utils.prediction`` defines them.

    The variance of a yield, or of a sum of yields, is d^T C d: C is the correlation matrix, d_i half the difference of
    the yields with parameter i one standard deviation up and down. For small uncertainties d is the derivative times
    the standard deviation; unlike this it has no sides at a kink, and sees where a variation is not linear.

    Args:
        model: a pyhf model with any interpolation codes and modifiers.
        fit_results: where to evaluate the model, and with which uncertainties and correlations. Default: before a fit,
            at the parameters of :func:`jaxfit.asimov`, with the widths of their constraints and no correlations (no
            uncertainty for parameters that are fixed or have no constraint).
        label: default "pre-fit" or "post-fit".

    Returns:
        Yields and uncertainties by channel, sample and bin; NaN where the fit gave no covariance.

    Raises:
        InputError: the result is of a fit of another model.
    """
    if fit_results is None:
        pars, sigma = _nominal(model), prefit_widths(model)
        correlation = np.eye(len(pars))
    else:
        parameter_space(model).check_labels(fit_results.labels)
        pars, sigma, correlation = fit_results.bestfit, fit_results.uncertainty, fit_results.corr_mat
    slices = [model.config.channel_slices[channel] for channel in model.config.channels]
    channels = np.full((len(slices), max(where.stop - where.start for where in slices)), model.config.nmaindata)
    for channel, where in zip(channels, slices, strict=True):
        channel[: where.stop - where.start] = np.arange(where.start, where.stop)
    likelihood = likelihood_of(model)
    with jax.enable_x64(True):
        results = _predict(likelihood, pars, sigma, correlation, channels)
    yields, bins, sums = (np.asarray(array) for array in results)
    return ModelPrediction(
        model=model,
        model_yields=[yields[:, where].tolist() for where in slices],
        total_stdev_model_bins=[bins[:, where].tolist() for where in slices],
        total_stdev_model_channels=sums.T.tolist(),
        label=label if label is not None else "pre-fit" if fit_results is None else "post-fit",
    )


def _nominal(model: pyhf.Model) -> NumpyArray:
    """Parameters of the Asimov data (``cabinetry.model_utils.asimov_parameters``)."""
    types = dict(model.config.modifiers)
    values: list[float] = []
    for name in model.config.par_order:
        group = model.config.param_set(name)
        center = 0.0 if types[name] in ("histosys", "normsys") else 1.0
        values += [center] * group.n_parameters if group.constrained else group.suggested_init
    return np.array(values, dtype=float)


@jax.jit
def _predict(
    likelihood: Likelihood,
    pars: Pars,
    sigma: Pars,
    correlation: Float[Array, "pars pars"],
    channels: Int[Array, "channels width"],
) -> tuple[Float[Array, "samples bins"], Float[Array, "all bins"], Float[Array, "all channels"]]:
    """Yields; uncertainties of them and of their sum over samples, in the bins and in the channels.

    Channels are positions of their bins, padded with the number of bins.
    """
    center, width = likelihood.split(pars), likelihood.split(sigma, padding=0.0)
    size, slots = len(width.border), len(width.blocks)
    # the bin-wise parameters of one slot move together: each changes its own bin only
    steps = ArrowVector(
        jnp.pad(jnp.diag(width.border), ((0, slots), (0, 0))),
        jnp.pad(jnp.eye(slots)[:, :, None] * width.blocks[None], ((size, 0), (0, 0), (0, 0))),
    )

    def half_difference(step: ArrowVector) -> Float[Array, "samples bins"]:
        up, down = (likelihood.by_sample(ArrowVector.combine(move, center, step)) for move in (jnp.add, jnp.subtract))
        return 0.5 * (up - down)

    changes = jax.lax.map(half_difference, steps, batch_size=_TOGETHER)
    changes = jnp.concatenate([changes, jnp.sum(changes, axis=1, keepdims=True)], axis=1)
    stdevs = partial(_stdevs, changes[:size], changes[size:], likelihood, correlation)
    return likelihood.by_sample(center), stdevs(jnp.arange(changes.shape[2])[:, None]), stdevs(channels)


def _stdevs(
    border: Float[Array, "globals all bins"],
    slots: Float[Array, "slots all bins"],
    likelihood: Likelihood,
    correlation: Float[Array, "pars pars"],
    groups: Int[Array, "groups width"],
) -> Float[Array, "all groups"]:
    """Standard deviations of the sums of yields over groups of bins, from the changes that each parameter makes."""
    own = likelihood.split(jnp.arange(len(correlation))).border
    rows = jnp.pad(likelihood.bin_rows, ((0, 0), (0, 1)))[:, groups]
    border, slots = (jnp.pad(changes, ((0, 0), (0, 0), (0, 1)))[..., groups] for changes in (border, slots))
    sums = jnp.sum(border, axis=-1)
    # correlations of a group's bin-wise parameters with the global ones, and with each other
    cross = correlation[own[:, None, None, None], rows[None]]
    pairs = correlation[rows[..., None, None], jnp.swapaxes(rows, 0, 1)[None, :, None]]
    linked = 2.0 * jnp.einsum("psg,pigw->isgw", sums, cross) + jnp.einsum("igwjv,jsgv->isgw", pairs, slots)
    variance = jnp.einsum("psg,pq,qsg->sg", sums, correlation[own[:, None], own[None]], sums)
    variance += jnp.einsum("isgw,isgw->sg", slots, linked)
    return jnp.sqrt(jnp.maximum(variance, 0.0))
