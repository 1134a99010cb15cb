"""The command line: a workspace in, one call, a result out."""

from __future__ import annotations

import logging
import math
import os
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

import click
import jax
from pyhf import Model

import jaxfit
from jaxfit import workspaces
from jaxfit.solvers import SOLVERS

__all__ = ["main"]

_FILE, _FOLDER = click.Path(dir_okay=False, path_type=Path), click.Path(file_okay=False, path_type=Path)
_LONG = 60  # parameters above which a table leaves out the bin-wise ones


class _Group(click.Group):
    """Commands that return 0 or 1 for their result, and exit with 2 and one line for a mistake in their input."""

    def main(self, *args: Any, **extra: Any) -> NoReturn:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", jaxfit.FitWarning)  # results print it
                sys.exit(super().main(*args, **{**extra, "standalone_mode": False}))
        except click.ClickException as error:
            _fail(error.format_message())
        except jaxfit.JaxfitError as error:
            _fail(str(error))
        except OSError as error:
            _fail(f"{error.filename or 'files'}: {error.strerror or error}")
        except (click.Abort, KeyboardInterrupt):
            sys.exit(130)


def _fail(message: str) -> NoReturn:
    click.echo(f"jaxfit: error: {' '.join(message.split())}", err=True)
    sys.exit(2)


def _writable(_context: click.Context, _option: click.Parameter, path: Path | None) -> Path | None:
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


def _shared_options(command: Callable[..., int]) -> Callable[..., int]:
    choice, positive = click.Choice, click.FloatRange(min=0, min_open=True)
    # fmt: off
    options = [
        click.option("--measurement", metavar="NAME", help="Which measurement to take.  [default: the first]"),
        click.option("--data", type=choice(["observed", "asimov"]), default="observed", show_default=True,
                     help="Observed data, or those expected at the model's nominal parameters."),
        click.option("--fix", multiple=True, metavar="NAME[=VALUE]",
                     help="Hold a parameter at its start value, or at VALUE. Can be given several times."),
        click.option("--output", type=_FILE, callback=_writable, metavar="FILE", help="Save the result as JSON."),
        click.option("--figures", type=_FOLDER, callback=_writable, metavar="DIR", help="Draw figures, as PNG files."),
        click.option("--device", type=choice(["cpu", "gpu"]), callback=_use_device, expose_value=False,
                     help="Where to compute.  [default: JAX chooses]"),
        click.option("--quiet", is_flag=True, help="Do not say how long each step took."),
        click.option("--solver", type=choice(SOLVERS), default=SOLVERS[0], show_default=True),
        click.option("--tolerance", type=positive, metavar="X",
                     help="Fit to an EDM below 0.002 X, as MINUIT does.  [default: EDM below 1e-8]"),
        click.option("--maxiter", type=click.IntRange(min=1), metavar="N", help="Most iterations of the solver."),
        click.option("--cache-dir", metavar="DIR",
                     help="Where to keep compiled programs, which makes the next run faster.  "
                          "[default: $JAXFIT_CACHE_DIR (empty: nowhere), or jaxfit in your cache folder]"),
        click.option("--no-cache", is_flag=True, help="Keep no compiled programs."),
    ]
    # fmt: on
    for option in reversed(options):
        command = option(command)
    return command


@click.group(
    cls=_Group, invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]},
    epilog="\b\nExample:\n  jaxfit demo\n  jaxfit fit jaxfit-demo/workspace.json --figures figures",
)  # fmt: skip
@click.version_option(package_name="jaxfit-histfactory", prog_name="jaxfit")
@click.pass_context
def main(context: click.Context, /) -> None:
    """Fit pyhf and HistFactory models on JAX.

    Exit code 0: converged. 1: not converged. 2: bad input, and one line says what and where.
    """
    os.environ.setdefault("MPLBACKEND", "agg")  # for machines without a display
    logging.getLogger("cabinetry").setLevel(logging.ERROR)
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


@main.command(epilog="Example: jaxfit fit workspace.json --fix Luminosity=0 --output fit.json --figures figures")
@click.argument("workspace", metavar="WORKSPACE.json")
@_shared_options
def fit(workspace: str, quiet: bool, output: Path | None, figures: Path | None, **options: Any) -> int:
    """Fit a pyhf workspace; - reads it from the standard input.

    Prints the parameters and how the fit ended. Above 60 parameters the table leaves out the bin-wise ones.
    """
    times: list[str] = []
    model, data, settings = _prepare(workspace, times, **options)
    with _step("fit", times):
        result = jaxfit.fit(model, data, **settings)
    _write(result, output, figures, times, lambda plot: plot.fit_figures(model, data, result))
    return _report(result, f"{_table(model, result)}\n{_poi_line(model, result)}", times, quiet)


@main.command(epilog="Example: jaxfit scan workspace.json ttbar_norm --range 0.8 1.2 --steps 21")
@click.argument("workspace", metavar="WORKSPACE.json")
@click.argument("parameter", metavar="[PAR]", required=False)
@click.option("--range", "limits", type=float, nargs=2, metavar="LOW HIGH", help="[default: best fit -+ 2 sigma]")
@click.option("--steps", type=click.IntRange(min=1), default=41, show_default=True, metavar="N")
@_shared_options
def scan(
    workspace: str,
    parameter: str | None,
    limits: tuple[float, float] | None,
    steps: int,
    quiet: bool,
    output: Path | None,
    figures: Path | None,
    **options: Any,
) -> int:
    """Scan the profile likelihood of PAR, by default the parameter of interest.

    Prints -2 log(likelihood) above its minimum at every value. WORKSPACE.json can be - for the standard input.
    """
    times: list[str] = []
    model, data, settings = _prepare(workspace, times, **options)
    name = parameter or model.config.poi_name
    if name is None:
        raise jaxfit.InputError("the measurement has no parameter of interest: name the parameter to scan")
    with _step("scan", times):
        result = jaxfit.scan(model, data, name, par_range=limits, n_steps=steps, **settings)
    _write(result, output, figures, times, lambda plot: plot.scan_figures(result))
    return _report(result, str(result), times, quiet)


@main.command(epilog="Example: jaxfit demo --output ttbar")
@click.option(
    "--output", type=_FOLDER, callback=_writable, default="jaxfit-demo", show_default=True, metavar="DIR",
    help="Folder for all that is made.",
)  # fmt: skip
def demo(output: Path) -> int:
    """Measure a ttbar cross-section, from histograms to figures.

    Makes the histograms, builds a workspace of them with cabinetry, fits it and scans the parameter of interest.
    """
    _use_cache(None)
    with _step("imports for histograms and figures"):
        from jaxfit.examples.demo import run
    model, result, profile = run(output, _step)
    click.echo(f"\n{result}\n\n{_poi_line(model, result)}\n")
    click.echo(f"fit.json, scan.json, the workspace and figures/ are in {output}:")
    click.echo("\n".join(f"  {figure}" for figure in sorted(output.glob("figures/*.png"))))
    return 0 if result.converged and profile.converged else 1


def _prepare(
    workspace: str,
    times: list[str],
    *,
    measurement: str | None,
    data: str,
    fix: Sequence[str],
    cache_dir: str | None,
    no_cache: bool,
    **settings: Any,
) -> tuple[Model, list[float], dict[str, Any]]:
    """Model, data and settings of a fit."""
    with _step("read", times):
        spec = workspaces.load(workspace)
    with _step("model", times):
        model, counts = workspaces.model_and_data(spec, measurement=measurement, asimov=data == "asimov")
    _use_cache("" if no_cache else cache_dir)
    return model, counts, {"fix_pars": _fixed(fix, model.config.par_names), **settings}


def _fixed(texts: Sequence[str], names: Sequence[str]) -> dict[str, bool | float]:
    """What --fix means: a parameter, or one at a value if a number follows the last = sign."""
    fixed: dict[str, bool | float] = {}
    for text in texts:
        name, _, number = text.rpartition("=")
        try:
            value = float(number)
        except ValueError:
            name = ""
        fixed |= {name: value} if name and text not in names else {text: True}
    return fixed


def _use_cache(folder: str | None) -> None:
    """Keep compiled programs in a folder; nowhere if it is empty or cannot be written."""
    if folder is None:
        caches = os.path.expanduser("~/Library/Caches" if sys.platform == "darwin" else "~/.cache")
        folder = os.path.join(os.environ.get("XDG_CACHE_HOME") or caches, "jaxfit")
        folder = os.environ.get("JAXFIT_CACHE_DIR", folder)
    try:
        if folder:
            os.makedirs(folder, exist_ok=True)
            tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        click.echo(f"jaxfit: compiled programs are not kept: {folder}: {error.strerror or error}", err=True)
        folder = ""
    jax.config.update("jax_compilation_cache_dir", folder or None)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


@contextmanager
def _step(name: str, times: list[str] | None = None) -> Iterator[None]:
    """Note how long a step took; without a list to note it in, say it at once on the standard error."""
    start = time.perf_counter()
    yield
    elapsed = time.perf_counter() - start
    if times is None:
        click.echo(f"{name:<36}{elapsed:7.2f} s", err=True)
    else:
        times.append(f"{name} {elapsed:.2f} s")


def _write(
    result: jaxfit.FitResults | jaxfit.ScanResults,
    output: Path | None,
    figures: Path | None,
    times: list[str],
    drawings: Callable[[Any], Any],
) -> None:
    if output:
        output.parent.mkdir(parents=True, exist_ok=True)
        result.save(output)
    if figures:
        with _step("figures", times):
            from jaxfit import plot  # imports matplotlib and cabinetry, which takes longer than a fit

            for name, reason in plot.save(drawings(plot), figures).items():
                click.echo(f"jaxfit: {name} cannot be drawn: {reason}", err=True)


def _report(result: jaxfit.FitResults | jaxfit.ScanResults, text: str, times: list[str], quiet: bool) -> int:
    """Print, after everything is written, because a reader of the pipe may leave; returns the exit code."""
    click.echo(text)
    if not quiet:
        click.echo(", ".join(times), err=True)
    return 0 if result.converged else 1


def _table(model: Model, result: jaxfit.FitResults) -> str:
    """All parameters; of a large model without the bin-wise ones, unless they are on a bound."""
    if len(result.labels) <= _LONG:
        return str(result)
    sets = [model.config.param_set(name) for name in model.config.par_order]
    binwise = [not group.is_scalar for group in sets for _ in range(group.n_parameters)]
    kept = [i for i, name in enumerate(result.labels) if not binwise[i] or name in result.at_bound]
    labels = [result.labels[i] for i in kept]
    shown = replace(result, labels=labels, bestfit=result.bestfit[kept], uncertainty=result.uncertainty[kept])
    return f"{shown}\n({len(result.labels) - len(kept)} bin-wise parameters are left out, --output has them)"


def _poi_line(model: Model, result: jaxfit.FitResults) -> str:
    """The parameter of interest by itself, with three digits of its uncertainty."""
    name = model.config.poi_name
    if name is None:
        return "(no parameter of interest)"
    value, sigma = (float(of[result.labels.index(name)]) for of in (result.bestfit, result.uncertainty))
    digits = min(max(2 - math.floor(math.log10(sigma)), 0), 12) if math.isfinite(sigma) and sigma > 0 else 4
    error = f"+- {sigma:.{digits}f}" if sigma else "(constant)"
    return click.style(f"{name} = {value:.{digits}f} {error}", bold=True)


if __name__ == "__main__":
    main()
