"""The command line: exit codes, one line for every mistake, what is printed and what is written."""

import json
import os
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest
from click.testing import CliRunner

import jaxfit
from jaxfit import cli

COMMAND = [sys.executable, "-m", "jaxfit.cli"]
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


@pytest.fixture(autouse=True)
def no_cache(monkeypatch):
    """Within the process of the tests nothing is kept, and what the command sets globally is set back."""
    names = [name for name in jax.config.values if name.startswith(("jax_compilation_cache", "jax_persistent_cache"))]
    before = {name: jax.config.values[name] for name in names}
    monkeypatch.setenv("JAXFIT_CACHE_DIR", "")
    yield
    for name, value in before.items():
        jax.config.update(name, value)


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write("ws.json", specification())
    return tmp_path


NO_POI, IMPOSSIBLE = measurement("background only", fixed=True), measurement("impossible", inits=[7.0], bounds=[[0, 5]])
EMPTY_BIN = {"name": "s", "data": [9.0, 0.0], "modifiers": [{"name": "mu", "type": "normfactor", "data": None}]}


def write(name, content):
    Path(name).write_text(json.dumps(content), encoding="utf-8")


def run(*arguments, **options):
    done = CliRunner().invoke(cli.main, list(arguments), **options)
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exc_info
    return done


def files(folder):
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


# What is printed and returned


def test_fit_prints_the_table_the_poi_and_the_times(here):
    done = run("fit", "ws.json")
    model, data = jaxfit.workspaces.model_and_data(specification())
    result = jaxfit.fit(model, data)
    assert done.exit_code == 0
    *table, line = done.stdout.rstrip().split("\n")
    assert "\n".join(table) == str(result)
    value, sigma = result.bestfit[model.config.poi_index], result.uncertainty[model.config.poi_index]
    name, found, _, error = line.replace("=", "").split()
    assert (name, float(found), float(error)) == ("mu", pytest.approx(value, abs=1e-2), pytest.approx(sigma, abs=1e-2))
    assert len(error.lstrip("0.").replace(".", "")) == 3
    assert [step.split()[0] for step in done.stderr.split(", ")] == ["read", "model", "fit"]
    assert done.stderr.count("\n") == 1


def test_quiet_says_nothing_of_times(here):
    done = run("fit", "ws.json", "--quiet", "--figures", "figures")
    assert (done.exit_code, done.stderr) == (0, "")
    assert "mu = " in done.stdout


def test_large_table_leaves_out_bin_wise_parameters_but_those_on_a_bound(monkeypatch):
    model, data = jaxfit.workspaces.model_and_data(specification())
    result = jaxfit.fit(model, data)
    monkeypatch.setattr(cli, "_LONG", 3)
    object.__setattr__(result, "at_bound", ("mc[1]",))
    table = cli._table(model, result)
    assert [line.partition(" = ")[0].split("=")[0].strip() for line in table.splitlines()[1:-1]] == [
        "mu",
        "xs",
        "mc[1]",
    ]
    assert table.endswith("(1 bin-wise parameters are left out, --output has them)")


def test_scan_prints_all_points(here):
    done = run("scan", "ws.json", "mu", "--steps", "5", "--range", "0.5", "2.5", "--output", "scan.json")
    assert done.exit_code == 0
    scan = jaxfit.load_results("scan.json")
    assert done.stdout == f"{scan}\n"
    assert list(scan.parameter_values) == [0.5, 1.0, 1.5, 2.0, 2.5]
    assert [step.split()[0] for step in done.stderr.split(", ")] == ["read", "model", "scan"]


def test_scan_takes_the_poi_and_41_points_by_default(here):
    assert run("scan", "ws.json", "--output", "scan.json").exit_code == 0
    scan = jaxfit.load_results("scan.json")
    assert (scan.name, len(scan.parameter_values)) == ("mu", 41)


def test_not_converged_is_exit_code_1_with_the_reason(here):
    done = run("fit", "ws.json", "--maxiter", "1", "--output", "fit.json", "--figures", "figures")
    assert done.exit_code == 1
    assert done.stdout.startswith("NOT_CONVERGED: ")
    assert f"warning: {jaxfit.Status.NOT_CONVERGED.message}" in done.stdout
    assert "Warning" not in done.stdout + done.stderr
    assert jaxfit.load_results("fit.json").status == jaxfit.Status.NOT_CONVERGED


def test_not_converged_scan_is_exit_code_1(here, monkeypatch):
    status = (jaxfit.Status.OK, jaxfit.Status.STALLED)
    scan = jaxfit.ScanResults("mu", 1.0, 0.5, np.array([0.5, 1.0]), np.array([1.0, 0.0]), status)
    monkeypatch.setattr(jaxfit, "scan", lambda *_, **__: scan)
    done = run("scan", "ws.json")
    assert done.exit_code == 1
    assert done.stdout == f"{scan}\n"
    assert "STALLED" in done.stdout


# What the options mean


def saved(*arguments, **options):
    """The result that a command saves."""
    done = run(*arguments, "--output", "result.json", **options)
    assert done.exit_code == 0, done.output
    return jaxfit.load_results("result.json")


def test_output_is_the_result(here):
    model, data = jaxfit.workspaces.model_and_data(specification())
    result, loaded = jaxfit.fit(model, data), saved("fit", "ws.json")
    np.testing.assert_array_equal(loaded.bestfit, result.bestfit)
    np.testing.assert_array_equal(loaded.corr_mat, result.corr_mat)
    assert (loaded.labels, loaded.status) == (result.labels, result.status)


def test_output_and_figures_go_into_new_folders(here):
    options = ["--output", "a/b/fit.json", "--figures", "c/d"]
    assert run("fit", "ws.json", *options).exit_code == 0
    assert files(here) == {"ws.json", "a/b/fit.json", *(f"c/d/{name}" for name in FIT_FIGURES)}


def test_scan_figures(here):
    assert run("scan", "ws.json", "--figures", "figures").exit_code == 0
    assert files(here) == {"ws.json", *(f"figures/{name}" for name in SCAN_FIGURES)}


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


def test_asimov_data(here):
    result = saved("fit", "ws.json", "--data", "asimov")
    np.testing.assert_allclose(dict(zip(result.labels, result.bestfit, strict=True))["mu"], 1.0, atol=1e-6)


def test_measurement(here):
    write("ws.json", specification(measurements=[*specification()["measurements"], NO_POI]))
    assert dict_of(saved("fit", "ws.json", "--measurement", "background only"), "uncertainty")["mu"] == 0.0
    assert dict_of(saved("fit", "ws.json"), "uncertainty")["mu"] > 0.0


def dict_of(result, attribute="bestfit"):
    return dict(zip(result.labels, getattr(result, attribute), strict=True))


@pytest.mark.parametrize(
    ("texts", "fixed"),
    [
        (["mu"], {"mu": 1.0}),
        (["mu=0.5"], {"mu": 0.5}),
        (["mu=-1e-1"], {"mu": -0.1}),
        (["mc[0]=1.02", "mu=2"], {"mc[0]": 1.02, "mu": 2.0}),
        (["xs = 1 [pb]"], {"xs = 1 [pb]": 0.0}),
        (["xs = 1 [pb]=0.3"], {"xs = 1 [pb]": 0.3}),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_fix(here, texts, fixed):
    result = saved("fit", "ws.json", *(argument for text in texts for argument in ("--fix", text)))
    values, uncertainties = dict_of(result), dict_of(result, "uncertainty")
    assert {name: values[name] for name in fixed} == fixed
    assert {name for name, sigma in uncertainties.items() if sigma == 0.0} == set(fixed)


def test_a_name_that_ends_like_a_value_is_a_name():
    assert cli._fixed(["a=1", "a=2"], ["a", "a=1"]) == {"a=1": True, "a": 2.0}


def test_settings_reach_the_fit(here, monkeypatch):
    given = {}
    monkeypatch.setattr(jaxfit, "fit", lambda model, data, **settings: given.update(settings) or real(model, data))
    assert run("fit", "ws.json", "--solver", "lbfgsb", "--tolerance", "0.1", "--maxiter", "7").exit_code == 0
    assert given == {"solver": "lbfgsb", "tolerance": 0.1, "maxiter": 7, "fix_pars": {}}


real = jaxfit.fit


def test_on_the_cpu(here):
    assert run("fit", "ws.json", "--device", "cpu").exit_code == 0


def test_no_arguments_show_the_help():
    done = run()
    assert done.exit_code == 0
    assert all(command in done.stdout for command in ("demo", "fit", "scan"))


@pytest.mark.parametrize("command", ["demo", "fit", "scan"])
def test_help_has_an_example(command):
    done = run(command, "--help")
    assert done.exit_code == 0
    assert f"Example: jaxfit {command}" in done.stdout


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
BAD_ARGUMENTS = {
    "no file": (["fit", "absent.json"], "absent.json: cannot be read: No such file"),
    "a folder": (["fit", "."], ".: cannot be read: "),
    "unknown measurement": (["fit", "ws.json", "--measurement", "x-section"], "did you mean 'cross-section'?"),
    "unknown parameter": (["fit", "ws.json", "--fix", "xs = 2 [pb]=1"], "'xs = 2 [pb]' (did you mean 'xs = 1 [pb]'?"),
    "unknown parameter, no value": (["fit", "ws.json", "--fix", "Mu"], "'Mu' (did you mean 'mu'?"),
    "no number": (["fit", "ws.json", "--fix", "mu=one"], "unknown parameter 'mu=one' ("),
    "not finite": (["fit", "ws.json", "--fix", "mu=nan"], "'mu' is nan, expected a finite number"),
    "unknown scan parameter": (["scan", "ws.json", "mux"], "unknown parameter 'mux' (did you mean 'mu'?"),
    "scan range": (["scan", "ws.json", "mu", "--range", "0", "nan"], "must be finite numbers"),
    "no such option": (["fit", "ws.json", "--fx", "mu"], "No such option '--fx'"),
    "no such command": (["ft", "ws.json"], "No such command 'ft'"),
    "no workspace": (["fit"], "Missing argument 'WORKSPACE.json'"),
    "no iterations": (["fit", "ws.json", "--maxiter", "0"], "Invalid value for '--maxiter'"),
    "no such solver": (["fit", "ws.json", "--solver", "simplex"], "'simplex' is not one of 'newton'"),
    "output is a folder": (["fit", "ws.json", "--output", "folder"], "'folder' is a directory"),
    "output below a file": (["fit", "ws.json", "--output", "ws.json/fit.json"], "'ws.json/fit.json' cannot be written"),
    "figures are a file": (["fit", "ws.json", "--figures", "ws.json"], "'ws.json' is a file"),
    "demo into a file": (["demo", "--output", "ws.json"], "'ws.json' is a file"),
}


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


@pytest.mark.parametrize("case", BAD_WORKSPACES)
@pytest.mark.parametrize("command", ["fit", "scan"])
def test_bad_workspace(here, command, case):
    text, message = BAD_WORKSPACES[case]
    Path("ws.json").write_text(text, encoding="utf-8")
    parameter = ["mu"] if command == "scan" else []
    assert_refused(here, [command, "ws.json", *parameter, "--output", "new/out.json", "--figures", "figures"], message)


def test_scan_without_parameter_of_interest(here):
    write("ws.json", specification(measurements=[NO_POI]))
    assert_refused(here, ["scan", "ws.json"], "no parameter of interest: name the parameter to scan")


@pytest.mark.parametrize("case", BAD_ARGUMENTS)
def test_bad_arguments(here, case):
    Path("folder").mkdir()
    arguments, message = BAD_ARGUMENTS[case]
    extra = [] if arguments[0] == "demo" else ["--figures", "figures", "--output", "new/out.json"]
    given = [argument for argument in extra if not set(arguments) & {"--figures", "--output"}]
    assert_refused(here, [*arguments, *given], message)


def test_a_device_that_is_not_there(here, monkeypatch):
    def devices(kind):
        raise RuntimeError(f"unknown backend {kind}")

    monkeypatch.setattr(jax, "devices", devices)
    assert_refused(here, ["fit", "ws.json", "--device", "gpu"], "JAX finds no GPU here")


def test_a_failure_to_write_is_one_line(here, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device", "fit.json")

    monkeypatch.setattr(jaxfit.FitResults, "save", full)
    done = run("fit", "ws.json", "--output", "fit.json")
    assert (done.exit_code, done.stderr) == (2, "jaxfit: error: fit.json: No space left on device\n")


def test_interrupt_ends_quietly(here, monkeypatch):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(jaxfit, "fit", interrupt)
    done = run("fit", "ws.json")
    assert (done.exit_code, done.stdout, done.stderr.strip()) == (130, "", "")


# The cache of compiled programs


def test_cache_is_in_the_users_cache_folder(tmp_path, monkeypatch):
    monkeypatch.delenv("JAXFIT_CACHE_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    cli._use_cache(None)
    assert jax.config.jax_compilation_cache_dir == str(tmp_path / "xdg" / "jaxfit")
    assert (tmp_path / "xdg" / "jaxfit").is_dir()
    monkeypatch.setenv("JAXFIT_CACHE_DIR", str(tmp_path / "mine"))
    cli._use_cache(None)
    assert jax.config.jax_compilation_cache_dir == str(tmp_path / "mine")
    cli._use_cache(str(tmp_path / "option"))
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


# Whole processes


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    source = Path(jaxfit.__file__).parents[1]
    path = os.pathsep.join([str(source), *filter(None, [os.environ.get("PYTHONPATH")])])
    return {**os.environ, "PYTHONPATH": path, "JAXFIT_CACHE_DIR": str(tmp_path_factory.mktemp("cache"))}


def process(*arguments, environment, **options):
    return subprocess.run(
        [*COMMAND, *arguments], env=environment, capture_output=True, text=True, timeout=240, **options
    )


@pytest.fixture(scope="module")
def demo(tmp_path_factory, environment):
    """The folder in which the demo ran, and what became of it."""
    folder = tmp_path_factory.mktemp("demo")
    return folder, process("demo", environment=environment, cwd=folder)


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


def test_a_second_process_compiles_nothing(demo, environment):
    folder, _ = demo
    cache = Path(environment["JAXFIT_CACHE_DIR"])
    programs = {path.name for path in cache.glob("*-cache")}
    assert programs
    done = process("fit", "jaxfit-demo/workspace.json", environment=environment, cwd=folder)
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("ttbar_norm = 1.0231 +- 0.0520\n")
    assert {path.name for path in cache.glob("*-cache")} == programs


def test_bad_input_of_a_process(here, environment):
    done = process("fit", "absent.json", environment=environment, cwd=here)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "jaxfit: error: absent.json: cannot be read: No such file or directory\n"


def test_a_reader_that_leaves_is_no_error(demo, environment, tmp_path):
    folder, _ = demo
    command = [*COMMAND, "fit", str(folder / "jaxfit-demo" / "workspace.json"), "--quiet", "--output", "fit.json"]
    started = subprocess.Popen(command, env=environment, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    started.stdout.close()
    with started.stderr as errors:
        assert errors.read() == b""
    assert started.wait(timeout=240) == 1
    assert jaxfit.load_results(tmp_path / "fit.json").converged
