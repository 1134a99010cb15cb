"""``jaxfit ranking`` and ``jaxfit impacts``."""

from __future__ import annotations

from typing import Any

import click
from pyhf import Model

import jaxfit
from jaxfit.cli.options import POI, poi_of
from jaxfit.cli.runs import Answer, question

__all__ = ["impacts", "ranking"]


def _groups(_context: click.Context, _option: click.Parameter, texts: tuple[str, ...]) -> dict[str, list[str]]:
    """What --group means: the patterns of every group."""
    groups: dict[str, list[str]] = {}
    for text in texts:
        name, separator, pattern = text.partition("=")
        if not (name and separator and pattern):
            raise click.BadParameter(f"{text!r} is not NAME=PATTERN")
        groups.setdefault(name, []).append(pattern)
    return groups


@question(POI, example="jaxfit ranking workspace.json --figures figures", solver=False)
def ranking(model: Model, data: list[float], *, poi: str | None, **settings: Any) -> Answer:
    """Rank parameters by their impact, with refits.

    Every parameter is held at its best fit plus and minus its pre-fit and its post-fit uncertainty; its impact is the
    shift of the parameter of interest. Prints the 20 largest; --output has all. WORKSPACE.json can be - for the
    standard input.
    """
    result = jaxfit.ranking(model, data, poi_name=poi_of(model, poi), **settings)
    return Answer(result, str(result), lambda plot: plot.ranking_figures(model, result))


@question(
    POI,
    click.Option(["--group", "groups"], multiple=True, callback=_groups, metavar="NAME=PATTERN",
                 help="Put parameters into a group, by name or pattern (jes_*). Can be given several times, also for "
                      "one group.  [default: groups by kind of parameter]"),
    example='jaxfit impacts workspace.json --group "b-tagging=b-tag*" --figures figures',
    solver=False,
)  # fmt: skip
def impacts(
    model: Model, data: list[float], *, poi: str | None, groups: dict[str, list[str]], **settings: Any
) -> Answer:
    """Break an uncertainty down into its parts.

    Impacts on the parameter of interest from the covariance matrix, without refits. Prints the 20 largest impacts and
    the parts of groups of parameters; --output has all. WORKSPACE.json can be - for the standard input.
    """
    result = jaxfit.impacts(model, data, groups=groups, poi_name=poi_of(model, poi), **settings)
    return Answer(result, str(result), lambda plot: plot.impact_figures(result))
