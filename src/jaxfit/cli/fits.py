"""``jaxfit fit`` and ``jaxfit gof``."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import click
from pyhf import Model

import jaxfit
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


@question(example="jaxfit gof workspace.json --figures figures")
def gof(model: Model, data: list[float], **settings: Any) -> Answer:
    """Find the goodness of fit.

    The p-value of the saturated model. Prints how the fit ended and the p-value. WORKSPACE.json can be - for the
    standard input.
    """
    result = jaxfit.fit(model, data, goodness_of_fit=True, **settings)
    found = f"p-value {result.goodness_of_fit:.4f}"
    if math.isnan(result.goodness_of_fit):
        found = "no degrees of freedom, as there are not more bins than free parameters without a constraint"
    lines = [str(result).split("\n")[0], f"goodness of fit (saturated model): {found}"]
    text = "\n".join(lines + [f"warning: {warning}" for warning in result.warnings])
    return Answer(result, text, lambda plot: plot.prediction_figures(model, data, result))


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
