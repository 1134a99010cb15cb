"""The search for crossings, on profiles that are formulas; with real ones it is tested in test_intervals."""

from dataclasses import replace

import numpy as np
import pytest
from models import model_and_data

import jaxfit
from jaxfit import InputError, Status
from jaxfit.inference.crossings import _ROUNDS, _Search, crossings, free_indices
from jaxfit.likelihood import parameter_space

# distance d from the best fit -> -2 log(likelihood) above it
PROFILES = {
    "Gaussian": (lambda d: d**2, 1.0),
    "skewed": (lambda d: d**2 * (1 + 0.4 * d) ** 2, 1.0),
    "flatter outside": (lambda d: 4 * (np.sqrt(1 + d**2 / 2) - 1), 1.0),
    "Poisson": (lambda d: 2 * (d - np.log1p(d)), 1.0),
    "quartic, so without curvature": (lambda d: d**4, np.nan),
    "linear, as from a bound": (lambda d: 3 * d, np.nan),
    "kinked": (lambda d: np.where(d < 0.7, d**2, 0.49 + 5 * (d - 0.7)), 1.0),
    "wrong width by 100": (lambda d: d**2, 100.0),
    "wrong width by 1 / 100": (lambda d: d**2, 0.01),
    "wavy": (lambda d: (d + 0.25 * np.sin(6 * d)) ** 2, 0.4),
}


def search(profile, sigma, level=1.0, room=np.inf):
    """The search of one side; how many distances it tried."""
    one = _Search(np.array([room]), np.array([sigma]), np.sqrt(level))
    for number in range(_ROUNDS):
        if not one.running.any():
            return one, number
        one.advance(np.array([0]), np.atleast_1d(np.asarray(profile(one.distance), dtype=float)))
    return one, _ROUNDS


@pytest.mark.parametrize("level", [0.1, 1.0, 3.84, 25.0])
@pytest.mark.parametrize("name", PROFILES)
def test_crossings_are_found(name, level):
    profile, sigma = PROFILES[name]
    one, number = search(profile, sigma, level)
    assert not one.running
    assert not one.at_bound
    assert profile(one.found[0]) == pytest.approx(level, abs=1e-4)
    assert number <= 20


@pytest.mark.parametrize("name", ["Gaussian", "skewed", "Poisson", "flatter outside"])
def test_usual_profiles_take_few_steps_and_the_last_one_is_free(name):
    profile, sigma = PROFILES[name]
    one, number = search(profile, sigma)
    assert number <= 4
    assert profile(one.found[0]) == pytest.approx(1.0, abs=1e-6)


def test_an_interval_ends_on_the_bound():
    one, number = search(lambda d: d**2, 1.0, room=0.6)
    assert one.at_bound
    assert number == 1
    assert search(lambda d: d**2, 1.0, room=0.0)[1] == 0
    # beyond the crossing the bound does not matter
    one, _ = search(lambda d: d**2, 1.5, room=1.2)
    assert not one.at_bound
    assert one.found == pytest.approx(1.0, abs=1e-6)


def test_a_jump_over_the_level_is_a_crossing():
    one, _ = search(lambda d: np.where(d < 0.8, 0.5 * d**2, 3.0), 1.0)
    assert one.found == pytest.approx(0.8, abs=1e-6)


def test_fits_that_fail_are_avoided():
    """Beyond 1.3 nothing can be fitted; the crossing is before that, or never reached."""
    one, _ = search(lambda d: np.where(d < 1.3, d**2, np.nan), 4.0)
    assert one.found == pytest.approx(1.0, abs=1e-6)
    one, number = search(lambda d: np.where(d < 1.3, 0.2 * d**2, np.nan), 4.0)
    assert np.isnan(one.found)
    assert not one.running
    assert not one.at_bound
    assert number < 20


def test_what_never_reaches_the_level_ends():
    one, number = search(lambda d: 0.3 * np.tanh(d), 1.0)
    assert number == _ROUNDS
    assert one.running
    assert np.isnan(one.found)


def test_a_lower_minimum_ends_the_search():
    one, number = search(lambda d: -2.0 * d, 1.0)
    assert number == 1
    assert np.isnan(one.found)
    assert not one.at_bound


def test_sides_do_not_disturb_each_other():
    sigma, bend = np.array([1.0, 1.0, 3.0, np.nan]), np.array([0.0, 0.4, 0.1, 2.0])
    together = _Search(np.full(4, np.inf), sigma, 1.0)
    while together.running.any():
        sides = np.flatnonzero(together.running)
        d = together.distance[sides]
        together.advance(sides, d**2 * (1 + bend[sides] * d) ** 2)
    alone = [search(lambda d, b=b: d**2 * (1 + b * d) ** 2, s)[0].found[0] for s, b in zip(sigma, bend, strict=True)]
    np.testing.assert_array_equal(together.found, alone)


# -- with a model -----------------------------------------------------------------------------------------------------


def test_a_fit_below_the_best_fit_is_told():
    """Here it is the best fit that is wrong."""
    model, data = model_and_data("staterror")
    space, best = parameter_space(model), jaxfit.fit(model, data)
    wrong = replace(best, best_twice_nll=best.best_twice_nll + 5.0)
    indices = np.array([space.index("mu")])
    found = crossings(model, np.asarray(data), space, wrong, indices, 1.0)
    assert np.isnan(found.ends).all()
    assert [index for index, _ in found.lower_minima] == [indices[0]] * 2
    remarks = found.remarks(space, indices)
    assert remarks[0].startswith("with mu = ")
    assert "start it there with init_pars" in remarks[0]
    assert remarks[-1] == "ends of intervals that were not found: mu lower (OK), mu upper (OK)"


def test_a_start_that_fails_is_replaced_by_the_last_minimum(monkeypatch):
    model, data = model_and_data("staterror")
    space, best = parameter_space(model), jaxfit.fit(model, data)
    arguments = model, np.asarray(data), space, best, np.arange(len(space.names)), 1.0
    expected = crossings(*arguments)
    nowhere = "jaxfit.inference.crossings.tangent"
    monkeypatch.setattr(nowhere, lambda best, held, shifts: np.full((len(held), len(best.bestfit)), np.nan))
    found = crossings(*arguments)
    assert (found.statuses == Status.OK).all()
    np.testing.assert_allclose(found.ends, expected.ends, rtol=0, atol=1e-6)


def test_all_ends_and_only_they_are_searched_for_lower_minima(monkeypatch):
    model, data = model_and_data("staterror")
    space, best = parameter_space(model), jaxfit.fit(model, data)
    seen = []

    def explore(model, problems, solved, **options):
        seen.append((problems.lower == problems.upper, problems.start.copy(), 2.0 * solved.nll - best.best_twice_nll))
        return solved

    monkeypatch.setattr("jaxfit.inference.crossings.several_minima", lambda model: True)
    monkeypatch.setattr("jaxfit.inference.crossings.explore", explore)
    found = crossings(model, np.asarray(data), space, best, np.arange(5), 1.0)
    held, start, deltas = (np.concatenate(parts) for parts in zip(*seen, strict=True))
    np.testing.assert_allclose(deltas, 1.0, atol=1e-4)
    ends = sorted((int(np.flatnonzero(row)[0]), float(pars[row][0])) for row, pars in zip(held, start, strict=True))
    expected = sorted((i, float(end)) for i, both in enumerate(found.ends) for end in both)
    np.testing.assert_allclose(ends, expected, rtol=0, atol=1e-3)


def test_indices_of_parameters():
    model, _ = model_and_data("configured")  # xsec and lumi are fixed
    space = parameter_space(model)
    assert set(space.named(~space.fixed)) == {space.names[i] for i in free_indices(space, None)}
    assert free_indices(space, ["tilt", "mu"]).tolist() == [space.index("tilt"), space.index("mu")]
    assert free_indices(space, "tilt").tolist() == [space.index("tilt")]
    assert free_indices(space, []).tolist() == []
    with pytest.raises(InputError, match="'lumi' is fixed, and has no interval: free it with fix_pars"):
        free_indices(space, ["mu", "lumi"])
    with pytest.raises(InputError, match="unknown parameter 'tilr'"):
        free_indices(space, "tilr")


def test_failed_sides_keep_their_status():
    """Beyond mu = -2 there would be fewer than no events."""
    model, data = model_and_data("staterror")
    space = parameter_space(model).override(par_bounds={"mu": (-50.0, 10.0)})
    best = jaxfit.fit(model, data, par_bounds={"mu": (-50.0, 10.0)})
    found = crossings(model, np.asarray(data), space, best, np.array([space.index("mu")]), 1e4)
    assert np.isnan(found.ends[0, 0])
    assert not Status(int(found.statuses[0, 0])).converged
