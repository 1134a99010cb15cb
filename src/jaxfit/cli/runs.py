"""How a command runs: it reads a workspace, asks its question, writes the answer and says how it ended."""

from __future__ import annotations

import inspect
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import contextmanager
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import click
import jax
from pyhf import Model

import jaxfit
from jaxfit import workspaces
from jaxfit.cli.options import numbers_of, shared_options, toy_options

__all__ = ["Answer", "processes", "question", "step", "use_cache"]

_OF_WORKERS = (  # settings of JAX
    "jax_platforms",
    "jax_compilation_cache_dir",
    "jax_persistent_cache_min_compile_time_secs",
    "jax_persistent_cache_min_entry_size_bytes",
)


class _Saved(Protocol):
    """What all results have in common."""

    @property
    def converged(self) -> bool: ...

    def save(self, path: Path, /) -> None: ...


class Answer(NamedTuple):
    """What a command found.

    Attributes:
        result: to be saved.
        text: to be printed.
        drawings: what there is to draw, with the module ``jaxfit.plot``.
        undone: how many toys an interrupt from the keyboard left undone.
    """

    result: _Saved
    text: str
    drawings: Callable[[Any], dict[str, Callable[[], Any]]] = lambda plot: {}
    undone: int = 0


def question(
    *own: click.Parameter,
    example: str,
    solver: bool = True,
    figures: bool = True,
    toys: bool = False,
    saved: str = "JSON",
) -> Callable[[Callable[..., Answer]], click.Command]:
    """Make a command of a function of a model, data and settings: its name and its docstring are the command's.

    Args:
        own: arguments and options of this command, keyword arguments of the function.
        example: of a call, for the help.
        solver: whether the function takes ``solver``.
        figures: whether there is something to draw.
        toys: whether the function takes ``seed``, ``checkpoint`` and ``progress``.
        saved: format of the saved result.
    """

    def make(ask: Callable[..., Answer]) -> click.Command:
        name = ask.__name__.replace("_", "-")

        def run(workspace: str, quiet: bool, output: Path | None, figures: Path | None = None, **options: Any) -> int:
            times: list[str] = []
            model, data, settings = _prepare(workspace, times, **options)
            if toys:
                settings["progress"] = False if quiet else None
            with step(name, times):
                answer = ask(model, data, **settings)
            _write(answer, output, figures, times, quiet)
            # printed after everything is written, because a reader of the pipe may leave
            click.echo(answer.text)
            if not quiet:
                click.echo(", ".join(times), err=True)
            if answer.undone:
                click.echo(_interrupted(answer.undone, settings["checkpoint"]), err=True)
                return 130
            return 0 if answer.result.converged else 1

        params = [click.Argument(["workspace"], metavar="WORKSPACE.json"), *own, *(toy_options() if toys else [])]
        params += shared_options(solver=solver, figures=figures, saved=saved)
        text = inspect.cleandoc(ask.__doc__ or "")
        return click.Command(name, callback=run, params=params, help=text, epilog=f"Example: {example}")

    return make


@contextmanager
def step(name: str, times: list[str] | None = None) -> Iterator[None]:
    """Note how long a step took; without a list to note it in, say it at once on the standard error."""
    start = time.perf_counter()
    yield
    elapsed = time.perf_counter() - start
    if times is None:
        click.echo(f"{name:<36}{elapsed:7.2f} s", err=True)
    else:
        times.append(f"{name} {elapsed:.2f} s")


def use_cache(folder: str | None) -> None:
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
    """Model, data and settings of a question."""
    with step("read", times):
        spec = workspaces.load(workspace)
    with step("model", times):
        if data == "asimov":
            model = workspaces.model_of(spec, measurement=measurement)
            counts = jaxfit.asimov(model)
        else:
            model, counts = workspaces.model_and_data(spec, measurement=measurement)
    use_cache("" if no_cache else cache_dir)
    return model, counts, {"fix_pars": numbers_of(fix, model.config.par_names), **settings}


def processes(number: int | None) -> Callable[[], Executor] | None:
    """What makes a pool of processes, each with one thread's work; None without a number."""
    if number is None:
        return None
    settings = {name: jax.config.values[name] for name in _OF_WORKERS}
    return partial(
        ProcessPoolExecutor, number, mp_context=get_context("spawn"), initializer=_start_worker, initargs=(settings,)
    )


def _start_worker(settings: dict[str, Any]) -> None:
    """In a process of a pool: JAX as in the command, which alone minds an interrupt from the keyboard."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for name, value in settings.items():
        jax.config.update(name, value)


def _interrupted(undone: int, checkpoint: Path | None) -> str:
    again = f"the same command goes on from {checkpoint}" if checkpoint else "with --checkpoint, a command can go on"
    return f"jaxfit: interrupted, {undone} toys are not done: {again}"


def _write(answer: Answer, output: Path | None, figures: Path | None, times: list[str], quiet: bool) -> None:
    if output:
        output.parent.mkdir(parents=True, exist_ok=True)
        answer.result.save(output)
    if figures:
        with step("figures", times):
            from jaxfit import plot  # imports matplotlib and cabinetry, which takes longer than a fit

            drawings = answer.drawings(plot)
            failed: dict[str, str] = {}
            hidden = quiet or not sys.stderr.isatty()
            with click.progressbar(drawings.items(), label="figures", file=sys.stderr, hidden=hidden) as progress:
                for name, draw in progress:
                    failed |= plot.save({name: draw}, figures)
        for name, reason in failed.items():
            click.echo(f"jaxfit: {name} cannot be drawn: {reason}", err=True)
