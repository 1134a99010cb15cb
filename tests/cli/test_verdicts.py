"""jaxfit hypotest, jaxfit limit and jaxfit significance."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from cli.cases import NO_POI, assert_refused, files, model_and_data, run, saved, specification, steps, write

import jaxfit


def test_hypotest(here):
    done = run("hypotest", "ws.json", "0.5", "2", "--output", "tests.json")
    assert done.exit_code == 0
    found = jaxfit.load_results("tests.json")
    assert done.stdout == f"{found}\n"
    model, data = model_and_data()
    expected = jaxfit.hypotest([0.5, 2.0], data, model)
    np.testing.assert_array_equal(found.CLs_obs, expected.CLs_obs)
    assert (found.name, found.calctype) == ("mu", "asymptotics")
    assert steps(done) == ["read", "model", "hypotest"]


def test_hypotest_by_toys(here):
    options = ["--test-stat", "q0", "--toys", "60", "--seed", "4", "--fix", "mc[0]=1.1"]
    found = saved("hypotest", "ws.json", "0", *options)
    model, data = model_and_data()
    how = {"test_stat": "q0", "calctype": "toybased", "ntoys": 60, "seed": 4, "fixed_params": {"mc[0]": 1.1}}
    expected = jaxfit.hypotest([0.0], data, model, **how)
    assert (found.statistic, found.CLsb_obs) == (expected.statistic, expected.CLsb_obs)
    assert (found.calctype, found.ntoys) == ("toybased", 60)


def test_limit(here):
    done = run("limit", "ws.json", "--output", "limit.json", "--figures", "figures")
    assert done.exit_code == 0
    found = jaxfit.load_results("limit.json")
    assert done.stdout == f"{found}\n"
    model, data = model_and_data()
    expected = jaxfit.limit(model, data)
    assert (found.name, found.observed_limit) == ("mu", expected.observed_limit)
    np.testing.assert_array_equal(found.expected_limit, expected.expected_limit)
    assert steps(done) == ["read", "model", "limit", "figures"]
    assert files(here) == {"ws.json", "limit.json", "figures/limit.png"}


def test_settings_reach_the_limit(here, monkeypatch):
    given = {}
    real = jaxfit.limit
    monkeypatch.setattr(jaxfit, "limit", lambda model, data, **how: given.update(how) or real(model, data))
    options = ["--bracket", "0.1", "9", "--poi-tolerance", "0.2", "--confidence-level", "0.9", "--tolerance", "0.1"]
    assert run("limit", "ws.json", *options).exit_code == 0
    expected = {"bracket": (0.1, 9.0), "poi_tolerance": 0.2, "confidence_level": 0.9, "poi_name": "mu"}
    toys = {"seed": 0, "checkpoint": None, "progress": None}
    assert given == {**expected, **toys, "fix_pars": {}, "tolerance": 0.1, "maxiter": None}


@pytest.mark.parametrize("command", ["limit", "significance"])
def test_toys_reach_limit_and_significance(here, monkeypatch, command):
    given = {}
    real = getattr(jaxfit, command)

    def asked(model, data, *, calctype, ntoys, seed, checkpoint, **how):
        given.update(calctype=calctype, ntoys=ntoys, seed=seed, checkpoint=checkpoint)
        return replace(real(model, data, **how), left_out={"NOT_RUN": 5})

    monkeypatch.setattr(jaxfit, command, asked)
    done = run(command, "ws.json", "--toys", "300", "--seed", "8", "--checkpoint", "kept", "--quiet")
    assert given == {"calctype": "toybased", "ntoys": 300, "seed": 8, "checkpoint": Path("kept")}
    assert done.exit_code == 130
    assert done.stderr == "jaxfit: interrupted, 5 toys are not done: the same command goes on from kept\n"


def test_significance(here):
    done = run("significance", "ws.json", "--output", "significance.json")
    assert done.exit_code == 0
    found = jaxfit.load_results("significance.json")
    assert done.stdout == f"{found}\n"
    model, data = model_and_data()
    expected = jaxfit.significance(model, data)
    assert found.observed_significance == expected.observed_significance > 1.0
    assert steps(done) == ["read", "model", "significance"]


@pytest.mark.parametrize("command", ["limit", "significance"])
def test_any_parameter_can_be_of_interest(here, command):
    write("ws.json", specification(measurements=[{"name": "no poi", "config": {"poi": "", "parameters": []}}]))
    assert saved(command, "ws.json", "--poi", "mu").name == "mu"


@pytest.mark.parametrize("command", ["hypotest", "ranking", "impacts", "limit", "significance"])
def test_without_parameter_of_interest(here, command):
    write("ws.json", specification(measurements=[NO_POI]))
    values = ["1"] if command == "hypotest" else []
    assert_refused(
        here, [command, "ws.json", *values], "the measurement has no parameter of interest: name one with --poi"
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["hypotest", "ws.json"], "Missing argument 'X...'"),
        (["hypotest", "ws.json", "1", "--test-stat", "q0"], "poi_test must be 0"),
        (["hypotest", "ws.json", "1", "--test-stat", "q1"], "'q1' is not one of 'qtilde'"),
        (["hypotest", "ws.json", "1", "--toys", "0"], "Invalid value for '--toys'"),
        (["limit", "ws.json", "--bracket", "20", "30"], "the observed limit is not within the bracket"),
        (["limit", "ws.json", "--confidence-level", "95"], "Invalid value for '--confidence-level'"),
        (["limit", "ws.json", "--poi-tolerance", "0"], "Invalid value for '--poi-tolerance'"),
        (["significance", "ws.json", "--poi", "Mu"], "unknown parameter 'Mu' (did you mean 'mu'?"),
        (["significance", "ws.json", "--figures", "figures"], "No such option '--figures'"),
    ],
)
def test_refused(here, arguments, message):
    assert_refused(here, [*arguments, "--output", "new/out.json"], message)
