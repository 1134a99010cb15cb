"""jaxfit demo, and that other processes find what it compiled."""

import subprocess
import sys
from pathlib import Path

import pytest
from cli.cases import FIT_FIGURES, SCAN_FIGURES, files

import jaxfit


@pytest.fixture(scope="module")
def demo(tmp_path_factory, process):
    """The folder in which the demo ran, and what became of it."""
    folder = tmp_path_factory.mktemp("demo")
    return folder, process("demo", cwd=folder)


def test_demo(demo):
    folder, done = demo
    assert done.returncode == 0, done.stderr
    assert files(folder / "jaxfit-demo" / "figures") == FIT_FIGURES | SCAN_FIGURES | {
        "data_mc_2_prefit.png",
        "data_mc_2_postfit.png",
    }
    result = jaxfit.load_results(folder / "jaxfit-demo" / "fit.json")
    assert str(result) in done.stdout
    assert "\nttbar_norm = 1.0231 +- 0.0520\n" in done.stdout
    assert "goodness of fit (saturated model): p-value 0.9868" in done.stdout
    assert len(jaxfit.load_results(folder / "jaxfit-demo" / "scan.json").parameter_values) == 41
    steps = [line[:36].rstrip() for line in done.stderr.splitlines()]
    assert steps[1:] == ["histograms and workspace", "model", "fit", "scan of 41 points", "figures"]


def test_a_second_process_compiles_nothing(demo, environment, process):
    folder, _ = demo
    cache = Path(environment["JAXFIT_CACHE_DIR"])
    programs = {path.name for path in cache.glob("*-cache")}
    assert programs
    done = process("fit", "jaxfit-demo/workspace.json", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("ttbar_norm = 1.0231 +- 0.0520\n")
    assert {path.name for path in cache.glob("*-cache")} == programs


def test_a_reader_that_leaves_is_no_error(demo, environment, tmp_path):
    folder, _ = demo
    command = [
        sys.executable,
        "-m",
        "jaxfit.cli",
        "fit",
        str(folder / "jaxfit-demo" / "workspace.json"),
        "--quiet",
        "--output",
        "fit.json",
    ]
    started = subprocess.Popen(command, env=environment, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    started.stdout.close()
    with started.stderr as errors:
        assert errors.read() == b""
    assert started.wait(timeout=240) == 1
    assert jaxfit.load_results(tmp_path / "fit.json").converged
