"""Time and memory of warm calls against the size of a problem, and the exponents of the time.

Every model is measured in a process of its own. Its memory is what the process holds at most above what it held with
pyhf's model built: lowering, compiling and the calls themselves, which grow up to the size in question.

    python -m benchmarks.scaling            # prints the rows; --quick for smaller sizes
"""

from __future__ import annotations

import json
import math
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["exponent", "measure", "upper_half"]

_ROOT = Path(__file__).parents[1]
_SYSTEMATICS, _BINS = 40, 1000  # what stays when the other grows
_FEW_BINS = 50  # for MINUIT, which has a parameter a bin
_FIT = "fit with uncertainties"
_LONGEST = 20.0  # seconds that MINUIT may take
_PATIENCE = 900.0  # seconds after which a process is stopped
_SHORT, _REPEATS = 1.0, 7  # seconds after which no further call is made, and most calls


def measure(quick: bool = False) -> list[dict[str, Any]]:
    """The rows of a record's "scaling".

    Args:
        quick: leave out the largest sizes, which take most of the time.
    """
    end = -2 if quick else None
    systematics, bins = (10, 30, 100, 200, 500, 1000)[:end], (10, 50, 200, 1000, 3000, 10_000)[:end]
    toys, points = (1, 10, 100, 1000, 10_000, 100_000)[:end], (1, 3, 10, 30, 100, 1000)[:end]
    rows = []
    for fitter in ("jaxfit_newton", "cabinetry_minuit"):
        for size, sizes in ((_BINS, systematics if fitter == "jaxfit_newton" else ()), (_FEW_BINS, systematics[:3])):
            found = _grown(fitter, ([n, size] for n in sizes))
            rows.append(_row("nuisance parameters", f"{_FIT}, {size} bins", fitter, sizes, found))
        found = _grown(fitter, ([_SYSTEMATICS, n] for n in bins))
        rows.append(_row("bins", f"{_FIT}, {_SYSTEMATICS} nuisance parameters", fitter, bins, found))
    for what, task, sizes, names in (("toys", "toys", toys, "SG"), ("scan points", "scan", points, "SGM")):
        for name in names:
            found = _measured({"problem": name, "task": task, "fitter": "jaxfit_newton", "sizes": sizes})
            rows.append(_row(what, f"{task} of {name}", "jaxfit_newton", sizes, found))
    return [row for row in rows if row["sizes"]]


def exponent(sizes: Sequence[float], seconds: Sequence[float]) -> float | None:
    """The slope of log(time) against log(size); None below 2 sizes."""
    return float(np.polyfit(np.log(sizes), np.log(seconds), 1)[0]) if len(sizes) > 1 else None


def upper_half(sizes: Sequence[float]) -> slice:
    """Where log(size) is in the upper half of its range, at least the last two."""
    logs = np.log(sizes)
    return slice(min(int((logs < (logs[0] + logs[-1]) / 2 - 1e-9).sum()), max(len(logs) - 2, 0)), None)


def _row(what: str, task: str, fitter: str, sizes: Sequence[int], found: Sequence[Sequence[float]]) -> dict[str, Any]:
    """Of the sizes that were reached; "exponent" is that of their upper half."""
    reached = list(sizes[: len(found)])
    seconds, memory = [row[0] for row in found], [row[1] for row in found]
    row = {"what": what, "task": task, "fitter": fitter, "sizes": reached, "seconds": seconds, "memory_mib": memory}
    upper = upper_half(reached) if reached else slice(0)
    exponents = {"exponent": exponent(reached[upper], seconds[upper]), "exponent_of_all": exponent(reached, seconds)}
    return row | exponents


def _grown(fitter: str, problems: Iterable[list[int]]) -> list[list[float]]:
    """Larger and larger models until one is too large for the fitter."""
    rows: list[list[float]] = []
    for problem in problems:
        found = _measured({"problem": problem, "task": "fit", "fitter": fitter, "sizes": [1]})
        if not found:
            break
        rows += found
    return rows


def _measured(job: dict[str, Any]) -> list[list[float]]:
    """Seconds and MiB for every size of a job, from a process of its own; nothing if it takes too long or fails."""
    command = [sys.executable, "-m", "benchmarks.scaling", json.dumps(job)]
    try:
        done = subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, timeout=_PATIENCE)
    except subprocess.TimeoutExpired:
        return []
    if done.returncode:
        print(f"{job['task']} of {job['problem']} with {job['fitter']}: {done.stderr[-500:]}", file=sys.stderr)
        return []
    return list(json.loads(done.stdout.splitlines()[-1]))


# -- within the process of a job --------------------------------------------------------------------------------------


def answer(job: dict[str, Any]) -> list[list[float]]:
    """Do a job here: a list of [seconds, MiB], empty if it would take too long."""
    import cabinetry  # noqa: F401  # before the memory is taken
    import pyhf

    from benchmarks import problems
    from jaxfit import workspaces

    problem = job["problem"]
    if isinstance(problem, str):
        model, data = problems.model_and_data(problem)
    else:
        model, data = workspaces.model_and_data(problems.sized(systematics=problem[0], bins=problem[1]))
    before, rows = _forget_peak(), []
    if job["fitter"] == "cabinetry_minuit":
        pyhf.set_backend("numpy", precision="64b")
        call = _minuit(model, data)
        if call is None:
            return []
    else:
        call = _jaxfit(model, data, job["task"])
    for size in job["sizes"]:
        seconds = _warm(lambda size=size: call(size), first=job["fitter"] == "jaxfit_newton")  # type: ignore[misc]
        rows.append([seconds, round(_memory("VmHWM") - before, 1)])
    return rows


def _jaxfit(model: Any, data: list[float], task: str) -> Callable[[int], Any]:
    import jaxfit

    if task == "toys":
        return lambda n: jaxfit.toys(model, n, seed=1, on_failure="ignore")
    if task == "scan":
        name = model.config.poi_name
        best = jaxfit.fit(model, data)
        center, width = (float(of[model.config.poi_index]) for of in (best.bestfit, best.uncertainty))
        edges = center - 2 * width, center + 2 * width
        return lambda n: jaxfit.scan(model, data, name, par_range=edges, n_steps=n, on_failure="ignore")
    return lambda n: jaxfit.fit(model, data)


def _minuit(model: Any, data: list[float]) -> Callable[[int], Any] | None:
    """cabinetry's fit; None if the differences of HESSE alone would take too long."""
    import cabinetry

    parameters = np.array(model.config.suggested_init())
    one = _warm(lambda: model.logpdf(parameters, data))
    if one * len(parameters) ** 2 / 2 > _LONGEST:
        return None
    return lambda n: cabinetry.fit.fit(model, data)


def _warm(function: Callable[[], Any], first: bool = True) -> float:
    """Median seconds of a call; after a first one, which may compile."""
    times: list[float] = []
    if first:
        function()
    while not times or (sum(times) < _SHORT and len(times) < _REPEATS):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return float(np.median(times))


def _forget_peak() -> float:
    """MiB of this process now, from where on "VmHWM" counts again."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    return _memory("VmRSS")


def _memory(key: str) -> float:
    """MiB of this process: resident now ("VmRSS") or at most ("VmHWM"); NaN where the system does not say."""
    try:
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    except OSError:
        return math.nan
    return float(next(line.split()[1] for line in lines if line.startswith(key))) / 1024


if __name__ == "__main__":
    if sys.argv[1:] in ([], ["--quick"]):
        for made in measure(quick=len(sys.argv) > 1):
            print(json.dumps(made))
    else:
        print(json.dumps(answer(json.loads(sys.argv[1]))))
