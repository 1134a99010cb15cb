"""All fitters on the same questions, one after another, each in a process of its own; and the gate.

The gate: pyhf's numpy log-density judges the parameters that a fitter returns. It counts as converged if its 2 NLL is
within 1e-4 of the lowest that any fitter reached for the same data with the same parameter held (which must be held),
at every point that was judged. The best known limits are jaxfit's; others converged if theirs are within 1e-2 standard
deviations of the POI, to which 1e-4 of 2 NLL corresponds.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyhf

import jaxfit
from benchmarks import environments, problems
from benchmarks.labels import GATE, OURS
from jaxfit import workspaces
from jaxfit.likelihood import draw, expected_data, prefit_widths, sampler

__all__ = ["BUDGET", "PEERS", "TASKS", "compare"]

TASKS = ("fit", "uncertainties", "scan", "ranking", "limit", "toys")
PEERS = (
    "jaxfit_newton",
    "jaxfit_reference",
    "jaxfit_stock:lbfgsb",
    "jaxfit_stock:bfgs",
    "jaxfit_stock:projected_gradient",
    "jaxfit_stock:scipy",
    "cabinetry_minuit",
    "pyhf_scipy",
    "pyhf_scipy_jax",
    "pyhf_minuit_jax",
    *environments.OPTIONAL,
)
BUDGET = 20.0  # seconds for a task of many fits
_PATIENCE = 6.0  # budgets after which a fitter is stopped
_TOYS, _SEED, _TESTED, _POINTS = 1000, 1, 1.0, 41
_ROOT = Path(__file__).parents[1]

Row = dict[str, Any]


def compare(name: str, peers: Sequence[str] = PEERS, tasks: Sequence[str] = TASKS, budget: float = BUDGET) -> list[Row]:
    """The rows of a record's "comparisons" for one problem.

    Args:
        name: of a problem, or a workspace file.
        peers: fitters; optional ones that are not installed are left out.
        tasks: questions.
        budget: seconds for a question of many fits; a fitter is stopped after six of them, and keeps its answers.
    """
    spec = problems.spec(name)
    model, data = workspaces.model_and_data(spec)
    job = {"workspace": spec, "budget": budget, "tasks": _tasks(model, data, tasks)}
    answers = {}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "job.json"
        file.write_text(json.dumps(job), encoding="utf-8")
        for peer in peers:
            kind = peer.partition(":")[0]
            optional = kind in environments.OPTIONAL
            python = environments.python_of(kind) if optional else Path(sys.executable)
            if python is not None:
                print(f"  {name}: {peer}", file=sys.stderr, flush=True)
                answers[peer] = _ask(python, peer, file, Path(folder) / "answers.json", _PATIENCE * budget)
    return _judged(name, model, np.array(data), job["tasks"], answers)


def _tasks(model: pyhf.Model, data: list[float], tasks: Sequence[str]) -> dict[str, Any]:
    """What is asked, from jaxfit's fit: the same for all."""
    best, index = jaxfit.fit(model, data, on_failure="ignore"), model.config.poi_index
    center, sigma = best.bestfit[index], best.uncertainty[index]
    made: dict[str, Any] = {task: {} for task in tasks}
    if "scan" in made:
        low = max(center - 2 * sigma, model.config.suggested_bounds()[index][0])
        made["scan"] = {"values": np.linspace(low, center + 2 * sigma, _POINTS).tolist()}
    if "ranking" in made:
        prefit, refits = prefit_widths(model), []
        for i, parameter in enumerate(best.labels):
            shifts = [sign * width for width in (prefit[i], best.uncertainty[i]) for sign in (1, -1)]
            refits += [(parameter, best.bestfit[i] + shift) for shift in shifts if i != index and abs(shift) > 0]
        made["ranking"] = {"refits": [refit for refit in refits if np.isfinite(refit[1])]}
    if "limit" in made:
        found = jaxfit.limit(model, data, on_failure="ignore")
        limits = np.append(found.observed_limit, found.expected_limit)
        made["limit"] = {"bracket": [0.9 * limits.min(), 1.1 * limits.max()]}
    if "toys" in made:
        truth = jaxfit.toys(model, 1, seed=_SEED, on_failure="ignore").truth
        expected = expected_data(model, truth)
        drawn = draw(sampler(model, expected, "sampled", expected), _SEED, 0, _TOYS)
        made["toys"] = {"data": drawn.tolist(), "tested": _TESTED}
    return made


def _ask(python: Path, peer: str, job: Path, answers: Path, patience: float) -> Row:
    """A fitter's answers; what it was stopped at has an error."""
    answers.unlink(missing_ok=True)
    command = [str(python), "-m", "benchmarks.peers", peer, str(job), str(answers)]
    error = ""
    try:
        done = subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, timeout=patience)
        error = done.stderr.strip().splitlines()[-1][:200] if done.returncode else ""
    except subprocess.TimeoutExpired:
        error = f"not finished in {patience:.0f} s"
    made = json.loads(answers.read_text(encoding="utf-8")) if answers.exists() else {"settings": "", "tasks": {}}
    return {**made, "error": error}


# -- the gate ----------------------------------------------------------------------------------------------------------


def _judged(
    name: str, model: pyhf.Model, data: np.ndarray, tasks: Mapping[str, Any], answers: Mapping[str, Row]
) -> list[Row]:
    pyhf.set_backend("numpy", precision="64b")
    best = jaxfit.fit(model, data, on_failure="ignore")
    sigma, index = best.uncertainty, int(model.config.poi_index)
    rows = []
    for task, how in tasks.items():
        given = {peer: made["tasks"].get(task) for peer, made in answers.items()}
        points = {peer: np.array(answer["points"]) for peer, answer in given.items() if answer and answer["points"]}
        values = {peer: np.array(answer["values"]) for peer, answer in given.items() if answer and answer["values"]}
        twice = {peer: _twice_nll(model, data, task, how, found) for peer, found in points.items()}
        for peer, answer in given.items():
            row = {"problem": name, "task": task, "peer": peer, "settings": answers[peer]["settings"]}
            row |= {key: (answer or {}).get(key) for key in ("seconds", "first", "made", "parts")}
            row["error"] = answer["error"] if answer else answers[peer]["error"]
            row["gap"], row["pull"] = _gap(peer, points, twice, sigma) if peer in points else (None, None)
            row["deviation"] = _deviation(task, values.get(peer), values.get(OURS), sigma, index)
            limit = GATE if task != "limit" else np.sqrt(GATE)
            measure = row["gap"] if task != "limit" else row["deviation"]
            row["verdict"] = "no answer" if measure is None else "ok" if measure <= limit else "not converged"
            if not row["error"].startswith("NotImplementedError"):
                rows.append(row)
    return rows


def _twice_nll(model: pyhf.Model, data: np.ndarray, task: str, how: Mapping[str, Any], points: np.ndarray) -> Any:
    """pyhf's, for each point; infinite where it does not hold what it should, or is outside of the bounds."""
    names, poi = model.config.par_names, model.config.poi_name
    lower, upper = np.array(model.config.suggested_bounds()).T
    found = np.empty(len(points))
    for i, point in enumerate(points):
        here, held = data, ()
        if task == "scan":
            held = (poi, how["values"][i])
        elif task == "ranking":
            held = how["refits"][i]
        elif task == "toys":
            here, held = np.array(how["data"][i // 2]), (poi, how["tested"]) if i % 2 else ()
        free = np.array([not held or name != held[0] for name in names])
        inside = ((lower - 1e-9 <= point) & (point <= upper + 1e-9))[free].all()
        kept = not held or abs(point[names.index(held[0])] - held[1]) <= 1e-9 * (1.0 + abs(held[1]))
        found[i] = -2.0 * float(model.logpdf(point, here)[0]) if inside and kept else np.inf
    return found


def _gap(peer: str, points: Mapping[str, Any], twice: Mapping[str, Any], sigma: np.ndarray) -> tuple[float, float]:
    """How far a fitter is above the best known, and its parameters from those of the best known, at its worst."""
    gaps, pulls = [], []
    for i, (point, own) in enumerate(zip(points[peer], twice[peer], strict=True)):
        others = {other: values[i] for other, values in twice.items() if len(values) > i}
        first = min(others, key=lambda other: others[other])
        gaps.append(own - others[first])
        pulls.append(np.max(np.abs(point - points[first][i])[sigma > 0] / sigma[sigma > 0], initial=0.0))
    return float(np.max(gaps)), float(np.max(pulls))


def _deviation(task: str, own: Any, ours: Any, sigma: np.ndarray, index: int) -> float | None:
    if own is None or ours is None:
        return None
    if task == "limit":
        return float(np.max(np.abs(own - ours)) / sigma[index])
    free = (ours > 0) & np.isfinite(own)
    return float(np.max(np.abs(own / np.where(free, ours, 1.0) - 1.0)[free], initial=0.0))
