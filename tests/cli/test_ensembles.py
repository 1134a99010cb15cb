"""jaxfit toys."""

import os
import pickle
import re
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import jax
import numpy as np
import pytest
from cli.cases import NO_POI, assert_refused, files, model_and_data, named, run, specification, steps, write

import jaxfit
from jaxfit.cli import ensembles, runs

N = 60  # all ensembles have the size of one compiled program


def toys_of(**changes):
    """An ensemble by hand: the command around it needs no fits."""
    labels = model_and_data()[0].config.par_names
    rng = np.random.default_rng(1)
    content = {
        "labels": labels, "truth": np.ones(4), "bestfit": rng.normal(1.0, 0.5, (N, 4)),
        "uncertainty": np.full((N, 4), 0.5), "best_twice_nll": np.zeros(N), "edm": np.zeros(N),
        "iterations": np.ones(N, dtype=int), "status": np.zeros(N, dtype=int), "poi": "", "poi_values": np.zeros(0),
        "poi_twice_nll": np.zeros((N, 0)), "poi_status": np.zeros((N, 0), dtype=int), "seed": 0, "aux": "sampled",
        "bootstrap": False, "model_digest": "", "versions": {},
    }  # fmt: skip
    return jaxfit.ToyResults(**content | changes)


@pytest.fixture
def given(monkeypatch):
    """What the command asks for."""
    found = {}

    def toys(model, n, **settings):
        found.update(settings, n=n)
        return toys_of()

    monkeypatch.setattr(jaxfit, "toys", toys)
    return found


def test_toys(here):
    options = ["-n", f"{N}", "--seed", "3", "--first", "10", "--at", "mu=2", "--poi-value", "2", "--poi-value", "0"]
    done = run("toys", "ws.json", *options, "--output", "toys.npz", "--figures", "figures")
    assert done.exit_code == 0, done.stderr
    found = jaxfit.load_results("toys.npz")
    model, _ = model_and_data()
    expected = jaxfit.toys(model, N, seed=3, first=10, pars={"mu": 2.0}, poi_values=[2.0, 0.0])
    np.testing.assert_array_equal(found.bestfit, expected.bestfit)
    np.testing.assert_array_equal(found.twice_deltas, expected.twice_deltas)
    *table, held, other, note = done.stdout.rstrip().split("\n")
    order = ["mu", "xs = 1 [pb]", "mc[0]", "mc[1]"]
    assert "\n".join(table) == str(found.summary(order))
    share = 100 * np.mean(found.twice_deltas[:, 0] > 1.0)
    assert held.startswith(f"-2 Delta log(likelihood) at mu = 2, {N} of {N} toys: {share:.2f} % above 1, ")
    assert other.startswith("-2 Delta log(likelihood) at mu = 0, ")
    assert note == "(for toys drawn at that value, asymptotically 31.7 % and 5 %)"
    assert steps(done) == ["read", "model", "toys", "figures"]
    names = {"pulls.png", "pull_poi.png", "poi.png", "statistic_1.png", "statistic_2.png"}
    assert files(here) == {"ws.json", "toys.npz", *(f"figures/{name}" for name in names)}


def test_settings_reach_the_toys(here, given):
    options = ["-n", "7", "--aux", "nominal", "--max-memory", "3", "--fix", "mc[0]=1.1", "--tolerance", "0.1"]
    assert run("toys", "ws.json", *options, "--checkpoint", "kept", "--maxiter", "9", "--quiet").exit_code == 0
    assert given == {
        "n": 7, "seed": 0, "first": 0, "aux": "nominal", "max_memory": 3e6, "fix_pars": {"mc[0]": 1.1},
        "tolerance": 0.1, "maxiter": 9, "checkpoint": Path("kept"), "executor": None, "progress": False, "pars": {},
        "bootstrap": None, "poi_values": (), "poi_name": None,
    }  # fmt: skip
    assert run("toys", "ws.json").exit_code == 0
    assert (given["n"], given["progress"], "max_memory" in run("toys", "ws.json").stdout) == (1000, None, False)


def test_post_fit_toys_are_drawn_at_the_best_fit(here, given):
    model, data = model_and_data()
    assert run("toys", "ws.json", "--post-fit").exit_code == 0
    np.testing.assert_array_equal(given["pars"].bestfit, jaxfit.fit(model, data).bestfit)
    assert run("toys", "ws.json", "--post-fit", "--at", "mu=0", "--fix", "mc[0]").exit_code == 0
    expected = jaxfit.fit(model, data, fix_pars={"mu": 0.0, "mc[0]": True})
    assert named(given["pars"]) == named(expected)
    assert given["fix_pars"] == {"mc[0]": True}  # mu is free in toys


def test_bootstrap_is_around_the_data(here, given):
    model, data = model_and_data()
    assert run("toys", "ws.json", "--bootstrap").exit_code == 0
    assert given["bootstrap"] == data
    np.testing.assert_array_equal(given["pars"].bestfit, jaxfit.fit(model, data).bestfit)


def test_a_fit_that_failed_makes_no_toys(here, given):
    done = run("toys", "ws.json", "--post-fit", "--maxiter", "1")
    assert (done.exit_code, done.stdout, given) == (1, "", {})
    assert done.stderr.startswith("jaxfit: error: NOT_CONVERGED: ")


def test_large_table_leaves_out_bin_wise_parameters(monkeypatch):
    monkeypatch.setattr(ensembles, "LONG", 3)
    table = ensembles._table(model_and_data()[0], "xs = 1 [pb]", toys_of())
    lines = table.split("\n")
    assert [line[:11].strip() for line in lines[2:4]] == ["xs = 1 [pb]", "mu"]
    assert lines[4:] == ["(2 bin-wise parameters are left out)"]


def test_interrupted(here, monkeypatch):
    status = np.where(np.arange(N) < 40, jaxfit.Status.OK, jaxfit.Status.NOT_RUN)
    monkeypatch.setattr(jaxfit, "toys", lambda *_, **__: toys_of(status=status))
    done = run("toys", "ws.json", "--output", "toys.npz", "--quiet")
    assert done.exit_code == 130
    assert len(jaxfit.load_results("toys.npz")) == N
    assert f"{N} toys, 20 left out of what follows: 20 NOT_RUN" in done.stdout
    assert done.stderr == "jaxfit: interrupted, 20 toys are not done: with --checkpoint, a command can go on\n"
    done = run("toys", "ws.json", "--checkpoint", "kept", "--quiet")
    assert done.stderr == "jaxfit: interrupted, 20 toys are not done: the same command goes on from kept\n"


def test_without_parameter_of_interest(here, given):
    write("ws.json", specification(measurements=[NO_POI]))
    assert run("toys", "ws.json").exit_code == 0
    assert_refused(here, ["toys", "ws.json", "--poi-value", "1"], "the measurement has no parameter of interest")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--at", "mu"], "--at 'mu' is not NAME=VALUE"),
        (["--at", "mux=1"], "unknown parameter 'mux' (did you mean 'mu'?"),
        (["--bootstrap", "--at", "mu=1"], "leave --at out"),
        (["--poi", "Mu"], "unknown parameter 'Mu' (did you mean 'mu'?"),
        (["-n", "0"], "Invalid value for '-n'"),
        (["--seed", "-1"], "Invalid value for '--seed'"),
        (["--workers", "0"], "Invalid value for '--workers'"),
        (["--max-memory", "0"], "Invalid value for '--max-memory'"),
        (["--checkpoint", "ws.json/kept"], "'ws.json/kept' cannot be written"),
        (["--solver", "lbfgsb"], "No such option '--solver'"),
    ],
)
def test_refused(here, arguments, message):
    assert_refused(here, ["toys", "ws.json", *arguments, "--output", "new/out.npz"], message)


def test_workers_are_processes_set_up_like_the_command(monkeypatch):
    assert runs.processes(None) is None
    make = runs.processes(2)
    assert make.args == (2,)
    assert make.keywords["mp_context"].get_start_method() == "spawn"
    (settings,) = make.keywords["initargs"]
    assert settings["jax_compilation_cache_dir"] == jax.config.values["jax_compilation_cache_dir"]
    pickle.dumps(make.keywords["initializer"])
    with ThreadPoolExecutor(1) as pool, pytest.raises(ValueError, match="main thread"):
        pool.submit(runs._start_worker, {}).result()  # it begins with the interrupt from the keyboard


# Whole processes


@pytest.mark.slow
def test_processes_and_threads_make_the_same_toys(here, process):
    for workers in ([], ["--workers", "2"]):
        done = process("toys", "ws.json", "-n", "300", "--output", f"{len(workers)}.npz", *workers, cwd=here)
        assert done.returncode == 0, done.stderr
    threads, processes = (jaxfit.load_results(here / name) for name in ("0.npz", "2.npz"))
    np.testing.assert_array_equal(threads.bestfit, processes.bestfit)


@pytest.mark.slow
@pytest.mark.parametrize("workers", [[], ["--workers", "2"]], ids=["threads", "processes"])
def test_an_interrupt_keeps_what_is_done_and_the_command_goes_on(here, environment, workers):
    options = ["-n", "20000", "--max-memory", "0.1", "--checkpoint", "kept", "--output", "toys.npz", *workers]
    command = [sys.executable, "-m", "jaxfit.cli", "toys", "ws.json", *options]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "cwd": here, "env": environment}
    with subprocess.Popen(command, start_new_session=True, **pipes) as first:
        end = time.monotonic() + 120.0
        while not list(here.glob("kept/*.npz")) and time.monotonic() < end:
            time.sleep(0.02)
        os.killpg(first.pid, signal.SIGINT)  # as a terminal does: to all processes of the command
        _, stderr = first.communicate(timeout=120)
    assert first.returncode == 130, stderr
    assert "Traceback" not in stderr
    undone = int(re.search(r"interrupted, (\d+) toys are not done: the same command goes on from kept", stderr)[1])
    partial = jaxfit.load_results(here / "toys.npz")
    assert undone == partial.counts[jaxfit.Status.NOT_RUN] < 20000
    again = subprocess.run(command, timeout=240, capture_output=True, **{"cwd": here, "env": environment})
    assert again.returncode == 0, again.stderr
    done = partial.status != jaxfit.Status.NOT_RUN
    np.testing.assert_array_equal(jaxfit.load_results(here / "toys.npz").bestfit[done], partial.bestfit[done])
