"""jaxopt's own solvers reach the minimum that Newton finds, bounds, fixed parameters and all."""

from functools import cache, partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from models import model_and_data

import jaxfit
from jaxfit.solvers import STOCK, run_scipy, run_stock

NAMES = (*STOCK, "scipy")

# one with a normal and one with a Poisson constraint, with every kind of box; mu ends on its bound in the last one
PROBLEMS = {
    "default": ("norm_plus_shape", {}),
    "fixed": ("norm_plus_shape", {"fix_pars": {"jes": 0.5}}),
    "on a bound": ("norm_plus_shape", {"par_bounds": {"mu": (0.0, 0.2)}, "init_pars": {"mu": 0.1}}),
    "start on a bound": ("norm_plus_shape", {"init_pars": {"mu": 0.0}}),
    "Poisson": ("shapesys", {}),
    "Poisson, on a bound": ("shapesys", {"par_bounds": {"mu": (0.0, 0.3)}, "init_pars": {"mu": 0.1}}),
}


# a second program of jaxopt's L-BFGS-B takes long to compile
CASES = [
    pytest.param(solver, problem, marks=pytest.mark.slow if solver == "lbfgsb" and "Poisson" in problem else ())
    for solver in NAMES
    for problem in PROBLEMS
]


@pytest.mark.parametrize(("solver", "problem"), CASES)
def test_same_minimum_as_newton(solver, problem):
    name, options = PROBLEMS[problem]
    model, data = model_and_data(name)
    newton = jaxfit.fit(model, data, **options)
    stock = jaxfit.fit(model, data, solver=solver, tolerance=1e-3, **options)
    assert stock.converged
    assert stock.status == newton.status
    assert stock.solver == solver
    assert stock.edm <= stock.edm_goal == 2e-6
    assert stock.iterations > 0
    assert stock.at_bound == newton.at_bound
    np.testing.assert_allclose(stock.best_twice_nll, newton.best_twice_nll, rtol=0, atol=4e-6)
    free = newton.uncertainty > 0
    pull = (stock.bestfit - newton.bestfit)[free] / newton.uncertainty[free]
    np.testing.assert_allclose(pull, 0.0, atol=3e-3)
    np.testing.assert_array_equal(stock.bestfit[~free], newton.bestfit[~free])
    np.testing.assert_allclose(stock.uncertainty, newton.uncertainty, rtol=2e-2)


@pytest.mark.parametrize("solver", [pytest.param("lbfgsb", marks=pytest.mark.slow), "scipy"])
def test_scan_with_a_stock_solver(solver):
    model, data = model_and_data("shapesys")
    newton = jaxfit.scan(model, data, "mu", n_steps=5)
    stock = jaxfit.scan(model, data, "mu", n_steps=5, solver=solver, tolerance=1e-3)
    assert stock.converged
    np.testing.assert_allclose(stock.delta_nlls, newton.delta_nlls, rtol=0, atol=1e-5)


# -- the functions themselves, on a paraboloid ------------------------------------------------------------------------


def paraboloid(x, target):
    return 0.5 * jnp.sum((x - target) ** 2) + 0.2 * x[0] * x[1]


INFINITE = float("inf")
TARGET = np.array([1.0, 1.4])
MINIMUM = np.linalg.solve([[1.0, 0.2], [0.2, 1.0]], TARGET)
SCALE = np.array([0.9, 1.3])  # no powers of two: a start on a bound must not fall out of the box by rounding


@cache
def program(name):
    return jax.jit(partial(run_stock, name, paraboloid, maxiter=500))


def run(name, start, lower, upper):
    """Minimum and gradient of the paraboloid there."""
    with jax.enable_x64(True):
        x, iterations = program(name)(start, lower, upper, SCALE, TARGET)
        assert int(iterations) > 0
        return np.asarray(x), np.asarray(jax.grad(paraboloid)(x, TARGET))


@pytest.mark.parametrize(
    ("lower", "upper"),
    [
        ((-INFINITE, -INFINITE), (INFINITE, INFINITE)),
        ((0.0, -3.0), (INFINITE, INFINITE)),
        ((-INFINITE, -INFINITE), (0.5, INFINITE)),
        ((-INFINITE, 1.5), (INFINITE, INFINITE)),
        ((-4.0, -INFINITE), (4.0, 1.0)),
        ((-4.0, 0.3), (4.0, 0.3)),
    ],
    ids=["none", "lower", "upper active", "lower active", "mixed", "fixed"],
)
def test_bfgs_with_infinite_and_one_sided_bounds(lower, upper):
    lower, upper = np.array(lower), np.array(upper)
    x, gradient = run("bfgs", np.clip(np.array([0.3, 0.2]), lower, upper), lower, upper)
    assert ((lower <= x) & (x <= upper)).all()
    np.testing.assert_allclose(x - np.clip(x - gradient, lower, upper), 0.0, atol=1e-5)


@pytest.mark.parametrize("side", ["lower", "upper"])
def test_bfgs_leaves_a_one_sided_bound(side):
    """A start on a bound where the function falls inwards."""
    infinite = np.full(2, INFINITE)
    lower, upper = (np.zeros(2), infinite) if side == "lower" else (-infinite, np.full(2, 4.0))
    x, _ = run("bfgs", lower if side == "lower" else upper, lower, upper)
    np.testing.assert_allclose(x, MINIMUM, atol=1e-5)


@pytest.mark.parametrize("name", ["bfgs", "projected_gradient", pytest.param("lbfgsb", marks=pytest.mark.slow)])
@pytest.mark.parametrize("bound", [-1.0, -0.1, 0.3])
def test_start_on_a_bound(name, bound):
    lower = np.full(2, bound)
    x, _ = run(name, lower, lower, np.full(2, 5.0))
    np.testing.assert_allclose(x, MINIMUM, atol=1e-4)


def test_scipy_within_a_box():
    lower, upper = np.array([-INFINITE, -1.0]), np.array([0.2, INFINITE])
    with jax.enable_x64(True):
        x, iterations = run_scipy(paraboloid, np.zeros(2), lower, upper, SCALE, TARGET, maxiter=100)
        assert int(iterations) > 0
        np.testing.assert_allclose(x, [0.2, 1.36], atol=1e-5)


@pytest.mark.parametrize("solver", [*STOCK[1:], "scipy"])
def test_nothing_to_minimise(solver):
    """Every parameter is fixed, as in the scan of a model with one parameter."""
    model, data = model_and_data("no_nuisance")
    result = jaxfit.fit(model, data, fix_pars={"mu": 1.5}, solver=solver)
    assert result.status == jaxfit.Status.OK
    np.testing.assert_array_equal(result.bestfit, [1.5])
    np.testing.assert_array_equal(result.uncertainty, [0.0])
