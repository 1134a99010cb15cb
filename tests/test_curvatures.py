"""Columns of the covariance are those of the matrix that a fit gives."""

import numpy as np
import pytest
from models import model_and_data

import jaxfit
from jaxfit.curvatures import covariance_columns
from jaxfit.likelihood import likelihood_of


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
