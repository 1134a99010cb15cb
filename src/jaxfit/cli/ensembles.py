"""``jaxfit toys``."""

from __future__ import annotations

from typing import Any

import click
import numpy as np
from pyhf import Model

import jaxfit
from jaxfit.cli.fits import LONG, binwise
from jaxfit.cli.options import POI, numbers_of, poi_of
from jaxfit.cli.runs import Answer, processes, question

__all__ = ["toys"]

_MEGABYTE = 10**6
_QUANTILES = {1.0: "31.7 %", 3.841: "5 %"}  # of chi-square with one degree of freedom: above them


@question(
    click.Option(["-n", "number"], type=click.IntRange(min=1), default=1000, show_default=True, metavar="N",
                 help="Number of toys."),
    click.Option(["--first"], type=click.IntRange(min=0), default=0, show_default=True, metavar="I",
                 help="Number of the first toy, to share the toys of one seed between machines. All their files in one "
                      "--checkpoint folder are one ensemble."),
    click.Option(["--at"], multiple=True, metavar="NAME=VALUE",
                 help="Draw toys at this value of a parameter. Can be given several times."),
    click.Option(["--post-fit"], is_flag=True,
                 help="Draw toys at the best fit to the data, in which parameters of --at are held.  "
                      "[default: at the model's nominal parameters]"),
    click.Option(["--bootstrap"], is_flag=True,
                 help="Draw toys around the data instead; their true parameters are those of the best fit."),
    click.Option(["--aux"], type=click.Choice(["sampled", "nominal"]), default="sampled", show_default=True,
                 help="Auxiliary data of the toys: drawn as well, or the same for all."),
    POI,
    click.Option(["--poi-value", "values"], type=float, multiple=True, metavar="X",
                 help="Fit every toy once more with the parameter of interest held at X. Can be given several times."),
    click.Option(["--max-memory"], type=click.FloatRange(min=0, min_open=True), metavar="MB",
                 help="Of the toys that are worked on at a time, roughly.  [default: 134]"),
    click.Option(["--workers"], type=click.IntRange(min=1), metavar="N",
                 help="Make toys in N processes.  [default: in threads, one for each core or GPU]"),
    example="jaxfit toys workspace.json -n 10000 --seed 1 --post-fit --output toys.npz --figures figures",
    solver=False,
    toys=True,
    saved="npz",
)  # fmt: skip
def toys(
    model: Model,
    data: list[float],
    *,
    number: int,
    at: tuple[str, ...],
    post_fit: bool,
    bootstrap: bool,
    poi: str | None,
    values: tuple[float, ...],
    max_memory: float | None,
    workers: int | None,
    **settings: Any,
) -> Answer:
    """Draw toys and fit them.

    Prints bias, pulls and coverage: the parameter of interest first, then all others without a constraint. Above 60
    parameters the table leaves out the bin-wise ones; --output has all toys. Ctrl-C ends it with what is done: result
    and figures are those of the toys so far, and the exit code is 130. WORKSPACE.json can be - for the standard input.
    """
    name = poi_of(model, poi) if values else poi or model.config.poi_name
    pars: Any = _values(at, model)
    if bootstrap and pars:
        raise jaxfit.InputError("--bootstrap draws toys around the data, whatever the parameters: leave --at out")
    if post_fit or bootstrap:
        how = {key: settings[key] for key in ("maxiter", "tolerance")}
        pars = jaxfit.fit(model, data, fix_pars={**settings["fix_pars"], **pars}, on_failure="raise", **how)
    if max_memory is not None:
        settings["max_memory"] = max_memory * _MEGABYTE
    settings |= {"executor": processes(workers), "poi_values": values, "poi_name": name if values else poi}
    result = jaxfit.toys(model, number, pars=pars, bootstrap=data if bootstrap else None, **settings)
    text = "\n".join([_table(model, name, result), *_held(result)])
    undone = result.counts.get(jaxfit.Status.NOT_RUN, 0)
    return Answer(result, text, lambda plot: plot.toy_figures(result, name), undone)


def _values(texts: tuple[str, ...], model: Model) -> dict[str, float]:
    """What --at means."""
    found = numbers_of(texts, model.config.par_names)
    for name, value in found.items():
        if value is True:
            raise jaxfit.InputError(f"--at {name!r} is not NAME=VALUE")
    return found


def _table(model: Model, poi: str | None, toys: jaxfit.ToyResults) -> str:
    """The summary; of a large model without the bin-wise parameters."""
    if not toys.usable().any():
        return str(toys)
    labels, gammas = toys.summary().labels, binwise(model)
    free = {name for name in model.config.par_order if not model.config.param_set(name).constrained}
    ordered = sorted(labels, key=lambda name: (name != poi, name not in free, name in gammas))
    shown = [name for name in ordered if len(labels) <= LONG or name not in gammas]
    note = f"({len(labels) - len(shown)} bin-wise parameters are left out)"
    return "\n".join([str(toys.summary(shown)), *([note] if len(shown) < len(labels) else [])])


def _held(toys: jaxfit.ToyResults) -> list[str]:
    """How often the held values are excluded: at the true one, as often as asymptotically, if formulae are right."""
    lines = []
    for value, statistic in zip(toys.poi_values, toys.twice_deltas.T, strict=True):
        known = statistic[np.isfinite(statistic)]
        found = ", ".join(f"{100 * np.mean(known > q):.2f} % above {q:g}" for q in _QUANTILES) if known.size else "none"
        lines.append(f"-2 Delta log(likelihood) at {toys.poi} = {value:g}, {len(known)} of {len(toys)} toys: {found}")
    return lines and [*lines, f"(for toys drawn at that value, asymptotically {' and '.join(_QUANTILES.values())})"]
