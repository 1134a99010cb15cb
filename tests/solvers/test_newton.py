"""Newton on problems with known answers, and as a jaxopt solver (its contract, vmap, implicit differentiation)."""

from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree
from models import model_and_data

from jaxfit.arrow import ArrowMatrix, ArrowVector
from jaxfit.likelihood import likelihood_of, parameter_space
from jaxfit.solvers import Newton
from jaxfit.statuses import Status


@pytest.fixture(autouse=True)
def x64():
    with jax.enable_x64(True):
        yield


def dense(function, fisher=None, **options):
    """Newton for ``function(x, *args)`` of a plain vector; far from the minimum ``fisher`` is its Hessian."""

    def derivatives(params, exact, *args):
        x = params.border
        value, gradient = jax.value_and_grad(function)(x, *args)
        matrix = jax.hessian(function)(x, *args)
        if fisher is not None:
            matrix = exact * matrix + (1.0 - exact) * fisher(x, *args)
        size = x.shape[0]
        empty = jnp.zeros((0, 0, 0))
        return value, params._replace(border=gradient), ArrowMatrix(matrix, jnp.zeros((size, 0, 0)), *[empty] * 3)

    return Newton(
        derivatives=derivatives,
        profile=lambda params, lower, upper, *args: params,
        gradient=lambda params, *args: params._replace(border=jax.grad(function)(params.border, *args)),
        **options,
    )


def vector(values):
    return ArrowVector(jnp.asarray(values, dtype=float), jnp.zeros((0, 0)))


def box(lower, upper, size):
    return tuple(vector(np.broadcast_to(np.asarray(bound, dtype=float), (size,))) for bound in (lower, upper))


@cache
def program(solver):
    """Compiled once for all tests that use this solver."""
    return jax.jit(solver.run)


def solve(solver, start, *args, lower=-np.inf, upper=np.inf):
    """The minimum and the final state."""
    params, state = program(solver)(vector(start), box(lower, upper, len(start)), *args)
    return np.asarray(params.border), state


def projected_gradient(gradient, x, lower, upper):
    """Zero where the conditions of Karush, Kuhn and Tucker hold."""
    return x - np.clip(x - gradient, lower, upper)


def quadratic(x, matrix, target):
    return 0.5 * (x - target) @ matrix @ (x - target)


QUADRATIC = dense(quadratic, tol=1e-16)


def positive_matrix(size, seed):
    root = np.random.default_rng(seed).normal(size=(size, size))
    return root @ root.T + 0.1 * np.eye(size)


# -- smooth problems --------------------------------------------------------------------------------------------------

BOXES = {
    "unbounded": (-np.inf, np.inf),
    "tight": (-0.3, 0.4),
    "one-sided": (0.0, np.inf),
    "mixed": ([-np.inf, -0.1, 0.0, 0.2, -1.0, -np.inf], [np.inf, 0.1, np.inf, 0.2, 1.0, 0.0]),
}


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("bounds", BOXES)
def test_quadratic_in_a_box(bounds, seed):
    matrix, target = positive_matrix(6, seed), np.random.default_rng(seed + 10).normal(size=6)
    lower, upper = (np.broadcast_to(bound, (6,)) for bound in BOXES[bounds])
    start = np.clip(np.zeros(6), lower, upper)
    x, state = solve(QUADRATIC, start, matrix, target, lower=lower, upper=upper)
    assert state.status == Status.OK
    assert ((lower <= x) & (x <= upper)).all()
    np.testing.assert_allclose(projected_gradient(matrix @ (x - target), x, lower, upper), 0.0, atol=1e-9)
    if bounds == "unbounded":
        np.testing.assert_allclose(x, target, rtol=0, atol=1e-12)


def test_quadratic_of_arrow_shape():
    """Border and blocks: the minimum that the dense matrix has, some parameters of either kind fixed."""
    rng = np.random.default_rng(3)
    size, z, slots, bins = 3, 2, 2, 4
    each = rng.normal(size=(bins, z + slots, z + slots))
    each = np.einsum("bij,bkj->ikb", each, each) + 0.5 * np.eye(z + slots)[:, :, None]
    matrix = ArrowMatrix(
        corner=jnp.eye(size),
        basis=jnp.asarray(rng.normal(size=(size, z, bins))),
        core=jnp.asarray(each[:z, :z]),
        cross=jnp.asarray(each[z:, :z]),
        blocks=jnp.asarray(each[z:, z:]),
    )
    full, slope = np.asarray(matrix.to_dense()), rng.normal(size=size + slots * bins)
    fixed = np.zeros(slope.size, dtype=bool)
    fixed[[1, 4, 9]] = True

    def arrow(flat):
        return ArrowVector(jnp.asarray(flat[:size]), jnp.asarray(flat[size:].reshape(slots, bins)))

    def derivatives(params, exact):
        flat = jnp.concatenate([params.border, params.blocks.ravel()])
        return 0.5 * flat @ full @ flat + slope @ flat, arrow(full @ flat + slope), matrix

    start = rng.normal(size=slope.size)
    solver = Newton(derivatives=derivatives, profile=lambda params, *_: params, gradient=lambda params: params)
    bounds = arrow(np.where(fixed, start, -np.inf)), arrow(np.where(fixed, start, np.inf))
    params, state = jax.jit(solver.run)(arrow(start), bounds)
    found = np.concatenate([params.border, params.blocks.ravel()])
    expected = start.copy()
    right = -slope - full[:, fixed] @ start[fixed]
    expected[~fixed] = np.linalg.solve(full[np.ix_(~fixed, ~fixed)], right[~fixed])
    assert state.status == Status.OK
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-10)
    np.testing.assert_array_equal(found[fixed], start[fixed])


def poisson(x, templates, counts):
    """Counts in bins, the templates with log-normal factors and unit constraints."""
    nu = templates @ jnp.exp(0.1 * x)
    return jnp.sum(nu - counts * jnp.log(nu)) + 0.5 * x @ x


def poisson_fisher(x, templates, counts):
    jacobian = 0.1 * templates * jnp.exp(0.1 * x)[None]
    return jacobian.T @ (jacobian / (templates @ jnp.exp(0.1 * x))[:, None]) + jnp.eye(x.shape[0])


POISSON = dense(poisson, poisson_fisher)


@pytest.mark.parametrize("start", [0.0, 4.0, -4.0])
def test_poisson_counts(start):
    rng = np.random.default_rng(4)
    templates = rng.uniform(5.0, 50.0, size=(12, 5))
    counts = rng.poisson(templates.sum(axis=1) * 1.05).astype(float)
    x, state = solve(POISSON, np.full(5, start), templates, counts, lower=-5.0, upper=5.0)
    assert state.status == Status.OK
    assert state.iter_num <= 12
    np.testing.assert_allclose(jax.grad(poisson)(x, templates, counts), 0.0, atol=1e-6)


def test_all_fixed():
    start = np.array([0.5, -2.0])
    x, state = solve(QUADRATIC, start, np.eye(2), np.zeros(2), lower=start, upper=start)
    assert state.status == Status.OK
    assert state.error == 0.0
    np.testing.assert_array_equal(x, start)
    np.testing.assert_allclose(state.value, 0.5 * start @ start)


@pytest.mark.parametrize(("start", "bounds"), [(0.0, (0.0, 5.0)), (5.0, (-5.0, 5.0))], ids=["lower", "upper"])
def test_start_on_a_bound_with_the_gradient_inwards(start, bounds):
    x, state = solve(QUADRATIC, [start], np.eye(1), np.array([2.0]), lower=bounds[0], upper=bounds[1])
    assert state.status == Status.OK
    np.testing.assert_allclose(x, 2.0, atol=1e-12)


def test_start_on_a_bound_where_it_stays():
    x, state = solve(QUADRATIC, [0.0, 1.0], np.eye(2), np.array([-2.0, 3.0]), lower=0.0, upper=10.0)
    assert state.status == Status.OK
    np.testing.assert_allclose(x, [0.0, 3.0], atol=1e-12)
    assert state.error <= 1e-8  # the outward gradient does not count


def test_a_last_step_that_leaves_the_box_is_not_taken():
    """The minimum is at (5, -5) along a flat direction; with one parameter cut off it would climb out of the valley."""
    matrix, target = np.array([[1.0, 1.0], [1.0, 1.0]]) + 1e-6 * np.eye(2), np.array([5.0, -5.0])
    loose = dense(lambda x: quadratic(x, 100.0 * matrix, target), tol=1.0)
    found, state = solve(loose, [0.0, 0.0], upper=1.0)
    assert Status(int(state.status)) == Status.OK
    assert found.sum() == pytest.approx(0.0, abs=1e-6)
    free, _ = solve(loose, [0.0, 0.0])
    np.testing.assert_allclose(free, target, rtol=1e-6)


def test_bound_is_released_again():
    """The first step pushes y onto its bound, where it is not at the minimum."""

    def valley(x):
        return 10.0 * (x[1] - x[0] ** 2) ** 2 + (x[0] - 1.0) ** 2

    x, state = solve(dense(valley, lambda x: 20.0 * jnp.eye(2)), [-1.5, 0.2], lower=[-2.0, 0.0], upper=2.0)
    assert state.status == Status.OK
    np.testing.assert_allclose(x, 1.0, atol=1e-4)


# -- hostile problems -------------------------------------------------------------------------------------------------


def wells(x):
    """Minima at +-1, a maximum at 0, indefinite for |x| < 1/sqrt(3)."""
    return jnp.sum(0.25 * x**4 - 0.5 * x**2)


def unit_fisher(x, *args):
    return jnp.eye(x.shape[0])


WELLS = dense(wells, unit_fisher)


def test_maximum_is_not_a_minimum():
    x, state = solve(WELLS, [0.0])
    assert state.status == Status.NOT_A_MINIMUM
    np.testing.assert_array_equal(x, 0.0)


def test_saddle_is_not_a_minimum():
    _, state = solve(dense(lambda x: wells(x) + x[1] ** 2, unit_fisher), [0.0, 0.5])
    assert state.status == Status.NOT_A_MINIMUM


@pytest.mark.parametrize("start", [0.01, 0.3, 0.57, -0.2])
def test_indefinite_region_is_crossed(start):
    x, state = solve(WELLS, [start])
    assert state.status == Status.OK
    np.testing.assert_allclose(x, np.sign(start), atol=1e-7)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_start_where_the_function_is_not_finite(value):
    x, state = solve(dense(lambda x: jnp.where(x[0] < 1.0, value, x @ x)), [0.5])
    assert state.status == Status.NONFINITE
    assert state.iter_num == 1
    np.testing.assert_array_equal(x, 0.5)


def test_step_into_a_region_that_is_not_finite():
    """The full step lands where the logarithm is not defined and is shortened."""
    x, state = solve(dense(lambda x: jnp.sum(x - 0.1 * jnp.log(x))), [3.0])
    assert state.status == Status.OK
    np.testing.assert_allclose(x, 0.1, rtol=1e-6)


def test_gradient_of_the_wrong_sign_stalls():
    def derivatives(params, exact):
        value, gradient, matrix = honest.derivatives(params, exact, jnp.eye(1), jnp.zeros(1))
        return value, params._replace(border=-gradient.border), matrix

    honest = dense(quadratic)
    solver = Newton(derivatives=derivatives, profile=honest.profile, gradient=honest.gradient)
    x, state = solve(solver, [1.0])
    assert state.status == Status.STALLED
    np.testing.assert_array_equal(x, 1.0)


def test_flat_direction_is_singular():
    """Only the sum of two parameters matters: the minimum is found, but not called a minimum that can be used."""
    x, state = solve(dense(lambda x: 0.5 * (x[0] + x[1] - 1.0) ** 2), [0.0, 0.0])
    assert state.status in (Status.SINGULAR, Status.NOT_A_MINIMUM)
    np.testing.assert_allclose(x.sum(), 1.0, rtol=1e-6)


@pytest.mark.parametrize("maxiter", [1, 3])
def test_iteration_limit(maxiter):
    rosenbrock = dense(lambda x: 100.0 * (x[1] - x[0] ** 2) ** 2 + (1.0 - x[0]) ** 2, maxiter=maxiter)
    _, state = solve(rosenbrock, [-1.2, 1.0])
    assert state.status == Status.NOT_CONVERGED
    assert state.iter_num == maxiter


def cosh(x, target):
    return jnp.sum(jnp.cosh(x - target))


def test_tolerance_ends_the_iteration():
    rough, fine = (solve(dense(cosh, tol=tol), [4.0], np.ones(1))[1] for tol in (1e-2, 1e-12))
    assert rough.status == fine.status == Status.OK
    assert rough.iter_num < fine.iter_num
    assert rough.error <= 1e-2
    assert fine.error <= 1e-12


# -- kinks at 0 -------------------------------------------------------------------------------------------------------


def kinky(x, slope, target):
    """A parabola around ``target`` plus ``slope`` |x| in the first parameter, differentiated from the right at 0."""
    side = jnp.where(x[0] >= 0, 1.0, -1.0)
    return 0.5 * jnp.sum((x - target) ** 2) + slope * side * x[0] + 0.2 * x[0] * x[1]


def kinky_minimum(slope, target):
    """By a scan: the other parameter is found analytically."""
    x = np.linspace(-4.0, 4.0, 800_001)
    y = target[1] - 0.2 * x
    nll = 0.5 * ((x - target[0]) ** 2 + (y - target[1]) ** 2) + slope * np.abs(x) + 0.2 * x * y
    return x[np.argmin(nll)], y[np.argmin(nll)]


KINKY = dense(kinky, kinked=lambda *args: jnp.array([True, False]))


@pytest.mark.parametrize("start", [0.0, 2.0, -2.0])
@pytest.mark.parametrize(
    ("slope", "target"),
    [
        (1.0, (0.5, 0.3)),  # at the kink
        (1.0, (-0.6, -0.5)),
        (1.0, (2.5, 0.4)),  # off the kink
        (1.0, (-2.5, 0.4)),
        (0.01, (0.2, 0.0)),
        (-0.5, (0.3, 0.2)),  # a kink that points upwards is no minimum: the steeper side is the lower one
        (-0.5, (-0.3, -0.2)),
    ],
)
def test_kink(slope, target, start):
    x, state = solve(KINKY, [start, 1.0], slope, np.array(target), lower=-5.0, upper=5.0)
    assert state.status == Status.OK
    expected = kinky_minimum(slope, target)
    if slope > 0:
        np.testing.assert_allclose(x, expected, atol=2e-5)
        assert (x[0] == 0.0) == (abs(expected[0]) < 1e-9)
    else:  # both sides have a minimum; a start off the kink may find the higher one
        assert x[0] != 0.0
        slopes = [x[0] - target[0] + slope * np.sign(x[0]) + 0.2 * x[1], x[1] - target[1] + 0.2 * x[0]]
        np.testing.assert_allclose(slopes, 0.0, atol=1e-6)
        if start == 0.0:
            np.testing.assert_allclose(x, expected, atol=2e-5)


def test_kink_on_a_bound():
    """The left side of the kink is outside of the box, however steeply it falls."""
    target = np.array([-0.3, 0.0])
    x, state = solve(KINKY, [0.0, 0.0], -0.5, target, lower=[0.0, -5.0], upper=5.0)
    assert state.status == Status.OK
    # on the right: (x - target_x) - 0.5 + 0.2 y = 0 and y = -0.2 x
    np.testing.assert_allclose(x, [0.2 / 0.96, -0.04 / 0.96], rtol=1e-6)


def test_kink_of_a_fixed_parameter():
    target = np.array([1.0, 0.7])
    x, state = solve(KINKY, [0.0, 0.0], -0.5, target, lower=[0.0, -5.0], upper=[0.0, 5.0])
    assert state.status == Status.OK
    np.testing.assert_allclose(x, [0.0, 0.7], atol=1e-9)


# -- the contract of an iterative solver ------------------------------------------------------------------------------


def test_updates_by_hand_are_a_run():
    rng = np.random.default_rng(5)
    templates = rng.uniform(5.0, 50.0, size=(8, 3))
    counts = rng.poisson(templates.sum(axis=1)).astype(float)
    solver, bounds = POISSON, box(-5.0, 5.0, 3)
    params = start = vector([2.0, -2.0, 0.0])
    state = solver.init_state(start, bounds, templates, counts)
    while state.status < 0:
        params, state = solver.update(params, state, bounds, templates, counts)
    run_params, run_state = program(solver)(start, bounds, templates, counts)
    assert state.status == run_state.status == Status.OK
    assert state.iter_num == run_state.iter_num
    np.testing.assert_allclose(state.value, run_state.value, rtol=1e-12)
    # run takes the last step as well
    np.testing.assert_allclose(params.border + state.step.border, run_params.border, atol=1e-12)
    assert jax.jit(solver.l2_optimality_error)(run_params, bounds, templates, counts) < 1e-8


def test_vmap_is_a_loop():
    """Lanes that end after different numbers of iterations, two of them on a bound."""
    targets = jnp.linspace(-7.0, 7.0, 6)[:, None] * jnp.ones((1, 2))
    solver = dense(cosh)

    def run(target):
        params, state = solver.run(vector([0.5, 0.0]), box(-6.0, 6.0, 2), target)
        return params.border, state.iter_num, state.status, state.value

    one, batch = jax.jit(run), jax.jit(jax.vmap(run))(targets)
    for together, alone in zip(batch, zip(*map(one, targets), strict=True), strict=True):
        np.testing.assert_allclose(together, jnp.stack(alone), rtol=1e-12, atol=1e-12)
    assert (batch[2] == Status.OK).all()
    assert len(set(np.asarray(batch[1]).tolist())) > 1
    np.testing.assert_allclose(batch[0], np.clip(targets, -6.0, 6.0), atol=1e-4)


def solve_dense(matvec, b):
    """A linear solver for implicit differentiation."""
    flat, unravel = ravel_pytree(b)
    matrix = jax.jacobian(lambda x: ravel_pytree(matvec(unravel(x)))[0])(flat)
    return unravel(jnp.linalg.solve(matrix, flat))


def test_implicit_derivative_of_a_quadratic():
    """d(minimum)/da = -H^-1 dg/da over the free parameters, zero where fixed or on a bound."""
    matrix = positive_matrix(4, 7)

    def function(x, a):
        return 0.5 * x @ matrix @ x - a * jnp.sum(x * jnp.arange(1.0, 5.0)) + 0.1 * a**2

    solver = dense(function, tol=1e-14, implicit_diff_solve=solve_dense)
    lower, upper = np.array([-10.0, 0.3, -10.0, -10.0]), np.array([10.0, 0.3, 10.0, 10.0])

    def minimum(a):
        return solver.run(vector(np.array([0.0, 0.3, 0.0, 0.0])), (vector(lower), vector(upper)), a)[0].border

    free = [0, 2, 3]
    expected = np.zeros(4)
    expected[free] = np.linalg.solve(matrix[np.ix_(free, free)], np.arange(1.0, 5.0)[free])
    np.testing.assert_allclose(jax.jit(jax.jacrev(minimum))(0.2), expected, rtol=0, atol=1e-8)


def test_implicit_derivative_by_the_data():
    """d(mu)/d(data) of a small likelihood against refits to shifted data, with jaxopt's own linear solver."""
    model, data = model_and_data("staterror")
    likelihood, space = likelihood_of(model), parameter_space(model)
    lower, upper = (likelihood.split(jnp.asarray(bound)) for bound in space.box())
    solver = Newton(
        derivatives=lambda x, exact, data: likelihood.derivatives(x, data, exact),
        profile=lambda x, low, high, data: x,
        gradient=lambda x, data: likelihood.gradient(x, data),
        tol=1e-16,
    )

    @jax.jit
    def mu(data):
        bestfit = likelihood.join(solver.run(likelihood.split(jnp.asarray(space.start)), (lower, upper), data)[0])
        return bestfit[model.config.poi_index]

    observed, step = jnp.asarray(data), 1e-3
    gradient = jax.jit(jax.grad(mu))(observed)
    for index in range(len(data)):
        shift = step * jnp.zeros_like(observed).at[index].set(1.0)
        refits = (mu(observed + shift) - mu(observed - shift)) / (2.0 * step)
        np.testing.assert_allclose(gradient[index], refits, rtol=1e-4, atol=1e-6)
