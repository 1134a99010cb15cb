"""How a command runs: what it reads, prints, writes and keeps."""

import json
from pathlib import Path

import jax
import numpy as np
import pytest
from cli.cases import FIT_FIGURES, IMPOSSIBLE, assert_refused, files, model_and_data, run, saved, specification, write

import jaxfit
from jaxfit import cli
from jaxfit.cli import runs

EMPTY_BIN = {"name": "s", "data": [9.0, 0.0], "modifiers": [{"name": "mu", "type": "normfactor", "data": None}]}


def test_quiet_says_nothing_of_times(here):
    done = run("fit", "ws.json", "--quiet", "--figures", "figures")
    assert (done.exit_code, done.stderr) == (0, "")
    assert "mu = " in done.stdout


def test_not_converged_is_exit_code_1_with_the_reason(here):
    done = run("fit", "ws.json", "--maxiter", "1", "--output", "fit.json", "--figures", "figures")
    assert done.exit_code == 1
    assert done.stdout.startswith("NOT_CONVERGED: ")
    assert f"warning: {jaxfit.Status.NOT_CONVERGED.message}" in done.stdout
    assert "Warning" not in done.stdout + done.stderr
    assert jaxfit.load_results("fit.json").status == jaxfit.Status.NOT_CONVERGED


@pytest.mark.parametrize("command", [name for name in cli.main.commands if name not in ("demo", "fit")])
def test_not_converged_is_exit_code_1_of_every_command(here, command):
    parameters = {
        "feldman-cousins": ["mu", "--range", "0", "1", "--steps", "2", "--toys", "1"],
        "hypotest": ["1"],
        "scan2d": ["mu", "mc[0]", "--steps", "4"],
        "toys": ["-n", "1"],
    }.get(command, [])
    done = run(command, "ws.json", *parameters, "--maxiter", "1", "--quiet")
    assert (done.exit_code, done.stderr) == (1, "")
    assert ("1 NOT_CONVERGED" if command == "toys" else "warning: ") in done.stdout


def test_progress_of_figures_on_a_terminal_only(here, monkeypatch):
    assert run("fit", "ws.json", "--figures", "figures").stderr.count("\n") == 1  # the times, nothing else
    monkeypatch.setattr("click.testing._NamedTextIOWrapper.isatty", lambda self: True)
    assert "figures  [" in run("fit", "ws.json", "--figures", "figures").stderr
    assert run("fit", "ws.json", "--figures", "figures", "--quiet").stderr == ""


def test_output_is_the_result(here):
    model, data = model_and_data()
    result, loaded = jaxfit.fit(model, data), saved("fit", "ws.json")
    np.testing.assert_array_equal(loaded.bestfit, result.bestfit)
    np.testing.assert_array_equal(loaded.corr_mat, result.corr_mat)
    assert (loaded.labels, loaded.status) == (result.labels, result.status)


def test_output_and_figures_go_into_new_folders(here):
    options = ["--output", "a/b/fit.json", "--figures", "c/d"]
    assert run("fit", "ws.json", *options).exit_code == 0
    assert files(here) == {"ws.json", "a/b/fit.json", *(f"c/d/{name}" for name in FIT_FIGURES)}


def test_figures_stay_in_their_folder_whatever_the_channel_is_called(here):
    write("evil.json", specification(channel="../../evil"))
    assert run("fit", "evil.json", "--figures", "a/b/figures").exit_code == 0
    assert files(here) == {"ws.json", "evil.json", *(f"a/b/figures/{name}" for name in FIT_FIGURES)}
    assert not list(here.parent.glob("evil*"))


def test_a_figure_that_cannot_be_drawn_does_not_cost_the_fit(here):
    write("maths.json", specification(channel=r"$\nonsense$"))
    done = run("fit", "maths.json", "--figures", "figures", "--quiet")
    assert done.exit_code == 0
    assert "jaxfit: data_mc_1_prefit.png cannot be drawn: " in done.stderr
    assert (here / "figures" / "pulls.png").is_file()


@pytest.mark.parametrize("source", ["-", "ws.json"])
def test_reads_a_file_or_the_standard_input(here, source):
    changed = specification()
    changed["observations"][0]["data"] = [70.0, 66.0]
    expected = changed if source == "-" else specification()
    result = saved("fit", source, input=json.dumps(changed))
    model, data = jaxfit.workspaces.model_and_data(expected)
    np.testing.assert_array_equal(result.bestfit, jaxfit.fit(model, data).bestfit)


# Bad input


def broken(**changes):
    return json.dumps(specification(**changes))


def observed(data):
    return broken(observations=[{"name": "SR", "data": data}])


BAD_WORKSPACES = {
    "not JSON": ('{"channels": [', "ws.json: not JSON: Expecting value (line 1, column 15)"),
    "not a workspace": ('{"channels": []}', "ws.json: not a pyhf workspace: key 'measurements' is missing"),
    "key missing": (broken(measurements=[{"name": "m"}]), "measurements[0] (measurement 'm'): key 'config' is missing"),
    "too many bins": (observed([1.0, 2.0, 3.0]), "observation of channel 'SR': 3 bins in data, expected 2"),
    "negative data": (observed([1.0, -2.0]), "observation of channel 'SR', data[1]: -2.0"),
    "start out of bounds": (
        broken(measurements=[IMPOSSIBLE]),
        "parameter 'mu': start value 7 is outside its bounds [0, 5]",
    ),
    "a key twice": (
        broken()[:-1] + ', "channels": []}',
        "ws.json: not JSON that can be read: key 'channels' is there twice",
    ),
    "a channel twice": (
        broken(channels=2 * specification()["channels"]),
        "channel 'SR' is there twice: rename or remove one",
    ),
    "impossible data": (
        broken(channels=[{"name": "SR", "samples": [EMPTY_BIN]}]),
        "impossible data: channel 'SR' bin 1 has 66 events",
    ),
    "NaN": (observed([1.0, float("nan")]), "observations[0].data[1] (observation 'SR'): expected finite number"),
}


@pytest.mark.parametrize("case", BAD_WORKSPACES)
@pytest.mark.parametrize("command", ["fit", "scan"])
def test_bad_workspace(here, command, case):
    text, message = BAD_WORKSPACES[case]
    Path("ws.json").write_text(text, encoding="utf-8")
    parameter = ["mu"] if command == "scan" else []
    assert_refused(here, [command, "ws.json", *parameter, "--output", "new/out.json", "--figures", "figures"], message)


# The cache of compiled programs


def test_cache_is_in_the_users_cache_folder(tmp_path, monkeypatch):
    monkeypatch.delenv("JAXFIT_CACHE_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    runs.use_cache(None)
    assert jax.config.jax_compilation_cache_dir == str(tmp_path / "xdg" / "jaxfit")
    assert (tmp_path / "xdg" / "jaxfit").is_dir()
    monkeypatch.setenv("JAXFIT_CACHE_DIR", str(tmp_path / "mine"))
    runs.use_cache(None)
    assert jax.config.jax_compilation_cache_dir == str(tmp_path / "mine")
    runs.use_cache(str(tmp_path / "option"))
    assert jax.config.jax_compilation_cache_dir == str(tmp_path / "option")


def test_no_cache(here, monkeypatch):
    monkeypatch.setenv("JAXFIT_CACHE_DIR", "cache")
    assert run("fit", "ws.json", "--no-cache").exit_code == 0
    assert jax.config.jax_compilation_cache_dir is None
    monkeypatch.setenv("JAXFIT_CACHE_DIR", "")
    assert run("fit", "ws.json").exit_code == 0
    assert jax.config.jax_compilation_cache_dir is None
    assert files(here) == {"ws.json"}


def test_a_cache_that_cannot_be_written_does_not_fail_the_fit(here):
    done = run("fit", "ws.json", "--cache-dir", "ws.json/cache", "--quiet")
    assert done.exit_code == 0
    assert done.stderr == "jaxfit: compiled programs are not kept: ws.json/cache: Not a directory\n"
    assert jax.config.jax_compilation_cache_dir is None
