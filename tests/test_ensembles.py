"""Ensembles of toys: summaries of known numbers, and files."""

from dataclasses import fields

import numpy as np
import pytest

from jaxfit import InputError, Status, ToyResults, load_results

NUMBER = 4000
RNG = np.random.default_rng(7)
TRUTH = np.array([1.0, 0.0, 2.0])


def ensemble(bestfit, uncertainty, status=None, **settings):
    toys = len(bestfit)
    status = np.zeros(toys, dtype=np.int8) if status is None else status
    known = {
        "labels": ["mu", "jes", "lumi"],
        "truth": TRUTH,
        "best_twice_nll": np.arange(toys) + 100.0,
        "edm": np.full(toys, 1e-12),
        "iterations": np.full(toys, 4),
        "poi": "",
        "poi_values": np.zeros(0),
        "poi_twice_nll": np.zeros((toys, 0)),
        "poi_status": np.zeros((toys, 0), dtype=np.int8),
        "seed": 3,
        "aux": "sampled",
        "bootstrap": False,
        "model_digest": "abc",
        "versions": {"jax": "0"},
    }
    return ToyResults(bestfit=bestfit, uncertainty=uncertainty, status=status, **{**known, **settings})


@pytest.fixture(scope="module")
def toys():
    """Pulls of mean 0.5 and width 2 for mu, of a unit normal for jes; lumi is fixed."""
    pulls = np.column_stack([0.5 + 2.0 * RNG.normal(size=NUMBER), RNG.normal(size=NUMBER), np.zeros(NUMBER)])
    sigma = np.tile([0.1, 0.9, 0.0], (NUMBER, 1))
    return ensemble(TRUTH + pulls * sigma, sigma)


def test_summary(toys):
    summary = toys.summary()
    assert summary.labels == ["mu", "jes"]
    assert summary.converged
    assert (summary.toys, summary.used, summary.left_out) == (NUMBER, NUMBER, {})
    assert (np.abs(summary.bias - [0.05, 0.0]) < 4 * np.array([0.2, 0.9]) / np.sqrt(NUMBER)).all()
    np.testing.assert_allclose(summary.bias_error, np.array([0.2, 0.9]) / np.sqrt(NUMBER), rtol=0.05)
    np.testing.assert_allclose(summary.pull_mean, [0.5, 0.0], rtol=0, atol=0.13)
    np.testing.assert_allclose(summary.pull_mean_error, np.array([2.0, 1.0]) / np.sqrt(NUMBER), rtol=0.05)
    np.testing.assert_allclose(summary.pull_width, [2.0, 1.0], rtol=0.05)
    np.testing.assert_allclose(summary.pull_width_error, np.array([2.0, 1.0]) / np.sqrt(2 * NUMBER), rtol=0.05)
    normal = [0.6827, 0.95]
    wide = [0.3721, 0.6561]  # a normal distribution of mean 0.5 and width 2 within 1 and 1.96
    np.testing.assert_allclose(summary.coverage, [wide, normal], rtol=0, atol=0.03)
    np.testing.assert_allclose(summary.coverage_error, np.sqrt(summary.coverage * (1 - summary.coverage) / NUMBER))
    assert toys.summary(["jes"]).pull_mean == summary.pull_mean[1:]


def test_failed_toys_are_left_out_and_counted(toys):
    status = np.zeros(NUMBER, dtype=np.int8)
    status[:10], status[10:13], status[13] = Status.SINGULAR, Status.MULTIPLE_MINIMA, Status.OK_AT_BOUND
    bad = toys.bestfit.copy()
    bad[:13] = 1e9
    spoilt = ensemble(bad, toys.uncertainty, status)
    summary = spoilt.summary()
    assert not summary.converged
    assert summary.used == NUMBER - 13
    assert summary.left_out == {"SINGULAR": 10, "MULTIPLE_MINIMA": 3}
    assert np.abs(summary.bias).max() < 0.2
    assert str(summary).splitlines()[0] == "4000 toys, 13 left out of what follows: 10 SINGULAR, 3 MULTIPLE_MINIMA"
    assert spoilt.counts[Status.OK_AT_BOUND] == 1
    with_them = spoilt.summary(accept=[Status.MULTIPLE_MINIMA])
    assert (with_them.used, with_them.left_out) == (NUMBER - 10, {"SINGULAR": 10})
    assert repr(spoilt) == "ToyResults(4000 toys, 3 parameters, 13 left out)"


def test_toys_without_uncertainty_do_not_count_in_pulls(toys):
    sigma = toys.uncertainty.copy()
    sigma[:1000, 0] = np.nan
    summary = ensemble(toys.bestfit, sigma).summary()
    assert summary.labels == ["mu", "jes"]
    np.testing.assert_allclose(summary.pull_mean_error, summary.pull_width / np.sqrt([NUMBER - 1000, NUMBER]))


def test_twice_deltas(toys):
    status = np.array([[0, 0], [0, Status.STALLED], [1, 0]], dtype=np.int8)
    held = ensemble(
        toys.bestfit[:3],
        toys.uncertainty[:3],
        np.array([0, 0, Status.SINGULAR], dtype=np.int8),
        poi="mu",
        poi_values=np.array([0.0, 1.0]),
        poi_twice_nll=np.array([[101.0, 104.0], [102.0, 105.0], [103.0, 106.0]]),
        poi_status=status,
    )
    np.testing.assert_array_equal(held.twice_deltas, [[1.0, 4.0], [1.0, np.nan], [np.nan, np.nan]])
    assert not held.converged


def test_one_toy_and_none():
    one = ensemble(TRUTH[None], np.ones((1, 3)))
    assert one.summary().bias.tolist() == [0.0, 0.0, 0.0]
    assert np.isnan(one.summary().bias_error).all()
    none = ensemble(TRUTH[None], np.ones((1, 3)), np.array([Status.NOT_RUN], dtype=np.int8)).summary()
    assert none.used == 0
    assert np.isnan(none.bias).all()
    assert "1 left out of what follows: 1 NOT_RUN" in str(none)


def test_unknown_parameter(toys):
    with pytest.raises(InputError, match="unknown parameter 'Mu'"):
        toys.summary(["Mu"])


def test_files(toys, tmp_path):
    toys.save(tmp_path / "toys.npz")
    again = load_results(tmp_path / "toys.npz")
    assert isinstance(again, ToyResults)
    for field in fields(toys):
        one, other = getattr(toys, field.name), getattr(again, field.name)
        np.testing.assert_array_equal(one, other)
        assert type(one) is type(other)
        assert getattr(one, "dtype", None) == getattr(other, "dtype", None)
    summary = toys.summary()
    summary.save(tmp_path / "summary.json")
    read = load_results(tmp_path / "summary.json")
    assert str(read) == str(summary)
    np.testing.assert_array_equal(read.coverage, summary.coverage)


@pytest.mark.parametrize("content", [b"PK nothing of the kind", b"PK"])
def test_files_of_something_else(tmp_path, content):
    (tmp_path / "x.npz").write_bytes(content)
    with pytest.raises(InputError, match="not a jaxfit result"):
        load_results(tmp_path / "x.npz")
    np.savez(tmp_path / "y.npz", x=np.zeros(3))
    with pytest.raises(InputError, match="not a jaxfit result"):
        load_results(tmp_path / "y.npz")
