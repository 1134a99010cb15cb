"""Every point of a two-dimensional scan is the fit that it stands for; contours enclose what they should."""

import numpy as np
import pytest
from models import model_and_data
from scipy.stats import chi2

import jaxfit
from jaxfit import FitError, FitWarning, InputError, Status
from jaxfit.inference.surfaces import _contour
from jaxfit.regions import ONE_SIGMA

STEPS = 8  # a batch of the size that other tests compile, too


@pytest.fixture(scope="module")
def staterror():
    model, data = model_and_data("staterror")
    return model, data, jaxfit.fit(model, data), jaxfit.scan2d(model, data, "mu", "xsec", n_steps=STEPS)


# -- the grid ---------------------------------------------------------------------------------------------------------


def test_points_are_fits(staterror):
    model, data, best, found = staterror
    mu, xsec = found.parameter_values
    assert found.delta_nlls.shape == (STEPS, STEPS)
    assert found.statuses == ((Status.OK,) * STEPS,) * STEPS
    assert found.converged
    for i, j in [(0, 0), (3, 4), (7, 2), (5, 7)]:
        held = jaxfit.fit(model, data, fix_pars={"mu": mu[i], "xsec": xsec[j]})
        assert found.delta_nlls[i, j] == pytest.approx(held.best_twice_nll - best.best_twice_nll, abs=1e-6)


def test_the_best_fit_and_its_covariance(staterror):
    _, _, best, found = staterror
    where = [best.labels.index(name) for name in found.names]
    np.testing.assert_array_equal(found.bestfit, best.bestfit[where])
    np.testing.assert_array_equal(found.uncertainty, best.uncertainty[where])
    assert found.correlation == best.corr_mat[where[0], where[1]]


def test_default_ranges_are_three_uncertainties_within_the_bounds(staterror):
    _, _, _, found = staterror
    (mu, xsec), center, reach = found.parameter_values, found.bestfit, 3.0 * found.uncertainty
    np.testing.assert_allclose(xsec, np.linspace(center[1] - reach[1], center[1] + reach[1], STEPS))
    assert center[0] - reach[0] < 0.0
    np.testing.assert_allclose(mu, np.linspace(0.0, center[0] + reach[0], STEPS))


def test_the_lowest_point_of_every_row_is_the_scan_of_one_parameter(staterror):
    model, data, _, _ = staterror
    ranges = (0.5, 2.0), (-3.0, 3.0)
    found = jaxfit.scan2d(model, data, "mu", "xsec", par_ranges=ranges, n_steps=(2, 30))
    assert found.delta_nlls.shape == (2, 30)
    profile = jaxfit.scan(model, data, "mu", par_range=ranges[0], n_steps=2)
    np.testing.assert_allclose(found.delta_nlls.min(axis=1), profile.delta_nlls, atol=0.02)
    assert (found.delta_nlls.min(axis=1) > profile.delta_nlls - 1e-6).all()


def test_exchanged_parameters_exchange_the_axes(staterror):
    model, data, _, found = staterror
    other = jaxfit.scan2d(model, data, "xsec", "mu", n_steps=STEPS)
    np.testing.assert_allclose(other.delta_nlls, found.delta_nlls.T, rtol=0, atol=1e-6)
    for lines, swapped in zip(found.contours, other.contours, strict=True):
        assert len(lines) == len(swapped)
        for axis in (0, 1):
            ends = [np.concatenate(lines)[:, axis], np.concatenate(swapped)[:, 1 - axis]]
            np.testing.assert_allclose(ends[0].max(), ends[1].max(), atol=1e-6)


def test_settings_hold_at_every_point(staterror):
    model, data, *_ = staterror
    options = {"fix_pars": {"stat_SR[2]": 1.05}, "par_bounds": {"stat_SR[0]": (0.97, 1.02)}}
    found = jaxfit.scan2d(model, data, "mu", "xsec", n_steps=2, **options)
    best = jaxfit.fit(model, data, **options)
    held = {**options, "fix_pars": {"stat_SR[2]": 1.05, "mu": found.parameter_values[0][1], "xsec": 0.0}}
    held["fix_pars"]["xsec"] = found.parameter_values[1][0]
    again = jaxfit.fit(model, data, **held)
    assert found.delta_nlls[1, 0] == pytest.approx(again.best_twice_nll - best.best_twice_nll, abs=1e-6)


# -- contours ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("correlation", [0.0, 0.6, -0.95])
def test_contours_of_a_gaussian_are_ellipses(correlation):
    axis = np.linspace(-3.0, 3.0, 21)
    x, y = np.meshgrid(axis, axis, indexing="ij")

    def delta(x, y):
        return (x**2 - 2 * correlation * x * y + y**2) / (1 - correlation**2)

    for level in (2.3, 5.99):
        (line,) = _contour((axis, axis), delta(x, y), level)
        np.testing.assert_array_equal(line[0], line[-1])
        np.testing.assert_allclose(np.sqrt(delta(*line.T) / level), 1.0, atol=0.01)
        np.testing.assert_allclose(np.abs(line).max(axis=0), np.sqrt(level), rtol=0.01)


def test_contours_end_at_failed_points_and_at_the_border():
    axis = np.linspace(-2.0, 2.0, 9)
    grid = axis[:, None] ** 2 + axis[None] ** 2
    (line,) = _contour((axis, axis + 2.0), grid, 3.0)  # all of it is within
    assert (line[0] == line[-1]).all()
    assert len(_contour((axis, axis), grid, 5.0)) == 4  # the corners
    assert _contour((axis, axis), grid, 9.0) == ()
    grid[0, 4] = grid[1, 4] = np.nan
    (line,) = _contour((axis, axis), grid, 3.0)
    assert (line[0] != line[-1]).any()


def test_levels_are_those_of_two_degrees_of_freedom(staterror):
    """At the contour's points the profile has the quantile of chi-square."""
    model, data, best, found = staterror
    assert found.confidence_levels == (ONE_SIGMA, 0.95)
    for level, lines in zip(found.confidence_levels, found.contours, strict=True):
        points = np.concatenate(lines)
        for mu, xsec in points[:: len(points) // 3]:
            held = jaxfit.fit(model, data, fix_pars={"mu": mu, "xsec": xsec})
            delta = held.best_twice_nll - best.best_twice_nll
            assert delta == pytest.approx(chi2.ppf(level, 2), rel=0.03)


# -- what goes wrong --------------------------------------------------------------------------------------------------


def test_points_that_fail_are_told(staterror):
    model, data, *_ = staterror
    with pytest.warns(FitWarning, match="NOT_CONVERGED: .*4 of 4 points are no minimum: mu = ") as caught:
        found = jaxfit.scan2d(model, data, "mu", "xsec", n_steps=2, par_ranges=((0, 1), (0, 1)), maxiter=1)
    assert caught[0].filename == __file__
    assert not found.converged
    assert np.isnan(found.delta_nlls).all()
    assert found.contours == ((), ())
    assert "68.27 % contour: not within the ranges" in str(found)
    assert repr(found) == "Scan2DResults('mu', 'xsec', 2 x 2 points, 4 not converged)"
    with pytest.raises(FitError, match="4 of 4 points are no minimum"):
        jaxfit.scan2d(model, data, "mu", "xsec", n_steps=2, par_ranges=((0, 1), (0, 1)), maxiter=1, on_failure="raise")


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"par_name_y": "xsek"}, "unknown parameter 'xsek'"),
        ({"par_name_y": "mu"}, "'mu' is named twice"),
        ({"n_steps": 1}, "n_steps is 1, expected at least 2"),
        ({"n_steps": (3, 3, 3)}, "expected at least 2, or two such numbers"),
        ({"par_ranges": ((0.0, 1.0),)}, "par_ranges has 1 entries, expected two"),
        ({"par_ranges": ((1.0, 0.0), None)}, r"the range of 'mu' is \(1, 0\), expected two finite numbers in order"),
        ({"par_ranges": (None, (0.0, float("inf")))}, "the range of 'xsec' is"),
        ({"fix_pars": {"xsec": True}}, "'xsec' has no uncertainty to derive a range from: give par_ranges"),
        ({"confidence_levels": [0.68, 95]}, "confidence_levels has 95, expected numbers between 0 and 1"),
    ],
    ids=str,
)
def test_wrong_input_is_refused(staterror, options, text):
    model, data, *_ = staterror
    with pytest.raises(InputError, match=text):
        jaxfit.scan2d(model, data, **{"par_name_x": "mu", "par_name_y": "xsec", **options})


def test_saved_and_loaded_without_loss(staterror, tmp_path):
    found = staterror[3]
    found.save(tmp_path / "scan2d.json")
    again = jaxfit.load_results(tmp_path / "scan2d.json")
    assert isinstance(again, jaxfit.Scan2DResults)
    assert str(again) == str(found)
    np.testing.assert_array_equal(again.delta_nlls, found.delta_nlls)
    assert again.statuses == found.statuses
    for ours, theirs in zip(again.contours, found.contours, strict=True):
        for line, other in zip(ours, theirs, strict=True):
            np.testing.assert_array_equal(line, other)
