"""``python -m benchmarks.gpu``: the same toys on the CPU and on the GPU, with the agreement, and toys/s of both.

Where JAX finds no GPU it says so, and ends with 0. It ends with 1 if a NLL differs by more than 1e-8.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import jax
import numpy as np

import jaxfit
from benchmarks import problems
from benchmarks.timing import timed

_SIZES = (64, 1024, 16_384)  # toys of a call: the engine takes as many at a time as it has a compiled program for
_COMPARED, _SEED, _TOLERANCE = 1024, 1, 1e-8


def measured(name: str, sizes: tuple[int, ...], path: Path) -> None:
    """Print toys/s on the default device, and save the toys to be compared."""
    model, _ = problems.model_and_data(name)
    where = f"{jax.device_count()} x {jax.devices()[0].device_kind}"
    for n in sizes:
        seconds, toys = timed(lambda n=n: jaxfit.toys(model, n, seed=_SEED, on_failure="ignore"), 3)  # type: ignore[misc]
        failed = n - int(toys.usable().sum())
        print(f"  {name} on {where}: {n:6d} toys {n / seconds:10.0f} toys/s, {failed} not converged", flush=True)
    jaxfit.toys(model, _COMPARED, seed=_SEED, on_failure="ignore").save(path)


def compared(one: jaxfit.ToyResults, other: jaxfit.ToyResults) -> bool:
    """Print how far two ensembles agree, and tell whether they do."""
    difference = 0.5 * np.abs(one.best_twice_nll - other.best_twice_nll)
    deviation = np.abs(one.bestfit - other.bestfit) / np.where(one.uncertainty > 0, one.uncertainty, 1.0)
    wrong = int((~(difference <= _TOLERANCE)).sum())
    print(
        f"  agreement of {len(one)} toys: NLL within {np.nanmax(difference):.1e}, {wrong} beyond {_TOLERANCE:g}, best "
        f"fits within {np.nanmax(deviation):.1e} sigma, {(one.status != other.status).sum()} statuses differ"
    )
    return not wrong


def main() -> int:
    """Parse the command line, and run the CPU's part in a process of its own."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__)
    parser.add_argument("problem", nargs="*", default=["G", "M"], help="S G M L ttbar, or workspace files")
    parser.add_argument("--toys", type=int, nargs="+", default=list(_SIZES), help="numbers of toys")
    parser.add_argument("--save", type=Path, help="only measure the default device, and save toys in this folder")
    arguments = parser.parse_args()
    sizes = tuple(arguments.toys)
    if arguments.save:
        for number, name in enumerate(arguments.problem):
            measured(name, sizes, arguments.save / f"{number}.npz")
        return 0
    if jax.default_backend() == "cpu":
        print(f"JAX {jax.__version__} finds no GPU here, only {jax.devices()[0].device_kind}: nothing to compare")
        return 0
    agree = []
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "benchmarks.gpu", *arguments.problem, "--save", folder, "--toys"]
        subprocess.run([*command, *map(str, sizes)], env={**os.environ, "JAX_PLATFORMS": "cpu"}, check=True)
        for number, name in enumerate(arguments.problem):
            path = Path(folder) / f"{number}.npz"
            reference = jaxfit.load_results(path)
            measured(name, sizes, path)
            agree.append(compared(reference, jaxfit.load_results(path)))  # type: ignore[arg-type]
    return 0 if all(agree) else 1


if __name__ == "__main__":
    sys.exit(main())
