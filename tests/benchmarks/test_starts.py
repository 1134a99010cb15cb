"""Whole processes: which are started, with which cache, and the clock within one."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import problems, starts


@pytest.fixture
def commands(monkeypatch):
    """The processes that would have been started, with the folder of their cache."""
    started = []

    def output(command, settings):
        started.append((command, settings.get("JAXFIT_CACHE_DIR")))
        if "benchmarks.peers.broken" in command:
            raise ValueError("it fails")
        return json.dumps({"import": 1.0})

    monkeypatch.setattr(starts, "_output", output)
    monkeypatch.setattr("benchmarks.environments.OPTIONAL", {"nextstat": "", "broken": "", "absent": ""})
    monkeypatch.setattr("benchmarks.environments.python_of", lambda name: None if name == "absent" else Path(name))
    return started


def test_fitters_and_caches(commands, capsys):
    rows = starts.measure(["S"], repeats=3)
    assert [(row["fitter"], row["cache"]) for row in rows] == [
        ("jaxfit_newton", "cold"),
        ("jaxfit_newton", "warm"),
        ("cabinetry_minuit", "none"),
        ("nextstat", "none"),
    ]
    assert "broken: no answer: it fails" in capsys.readouterr().err
    fits = [cache for command, cache in commands if "fit" in command]
    cold, warm = fits[:3], fits[3:]
    assert len(set(cold)) == 3
    assert len(warm) == 4  # one fills it
    assert set(warm).isdisjoint(cold)
    assert len(set(warm)) == 1
    assert all(set(row) == {"fitter", "problem", "cache", "seconds", "imports", "parts"} for row in rows)


def test_intervals_within_others_count_once():
    assert starts._length([(0.0, 2.0), (1.0, 1.5), (1.5, 3.0), (5.0, 6.0)]) == 4.0
    assert starts._length([]) == 0.0


@pytest.mark.slow
def test_the_clock_of_a_process_that_compiles(tmp_path):
    file = tmp_path / "S.json"
    file.write_text(json.dumps(problems.spec("S")))
    root = Path(starts.__file__).parents[1]
    parts = json.loads(starts._output([sys.executable, "-m", "benchmarks.starts", str(file)], {"JAXFIT_CACHE_DIR": ""}))
    assert list(parts) == ["import", "read", "validate", "build the model", "lower", "trace", "compile", "solve"]
    assert all(seconds > 0 for name, seconds in parts.items() if name != "validate")
    assert parts["compile"] > parts["solve"]
    with pytest.raises(ValueError, match="ended with 1"):
        starts._output([sys.executable, "-c", "raise SystemExit(1)"], {})
    script = [sys.executable, "-c", starts._CABINETRY, str(file)]
    answer = subprocess.run(script, cwd=root, capture_output=True, text=True, check=True)
    value, uncertainty = (float(number) for number in answer.stdout.split())
    assert uncertainty > 0
    assert abs(value) < 10
