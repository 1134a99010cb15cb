"""Ensembles of toys: the physics of their summaries, and the settings of the call."""

import threading

import numpy as np
import pyhf
import pytest
from models import WORKSPACES, model_and_data
from scipy import stats

import jaxfit
from jaxfit import FitError, FitWarning, InputError, Status, workspaces

QUIET = {"progress": False}


@pytest.fixture(scope="module")
def gaussian():
    """Many events and small variations: the likelihood is normal."""
    channels = [
        {
            "name": name,
            "samples": [
                {
                    "name": "signal",
                    "data": signal,
                    "modifiers": [
                        {"name": "mu", "type": "normfactor", "data": None},
                        {"name": "acceptance", "type": "normsys", "data": {"hi": 1.01, "lo": 1 / 1.01}},
                    ],
                },
                {
                    "name": "background",
                    "data": background,
                    "modifiers": [{"name": "tilt", "type": "histosys", "data": {"hi_data": high, "lo_data": low}}],
                },
            ],
        }
        for name, signal, background, high, low in (
            ("SR", [2e5, 3e5], [1e6, 9e5], [1.001e6, 8.99e5], [0.999e6, 9.01e5]),
            ("CR", [1e4, 1e4], [3e6, 2e6], [3.004e6, 2.002e6], [2.996e6, 1.998e6]),
        )
    ]
    model = pyhf.Model({"channels": channels}, poi_name="mu")
    return jaxfit.toys(model, 50_000, pars={"mu": 1.2}, seed=11, poi_values=[1.2], **QUIET)


def test_pulls_and_coverage_of_a_gaussian_model(gaussian):
    """Within 3 standard errors over 50,000 toys."""
    summary = gaussian.summary()
    assert set(summary.labels) == {"acceptance", "tilt", "mu"}
    assert summary.used == 50_000
    assert (np.abs(summary.pull_mean) < 3.0 * summary.pull_mean_error).all()
    assert (np.abs(summary.pull_width - 1.0) < 3.0 * summary.pull_width_error).all()
    assert (np.abs(summary.coverage - [0.682689, 0.95]) < 3.0 * summary.coverage_error).all()
    assert (np.abs(summary.bias) < 3.0 * summary.bias_error).all()


def test_likelihood_ratio_is_a_chi_square(gaussian):
    """Wilks's theorem, at the true value."""
    ratios = gaussian.twice_deltas[:, 0]
    assert ratios.min() > -1e-7
    assert stats.kstest(ratios, stats.chi2(1).cdf).pvalue > 1e-3


def test_bootstrap():
    model, data = model_and_data("staterror")
    bins = model.config.nmaindata
    best = jaxfit.fit(model, data)
    around = jaxfit.toys(model, 2000, bootstrap=data, pars=best, seed=1, **QUIET)
    assert around.bootstrap
    named = dict(zip(model.config.channels, [data[s] for s in model.config.channel_slices.values()], strict=True))
    again = jaxfit.toys(model, 10, bootstrap=named, pars=best, seed=1, **QUIET)
    np.testing.assert_array_equal(again.bestfit, around.bestfit[:10])
    # the estimates scatter around the estimate from the data as they should
    index = model.config.poi_index
    summary = around.summary(["mu"])
    assert abs(summary.bias[0]) < 5 * summary.bias_error[0]
    assert np.std(around.bestfit[:, index]) == pytest.approx(best.uncertainty[index], rel=0.1)
    still = jaxfit.toys(model, 2000, bootstrap=data, pars=best, seed=1, aux="nominal", **QUIET)
    assert np.std(still.bestfit[:, index]) < np.std(around.bestfit[:, index])
    assert len(data) > bins


def test_parameters_of_the_toys():
    model, data = model_and_data("staterror")
    best = jaxfit.fit(model, data)
    by_result = jaxfit.toys(model, 20, pars=best, **QUIET)
    by_list = jaxfit.toys(model, 20, pars=best.bestfit.tolist(), **QUIET)
    np.testing.assert_array_equal(by_result.bestfit, by_list.bestfit)
    np.testing.assert_array_equal(by_result.truth, best.bestfit)
    fixed = jaxfit.toys(model, 20, pars={"mu": 1.5}, fix_pars={"mu": True}, **QUIET)
    assert (fixed.bestfit[:, model.config.poi_index] == 1.5).all()
    assert "mu" not in fixed.summary().labels
    low = jaxfit.toys(model, 20, pars={"mu": 1.5}, par_bounds={"mu": (1.4, 1.6)}, **QUIET)
    assert ((low.bestfit[:, model.config.poi_index] >= 1.4) & (low.bestfit[:, model.config.poi_index] <= 1.6)).all()
    assert low.counts[Status.OK_AT_BOUND] > 5


def test_failures_are_reported_by_number():
    model, _ = model_and_data("staterror")
    with pytest.warns(FitWarning, match=r"^12 of 12 best fits did not converge: 12 NOT_CONVERGED; "
                      r"12 of 12 fits with mu held did not converge"):  # fmt: skip
        found = jaxfit.toys(model, 12, pars={"mu": 3.0}, maxiter=1, poi_values=[0.1], **QUIET)
    assert not found.converged
    assert len(found) == 12
    with pytest.raises(FitError) as error:
        jaxfit.toys(model, 12, pars={"mu": 3.0}, maxiter=1, poi_values=[0.1], on_failure="raise", **QUIET)
    np.testing.assert_array_equal(error.value.result.status, found.status)
    jaxfit.toys(model, 12, pars={"mu": 3.0}, maxiter=1, poi_values=[0.1], on_failure="ignore", **QUIET)


def test_yields_stay_positive():
    """A deficit in an empty bin would pull mu below where the yields are negative."""
    spec = WORKSPACES["no_nuisance"]
    channels = [{"name": "SR", "samples": [
        {"name": "signal", "data": [2.0, 1.0], "modifiers": [{"name": "mu", "type": "normfactor", "data": None}]},
        {"name": "background", "data": [0.3, 4.0], "modifiers": []},
    ]}]  # fmt: skip
    observations = [{"name": "SR", "data": [0.0, 4.0]}]
    model, _ = workspaces.model_and_data({**spec, "channels": channels, "observations": observations})
    found = jaxfit.toys(model, 60, pars={"mu": 0.0}, par_bounds={"mu": (-10.0, 10.0)}, **QUIET)
    assert found.converged
    yields = [[0.3, 4.0] + mu * np.array([2.0, 1.0]) for mu in found.bestfit[:, 0]]
    assert np.min(yields) > -1e-6
    assert (found.status == Status.OK_AT_BOUND).sum() > 20


def test_threads_of_the_caller():
    """Four calls at once give what one gives."""
    model, _ = model_and_data("staterror")
    alone, found = jaxfit.toys(model, 100, **QUIET), {}
    threads = [
        threading.Thread(target=lambda k=k: found.update({k: jaxfit.toys(model, 100, **QUIET)})) for k in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for k in range(4):
        np.testing.assert_array_equal(found[k].bestfit, alone.bestfit)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"n": 0}, "n is 0, expected a whole number of at least 1"),
        ({"n": 1.5}, "n is 1.5, expected a whole number"),
        ({"n": True}, "n is True, expected a whole number"),
        ({"seed": -1}, "seed is -1, expected a whole number of at least 0"),
        ({"first": -1}, "first is -1"),
        ({"aux": "none"}, "unknown aux 'none'"),
        ({"pars": {"Mu": 1.0}}, "unknown parameter 'Mu'"),
        ({"pars": {"mu": -50.0}, "par_bounds": {"mu": (-60.0, 10.0)}}, "no toys where a negative yield is expected"),
        ({"poi_name": "Mu", "poi_values": [1.0]}, "unknown parameter 'Mu'"),
        ({"poi_values": [np.nan]}, "poi_values must be finite numbers"),
        ({"bootstrap": [1.0]}, "data: expected"),
        ({"on_failure": "no"}, "unknown policy"),
        ({"max_memory": 0}, "max_memory is 0"),
    ],
)
def test_mistakes(settings, said):
    model, _ = model_and_data("staterror")
    with pytest.raises(InputError, match=said):
        jaxfit.toys(model, **{"n": 5, **QUIET, **settings})
