"""Arrow matrices against the dense linear algebra of numpy."""

from collections.abc import Iterator
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxfit.arrow import ArrowMatrix, ArrowVector

GLOBALS, BINS = 4, 5
SHAPES = [(slots, z) for slots in (0, 1, 3) for z in (1, 2, 3)]
each_shape = pytest.mark.parametrize(("slots", "z"), SHAPES)


@pytest.fixture(autouse=True)
def _x64() -> Iterator[None]:
    with jax.enable_x64(True):
        yield


class Problem(NamedTuple):
    """A positive definite matrix, a vector, which rows are free; the last slot of the last bin is padding."""

    matrix: ArrowMatrix
    vector: ArrowVector
    free: ArrowVector
    order: jax.Array
    rows: jax.Array


def problem(slots, z, seed=0, fixed=()):
    rng = np.random.default_rng(seed)
    root = rng.normal(size=(BINS, z + slots, z + slots))
    bins = np.moveaxis(root @ np.swapaxes(root, 1, 2) + 0.1 * np.eye(z + slots), 0, -1)
    corner = rng.normal(size=(GLOBALS, GLOBALS))
    cross, blocks = bins[z:, :z], bins[z:, z:]
    on = np.ones((slots, BINS))
    padding = int(slots > 0)
    if padding:
        on[-1, -1] = cross[-1, :, -1] = blocks[-1, :, -1] = blocks[:, -1, -1] = 0.0
    matrix = ArrowMatrix(
        corner @ corner.T + np.eye(GLOBALS), rng.normal(size=(GLOBALS, z, BINS)), bins[:z, :z], cross, blocks
    )
    border = np.ones(GLOBALS)
    for i in fixed:
        if i < GLOBALS:
            border[i] = 0.0
        elif slots:
            on[0, i - GLOBALS] = 0.0
    # parameters in an arbitrary order; the padding has none
    places = np.arange(GLOBALS + slots * BINS - padding)
    order = rng.permutation(places)
    inverse = np.append(np.argsort(order), np.full(padding, len(order)))
    vector = ArrowVector(rng.normal(size=GLOBALS), rng.normal(size=(slots, BINS)))
    rows = inverse[GLOBALS:].reshape(slots, BINS)
    return jax.tree.map(jnp.asarray, Problem(matrix, vector, ArrowVector(border, on), order, rows))


def flat(vector):
    return np.concatenate([vector.border, np.ravel(vector.blocks)])


@jax.jit
def evaluate(given):
    factor = given.matrix.factor(given.free)
    return (
        factor.positive,
        factor.solve(given.vector),
        (factor.widths(given.order, given.rows), factor.correlation(given.order, given.rows)),
        given.matrix.to_dense(),
    )


FIXED = [(), (1,), (0, 2, GLOBALS, GLOBALS + 3), tuple(range(GLOBALS))]


@each_shape
@pytest.mark.parametrize("fixed", FIXED, ids=["free", "one", "some", "border"])
def test_factor_solve_and_inverse_equal_dense(slots, z, fixed):
    given = problem(slots, z, seed=len(fixed), fixed=fixed)
    positive, solution, (sigma, unit), dense = evaluate(given)
    assert positive
    free = flat(given.free) > 0
    expected = np.zeros_like(dense)
    expected[np.ix_(free, free)] = np.linalg.inv(np.asarray(dense)[np.ix_(free, free)])
    np.testing.assert_allclose(flat(solution), expected @ flat(given.vector), rtol=1e-9, atol=1e-11)
    np.testing.assert_array_equal(flat(solution)[~free], 0.0)
    order = np.asarray(given.order)
    inverse = expected[np.ix_(order, order)]
    np.testing.assert_allclose(sigma, np.sqrt(np.diag(inverse)), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(unit * np.outer(sigma, sigma), inverse, rtol=1e-8, atol=1e-11)
    np.testing.assert_allclose(np.diag(unit), free[order].astype(float), rtol=1e-12)
    np.testing.assert_allclose(unit, np.asarray(unit).T, atol=1e-14)


@each_shape
def test_dense_form_diagonal_and_product(slots, z):
    """The definition of the module, written out bin by bin."""
    given = problem(slots, z)
    corner, basis, core, cross, blocks = map(np.asarray, given.matrix)
    size = GLOBALS + slots * BINS
    expected = np.zeros((size, size))
    expected[:GLOBALS, :GLOBALS] = corner
    for b in range(BINS):
        expected[:GLOBALS, :GLOBALS] += basis[:, :, b] @ core[:, :, b] @ basis[:, :, b].T
        for i in range(slots):
            row = GLOBALS + i * BINS + b
            expected[row, :GLOBALS] = expected[:GLOBALS, row] = cross[i, :, b] @ basis[:, :, b].T
            for j in range(slots):
                expected[row, GLOBALS + j * BINS + b] = blocks[i, j, b]
    np.testing.assert_allclose(given.matrix.to_dense(), expected, rtol=1e-13, atol=1e-13)
    np.testing.assert_allclose(flat(given.matrix.diagonal()), np.diag(expected), rtol=1e-13, atol=1e-13)
    np.testing.assert_allclose(given.vector.dot(given.vector), flat(given.vector) @ flat(given.vector), rtol=1e-13)


def spoiled(given, place):
    """The matrix with one negative eigenvalue, in the border, in a pivot of a block, or between two slots."""
    corner, basis, core, cross, blocks = given.matrix
    if place == "border":
        # below what the bins add: the Schur complement, not the corner alone, decides
        schur = np.asarray(given.matrix.to_dense())
        corner = corner.at[2, 2].add(-1.01 * schur[2, 2])
    elif place == "first pivot":
        blocks = blocks.at[0, 0, 1].set(-0.5)
    elif place == "last pivot":
        blocks = blocks.at[-1, -1, 1].add(-1.01 * blocks[-1, -1, 1])
    else:
        large = 1.01 * jnp.sqrt(blocks[0, 0, 1] * blocks[1, 1, 1])
        blocks = blocks.at[0, 1, 1].set(large).at[1, 0, 1].set(large)
    return given._replace(matrix=ArrowMatrix(corner, basis, core, cross, blocks))


@pytest.mark.parametrize(
    ("slots", "place"),
    [
        (0, "border"),
        (1, "border"),
        (3, "border"),
        (1, "first pivot"),
        (3, "first pivot"),
        (3, "last pivot"),
        (3, "slots"),
    ],
)
def test_a_matrix_that_is_not_positive_definite_is_detected(slots, place):
    given = spoiled(problem(slots, 2), place)
    positive, *_, dense = evaluate(given)
    free = flat(given.free) > 0
    assert np.linalg.eigvalsh(np.asarray(dense)[np.ix_(free, free)])[0] < 0
    assert not positive


@pytest.mark.parametrize(("slots", "place", "row"), [(1, "border", 2), (3, "first pivot", GLOBALS + 1)])
def test_what_is_not_free_does_not_count(slots, place, row):
    given = spoiled(problem(slots, 2, fixed=(row,)), place)
    assert evaluate(given)[0]


def test_a_semidefinite_matrix_has_a_damped_inverse():
    """A border parameter that nothing depends on, and one direction that is flat."""
    given = problem(1, 2)
    corner, basis, *rest = given.matrix
    corner = corner.at[3].set(0.0).at[:, 3].set(0.0)
    matrix = ArrowMatrix(corner, basis.at[3].set(0.0), *rest)
    assert not matrix.factor(given.free).positive
    factor = matrix.factor(given.free, damping=1e-8)
    assert factor.positive
    solution = factor.solve(given.vector._replace(border=given.vector.border.at[3].set(0.0)))
    dense = np.asarray(matrix.to_dense())
    used = (flat(given.free) > 0) & (np.arange(len(dense)) != 3)
    expected = np.linalg.solve(dense[np.ix_(used, used)], flat(given.vector)[used])
    np.testing.assert_allclose(flat(solution)[used], expected, rtol=1e-5, atol=1e-6)
    assert solution.border[3] == 0.0


def test_an_uncertainty_of_very_different_scales_is_kept():
    """Variances of 1e-12 and 1e12 beside each other: the correlations are computed in units of the uncertainties."""
    given = problem(1, 1)
    scale = np.array([1e-6, 1.0, 1e6, 1.0])[:, None]
    corner, basis, *rest = given.matrix
    stretched = ArrowMatrix(corner * scale * scale.T, basis * scale[..., None], *rest)
    _, _, (sigma, unit), _ = evaluate(given)
    _, _, (again, same), _ = evaluate(given._replace(matrix=stretched))
    np.testing.assert_allclose(same, unit, rtol=1e-8, atol=1e-10)
    where = [int(np.flatnonzero(np.asarray(given.order) == i)[0]) for i in range(GLOBALS)]
    np.testing.assert_allclose(np.asarray(again)[where] * scale[:, 0], np.asarray(sigma)[where], rtol=1e-9)
