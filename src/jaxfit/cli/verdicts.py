"""``jaxfit hypotest``, ``jaxfit limit`` and ``jaxfit significance``."""

from __future__ import annotations

from typing import Any

import click
from pyhf import Model

import jaxfit
from jaxfit.cli.options import POI, PROBABILITY, TOYS, by_toys, poi_of
from jaxfit.cli.runs import Answer, question

__all__ = ["hypotest", "limit", "significance"]

_STATISTICS = ("qtilde", "q", "q0", "ttilde", "t")


@question(
    click.Argument(["values"], metavar="X...", nargs=-1, type=float, required=True),
    POI,
    click.Option(["--test-stat"], type=click.Choice(_STATISTICS), default=_STATISTICS[0], show_default=True,
                 help="qtilde and q are for upper limits, q0 (of X = 0) for discoveries, ttilde and t for intervals."),
    TOYS,
    example="jaxfit hypotest workspace.json 0.5 1 2 --toys 10000 --seed 1",
    solver=False,
    figures=False,
    toys=True,
)  # fmt: skip
def hypotest(
    model: Model, data: list[float], *, values: tuple[float, ...], poi: str | None, toys: int | None, **settings: Any
) -> Answer:
    """Test values of a parameter.

    Every X is a value of the parameter of interest, tested with a profile likelihood ratio (arXiv:1007.1727). Prints
    the statistic and CLs (for q0 and two-sided ones the p-value), observed and expected for data without a signal (q0:
    with one). WORKSPACE.json can be - for the standard input.
    """
    fixed = settings.pop("fix_pars")
    how = {"poi_name": poi_of(model, poi), "fixed_params": fixed, **by_toys(toys), **settings}
    result = jaxfit.hypotest(values, data, model, **how)
    return Answer(result, str(result), undone=result.left_out.get("NOT_RUN", 0))


@question(
    POI,
    click.Option(["--confidence-level"], type=PROBABILITY, default=0.95, show_default=True, metavar="X"),
    click.Option(["--bracket"], type=float, nargs=2, metavar="LOW HIGH",
                 help="Values between which the observed limit must lie.  [default: no need for them]"),
    click.Option(["--poi-tolerance"], type=click.FloatRange(min=0, min_open=True), default=0.01, show_default=True,
                 metavar="X", help="Largest error of a limit; it is at most a thousandth of the limit, too."),
    TOYS,
    example="jaxfit limit workspace.json --poi mu --confidence-level 0.9",
    solver=False,
    toys=True,
)  # fmt: skip
def limit(model: Model, data: list[float], *, poi: str | None, toys: int | None, **settings: Any) -> Answer:
    """Find upper limits by CLs.

    Observed and expected limits on the parameter of interest, with the test statistic q-tilde (arXiv:1007.1727). Prints
    the limits; --output has all tested values. WORKSPACE.json can be - for the standard input.
    """
    result = jaxfit.limit(model, data, poi_name=poi_of(model, poi), **by_toys(toys), **settings)
    return Answer(result, str(result), lambda plot: plot.limit_figures(result), result.left_out.get("NOT_RUN", 0))


@question(
    POI, TOYS, example="jaxfit significance workspace.json --poi mu", solver=False, figures=False, toys=True
)  # fmt: skip
def significance(model: Model, data: list[float], *, poi: str | None, toys: int | None, **settings: Any) -> Answer:
    """Find the significance of a signal.

    Observed, and expected for a parameter of interest of 1, with the test statistic q0 (arXiv:1007.1727). Prints
    significances and p-values. WORKSPACE.json can be - for the standard input.
    """
    result = jaxfit.significance(model, data, poi_name=poi_of(model, poi), **by_toys(toys), **settings)
    return Answer(result, str(result), undone=result.left_out.get("NOT_RUN", 0))
