"""Whole processes, from a workspace file to the fit with its uncertainties: what a command line costs.

jaxfit is its own command, with an empty and with a filled cache of compiled programs; cabinetry a short script; other
fitters ``python -m benchmarks.peers.NAME FILE`` in their own environments. Beside them stands a process that only
imports pyhf, cabinetry and jax.

    python -m benchmarks.starts             # prints the rows
"""

from __future__ import annotations

import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

__all__ = ["measure"]

_ROOT = Path(__file__).parents[1]
_REPEATS = 5
_PATIENCE = 300.0  # seconds after which a process is stopped
_JAXFIT = "import sys; from jaxfit.cli import main; sys.exit(main())"
_IMPORTS = "import pyhf, cabinetry, jax"
_CABINETRY = """
import json, sys, cabinetry, pyhf
model, data = cabinetry.model_utils.model_and_data(json.load(open(sys.argv[1])))
result = cabinetry.fit.fit(model, data)
print(result.bestfit[model.config.poi_index], result.uncertainty[model.config.poi_index])
"""
_EVENTS = {  # of JAX's own clock; one may lie within another
    "trace": ("/jax/core/compile/jaxpr_trace_duration", "/jax/core/compile/jaxpr_to_mlir_module_duration"),
    "compile": ("/jax/core/compile/backend_compile_duration",),
}


def measure(names: Sequence[str] = ("ttbar",), repeats: int = _REPEATS) -> list[dict[str, Any]]:
    """The rows of a record's "starts": median seconds of processes, and the parts of jaxfit's.

    Args:
        names: of problems, or workspace files.
        repeats: processes of a kind.
    """
    from benchmarks import problems  # imports jaxfit, which clock() does not expect

    imports = _median([sys.executable, "-c", _IMPORTS], {}, repeats)
    rows = []
    for name in names:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "workspace.json"
            file.write_text(json.dumps(problems.spec(name)), encoding="utf-8")
            for row in (*_ours(file, Path(folder), repeats), *_others(file, repeats)):
                rows.append({"problem": name, "imports": imports} | row)
    return rows


def _ours(file: Path, folder: Path, repeats: int) -> list[dict[str, Any]]:
    command = [sys.executable, "-c", _JAXFIT, "fit", str(file), "--quiet"]
    rows = []
    for cache in ("cold", "warm"):
        caches = [str(folder / (f"cold-{i}" if cache == "cold" else "warm")) for i in range(repeats + 1)]
        if cache == "warm":
            _seconds(command, {"JAXFIT_CACHE_DIR": caches[0]})
        seconds = statistics.median([_seconds(command, {"JAXFIT_CACHE_DIR": place}) for place in caches[1:]])
        last = {"JAXFIT_CACHE_DIR": caches[0]}
        parts = json.loads(_output([sys.executable, "-m", "benchmarks.starts", str(file)], last).splitlines()[-1])
        rows.append({"fitter": "jaxfit_newton", "cache": cache, "seconds": seconds, "parts": parts})
    return rows


def _others(file: Path, repeats: int) -> list[dict[str, Any]]:
    from benchmarks import environments

    commands = {"cabinetry_minuit": [sys.executable, "-c", _CABINETRY, str(file)]}
    for name in environments.OPTIONAL:
        python = environments.python_of(name)
        if python is not None:
            commands[name] = [str(python), "-m", f"benchmarks.peers.{name}", str(file)]
    rows = []
    for name, command in commands.items():
        try:
            seconds = _median(command, {}, repeats)
        except (subprocess.SubprocessError, ValueError) as error:
            print(f"{name}: no answer: {error}", file=sys.stderr)
        else:
            rows.append({"fitter": name, "cache": "none", "seconds": seconds, "parts": {}})
    return rows


def _median(command: Sequence[str], settings: Mapping[str, str], repeats: int) -> float:
    return statistics.median([_seconds(command, settings) for _ in range(repeats)])


def _seconds(command: Sequence[str], settings: Mapping[str, str]) -> float:
    start = time.perf_counter()
    _output(command, settings)
    return time.perf_counter() - start


def _output(command: Sequence[str], settings: Mapping[str, str]) -> str:
    done = subprocess.run(
        command, cwd=_ROOT, env={**os.environ, **settings}, capture_output=True, text=True, timeout=_PATIENCE
    )
    if done.returncode:
        raise ValueError(f"{' '.join(command[:4])} ended with {done.returncode}: {done.stderr[-300:]}")
    return done.stdout


def clock(file: str) -> dict[str, float]:
    """Seconds of the steps of a fit of a file in this process, which must not have imported jaxfit before."""
    times: dict[str, float] = {}
    last = time.perf_counter()

    def done(name: str) -> None:
        nonlocal last
        times[name], last = time.perf_counter() - last, time.perf_counter()

    import jax

    import jaxfit
    from jaxfit import workspaces
    from jaxfit.cli import runs
    from jaxfit.likelihood import likelihood_of

    done("import")
    json.loads(Path(file).read_text(encoding="utf-8"))
    done("read")
    spec = workspaces.load(file)
    done("validate")
    times["validate"] -= times["read"]  # which it does, too
    model, data = workspaces.model_and_data(spec)
    done("build the model")
    runs.use_cache(None)
    likelihood_of(model)
    done("lower")
    spans: dict[str, list[tuple[float, float]]] = {name: [] for name in _EVENTS}

    def event(key: str, duration: float, **_: Any) -> None:
        now = time.perf_counter()
        for name, keys in _EVENTS.items():
            if key in keys:
                spans[name].append((now - duration, now))

    jax.monitoring.register_event_duration_secs_listener(event)
    jaxfit.fit(model, data)
    done("solve")
    for name, found in spans.items():
        times[name] = _length(found)
        times["solve"] -= times[name]
    times["solve"] = times.pop("solve")  # the last step
    return times


def _length(spans: list[tuple[float, float]]) -> float:
    """Of the union of intervals."""
    total, end = 0.0, -math.inf
    for first, last in sorted(spans):
        total += max(last - max(first, end), 0.0)
        end = max(end, last)
    return total


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(json.dumps(clock(sys.argv[1])))
    else:
        for made in measure():
            print(json.dumps(made))
