"""What the tests of the command line share: one small model, and ways to run a command on it."""

import json
from pathlib import Path

from click.testing import CliRunner

import jaxfit
from jaxfit import cli

FIT_FIGURES = {"pulls.png", "correlations.png", "data_mc_1_prefit.png", "data_mc_1_postfit.png"}
SCAN_FIGURES = {"profile_nll.png", "scan.png"}


def specification(channel="SR", **changes):
    """One small model for all tests, so that few programs are compiled; its names are not easy."""
    signal = {"name": "signal", "data": [9.0, 4.0], "modifiers": [{"name": "mu", "type": "normfactor", "data": None}]}
    modifiers = [
        {"name": "xs = 1 [pb]", "type": "normsys", "data": {"lo": 0.9, "hi": 1.15}},
        {"name": "mc", "type": "staterror", "data": [3.0, 2.0]},
    ]
    background = {"name": "background", "data": [50.0, 60.0], "modifiers": modifiers}
    return {
        "channels": [{"name": channel, "samples": [signal, background]}],
        "observations": [{"name": channel, "data": [63.0, 66.0]}],
        "measurements": [{"name": "cross-section", "config": {"poi": "mu", "parameters": []}}],
        "version": "1.0.0",
        **changes,
    }


def measurement(name, **mu):
    """A measurement without parameter of interest, with settings of mu."""
    return {"name": name, "config": {"poi": "", "parameters": [{"name": "mu", **mu}]}}


NO_POI, IMPOSSIBLE = measurement("background only", fixed=True), measurement("impossible", inits=[7.0], bounds=[[0, 5]])


def model_and_data():
    return jaxfit.workspaces.model_and_data(specification())


def write(name, content):
    Path(name).write_text(json.dumps(content), encoding="utf-8")


def run(*arguments, **options):
    done = CliRunner().invoke(cli.main, list(arguments), **options)
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exc_info
    return done


def saved(*arguments, **options):
    """The result that a command saves."""
    done = run(*arguments, "--output", "result.json", **options)
    assert done.exit_code == 0, done.output
    return jaxfit.load_results("result.json")


def files(folder):
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def steps(done):
    """The steps whose times are on the standard error."""
    return [step.split()[0] for step in done.stderr.split(", ")]


def named(result, attribute="bestfit"):
    return dict(zip(result.labels, getattr(result, attribute), strict=True))


def assert_refused(folder, arguments, message):
    before = files(folder)
    done = run(*arguments)
    assert done.exit_code == 2
    assert done.stdout == ""
    assert done.stderr.startswith("jaxfit: error: ")
    assert done.stderr.count("\n") == 1
    assert message in done.stderr
    assert files(folder) == before
    assert not (folder / "figures").exists()
