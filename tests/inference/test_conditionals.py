"""What conditional fits start from, and how they are held."""

from dataclasses import replace

import numpy as np
import pytest
from models import model_and_data

from jaxfit import FitResults, Status
from jaxfit.inference.conditionals import conditional_problems, tangent, twice_deltas
from jaxfit.likelihood import parameter_space
from jaxfit.minimization import Minima


def gaussian(number=5, fixed=()):
    """A best fit with a random covariance; the fixed parameters have none."""
    rng = np.random.default_rng(3)
    spread = rng.normal(size=(number, number)) + 2.0 * np.eye(number)
    covariance = spread @ spread.T
    covariance[list(fixed)] = covariance[:, list(fixed)] = 0.0
    sigma = np.sqrt(np.diag(covariance))
    safe = np.where(sigma > 0, sigma, 1.0)
    names = [f"p{i}" for i in range(number)]
    return FitResults(rng.normal(size=number), sigma, names, covariance / np.outer(safe, safe), 10.0), covariance


@pytest.mark.parametrize("held", [[1], [3, 0], [4, 2, 1]])
def test_the_tangent_leads_to_the_conditional_minimum(held):
    """Of x^T C^-1 x with x_held given: the others solve their own block."""
    best, covariance = gaussian()
    shifts = np.array([[0.5, -1.0, 2.0], [-0.3, 0.0, 1.0]])[:, : len(held)]
    found = tangent(best, np.array([held, held]), shifts)
    others = [i for i in range(5) if i not in held]
    hessian = np.linalg.inv(covariance)
    expected = -np.linalg.solve(hessian[np.ix_(others, others)], hessian[np.ix_(others, held)] @ shifts.T).T
    np.testing.assert_allclose(found[:, others], expected, atol=1e-12)
    np.testing.assert_allclose(found[:, held], shifts, atol=1e-12)


def test_every_lane_can_hold_another_parameter():
    best, covariance = gaussian()
    found = tangent(best, np.array([[0], [3]]), np.array([[1.0], [2.0]]))
    np.testing.assert_allclose(found, [covariance[0] / covariance[0, 0], 2.0 * covariance[3] / covariance[3, 3]])


def test_without_uncertainty_there_is_no_tangent():
    best, _ = gaussian(fixed=(2,))
    np.testing.assert_array_equal(tangent(best, np.array([[2]]), np.array([[1.0]])), np.zeros((1, 5)))
    unknown = replace(best, uncertainty=np.full(5, np.nan), corr_mat=np.full((5, 5), np.nan))
    np.testing.assert_array_equal(tangent(unknown, np.array([[1]]), np.array([[1.0]])), np.zeros((1, 5)))


def test_held_parameters_have_equal_bounds_and_the_others_their_own():
    model, data = model_and_data("staterror")
    space = parameter_space(model).override(fix_pars={"xsec": 0.3})
    mu = space.index("mu")
    start = np.tile(space.start, (3, 1))
    before = start.copy()
    values = np.array([[0.5], [-1.0], [20.0]])  # two of them outside of the bounds
    problems = conditional_problems(np.asarray(data), space, np.full((3, 1), mu), values, start)
    for bound in (problems.lower, problems.upper, problems.start):
        np.testing.assert_array_equal(bound[:, mu], values[:, 0])
    others = np.arange(len(space.names)) != mu
    np.testing.assert_array_equal(problems.lower[:, others], np.tile(space.box()[0][others], (3, 1)))
    np.testing.assert_array_equal(problems.upper[:, others], np.tile(space.box()[1][others], (3, 1)))
    np.testing.assert_array_equal(problems.data, np.tile(data, (3, 1)))
    np.testing.assert_array_equal(start, before)


def test_deltas_are_twice_the_nll_and_none_where_a_fit_failed():
    best, _ = gaussian()
    statuses = np.array([Status.OK, Status.OK_AT_BOUND, Status.SINGULAR, Status.STALLED, Status.NOT_A_MINIMUM])
    nll = np.array([5.5, 6.0, 7.0, 8.0, np.inf])
    none = np.zeros(5)
    deltas = twice_deltas(Minima(none, nll, none, none, statuses), best)
    np.testing.assert_array_equal(deltas, [1.0, 2.0, 4.0, np.nan, np.nan])
