"""A toy is fitted as data are, and nothing of it depends on the chunk it is in."""

from dataclasses import replace

import numpy as np
import pytest
from models import WORKSPACES, model_and_data

import jaxfit
from jaxfit import Status, workspaces
from jaxfit.inference import experiments
from jaxfit.inference.experiments import Outcomes, Plan, perform
from jaxfit.inference.samples import boxes
from jaxfit.likelihood import draw, expected_data, parameter_space, sampler

NUMBER = 70


def plan_of(model, *, values=(), widths=True, **fixed):
    space = parameter_space(model).override(fix_pars=fixed)
    index = space.poi_index() if values else None
    return Plan(
        model=model,
        sampler=sampler(model, expected_data(model, space.start), "sampled", model.config.auxdata),
        seed=4,
        **boxes(space, index, np.array(values)),
        kept=np.ones(len(space.names), dtype=bool),
        widths=widths,
        options={"maxiter": None, "goal": 1e-8},
    )


@pytest.fixture(scope="module")
def toys():
    model, _ = model_and_data("staterror")
    plan = plan_of(model, values=[0.5, 2.0])
    return plan, perform(plan, 0, NUMBER)


def test_a_toy_is_fitted_as_data_are(toys):
    plan, found = toys
    data = draw(plan.sampler, plan.seed, 0, 5)
    for i, toy in enumerate(data):
        best = jaxfit.fit(plan.model, toy.tolist())
        assert Status(int(found.status[i, 0])) == best.status
        assert 2.0 * found.nll[i, 0] == pytest.approx(best.best_twice_nll, abs=1e-7)
        np.testing.assert_allclose(found.pars[i], best.bestfit, rtol=0, atol=1e-4 * best.uncertainty.max())
        np.testing.assert_allclose(found.sigma[i], best.uncertainty, rtol=1e-4)
        scan = jaxfit.scan(plan.model, toy.tolist(), "mu", values=[0.5, 2.0])
        np.testing.assert_allclose(2.0 * (found.nll[i, 1:] - found.nll[i, 0]), scan.delta_nlls, rtol=0, atol=1e-6)


@pytest.mark.parametrize("size", [1, 7, 64])
def test_chunks_change_nothing(toys, size):
    plan, whole = toys
    chunks = [perform(plan, first, min(size, 14 - first)) for first in range(0, 14, size)]
    for one, name in zip(zip(*chunks, strict=True), Outcomes._fields, strict=True):
        np.testing.assert_allclose(np.concatenate(one), getattr(whole, name)[:14], rtol=0, atol=1e-10, err_msg=name)


def test_only_what_is_asked_for(toys):
    plan, whole = toys
    kept = np.zeros_like(plan.kept)
    kept[2] = True
    found = perform(replace(plan, kept=kept, widths=False), 0, 5)
    np.testing.assert_array_equal(found.pars, whole.pars[:5, 2:3])
    assert np.isnan(found.sigma).all()
    np.testing.assert_array_equal(found.nll, whole.nll[:5])


def test_fixed_parameters():
    model, _ = model_and_data("staterror")
    found = perform(plan_of(model, mu=1.0), 0, 5)
    index = model.config.poi_index
    assert (found.pars[:, index] == 1.0).all()
    assert (found.sigma[:, index] == 0.0).all()
    assert (np.delete(found.sigma, index, axis=1) > 0).sum() > 0


@pytest.mark.slow
def test_flat_directions_have_no_uncertainty():
    """Two normalisations of one sample: none of the toys has a covariance."""
    spec = WORKSPACES["normsys"]
    spec = {**spec, "channels": [_twice_scaled(channel) for channel in spec["channels"]]}
    model, _ = workspaces.model_and_data(spec)
    found = perform(plan_of(model), 0, 3)
    assert (found.status[:, 0] == Status.SINGULAR).all()
    assert np.isnan(found.sigma).any(axis=1).all()


def _twice_scaled(channel):
    twin = {"name": "twin", "type": "normfactor", "data": None}
    samples = [
        {**s, "modifiers": [*s["modifiers"], twin]} if any(m["name"] == "mu" for m in s["modifiers"]) else s
        for s in channel["samples"]
    ]
    return {**channel, "samples": samples}


def test_a_lower_point_with_a_parameter_held_is_a_better_start(toys, monkeypatch):
    """The best fit of some toys is spoilt; the fits with mu held at the edge of what they reach say so."""
    plan, whole = toys
    solve, calls = experiments.solve, []

    def spoilt(model, problems, **options):
        solved = solve(model, problems, **options)
        if not calls:
            for field in (solved.nll, solved.pars):
                field[:3] += 50.0
        calls.append(len(problems.data))
        return solved

    monkeypatch.setattr(experiments, "solve", spoilt)
    found = perform(plan, 0, 10)
    assert calls == [10, 10, 10, 3]
    np.testing.assert_allclose(found.nll[:, 0], whole.nll[:10, 0], rtol=0, atol=1e-8)


def test_digest_knows_every_setting(toys):
    plan, _ = toys
    other, _ = model_and_data("shapesys")
    changed = [
        replace(plan, model=other),
        replace(plan, seed=5),
        replace(plan, sampler=plan.sampler._replace(mean=plan.sampler.mean + 1.0)),
        replace(plan, sampler=plan.sampler._replace(sigma=plan.sampler.sigma + 1.0)),
        replace(plan, start=plan.start + 1e-9),
        replace(plan, lower=plan.lower - 1.0),
        replace(plan, upper=plan.upper + 1.0),
        replace(plan, kept=~plan.kept),
        replace(plan, widths=False),
        replace(plan, options={"maxiter": 3, "goal": 1e-8}),
    ]
    assert len({plan.digest, *(one.digest for one in changed)}) == 11
    assert replace(plan).digest == plan.digest
