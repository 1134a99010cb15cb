"""The command line: a workspace in, one call, a result out."""

from __future__ import annotations

import importlib.metadata
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
from types import ModuleType
from typing import Any, NoReturn, TypeVar

import click
import jax
from pyhf import Model

import jaxfit
from jaxfit import workspaces
from jaxfit.errors import InputError, JaxfitError
from jaxfit.solvers import SOLVERS

__all__ = ["main"]

Command = TypeVar("Command", bound=Callable[..., Any])

_LONG = 60  # parameters above which a table leaves out the bin-wise ones


class _Group(click.Group):
    """Commands that return 0 or 1 for their result, and exit with 2 and one line for a mistake in their input."""

    def main(self, *args: Any, **extra: Any) -> NoReturn:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", jaxfit.FitWarning)  # results print it
                code = super().main(*args, **{**extra, "standalone_mode": False})
        except click.ClickException as error:
            _fail(error.format_message())
        except JaxfitError as error:
            _fail(str(error))
        except OSError as error:
            _fail(f"{error.filename or 'files'}: {error.strerror or error}")
        except (click.Abort, KeyboardInterrupt):
            sys.exit(130)
        sys.exit(code)


def _fail(message: str) -> NoReturn:
    click.echo(f"jaxfit: error: {' '.join(message.split())}", err=True)
    sys.exit(2)


def _version() -> str:
    try:
        return importlib.metadata.version("jaxfit-histfactory")
    except importlib.metadata.PackageNotFoundError:
        return "(not installed)"


def _shared_options(command: Command) -> Command:
    path, choice, above_0 = click.Path(path_type=Path), click.Choice, click.FloatRange(min=0, min_open=True)
    # fmt: off
    options = [
        click.option("--measurement", metavar="NAME", help="Which measurement to take.  [default: the first]"),
        click.option("--data", type=choice(["observed", "asimov"]), default="observed", show_default=True,
                     help="Observed data, or those expected at the model's nominal parameters."),
        click.option("--fix", multiple=True, metavar="NAME[=VALUE]",
                     help="Hold a parameter at its start value, or at VALUE. Can be given several times."),
        click.option("--output", type=path, metavar="FILE", help="Save the result as JSON."),
        click.option("--figures", type=path, metavar="DIR", help="Draw figures, as PNG files in this folder."),
        click.option("--device", type=choice(["cpu", "gpu"]), help="Where to compute.  [default: JAX chooses]"),
        click.option("--quiet", is_flag=True, help="Do not say how long each step takes."),
        click.option("--solver", type=choice(SOLVERS), default=SOLVERS[0], show_default=True),
        click.option("--tolerance", type=above_0, metavar="X",
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


@click.group(cls=_Group, invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(_version(), prog_name="jaxfit")
@click.pass_context
def main(context: click.Context, /) -> None:
    r"""Fit pyhf and HistFactory models on JAX.

    Exit code 0: converged. 1: not converged. 2: bad input, and one line says what and where.

    \b
    Example:
      jaxfit demo
      jaxfit fit jaxfit-demo/workspace.json --figures figures
      jaxfit scan jaxfit-demo/workspace.json ttbar_norm --steps 21
    """
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


@main.command()
@click.argument("workspace", metavar="WORKSPACE.json")
@_shared_options
def fit(workspace: str, quiet: bool, output: Path | None, figures: Path | None, **options: Any) -> int:
    r"""Fit a pyhf workspace; - reads it from the standard input.

    Prints the parameters and how the fit ended. The table of more than 60 parameters leaves out the bin-wise ones, which
    --output has.

    \b
    Example:
      jaxfit fit workspace.json --fix Luminosity=0 --output fit.json --figures figures
    """
    step = _steps(quiet)
    model, data, settings = _prepare(workspace, step, output, figures, **options)
    with step("fit"):
        result = jaxfit.fit(model, data, **settings)
    if output:
        _save(result, output)
    if figures:
        with step("figures"):
            _draw(figures, lambda plot: plot.fit_figures(model, data, result))
    click.echo(_table(model, result))
    _echo_poi(model, result)
    return 0 if result.converged else 1


@main.command()
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
    r"""Scan the profile likelihood of PAR, by default the parameter of interest.

    Prints -2 log(likelihood) above its minimum at every value. WORKSPACE.json can be - for the standard input.

    \b
    Example:
      jaxfit scan workspace.json ttbar_norm --range 0.8 1.2 --steps 21 --output scan.json
    """
    step = _steps(quiet)
    model, data, settings = _prepare(workspace, step, output, figures, **options)
    name = parameter or model.config.poi_name
    if name is None:
        raise InputError("the measurement has no parameter of interest: name the parameter to scan")
    with step("scan"):
        result = jaxfit.scan(model, data, name, par_range=limits, n_steps=steps, **settings)
    if output:
        _save(result, output)
    if figures:
        with step("figures"):
            _draw(figures, lambda plot: plot.scan_figures(result))
    click.echo(str(result))
    return 0 if result.converged else 1


@main.command()
@click.option("--output", type=click.Path(path_type=Path), default="jaxfit-demo", show_default=True, metavar="DIR")
def demo(output: Path) -> int:
    r"""Measure a ttbar cross-section, from histograms to figures.

    Makes the histograms, builds a workspace of them with cabinetry, fits it and scans the parameter of interest.

    \b
    Example:
      jaxfit demo --output ttbar
    """
    step = _steps(quiet=False)
    _require_writable("--output", output, folder=True)
    _use_cache(None)
    with step("imports"):
        _quiet_plotting()
        from jaxfit.examples.demo import run
    model, result, profile = run(output, step)
    click.echo(f"\n{result}\n")
    _echo_poi(model, result)
    click.echo(f"\nfit.json, scan.json, the workspace and figures/ are in {output}:")
    for figure in sorted(output.glob("figures/*.png")):
        click.echo(f"  {figure}")
    return 0 if result.converged and profile.converged else 1


def _prepare(
    workspace: str,
    step: Callable[[str], Any],
    output: Path | None,
    figures: Path | None,
    *,
    measurement: str | None,
    data: str,
    fix: Sequence[str],
    device: str | None,
    cache_dir: str | None,
    no_cache: bool,
    **settings: Any,
) -> tuple[Model, list[float], dict[str, Any]]:
    """Model, data and settings of a fit, everything checked that can be before the fit."""
    if output:
        _require_writable("--output", output, folder=False)
    if figures:
        _require_writable("--figures", figures, folder=True)
    _use_device(device)
    _use_cache("" if no_cache else cache_dir)
    with step("read"):
        spec = workspaces.load(workspace)
    with step("model"):
        model, counts = workspaces.model_and_data(spec, measurement=measurement, asimov=data == "asimov")
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
        if name and text not in names:
            fixed[name] = value
        else:
            fixed[text] = True
    return fixed


def _require_writable(option: str, path: Path, *, folder: bool) -> None:
    """Refuse a path that cannot be written, before there is anything to write."""
    nearest = next(place for place in (path.absolute(), *path.absolute().parents) if place.exists())
    if nearest.is_dir() != (folder or nearest != path.absolute()):
        raise InputError(f"{option} {path}: {nearest} is {'a folder' if nearest.is_dir() else 'not a folder'}")
    if not os.access(nearest, os.W_OK):
        raise InputError(f"{option} {path}: {nearest} is not writable")


def _use_device(device: str | None) -> None:
    if device == "cpu":
        jax.config.update("jax_platforms", "cpu")
    elif device == "gpu":
        try:
            jax.devices("gpu")
        except RuntimeError:
            raise InputError("--device gpu: JAX finds no GPU here") from None


def _use_cache(folder: str | None) -> None:
    """Keep compiled programs in a folder, without one or if it cannot be written nowhere."""
    if folder is None:
        folder = os.environ.get("JAXFIT_CACHE_DIR")
    if folder is None:
        system = "~/Library/Caches" if sys.platform == "darwin" else "~/.cache"
        folder = os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser(system), "jaxfit")
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


def _steps(quiet: bool) -> Callable[[str], Any]:
    """A context manager that says on the standard error how long a step took."""

    @contextmanager
    def step(name: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        if not quiet:
            click.echo(f"{name:<25}{time.perf_counter() - start:7.2f} s", err=True)

    return step


def _quiet_plotting() -> None:
    """Draw without a display and without cabinetry's remarks."""
    os.environ.setdefault("MPLBACKEND", "agg")
    logging.getLogger("cabinetry").setLevel(logging.ERROR)


def _draw(folder: Path, figures: Callable[[ModuleType], Any]) -> None:
    _quiet_plotting()
    from jaxfit import plot  # imports matplotlib and cabinetry, which takes longer than a fit

    for name, reason in plot.save(figures(plot), folder).items():
        click.echo(f"jaxfit: {name} cannot be drawn: {reason}", err=True)


def _save(result: jaxfit.FitResults | jaxfit.ScanResults, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    result.save(path)


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


def _echo_poi(model: Model, result: jaxfit.FitResults) -> None:
    """The parameter of interest by itself, with three digits of its uncertainty."""
    name = model.config.poi_name
    if name is None:
        return
    value, sigma = (float(of[result.labels.index(name)]) for of in (result.bestfit, result.uncertainty))
    digits = min(max(2 - math.floor(math.log10(sigma)), 0), 12) if math.isfinite(sigma) and sigma > 0 else 4
    error = f"+- {sigma:.{digits}f}" if sigma else "(constant)"
    click.secho(f"{name} = {value:.{digits}f} {error}", bold=True)


if __name__ == "__main__":
    main()
