"""Every rung of the ladder, and what does not climb it."""

import numpy as np
import pytest
from models import model_and_data
from one_channel import histosys, model_of

import jaxfit
from jaxfit import FitError, FitWarning, Status
from jaxfit.inference import explorations, rescues, rungs
from jaxfit.inference.rescues import rescue, solve
from jaxfit.likelihood import likelihood_of, parameter_space
from jaxfit.minimization import Minima, Problems, minimize


def lanes_of(model, data, number=1, **changes):
    """The same problem several times."""
    space = parameter_space(model).override(**changes)
    return Problems(*(np.repeat(a[None], number, axis=0) for a in (np.array(data), space.start, *space.box())))


def take(solved, lanes):
    return [np.asarray(field)[lanes] for field in solved[:5]]


@pytest.fixture(scope="module")
def steep():
    """A background of 5 that loses 4 for each unit of h, without events: pyhf's minimum is where it is negative."""
    return model_of([1.0, 60.0], [5.0, 50.0], [0.0, 110.0], histosys("h", [9.0, 50.0], [1.0, 50.0]))


@pytest.fixture(scope="module")
def twins():
    """Two minima of one depth, h = +-a, and a maximum between them, where the fit starts."""
    return model_of([0.5], [50.0], [80.0], histosys("h", [80.0], [80.0]), parameters=[{"name": "mu", "fixed": True}])


# -- the rungs --------------------------------------------------------------------------------------------------------


def test_a_start_without_a_likelihood_is_repaired_and_reported(steep):
    model, data = steep
    data = [3.0, *data[1:]]
    usual = jaxfit.fit(model, data)
    result = jaxfit.fit(model, data, init_pars={"h": 3.0})
    assert result.status == usual.status == Status.OK
    assert usual.diagnosis.rescues == ()
    assert result.diagnosis.rescues == ("damped: NONFINITE", "start at pre-fit values: OK")
    assert "the first attempt failed (NONFINITE), then start at pre-fit values: OK" in result.warnings
    np.testing.assert_allclose(result.bestfit, usual.bestfit, atol=1e-6)
    assert result.best_twice_nll == pytest.approx(usual.best_twice_nll, abs=1e-9)


def failing(model, data, **changes):
    """A lane that failed at its start."""
    problems = lanes_of(model, data, **changes)
    return rungs.Failed(problems, minimize(likelihood_of(model), problems, maxiter=1), np.array([0]))


ALONE = [
    pytest.param(name, marks=pytest.mark.slow if "L-BFGS" in name else ())  # it compiles pyhf's likelihood
    for name, *_ in rungs.LADDER
    if "yields" not in name and "neighbour" not in name
]


@pytest.mark.parametrize("rung", ALONE)
def test_every_rung_by_itself_finds_the_minimum(rung):
    model, data = model_and_data("shapesys")
    step = next(step for name, step, _ in rungs.LADDER if name == rung)
    found = step(model, failing(model, data, init_pars={"mu": 9.0}), {})
    usual = jaxfit.fit(model, data)
    assert found.status[0] == Status.OK
    np.testing.assert_allclose(found.pars[0], usual.bestfit, atol=1e-6)


def test_a_lane_starts_from_the_minimum_of_its_neighbour():
    model, data = model_and_data("shapesys")
    problems = lanes_of(model, data, 3)
    problems.start[:, model.config.poi_index] = [0.2, 5.0, 6.0]
    found = Minima(*map(np.array, minimize(likelihood_of(model), problems)))
    found.pars[2], found.status[2] = np.nan, Status.STALLED
    near = rungs._from_neighbour(model, rungs.Failed(problems, found, np.array([2])), {"maxiter": 2})
    assert near.status[0] == Status.OK  # two iterations are enough from there
    none = rungs.Failed(problems, found._replace(status=np.full(3, Status.STALLED)), np.array([2]))
    assert rungs._from_neighbour(model, none, {}) is None


def test_the_minimum_with_positive_yields(steep):
    """NLL = 5 - 4h + h^2 / 2 in the empty bin has its minimum at h = 4, where -11 are expected; 0 are at 1.25."""
    model, data = steep
    with pytest.warns(FitWarning, match="NEGATIVE_EXPECTATION"):
        pyhfs = jaxfit.fit(model, data, fix_pars={"mu": 0.0})
    assert pyhfs.bestfit[pyhfs.labels.index("h")] == pytest.approx(4.0, abs=1e-4)
    assert pyhfs.diagnosis.lowest_yield == pytest.approx(-11.0, abs=1e-3)
    assert pyhfs.diagnosis.lowest_bin == "channel 'SR' bin 0"
    found = rungs._within_positive_yields(model, failing(model, data, fix_pars={"mu": 0.0}), {})
    assert found is None  # nothing negative is expected at the start
    failed = failing(model, data, fix_pars={"mu": 0.0}, init_pars={"h": 3.0})
    found = rungs._within_positive_yields(model, failed, {})
    assert found.status[0] == Status.OK_AT_BOUND
    np.testing.assert_allclose(found.pars[0][pyhfs.labels.index("h")], 1.25, atol=1e-6)
    nll = -model.logpdf(found.pars[0], data)[0]
    assert found.nll[0] == pytest.approx(nll, abs=1e-6)


def test_when_nothing_helps_every_attempt_is_told(twins, monkeypatch):
    model, data = twins
    nothing = tuple((name, lambda *_: None, costly) for name, _, costly in rungs.LADDER[1:])
    monkeypatch.setattr(rescues, "LADDER", (("damped", rungs._damped, False), *nothing))
    monkeypatch.setattr(explorations, "same_sided", lambda model: np.zeros(model.config.npars, dtype=bool))
    with pytest.warns(FitWarning, match="NOT_A_MINIMUM: .*curved downwards along h"):
        result = jaxfit.fit(model, data)
    assert result.status == Status.NOT_A_MINIMUM
    assert result.diagnosis.flat == ("h",)
    assert result.diagnosis.eigenvalues[0] < 0
    assert result.diagnosis.rescues == ("damped: NOT_A_MINIMUM",)
    assert np.isnan(result.uncertainty[result.labels.index("h")])


def test_what_was_asked_for_does_not_climb(steep):
    """An iteration limit, and another solver."""
    model, data = model_and_data("shapesys")
    with pytest.warns(FitWarning, match="NOT_CONVERGED"):
        assert jaxfit.fit(model, data, maxiter=1).diagnosis.rescues == ()
    result = jaxfit.fit(model, data, solver="lbfgsb", maxiter=2, on_failure="ignore")
    assert not result.converged
    assert result.diagnosis.rescues == ()


def test_flat_directions_do_not_climb():
    """The product of two free factors is known, neither of them is."""
    factors = [{"name": name, "type": "normfactor", "data": None} for name in ("k", "l")]
    model, data = model_of([10.0], [50.0], [70.0], *factors, parameters=[{"name": "mu", "fixed": True}])
    solved = solve(model, lanes_of(model, data, 2))
    assert solved.rescues == ((), ())
    np.testing.assert_allclose(solved.nll, solved.nll[0])
    result = jaxfit.fit(model, data, on_failure="ignore")
    assert result.status == Status.SINGULAR
    assert result.diagnosis.flat == ("k", "l")
    assert result.diagnosis.rescues == ()


# -- lanes ------------------------------------------------------------------------------------------------------------


def test_hopeless_and_slow_lanes_do_not_change_the_others():
    """A lane of NaN, an impossible one and a slow one among 1,000: the other 997 are the same bit by bit."""
    model, data = model_of([5.0, 2.0, 0.0], [50.0, 40.0, 0.0], [52.0, 45.0, 0.0], histosys("h", [45.0, 42.0, 0.0],
                                                                                       [56.0, 38.0, 0.0]))  # fmt: skip
    problems = lanes_of(model, data, 1000)
    problems.data[:, :2] = np.random.default_rng(0).poisson(np.array(data[:2]), size=(1000, 2))
    clean = solve(model, problems)
    broken = Problems(*(field.copy() for field in problems))
    broken.data[17, 0] = np.nan
    broken.data[400, 2] = 1.0  # where nothing is ever expected
    broken.start[999] = [4.9, 9.9]
    found = solve(model, broken)
    others = np.setdiff1d(np.arange(1000), [17, 400, 999])
    for one, other in zip(take(clean, others), take(found, others), strict=True):
        np.testing.assert_array_equal(one, other)
    assert Status(found.status[17]) == Status.INVALID_INPUT
    assert Status(found.status[400]) == Status.IMPOSSIBLE_DATA
    assert found.rescues[17] == found.rescues[400] == ()
    np.testing.assert_allclose(found.pars[999], clean.pars[999], atol=1e-6)


def test_only_the_lanes_that_failed_climb(steep):
    model, data = steep
    problems = lanes_of(model, [3.0, *data[1:]], 5)
    problems.start[2, parameter_space(model).index("h")] = 3.0
    minima = minimize(likelihood_of(model), problems)
    assert minima.status.tolist() == [Status.OK, Status.OK, Status.NONFINITE, Status.OK, Status.OK]
    found = rescue(model, problems, minima)
    assert (found.status == Status.OK).all()
    assert [bool(rungs) for rungs in found.rescues] == [False, False, True, False, False]
    np.testing.assert_allclose(found.pars[2], found.pars[1], atol=1e-6)


def test_few_lanes_climb_what_cannot_be_batched(steep, monkeypatch):
    model, data = steep
    seen = []
    ladder = (("costly", lambda model, failed, options: seen.append(failed.lanes.size), True),)
    monkeypatch.setattr(rescues, "LADDER", ladder)
    problems = lanes_of(model, [3.0, *data[1:]], 100)
    stalled = minimize(likelihood_of(model), problems)._replace(status=np.full(100, Status.STALLED))
    rescue(model, problems, stalled)
    assert seen == [64]
    nowhere = lanes_of(model, [3.0, *data[1:]], 100, init_pars={"h": 3.0})  # without a likelihood
    rescue(model, nowhere, minimize(likelihood_of(model), nowhere))
    assert seen == [64]


def test_policies(twins):
    model, data = twins
    with pytest.raises(FitError, match="MULTIPLE_MINIMA") as caught:
        jaxfit.fit(model, data, on_failure="raise")
    assert caught.value.result.status == Status.MULTIPLE_MINIMA
    assert jaxfit.fit(model, data, on_failure="ignore").status == Status.MULTIPLE_MINIMA
    with pytest.raises(jaxfit.InputError, match=r"unknown policy on_failure 'raises' .*did you mean 'raise'"):
        jaxfit.fit(model, data, on_failure="raises")
    with pytest.raises(FitError, match="points are no minimum"):
        jaxfit.scan(*model_and_data("shapesys"), "mu", values=[0.5, 1.0], maxiter=1, on_failure="raise")
