"""``jaxfit scan``, ``jaxfit scan2d``, ``jaxfit intervals`` and ``jaxfit feldman-cousins``."""

from __future__ import annotations

from typing import Any

import click
import numpy as np
from pyhf import Model

import jaxfit
from jaxfit.cli.options import PROBABILITY
from jaxfit.cli.runs import Answer, question

__all__ = ["feldman_cousins", "intervals", "scan", "scan2d"]


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


@question(
    click.Argument(["parameters"], metavar="PAR [PAR_Y]", nargs=-1, required=True),
    click.Option(["--range", "ranges"], type=float, nargs=2, multiple=True, required=True, metavar="LOW HIGH",
                 help="Of the grid; once for every parameter, in their order."),
    click.Option(["--steps"], type=click.IntRange(min=2), default=21, show_default=True, metavar="N",
                 help="Values of each parameter."),
    click.Option(["--confidence-level"], type=PROBABILITY, metavar="X", help="[default: 0.6827, one sigma]"),
    click.Option(["--toys", "ntoys"], type=click.IntRange(min=1), default=2000, show_default=True, metavar="N",
                 help="Toys at every point."),
    example="jaxfit feldman-cousins workspace.json mu --range 0 5 --steps 26 --confidence-level 0.9 --figures figures",
    solver=False,
    toys=True,
)  # fmt: skip
def feldman_cousins(
    model: Model,
    data: list[float],
    *,
    parameters: tuple[str, ...],
    ranges: tuple[tuple[float, float], ...],
    steps: int,
    confidence_level: float | None,
    **settings: Any,
) -> Answer:
    """Find Feldman-Cousins intervals by toys.

    Of one parameter, or the region of two: points at which enough toys look less likely than the data
    (arXiv:physics/9711021), with all other parameters profiled. Right also where a parameter is close to its bound.
    Prints best fit and interval; --output has statistic, critical value and p-value at every point. WORKSPACE.json can
    be - for the standard input.
    """
    if not len(parameters) == len(ranges) <= 2:
        raise jaxfit.InputError(f"{len(parameters)} parameters and {len(ranges)} times --range: one each, or two each")
    if confidence_level is not None:
        settings["confidence_level"] = confidence_level
    grid = [np.linspace(low, high, steps) for low, high in ranges]
    names: Any = (parameters[0], grid[0]) if len(grid) == 1 else (parameters, tuple(grid))
    result = jaxfit.feldman_cousins(model, data, *names, **settings)
    undone = result.left_out.get("NOT_RUN", 0)
    return Answer(result, str(result), lambda plot: plot.feldman_cousins_figures(result), undone)
