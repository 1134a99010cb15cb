"""``jaxfit fit`` and ``jaxfit gof``."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import click
from pyhf import Model

import jaxfit
from jaxfit.cli.options import TOYS, by_toys
from jaxfit.cli.runs import Answer, question
from jaxfit.results import significant

__all__ = ["LONG", "binwise", "fit", "gof", "poi_line"]

LONG = 60  # parameters above which a table leaves out the bin-wise ones


@question(
    click.Option(["--minos"], multiple=True, metavar="NAME",
                 help="Find the uncertainties of a parameter from its profile likelihood, too. Can be given several "
                      "times."),
    click.Option(["--verify"], is_flag=True, help="Check the result independently: pyhf's likelihood, a second start."),
    example="jaxfit fit workspace.json --fix Luminosity=0 --output fit.json --figures figures",
)  # fmt: skip
def fit(model: Model, data: list[float], **settings: Any) -> Answer:
    """Fit a pyhf workspace; - reads it from the standard input.

    Prints the parameters and how the fit ended. Above 60 parameters the table leaves out the bin-wise ones.
    """
    result = jaxfit.fit(model, data, **settings)
    lines = [_table(model, result), *_minos(result)]
    if result.diagnosis.verification:
        lines.append(f"verification: {result.diagnosis.verification}")
    text = "\n".join([*lines, poi_line(model, result)])
    return Answer(result, text, lambda plot: plot.fit_figures(model, data, result))


@question(TOYS, example="jaxfit gof workspace.json --toys 2000 --figures figures", solver=False, toys=True)
def gof(model: Model, data: list[float], *, toys: int | None, **settings: Any) -> Answer:
    """Find the goodness of fit.

    -2 log(likelihood) of the best fit above that of the saturated model. Prints it and its p-value, by a chi-square
    distribution or by toys. Figures are data and model before and after the fit. WORKSPACE.json can be - for the
    standard input.
    """
    result = jaxfit.goodness_of_fit(model, data, **by_toys(toys), **settings)

    def drawings(plot: Any) -> dict[str, Callable[[], Any]]:
        how = {name: settings[name] for name in ("fix_pars", "maxiter", "tolerance")}
        figures: dict[str, Callable[[], Any]] = plot.prediction_figures(model, data, jaxfit.fit(model, data, **how))
        return figures

    return Answer(result, str(result), drawings, result.left_out.get("NOT_RUN", 0))


def poi_line(model: Model, result: jaxfit.FitResults) -> str:
    """The parameter of interest by itself, with three digits of its uncertainty."""
    name = model.config.poi_name
    if name is None:
        return "(no parameter of interest)"
    value, sigma = (float(of[result.labels.index(name)]) for of in (result.bestfit, result.uncertainty))
    digits = min(max(2 - math.floor(math.log10(sigma)), 0), 12) if math.isfinite(sigma) and sigma > 0 else 4
    error = f"+- {sigma:.{digits}f}" if sigma else "(constant)"
    return click.style(f"{name} = {value:.{digits}f} {error}", bold=True)


def binwise(model: Model) -> set[str]:
    """The names of parameters that are not alone: one for every bin."""
    sets = [model.config.param_set(name) for name in model.config.par_order]
    several = [not group.is_scalar for group in sets for _ in range(group.n_parameters)]
    return {name for name, one in zip(model.config.par_names, several, strict=True) if one}


def _table(model: Model, result: jaxfit.FitResults) -> str:
    """All parameters; of a large model without the bin-wise ones, unless they are on a bound."""
    if len(result.labels) <= LONG:
        return str(result)
    gammas = binwise(model)
    kept = [i for i, name in enumerate(result.labels) if name not in gammas or name in result.at_bound]
    labels = [result.labels[i] for i in kept]
    shown = replace(result, labels=labels, bestfit=result.bestfit[kept], uncertainty=result.uncertainty[kept])
    return f"{shown}\n({len(result.labels) - len(kept)} bin-wise parameters are left out, --output has them)"


def _minos(result: jaxfit.FitResults) -> list[str]:
    lines = []
    for name, ends in result.minos_uncertainty.items():
        down, up = (significant(abs(end), abs(end)) for end in ends)
        lines.append(f"profile likelihood: {name} -{down} +{up}")
    return lines
