"""Toys have the distributions of pyhf's, and each of them depends on the seed and its number only."""

import numpy as np
import pytest
from models import model_and_data
from scipy import stats

from jaxfit import InputError
from jaxfit.likelihood import draw, expected_data, parameters_of, sampler

NUMBER = 4000


def distribution_of(name, aux="sampled", **pars):
    model, _ = model_and_data(name)
    return model, sampler(model, expected_data(model, parameters_of(model, pars=pars)), aux, model.config.auxdata)


@pytest.fixture(scope="module")
def shapesys():
    model, distribution = distribution_of("shapesys", mu=1.3)
    return model, distribution, draw(distribution, 5, 0, NUMBER)


def test_counts_are_poisson(shapesys):
    """Main data, and the auxiliary data of a Poisson constraint."""
    _, distribution, toys = shapesys
    assert np.isnan(distribution.sigma).all()
    assert (toys == np.floor(toys)).all()
    for column, mean in zip(toys.T, distribution.mean, strict=True):
        assert abs(column.mean() - mean) < 4.0 * np.sqrt(mean / NUMBER)
        assert column.var() / mean == pytest.approx(1.0, abs=4.0 * np.sqrt(2.0 / NUMBER) * (1 + 1 / mean))
    small = np.argmin(distribution.mean)
    edges = stats.poisson.ppf([0.1, 0.25, 0.5, 0.75, 0.9], distribution.mean[small])
    found = np.searchsorted(np.sort(toys[:, small]), edges, side="right") / NUMBER
    np.testing.assert_allclose(found, stats.poisson.cdf(edges, distribution.mean[small]), rtol=0, atol=4 * 0.5 / 63.0)


def test_normal_constraints_are_normal():
    model, distribution = distribution_of("everything", jes=0.7)
    toys, bins = draw(distribution, 1, 0, NUMBER), model.config.nmaindata
    normal = np.flatnonzero(distribution.sigma > 0)
    assert (normal >= bins).all()
    assert normal.size > 3
    names = [name for name in model.config.auxdata_order for _ in range(model.config.param_set(name).n_parameters)]
    assert distribution.mean[bins + names.index("jes")] == 0.7
    for i in normal:
        assert stats.kstest(toys[:, i], stats.norm(distribution.mean[i], distribution.sigma[i]).cdf).pvalue > 1e-4
    widths = [w for name in model.config.auxdata_order if model.config.param_set(name).pdf_type == "normal"
              for w in model.config.param_set(name).width()]  # fmt: skip
    np.testing.assert_allclose(distribution.sigma[normal], widths)
    correlation = np.corrcoef(toys.T) - np.eye(len(toys.T))
    assert np.abs(correlation).max() < 5.0 / np.sqrt(NUMBER)


def test_auxiliary_data_can_stay_nominal():
    model, distribution = distribution_of("everything", aux="nominal", jes=0.7)
    toys = draw(distribution, 1, 0, 50)
    np.testing.assert_array_equal(toys[:, model.config.nmaindata :], np.tile(model.config.auxdata, (50, 1)))
    assert len(np.unique(toys[:, 0])) > 5


def test_a_toy_depends_on_the_seed_and_its_number(shapesys):
    _, distribution, toys = shapesys
    for first, count in ((0, 1), (3, 7), (1000, 100), (1023, 1500)):
        np.testing.assert_array_equal(draw(distribution, 5, first, count), toys[first : first + count])
    assert (draw(distribution, 6, 0, 100) != toys[:100]).any(axis=1).all()
    assert len(np.unique(toys, axis=0)) > 0.99 * NUMBER


@pytest.mark.parametrize("expected", [3.0, 9e4, 1.1e5, 1e6, 1e8, 1e15])
def test_moments_of_counts(expected):
    """JAX's own Poisson numbers fail this from 1e6 on."""
    _, distribution = distribution_of("shapesys")
    counts = draw(distribution._replace(mean=np.full_like(distribution.mean, expected)), 0, 0, NUMBER).ravel()
    pulls = (counts - expected) / np.sqrt(expected)
    assert (counts == np.round(counts)).all()
    assert abs(pulls.mean()) < 4.0 / np.sqrt(pulls.size)
    assert pulls.var() == pytest.approx(1.0, abs=4.0 * np.sqrt((2.0 + 1.0 / expected) / pulls.size))
    assert stats.skew(pulls) == pytest.approx(1.0 / np.sqrt(expected), abs=5.0 * np.sqrt(6.0 / pulls.size))


def test_next_to_nothing_expected():
    _, distribution = distribution_of("shapesys")
    toys = draw(distribution._replace(mean=np.array([0.0, 1e-6, *distribution.mean[2:]])), 0, 0, 1000)
    assert (toys[:, 0] == 0).all()
    assert toys[:, 1].sum() <= 1


def test_mistakes():
    model, distribution = distribution_of("shapesys")
    with pytest.raises(InputError, match=r"unknown aux 'fixed' \(known: 'sampled', 'nominal'\)"):
        sampler(model, distribution.mean, "fixed", model.config.auxdata)
    with pytest.raises(InputError, match="no toys where a negative yield is expected: -1 in a bin"):
        sampler(model, np.array([-1.0, *distribution.mean[1:]]), "sampled", model.config.auxdata)
