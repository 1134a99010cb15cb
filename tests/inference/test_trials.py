"""Ensembles of toys behind a question: their seeds, and what is kept of them."""

from concurrent.futures import ThreadPoolExecutor

import countings
import numpy as np
import pytest
from models import model_and_data

from jaxfit.inference.trials import Label, Trials, derived_seed
from jaxfit.likelihood import draw, parameter_space

NTOYS = 2000


def trials_of(model, held, **settings):
    how = {
        "ntoys": NTOYS,
        "seed": 3,
        "accept": (),
        "executor": None,
        "checkpoint": None,
        "progress": False,
        "options": {},
    }
    return Trials(model, parameter_space(model), np.array(held, dtype=int), **{**how, **settings})


def test_seeds_are_different_and_reproducible():
    labels = [(label, *values) for label in Label for values in ((), (0.5,), (1.0,), (1.0 + 1e-15,), (1.0, 0.5))]
    seeds = [derived_seed(seed, *label) for seed in (0, 1, 2**40) for label in labels]
    assert len(set(seeds)) == len(seeds)
    assert all(0 <= seed < 2**63 for seed in seeds)
    assert derived_seed(1, Label.GRID_POINT, 0.0) == derived_seed(1, Label.GRID_POINT, -0.0)
    assert derived_seed(1, Label.TESTED_VALUE, 0.5) == 8_311_514_826_491_064_188


def test_ensembles_differ_and_are_drawn_again():
    model, points = countings.counting(), np.array([[2.0]])
    one = trials_of(model, [0]).run(np.array([1.0]), points, Label.TESTED_VALUE, 2.0)
    again = trials_of(model, [0]).run(np.array([1.0]), points, Label.TESTED_VALUE, 2.0)
    other = trials_of(model, [0]).run(np.array([1.0]), points, Label.TESTED_VALUE, 3.0)
    np.testing.assert_array_equal(one.twice_deltas, again.twice_deltas)
    assert (one.estimates != other.estimates).any()
    data = draw(one.sampler, one.seed, 0, NTOYS)
    np.testing.assert_allclose(one.estimates[:, 0], np.maximum(data[:, 0] - 3.0, 0.0), atol=1e-5)
    exact = countings.statistics("ttilde", 2.0, data[:, 0])
    np.testing.assert_allclose(one.twice_deltas[:, 0], exact, atol=1e-7)


def test_an_executor_makes_the_same_toys():
    model, points = countings.counting(), np.array([[2.0]])
    with ThreadPoolExecutor(1) as executor:
        found = [
            trials_of(model, [0], executor=workers).run(np.array([1.0]), points, Label.TESTED_VALUE)
            for workers in (None, executor)
        ]
        assert executor._work_queue.empty()
        assert len(executor._threads) == 1  # it was used
    np.testing.assert_allclose(found[0].twice_deltas, found[1].twice_deltas, rtol=0, atol=1e-10)


def test_estimates_are_in_the_order_of_the_held_parameters():
    model, _ = model_and_data("staterror")
    space = parameter_space(model)
    indices = [space.index("mu"), next(i for i, name in enumerate(space.names) if name != "mu")]
    points = space.start[indices][None]
    found = [
        trials_of(model, held).run(space.start, points[:, order], Label.GRID_POINT)
        for held, order in ((indices, [0, 1]), (indices[::-1], [1, 0]))
    ]
    np.testing.assert_array_equal(found[0].estimates, found[1].estimates[:, ::-1])
    np.testing.assert_array_equal(found[0].twice_deltas, found[1].twice_deltas)


@pytest.mark.parametrize("freeze", [False, True])
def test_auxiliary_data_of_fixed_parameters(freeze):
    model, data = model_and_data("staterror")
    space = parameter_space(model).override(None, {"xsec": True}, None)
    trials = trials_of(model, [])
    trials.space = space
    observed = np.array(data) + 0.25
    found = trials.run(space.start, np.zeros((0, 0)), Label.BEST_FIT, observed=observed if freeze else None)
    drawn = draw(found.sampler, found.seed, 0, NTOYS)
    constant = np.flatnonzero((drawn == drawn[0]).all(axis=0))
    assert constant.size == (1 if freeze else 0)
    np.testing.assert_array_equal(drawn[0, constant], observed[constant])
