"""Options that several commands have."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import jax
from pyhf import Model

import jaxfit
from jaxfit.solvers import SOLVERS

__all__ = ["POI", "PROBABILITY", "TOYS", "by_toys", "numbers_of", "poi_of", "shared_options", "toy_options", "writable"]

_POSITIVE = click.FloatRange(min=0, min_open=True)
PROBABILITY = click.FloatRange(min=0, max=1, min_open=True, max_open=True)
POI = click.Option(["--poi"], metavar="NAME", help="Parameter of interest, any.  [default: the measurement's]")

TOYS = click.Option(["--toys"], type=click.IntRange(min=1), metavar="N",
                    help="Find p-values by N toys of each hypothesis.  [default: by asymptotic formulae]")  # fmt: skip


def by_toys(number: int | None) -> dict[str, Any]:
    """What --toys means."""
    return {} if number is None else {"calctype": "toybased", "ntoys": number}


def poi_of(model: Model, given: str | None) -> str:
    """The parameter of interest that was given, or else the measurement's.

    Raises:
        InputError: there is none.
    """
    name: str | None = given or model.config.poi_name
    if name is None:
        raise jaxfit.InputError("the measurement has no parameter of interest: name one with --poi")
    return name


def numbers_of(texts: Sequence[str], names: Sequence[str]) -> dict[str, bool | float]:
    """Parameters with the number that follows the last = sign, and True for those without a number."""
    found: dict[str, bool | float] = {}
    for text in texts:
        name, _, number = text.rpartition("=")
        try:
            value = float(number)
        except ValueError:
            name = ""
        found |= {name: value} if name and text not in names else {text: True}
    return found


def writable(_context: click.Context, _option: click.Parameter, path: Path | None) -> Path | None:
    """Refuse a path that cannot be written before there is anything to write."""
    if path is not None:
        nearest = next(place for place in (path.absolute(), *path.absolute().parents) if place.exists())
        if not os.access(nearest, os.W_OK) or (nearest != path.absolute() and not nearest.is_dir()):
            raise click.BadParameter(f"{str(path)!r} cannot be written: no folder to write in at {str(nearest)!r}")
    return path


def _use_device(_context: click.Context, _option: click.Parameter, device: str | None) -> None:
    if device == "cpu":
        jax.config.update("jax_platforms", "cpu")
    elif device == "gpu":
        try:
            jax.devices("gpu")
        except RuntimeError:
            raise click.BadParameter("JAX finds no GPU here") from None


def toy_options() -> list[click.Parameter]:
    """The options of all commands that can make toys."""
    folder = click.Path(file_okay=False, path_type=Path)
    # fmt: off
    return [
        click.Option(["--seed"], type=click.IntRange(min=0), default=0, show_default=True, metavar="S",
                     help="Of the random numbers."),
        click.Option(["--checkpoint"], type=folder, callback=writable, metavar="DIR",
                     help="Keep toys that are done: the same command goes on where it was stopped."),
    ]
    # fmt: on


def shared_options(*, solver: bool, figures: bool, saved: str) -> list[click.Parameter]:
    """The options of all commands that answer a question, in their order of importance.

    Args:
        solver: whether there is a choice of solvers.
        figures: whether there is something to draw.
        saved: format of the saved result.
    """
    file, folder = click.Path(dir_okay=False, path_type=Path), click.Path(file_okay=False, path_type=Path)
    # fmt: off
    options: list[click.Parameter | None] = [
        click.Option(["--measurement"], metavar="NAME", help="Which measurement to take.  [default: the first]"),
        click.Option(["--data"], type=click.Choice(["observed", "asimov"]), default="observed", show_default=True,
                     help="Observed data, or those expected at the model's nominal parameters."),
        click.Option(["--fix"], multiple=True, metavar="NAME[=VALUE]",
                     help="Hold a parameter at its start value, or at VALUE. Can be given several times."),
        click.Option(["--output"], type=file, callback=writable, metavar="FILE", help=f"Save the result as {saved}."),
        click.Option(["--figures"], type=folder, callback=writable, metavar="DIR", help="Draw figures, as PNG files.")
        if figures else None,
        click.Option(["--device"], type=click.Choice(["cpu", "gpu"]), callback=_use_device, expose_value=False,
                     help="Where to compute.  [default: JAX chooses]"),
        click.Option(["--quiet"], is_flag=True, help="Do not say how long each step took."),
        click.Option(["--solver"], type=click.Choice(SOLVERS), default=SOLVERS[0], show_default=True)
        if solver else None,
        click.Option(["--tolerance"], type=_POSITIVE, metavar="X",
                     help="Fit to an EDM below 0.002 X, as MINUIT does.  [default: EDM below 1e-8]"),
        click.Option(["--maxiter"], type=click.IntRange(min=1), metavar="N", help="Most iterations of the solver."),
        click.Option(["--cache-dir"], metavar="DIR",
                     help="Where to keep compiled programs, which makes the next run faster.  "
                          "[default: $JAXFIT_CACHE_DIR (empty: nowhere), or jaxfit in your cache folder]"),
        click.Option(["--no-cache"], is_flag=True, help="Keep no compiled programs."),
    ]
    # fmt: on
    return [option for option in options if option is not None]
