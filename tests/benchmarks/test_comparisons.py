"""The gate lets through what is a minimum, and nothing else; fitters that are here answer."""

import numpy as np
import pyhf
import pytest

import jaxfit
from benchmarks import comparisons, problems
from benchmarks.peers import protocol
from jaxfit import workspaces


@pytest.fixture(scope="module")
def small():
    model, data = workspaces.model_and_data(problems.spec("S"))
    return model, np.array(data), jaxfit.fit(model, data)


def judged(small, task, how, **points):
    """Verdicts and gaps of fitters that returned some points."""
    model, data, _ = small
    answer = {"seconds": 1.0, "first": 1.0, "made": 1, "parts": 1, "values": [], "error": ""}
    answers = {
        peer: {"settings": "", "error": "", "tasks": {task: answer | {"points": found}}}
        for peer, found in points.items()
    }
    rows = comparisons._judged("S", model, data, {task: how}, answers)
    return {row["peer"]: (row["verdict"], row["gap"], row["pull"]) for row in rows}


def test_a_point_above_the_best_known_is_not_converged(small):
    best, sigma = small[2].bestfit, small[2].uncertainty
    found = judged(small, "fit", {}, best=[best], near=[best + 1e-3 * sigma], far=[best + 0.1 * sigma])
    assert found["best"][0] == found["near"][0] == "ok"
    assert found["best"][1] == 0.0
    assert found["far"][0] == "not converged"
    assert found["far"][1] > 1e-3
    assert found["far"][2] == pytest.approx(0.1)


def test_a_point_that_does_not_hold_what_it_should_is_not_converged(small):
    best = small[2].bestfit
    held = jaxfit.fit(*small[:2], fix_pars={"mu": 1.5}).bestfit
    found = judged(small, "scan", {"values": [1.5]}, held=[held], drifted=[best])
    assert found["held"][0] == "ok"
    assert found["drifted"] == ("not converged", np.inf, found["drifted"][2])
    outside = best.copy()
    outside[0] = 11.0
    assert judged(small, "fit", {}, best=[best], outside=[outside])["outside"][0] == "not converged"


@pytest.mark.parametrize("task", comparisons.TASKS)
def test_all_that_jaxfit_is_timed_with_is_judged(small, task):
    """As the fitter runs in a process of its own."""
    from benchmarks.peers.jaxfit_newton import Fitter

    model, data, _ = small
    tasks = comparisons._tasks(model, data.tolist(), [task])
    if task == "toys":
        tasks[task]["data"] = tasks[task]["data"][:30]
    made = {}
    protocol.answers(Fitter(problems.spec("S")), {"budget": 5.0, "tasks": tasks}, made.update)
    assert made[task]["error"] == ""
    assert made[task]["seconds"] > 0
    answers = {"jaxfit_newton": {"settings": "", "error": "", "tasks": made}}
    (row,) = comparisons._judged("S", model, data, tasks, answers)
    assert row["verdict"] == "ok"
    assert row["made"] == row["parts"]


def test_a_slow_fitter_makes_part_of_a_question(small):
    class Slow(protocol.Peer):
        def fit(self, data, held, start):
            return small[2].bestfit

    made = {}
    protocol.answers(Slow(problems.spec("S")), {"budget": 0.0, "tasks": {"scan": {"values": [0.5, 1.0]}}}, made.update)
    assert (made["scan"]["made"], made["scan"]["parts"], len(made["scan"]["points"])) == (1, 2, 1)


def test_what_a_fitter_cannot_do_is_its_error(small):
    made = {}
    protocol.answers(protocol.Peer(problems.spec("S")), {"budget": 1.0, "tasks": {"fit": {}}}, made.update)
    assert made["fit"]["error"].startswith("NotImplementedError")


@pytest.fixture(autouse=True)
def _numpy_backend():
    yield
    pyhf.set_backend("numpy", precision="64b")
