"""jaxfit scan, jaxfit scan2d, jaxfit intervals and jaxfit feldman-cousins."""

from pathlib import Path

import numpy as np
import pytest
from cli.cases import (
    NO_POI,
    SCAN_FIGURES,
    assert_refused,
    files,
    model_and_data,
    named,
    run,
    saved,
    specification,
    steps,
    write,
)
from plot.cases import belt_result

import jaxfit
from jaxfit.regions import ONE_SIGMA


def test_scan_prints_all_points(here):
    done = run("scan", "ws.json", "mu", "--steps", "5", "--range", "0.5", "2.5", "--output", "scan.json")
    assert done.exit_code == 0
    scan = jaxfit.load_results("scan.json")
    assert done.stdout == f"{scan}\n"
    assert list(scan.parameter_values) == [0.5, 1.0, 1.5, 2.0, 2.5]
    assert steps(done) == ["read", "model", "scan"]


def test_scan_takes_the_poi_and_41_points_by_default(here):
    assert run("scan", "ws.json", "--output", "scan.json").exit_code == 0
    scan = jaxfit.load_results("scan.json")
    assert (scan.name, len(scan.parameter_values)) == ("mu", 41)


def test_not_converged_scan_is_exit_code_1(here, monkeypatch):
    status = (jaxfit.Status.OK, jaxfit.Status.STALLED)
    scan = jaxfit.ScanResults("mu", 1.0, 0.5, np.array([0.5, 1.0]), np.array([1.0, 0.0]), status)
    monkeypatch.setattr(jaxfit, "scan", lambda *_, **__: scan)
    done = run("scan", "ws.json")
    assert done.exit_code == 1
    assert done.stdout == f"{scan}\n"
    assert "STALLED" in done.stdout


def test_scan_figures(here):
    assert run("scan", "ws.json", "--figures", "figures").exit_code == 0
    assert files(here) == {"ws.json", *(f"figures/{name}" for name in SCAN_FIGURES)}


def test_scan_without_parameter_of_interest(here):
    write("ws.json", specification(measurements=[NO_POI]))
    assert_refused(here, ["scan", "ws.json"], "no parameter of interest: name the parameter to scan")


def test_scan2d(here):
    options = ["--x-range", "0", "3", "--steps", "5", "--confidence-level", "0.5", "--confidence-level", "0.9"]
    done = run("scan2d", "ws.json", "mu", "xs = 1 [pb]", *options, "--output", "scan.json", "--figures", "figures")
    assert done.exit_code == 0
    scan = jaxfit.load_results("scan.json")
    assert done.stdout == f"{scan}\n"
    assert (scan.names, scan.confidence_levels) == (("mu", "xs = 1 [pb]"), (0.5, 0.9))
    assert list(scan.parameter_values[0]) == [0.0, 0.75, 1.5, 2.25, 3.0]
    model, data = model_and_data()
    best = named(jaxfit.fit(model, data)), named(jaxfit.fit(model, data), "uncertainty")
    center, sigma = (of["xs = 1 [pb]"] for of in best)
    np.testing.assert_allclose(scan.parameter_values[1], np.linspace(center - 3 * sigma, center + 3 * sigma, 5))
    assert steps(done) == ["read", "model", "scan2d", "figures"]
    assert files(here) == {"ws.json", "scan.json", "figures/contours.png"}


def test_scan2d_has_cabinetrys_levels_by_default(here):
    assert saved("scan2d", "ws.json", "mu", "mc[0]", "--steps", "2").confidence_levels == (ONE_SIGMA, 0.95)


def test_intervals(here):
    options = ["--confidence-level", "0.9", "--output", "intervals.json", "--figures", "figures"]
    done = run("intervals", "ws.json", "mu", "mc[1]", *options)
    assert done.exit_code == 0
    found = jaxfit.load_results("intervals.json")
    assert done.stdout == f"{found}\n"
    model, data = model_and_data()
    expected = jaxfit.intervals(model, data, ["mu", "mc[1]"], confidence_level=0.9)
    assert (found.labels, found.confidence_level) == (["mu", "mc[1]"], 0.9)
    assert found.minos_uncertainty == expected.minos_uncertainty
    assert files(here) == {"ws.json", "intervals.json", "figures/intervals.png"}


def test_intervals_of_all_parameters_by_default(here):
    found = saved("intervals", "ws.json")
    assert found.labels == model_and_data()[0].config.par_names
    assert found.confidence_level == ONE_SIGMA


def test_feldman_cousins(here):
    options = ["--range", "0", "4", "--steps", "3", "--confidence-level", "0.9", "--toys", "50", "--seed", "2"]
    done = run("feldman-cousins", "ws.json", "mu", *options, "--output", "found.json", "--figures", "figures")
    assert done.exit_code == 0
    found = jaxfit.load_results("found.json")
    assert done.stdout == f"{found}\n"
    model, data = model_and_data()
    grid = [0.0, 2.0, 4.0]
    expected = jaxfit.feldman_cousins(model, data, "mu", grid, confidence_level=0.9, ntoys=50, seed=2)
    np.testing.assert_array_equal(found.p_values, expected.p_values)
    assert found.intervals == expected.intervals
    assert steps(done) == ["read", "model", "feldman-cousins", "figures"]
    assert files(here) == {"ws.json", "found.json", "figures/belt.png"}


def test_feldman_cousins_settings(here, monkeypatch):
    asked = []
    result = belt_result(left_out={"NOT_RUN": 7})

    def feldman_cousins(model, data, names, grid, **settings):
        asked.extend([names, grid, settings])
        return result

    monkeypatch.setattr(jaxfit, "feldman_cousins", feldman_cousins)
    ranges = ["--range", "0", "2", "--range", "-1", "1", "--steps", "3"]
    done = run("feldman-cousins", "ws.json", "mu", "mc[0]", *ranges, "--checkpoint", "kept", "--quiet")
    assert (done.exit_code, done.stdout) == (130, f"{result}\n")
    assert done.stderr == "jaxfit: interrupted, 7 toys are not done: the same command goes on from kept\n"
    names, grid, settings = asked
    assert names == ("mu", "mc[0]")
    np.testing.assert_array_equal(grid, [[0.0, 1.0, 2.0], [-1.0, 0.0, 1.0]])
    assert settings == {
        "ntoys": 2000, "seed": 0, "checkpoint": Path("kept"), "progress": False, "fix_pars": {},
        "tolerance": None, "maxiter": None,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["feldman-cousins", "ws.json", "mu"], "Missing option '--range'"),
        (["feldman-cousins", "ws.json", "mu", "--range", "3", "2"], "in increasing order"),
        (["feldman-cousins", "ws.json", "mu", "mc[0]", "--range", "0", "2"], "2 parameters and 1 times --range"),
        (["feldman-cousins", "ws.json", "--range", "0", "2"], "Missing argument 'PAR [PAR_Y]'"),
        (["scan2d", "ws.json", "mu"], "Missing argument 'PAR_Y'"),
        (["scan2d", "ws.json", "mu", "mu"], "'mu' is named twice"),
        (["scan2d", "ws.json", "mu", "mc[0]", "--steps", "1"], "Invalid value for '--steps'"),
        (["intervals", "ws.json", "mc[2]"], "unknown parameter 'mc[2]' (did you mean"),
        (["intervals", "ws.json", "mu", "--fix", "mu"], "'mu' is fixed, and has no interval"),
        (["intervals", "ws.json", "--confidence-level", "1"], "Invalid value for '--confidence-level'"),
    ],
)
def test_refused(here, arguments, message):
    assert_refused(here, [*arguments, "--output", "new/out.json", "--figures", "figures"], message)
