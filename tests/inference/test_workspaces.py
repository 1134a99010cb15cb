"""Published workspaces: the minimum against exact references, and against MINUIT with the kinked codes."""

import json
import warnings
from contextlib import nullcontext
from functools import cache

import numpy as np
import pyhf
import pytest

import jaxfit
from jaxfit import FitWarning, Status
from jaxfit.workspaces import load, model_and_data

# name: (largest difference of the NLL, status). 3LRJ has an auxiliary measurement of 1.9e11 counts, where the terms of
# the NLL are of 1e12 and pyhf's numpy and JAX backends differ by 1e-3 at one point.
WORKSPACES = {
    "agc_ttbar_all": (1e-6, Status.OK),
    "agc_ttbar_5files": (1e-6, Status.OK),
    "agc_ttbar_1file_25bin": (1e-6, Status.NEGATIVE_EXPECTATION),
    "atlas_1Lbb_2020__C1N2_Wh_hbb_1000_0": (1e-6, Status.OK),
    "ttbar_ljets_xsec_pruned": (1e-6, Status.OK),
    "atlas_3L_2021_offshell_full__WZ_300_220": (1e-6, Status.OK_AT_BOUND),
    "atlas_4L_2021_bkg_poi_mu_ZZ": (1e-6, Status.OK),
    "atlas_3LRJ_2020__ERJR_100p0_20p0": (1e-2, Status.OK),
    "bayesian_SRee_SRmm_Srem": (1e-6, Status.OK_AT_BOUND),
    "pyhf_xml_input1": (1e-6, Status.OK),
    "pyhf_coupledshapefactor": (1e-6, Status.OK),
    "cabinetry_tutorial_ntuples": (1e-6, Status.OK),
}
FAST = ("agc_ttbar_all", "agc_ttbar_5files", "bayesian_SRee_SRmm_Srem", "pyhf_xml_input1")


def cases(names, fast):
    return [pytest.param(name, marks=() if name in fast else pytest.mark.slow) for name in names]


@cache
def spec_of(folder, name):
    return load(folder / "workspaces" / f"{name}.json")


def reference_of(folder, name):
    index = json.loads((folder / "workspaces" / "INDEX.json").read_text())
    return next(entry for entry in index["workspaces"] if entry["file"] == f"{name}.json")["reference"]


def fit(model, data, status):
    told = status not in (Status.OK, Status.OK_AT_BOUND)
    with pytest.warns(FitWarning, match=status.name) if told else nullcontext():
        result = jaxfit.fit(model, data)
    assert result.status == status
    assert result.edm <= 1e-8
    return result


def test_every_workspace_is_tested(shared):
    index = json.loads((shared / "workspaces" / "INDEX.json").read_text())
    assert {entry["file"] for entry in index["workspaces"]} == {f"{name}.json" for name in WORKSPACES}


@pytest.mark.parametrize("name", cases(WORKSPACES, FAST))
def test_minimum(shared, name):
    difference, status = WORKSPACES[name]
    reference = reference_of(shared, name)
    model, data = model_and_data(spec_of(shared, name))
    result = fit(model, data, status)
    nll = result.best_twice_nll / 2
    assert nll == pytest.approx(reference["nll_numpy_at_bestfit"], abs=difference)
    assert nll <= reference["nll"] + difference

    best = np.array([reference["bestfit"][label] for label in result.labels])
    sigma = result.uncertainty
    fixed = sigma == 0
    np.testing.assert_array_equal(fixed, model.config.suggested_fixed())
    np.testing.assert_array_equal(result.bestfit[fixed], best[fixed])
    # a parameter on a bound where the likelihood is not curved has no uncertainty
    known = np.isfinite(sigma) & ~fixed
    assert set(np.array(result.labels)[np.isnan(sigma)]) <= set(result.at_bound) == set(reference["at_bounds"])
    np.testing.assert_allclose(((result.bestfit - best)[known] / sigma[known]), 0.0, atol=1e-3)
    np.testing.assert_allclose(result.bestfit[np.isnan(sigma)], best[np.isnan(sigma)], atol=1e-6)
    if "poi_sigma_hessian" in reference:
        poi = result.labels.index(reference["poi"])
        assert sigma[poi] == pytest.approx(reference["poi_sigma_hessian"], rel=1e-4)


def test_the_ttbar_model_of_the_agc(shared):
    """cabinetry's default fit fails on it."""
    model, data = model_and_data(spec_of(shared, "agc_ttbar_all"))
    result = jaxfit.fit(model, data)
    poi = result.labels.index("ttbar_norm")
    assert result.bestfit[poi] == pytest.approx(0.946762, abs=1e-6)
    assert result.uncertainty[poi] == pytest.approx(0.078879, abs=1e-6)


# -- codes 1 and 0, which have a kink where a fit starts --------------------------------------------------------------


def minuit(model, data, calls):
    """Minimum, NLL and success: on a kink MINUIT often stops without meeting its criterion."""
    backend = pyhf.get_backend()
    pyhf.set_backend("numpy", pyhf.optimize.minuit_optimizer(strategy=2, tolerance=1e-4, maxiter=calls))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # numpy, where MINUIT tries negative yields
            pars, twice_nll = pyhf.infer.mle.fit(data, model, return_fitted_val=True)
        return np.asarray(pars), float(twice_nll) / 2, True
    except pyhf.exceptions.FailedMinimization as failure:
        return np.asarray(failure.result.x), float(failure.result.fun) / 2, False
    finally:
        pyhf.set_backend(*backend)


def assert_not_above_minuit(model, data, status, calls=100_000, slack=1e-6):
    result = fit(model, data, status)
    pars, lowest, ended = minuit(model, data, calls)
    assert result.best_twice_nll / 2 <= lowest + slack
    if ended:
        known = np.isfinite(result.uncertainty) & (result.uncertainty > 0)
        pulls = (result.bestfit - pars)[known] / result.uncertainty[known]
        np.testing.assert_allclose(pulls, 0.0, atol=1e-3)


@pytest.mark.parametrize("measurement", ["GaussExample", "GammaExample", "LogNormExample", "ConstExample"])
def test_every_measurement(shared, measurement):
    """The same yields with other constraints."""
    model, data = model_and_data(spec_of(shared, "pyhf_xml_input1"), measurement=measurement)
    assert_not_above_minuit(model, data, Status.OK)


def kinked(folder, name):
    spec = spec_of(folder, name)
    config = spec["measurements"][0]["config"]
    settings = {"normsys": {"interpcode": "code1"}, "histosys": {"interpcode": "code0"}}
    description = {"channels": spec["channels"], "parameters": config["parameters"]}
    model = pyhf.Model(description, poi_name=config["poi"], validate=False, modifier_settings=settings)
    return model, model_and_data(spec)[1]


# MINUIT takes minutes on these
LARGE = ("ttbar_ljets_xsec_pruned", "atlas_3L_2021_offshell_full__WZ_300_220")


@pytest.mark.parametrize("name", cases([name for name in WORKSPACES if name not in LARGE], FAST[2:]))
def test_kinked_codes(shared, name):
    slack, status = WORKSPACES[name]
    model, data = kinked(shared, name)
    assert_not_above_minuit(model, data, status, calls=20_000 if model.config.npars < 100 else 2_000, slack=slack)


@pytest.mark.slow
@pytest.mark.parametrize("name", LARGE)
def test_kinked_codes_of_large_models(shared, name):
    """Not above the point where the smooth codes have their minimum, and pyhf agrees on the value."""
    model, data = kinked(shared, name)
    result = fit(model, data, WORKSPACES[name][1])
    smooth = reference_of(shared, name)["bestfit"]
    nearby = -model.logpdf(np.array([smooth[label] for label in result.labels]), data)[0]
    assert result.best_twice_nll / 2 < nearby
    assert result.best_twice_nll / 2 == pytest.approx(-model.logpdf(result.bestfit, data)[0], abs=1e-6)
