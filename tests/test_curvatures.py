"""Columns of the covariance are those of the matrix that a fit gives."""

import numpy as np
import pytest
from models import model_and_data

import jaxfit
from jaxfit.curvatures import covariance_columns, curvature, hessian, nll, slopes
from jaxfit.likelihood import likelihood_of, parameter_space


@pytest.fixture(scope="module")
def fitted():
    model, data = model_and_data("staterror")
    return likelihood_of(model), np.array(data), jaxfit.fit(model, data)


def test_columns_are_those_of_the_covariance(fitted):
    likelihood, data, best = fitted
    size = len(best.labels)
    for index in range(size):
        columns, positive = covariance_columns(likelihood, best.bestfit, data, index, np.ones((1, size), dtype=bool))
        assert positive.all()
        np.testing.assert_allclose(columns[0], best.covariance[index], rtol=1e-7, atol=1e-12)


def test_held_parameters(fitted):
    """The inverse of the Hessian's other rows and columns; more sets than one program takes."""
    likelihood, data, best = fitted
    size, index = len(best.labels), best.labels.index("mu")
    masks = np.random.default_rng(2).random((70, size)) < 0.6
    masks[:, index] = True
    columns, positive = covariance_columns(likelihood, best.bestfit, data, index, masks)
    hessian = np.linalg.inv(best.covariance)
    assert positive.all()
    for mask, column in zip(masks, columns, strict=True):
        assert not column[~mask].any()
        inverse = np.linalg.inv(hessian[np.ix_(mask, mask)])
        np.testing.assert_allclose(column[mask], inverse[mask[:index].sum()], rtol=1e-6, atol=1e-12)


def test_a_point_without_a_covariance(fitted):
    """Far above the data the likelihood is curved downwards along mu."""
    likelihood, data, best = fitted
    size, index = len(best.labels), best.labels.index("mu")
    masks = np.zeros((1, size), dtype=bool)
    masks[0, index] = True
    nothing = data.copy()
    nothing[:3] = 0.0
    _, positive = covariance_columns(likelihood, best.bestfit, nothing, index, masks)
    assert not positive.any()


def test_curvature_and_hessian_agree():
    """Widths and correlations of the free parameters are those of the inverted dense Hessian."""
    model, data = model_and_data("staterror")
    likelihood, space = likelihood_of(model), parameter_space(model)
    free = np.ones(space.start.size, dtype=bool)
    free[1] = False
    around = curvature(likelihood, space.start, free, np.zeros_like(free), np.asarray(data))
    dense = hessian(likelihood, space.start, np.asarray(data))
    covariance = np.zeros_like(dense)
    covariance[np.ix_(free, free)] = np.linalg.inv(dense[np.ix_(free, free)])
    found = around.correlation() * np.outer(around.sigma, around.sigma)
    assert around.positive
    np.testing.assert_allclose(found, covariance, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(around.diagonal, np.diag(dense), rtol=1e-12)
    np.testing.assert_allclose(around.nll, -model.logpdf(space.start, data)[0], rtol=1e-12)
    np.testing.assert_allclose(around.expected, model.expected_data(space.start, include_auxdata=False), rtol=1e-12)


def test_value_and_slopes(fitted):
    likelihood, data, best = fitted
    model, _ = model_and_data("staterror")
    point = best.bestfit + 0.3 * best.uncertainty
    assert nll(likelihood, point, data) == pytest.approx(-float(model.logpdf(point, data)[0]), rel=1e-12)
    step = 1e-6 * np.eye(point.size)
    numerical = [(nll(likelihood, point + h, data) - nll(likelihood, point - h, data)) / 2e-6 for h in step]
    np.testing.assert_allclose(slopes(likelihood, point, data), numerical, rtol=1e-5, atol=1e-6)
