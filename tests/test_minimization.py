"""A batch of problems is nothing but its problems: same answers, no interference, no recompilation."""

import copy
from contextlib import contextmanager

import jax
import numpy as np
import pyhf
import pytest
from models import WORKSPACES, model_and_data

import jaxfit
from jaxfit import lanes, minimization
from jaxfit.errors import InputError
from jaxfit.likelihood import likelihood_of, parameter_space
from jaxfit.minimization import Minima, Problems, edm_goal, minimize
from jaxfit.statuses import Status

COMPILATION = "/jax/core/compile/backend_compile_duration"


def toys(name, number, seed=0, **codes):
    """Problems that differ in data, start point, bounds and fixed parameters."""
    model, data = model_and_data(name, **codes)
    rng, space = np.random.default_rng(seed), parameter_space(model)
    bins = model.config.nmaindata
    drawn = np.repeat(np.array(data)[None], number, axis=0)
    drawn[:, :bins] = rng.poisson(np.array(data)[:bins], size=(number, bins))
    drawn[:, bins:] *= rng.normal(1.0, 0.02, size=(number, len(data) - bins))
    start = np.repeat(space.start[None], number, axis=0)
    lower, upper = (np.repeat(bound[None], number, axis=0) for bound in space.box())
    mu = model.config.poi_index
    start[:, mu] = rng.uniform(0.5, 1.5, size=number)
    upper[::2, mu] = 4.0
    lower[1::5, mu] = upper[1::5, mu] = 0.7
    return likelihood_of(model), Problems(drawn, start, lower, upper)


def take(problems, lanes):
    return Problems(*(array[lanes] for array in problems))


def assert_equal(left, right):
    for one, other in zip(left, right, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.fixture(scope="module")
def sixteen():
    likelihood, problems = toys("shapesys", 16)
    return likelihood, problems, minimize(likelihood, problems)


def test_batch_is_a_loop(sixteen):
    likelihood, problems, minima = sixteen
    assert np.isin(minima.status, [Status.OK, Status.OK_AT_BOUND]).all()
    for lane in range(16):
        alone = minimize(likelihood, take(problems, [lane]))
        np.testing.assert_allclose(alone.pars[0], minima.pars[lane], rtol=0, atol=1e-7)
        np.testing.assert_allclose(alone.nll[0], minima.nll[lane], rtol=1e-12)
        assert alone.status[0] == minima.status[lane]


def test_lanes_of_one_shape_are_bit_identical_in_any_order(sixteen):
    likelihood, problems, minima = sixteen
    order = np.random.default_rng(1).permutation(16)
    assert_equal(minimize(likelihood, take(problems, order)), take_minima(minima, order))
    assert_equal(minimize(likelihood, problems), minima)
    some = order[:5]  # padded to 16
    assert_equal(minimize(likelihood, take(problems, some)), take_minima(minima, some))


def take_minima(minima, lanes):
    return Minima(*(array[lanes] for array in minima))


def test_a_lane_that_fails_does_not_disturb_the_others(sixteen):
    likelihood, problems, minima = sixteen
    broken = Problems(*(array.copy() for array in problems))
    broken.start[3], broken.lower[3], broken.upper[3] = np.nan, np.nan, np.nan
    broken.data[9, :2] = np.inf
    bad = [3, 9]
    found = minimize(likelihood, broken)
    assert (found.status[bad] == Status.NONFINITE).all()
    good = np.setdiff1d(np.arange(16), bad)
    assert_equal(take_minima(found, good), take_minima(minima, good))


def test_the_first_lane_fails_and_is_what_fills_the_padding(sixteen):
    likelihood, problems, minima = sixteen
    few = take(problems, [0, 1, 2])
    few.data[0, 0] = np.inf
    found = minimize(likelihood, few)
    assert found.status[0] == Status.NONFINITE
    assert_equal(take_minima(found, [1, 2]), take_minima(minima, [1, 2]))


@pytest.mark.parametrize("position", [0, -1], ids=["main", "auxiliary"])
def test_data_that_are_no_numbers_are_no_minimum(sixteen, position):
    likelihood, problems, _ = sixteen
    few = take(problems, [0, 1])
    few.data[1, position] = np.nan
    assert not Status(int(minimize(likelihood, few).status[1])).converged


@pytest.mark.parametrize("lanes", [1, 2, 16, 17, 1025])
def test_any_number_of_lanes(sixteen, lanes):
    likelihood, problems, minima = sixteen
    repeated = np.arange(lanes) % 16
    found = minimize(likelihood, take(problems, repeated))
    assert found.pars.shape == (lanes, problems.start.shape[1])
    assert all(len(array) == lanes for array in found)
    np.testing.assert_array_equal(found.status, minima.status[repeated])
    np.testing.assert_allclose(found.pars, minima.pars[repeated], rtol=0, atol=1e-7)
    np.testing.assert_allclose(found.nll, minima.nll[repeated], rtol=1e-12)


def test_no_lanes(sixteen):
    likelihood, problems, _ = sixteen
    assert minimize(likelihood, take(problems, slice(0))).pars.shape == (0, problems.start.shape[1])


@pytest.mark.parametrize("codes", [{}, {"normsys": "code1", "histosys": "code0"}], ids=["smooth", "kinked"])
def test_width_does_not_change_the_answer(codes):
    """Lanes that advance together, as on a GPU, against lanes one by one."""
    likelihood, problems = toys("norm_plus_shape", 16, seed=2, **codes)
    alone = minimize(likelihood, problems)
    with jax.enable_x64(True):
        together = minimization._solve_batch(likelihood, problems, 16, "newton", 100, 1e-8, 1e-10, 0.0, 4)
        padded = minimization._solve_batch(likelihood, problems, 6, "newton", 100, 1e-8, 1e-10, 0.0, 4)
        together, padded = (Minima(*map(np.asarray, minima)) for minima in (together, padded))
    assert_equal(take_minima(together, range(6)), take_minima(padded, range(6)))
    assert np.isin(together.status, [Status.OK, Status.OK_AT_BOUND]).all()
    np.testing.assert_array_equal(together.status, alone.status)
    np.testing.assert_allclose(together.pars, alone.pars, rtol=0, atol=1e-7)
    np.testing.assert_allclose(together.nll, alone.nll, rtol=1e-12)


def test_near_a_minimum_the_exact_hessian_saves_iterations():
    model, data = model_and_data("histosys", normsys="code4", histosys="code4p")
    best = jaxfit.fit(model, data)
    (lower, upper), likelihood = parameter_space(model).box(), likelihood_of(model)
    steps = np.random.default_rng(5).normal(0.0, 0.01, (16, best.bestfit.size))
    lanes_ = (np.repeat(np.asarray(array)[None], 16, axis=0) for array in (data, best.bestfit, lower, upper))
    problems = Problems(*lanes_)
    problems = problems._replace(start=problems.start + steps * best.uncertainty)
    cold, warm = minimize(likelihood, problems), minimize(likelihood, problems, near=True)
    assert (warm.status == Status.OK).all()
    assert warm.iterations.mean() <= cold.iterations.mean() - 0.5
    np.testing.assert_allclose(warm.pars, cold.pars, rtol=0, atol=1e-7)


def test_fixed_parameters_and_bounds_hold(sixteen):
    _, problems, minima = sixteen
    assert ((minima.pars >= problems.lower) & (minima.pars <= problems.upper)).all()
    fixed = problems.lower == problems.upper
    np.testing.assert_array_equal(minima.pars[fixed], problems.lower[fixed])


def test_maxiter_and_goal(sixteen):
    likelihood, problems, minima = sixteen
    stopped = minimize(likelihood, problems, maxiter=2)
    assert (stopped.status == Status.NOT_CONVERGED).any()
    assert (stopped.iterations <= 2).all()
    loose = minimize(likelihood, problems, goal=1.0)
    assert loose.iterations.sum() < minima.iterations.sum()
    assert (minima.edm <= 1e-8).all()
    assert (loose.edm <= 1.0).all()


@pytest.mark.parametrize(("tolerance", "goal"), [(None, 1e-8), (0.1, 2e-4), (1.0, 2e-3)])
def test_tolerance_means_what_it_means_in_minuit(tolerance, goal):
    assert edm_goal(tolerance) == pytest.approx(goal)


def test_unknown_solver(sixteen):
    likelihood, problems, _ = sixteen
    with pytest.raises(InputError, match=r"unknown solver 'lbfgs' .*did you mean 'lbfgsb'"):
        minimize(likelihood, problems, solver="lbfgs")


# -- nothing is compiled twice ----------------------------------------------------------------------------------------


@contextmanager
def compilations():
    """A list that grows by one with every compilation."""
    seen = []

    def listen(event, duration, **_):
        if event == COMPILATION:
            seen.append(duration)

    jax.monitoring.register_event_duration_secs_listener(listen)
    try:
        yield seen
    finally:
        jax.monitoring.unregister_event_duration_listener(listen)


def test_compilations_are_seen():
    with compilations() as seen:
        jax.jit(lambda x: x + 1.5)(2.0)
    assert seen


def other_templates(scale):
    """The model of ``warm`` with other templates, systematics and staterror widths: same shape, other numbers."""
    spec = copy.deepcopy(WORKSPACES["staterror"])
    for channel in spec["channels"]:
        for sample in channel["samples"]:
            sample["data"] = [scale * value + 0.5 for value in sample["data"]]
            for modifier in sample["modifiers"]:
                if modifier["type"] == "staterror":
                    modifier["data"] = [0.9 * value for value in modifier["data"]]
                elif modifier["type"] == "normsys":
                    modifier["data"] = {"hi": 1.04, "lo": 0.93}
    workspace = pyhf.Workspace(spec)
    model = workspace.model(
        modifier_settings={"normsys": {"interpcode": "code4"}, "histosys": {"interpcode": "code4p"}}
    )
    return model, workspace.data(model)


@pytest.fixture(scope="module")
def warm():
    model, data = model_and_data("staterror")
    jaxfit.fit(model, data, goodness_of_fit=True)
    jaxfit.scan(model, data, "mu", n_steps=7)
    return model, data


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"fix_pars": {"xsec": True}},
        {"fix_pars": {"mu": 0.3, "stat_SR[1]": 1.1}},
        {"par_bounds": {"mu": (-1.0, 3.0)}},
        {"par_bounds": {"mu": (0.0, 0.5)}, "init_pars": {"mu": 0.2}},
        {"init_pars": {"mu": 2.0, "xsec": -0.5}},
        {"goodness_of_fit": True},
    ],
    ids=str,
)
def test_other_options_compile_nothing(warm, options):
    model, data = warm
    programs = minimization._solve_batch._cache_size()
    with compilations() as seen:
        jaxfit.fit(model, data, **options)
    assert not seen
    assert minimization._solve_batch._cache_size() == programs


def test_other_data_compile_nothing(warm):
    model, data = warm
    with compilations() as seen:
        jaxfit.fit(model, [1.1 * value + 1.0 for value in data])
    assert not seen


def test_other_templates_compile_nothing(warm):
    model, data = other_templates(1.3)
    with compilations() as seen:
        result = jaxfit.fit(model, data)
        jaxfit.scan(model, data, "mu", n_steps=7)
    assert not seen
    assert result.converged
    assert result.bestfit[0] != jaxfit.fit(*warm).bestfit[0]


@pytest.mark.parametrize(
    ("name", "options"),
    [("xsec", {}), ("stat_SR[0]", {"n_steps": 5}), ("mu", {"n_steps": 16, "fix_pars": {"xsec": True}})],
)
def test_another_scan_compiles_nothing(warm, name, options):
    model, data = warm
    with compilations() as seen:
        jaxfit.scan(model, data, name, **options)
    assert not seen


# -- nothing is left behind -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("x64", [False, True])
def test_global_state_is_as_before(warm, x64):
    model, data = warm
    before = jax.config.read("jax_enable_x64")
    jax.config.update("jax_enable_x64", x64)
    np.random.seed(17)
    state, backend = np.random.get_state()[1].copy(), pyhf.get_backend()
    try:
        fit = jaxfit.fit(model, data, goodness_of_fit=True)
        jaxfit.scan(model, data, "mu", n_steps=7)
        assert jax.config.read("jax_enable_x64") is x64
        assert jax.numpy.zeros(1).dtype == (np.float64 if x64 else np.float32)
    finally:
        jax.config.update("jax_enable_x64", before)
    np.testing.assert_array_equal(np.random.get_state()[1], state)
    assert pyhf.get_backend() == backend
    assert fit.bestfit.dtype == fit.corr_mat.dtype == np.float64
    assert isinstance(fit.bestfit, np.ndarray)
    assert isinstance(fit.corr_mat, np.ndarray)


def test_an_interrupted_batch_keeps_what_is_done(sixteen, monkeypatch):
    """Of three chunks the second is interrupted: its lanes and those of the third are NOT_RUN."""
    likelihood, problems, minima = sixteen
    monkeypatch.setattr(lanes, "_SIZES", (4,))
    monkeypatch.setattr(lanes, "LARGEST", 4)
    monkeypatch.setattr(lanes, "cores", lambda: 1)
    whole, calls = minimization._solve_batch, []

    def interrupted(*args):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return whole(*args)

    monkeypatch.setattr(minimization, "_solve_batch", interrupted)
    found = minimize(likelihood, take(problems, slice(12)))
    assert len(calls) == 2
    assert (found.status[4:] == Status.NOT_RUN).all()
    assert np.isnan(found.nll[4:]).all()
    np.testing.assert_allclose(found.pars[:4], minima.pars[:4], atol=1e-7)
    calls.clear()
    calls.append(1)
    with pytest.raises(KeyboardInterrupt):  # nothing to keep
        minimize(likelihood, take(problems, slice(12)))
