"""``jaxfit scan``, ``jaxfit scan2d`` and ``jaxfit intervals``."""

from __future__ import annotations

from typing import Any

import click
from pyhf import Model

import jaxfit
from jaxfit.cli.options import PROBABILITY
from jaxfit.cli.runs import Answer, question

__all__ = ["intervals", "scan", "scan2d"]


@question(
    click.Argument(["parameter"], metavar="[PAR]", required=False),
    click.Option(["--range", "limits"], type=float, nargs=2, metavar="LOW HIGH", help="[default: best fit -+ 2 sigma]"),
    click.Option(["--steps"], type=click.IntRange(min=1), default=41, show_default=True, metavar="N"),
    example="jaxfit scan workspace.json ttbar_norm --range 0.8 1.2 --steps 21",
)
def scan(
    model: Model,
    data: list[float],
    *,
    parameter: str | None,
    limits: tuple[float, float] | None,
    steps: int,
    **settings: Any,
) -> Answer:
    """Scan the profile likelihood of a parameter.

    PAR is by default the parameter of interest. Prints -2 log(likelihood) above its minimum at every value.
    WORKSPACE.json can be - for the standard input.
    """
    name = parameter or model.config.poi_name
    if name is None:
        raise jaxfit.InputError("the measurement has no parameter of interest: name the parameter to scan")
    result = jaxfit.scan(model, data, name, par_range=limits, n_steps=steps, **settings)
    return Answer(result, str(result), lambda plot: plot.scan_figures(result))


@question(
    click.Argument(["x"], metavar="PAR_X"),
    click.Argument(["y"], metavar="PAR_Y"),
    click.Option(["--x-range"], type=float, nargs=2, metavar="LOW HIGH", help="[default: best fit -+ 3 sigma]"),
    click.Option(["--y-range"], type=float, nargs=2, metavar="LOW HIGH", help="[default: best fit -+ 3 sigma]"),
    click.Option(["--steps"], type=click.IntRange(min=2), default=21, show_default=True, metavar="N",
                 help="Values of each parameter."),
    click.Option(["--confidence-level", "levels"], multiple=True, type=PROBABILITY, metavar="X",
                 help="Of a contour. Can be given several times.  [default: 0.6827 and 0.95]"),
    example="jaxfit scan2d workspace.json ttbar_norm Luminosity --figures figures",
)  # fmt: skip
def scan2d(
    model: Model,
    data: list[float],
    *,
    x: str,
    y: str,
    x_range: tuple[float, float] | None,
    y_range: tuple[float, float] | None,
    steps: int,
    levels: tuple[float, ...],
    **settings: Any,
) -> Answer:
    """Scan two parameters, and find contours.

    Prints the best fit and how far every contour reaches; --output has all points. WORKSPACE.json can be - for the
    standard input.
    """
    if levels:
        settings["confidence_levels"] = levels
    result = jaxfit.scan2d(model, data, x, y, par_ranges=(x_range, y_range), n_steps=steps, **settings)
    return Answer(result, str(result), lambda plot: plot.scan2d_figures(result))


@question(
    click.Argument(["parameters"], metavar="[PAR]...", nargs=-1),
    click.Option(["--confidence-level"], type=PROBABILITY, metavar="X", help="[default: 0.6827, one sigma]"),
    example="jaxfit intervals workspace.json ttbar_norm --confidence-level 0.95",
)
def intervals(
    model: Model, data: list[float], *, parameters: tuple[str, ...], confidence_level: float | None, **settings: Any
) -> Answer:
    """Find profile likelihood intervals (MINOS).

    By default of all parameters. Prints best fit, distances and ends. WORKSPACE.json can be - for the standard input.
    """
    if confidence_level is not None:
        settings["confidence_level"] = confidence_level
    result = jaxfit.intervals(model, data, parameters or None, **settings)
    return Answer(result, str(result), lambda plot: plot.interval_figures(model, result))
