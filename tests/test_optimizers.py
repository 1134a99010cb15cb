"""pyhf.infer on jaxfit's minimiser gives what it gives on MINUIT."""

import json
import subprocess
import sys
import warnings

import numpy as np
import pyhf
import pytest
from models import WORKSPACES, model_and_data
from pyhf.exceptions import FailedMinimization, Unsupported
from pyhf.infer import hypotest, mle
from pyhf.infer.intervals.upper_limits import upper_limit

import jaxfit
from jaxfit import FitWarning, InputError, minimization

TIGHT = {"strategy": 2, "tolerance": 1e-3}


@pytest.fixture(autouse=True)
def _numpy_backend():
    """Puts pyhf's backend back, whatever the test does."""
    before = pyhf.get_backend()
    pyhf.set_backend("numpy", jaxfit.optimizer())
    yield
    pyhf.set_backend(*before)


@pytest.fixture(scope="module")
def staterror():
    return model_and_data("staterror")


def by_minuit(function, *args, **options):
    """The same with pyhf's MINUIT, as tight as it gets."""
    before = pyhf.get_backend()
    pyhf.set_backend("numpy", pyhf.optimize.minuit_optimizer(**TIGHT))
    try:
        return function(*args, **options)
    finally:
        pyhf.set_backend(*before)


# -- fits -------------------------------------------------------------------------------------------------------------

ALL = {
    "return_uncertainties": True, "return_correlations": True, "return_fitted_val": True, "return_result_obj": True,
}  # fmt: skip


def assert_same(found, expected):
    """Shapes, types and numbers of everything that pyhf can return."""
    for ours, theirs in zip(found[:3], expected[:3], strict=True):
        assert type(ours) is type(theirs)
        assert ours.shape == theirs.shape
        assert ours.dtype == theirs.dtype
    # MINUIT's errors of parameters with bounds are means of two sides, its covariance is that of the Hessian
    sigma = np.sqrt(np.diag(expected[3].hess_inv))
    np.testing.assert_allclose(found[0][:, 0], expected[0][:, 0], rtol=0, atol=1e-3 * sigma.max())
    np.testing.assert_allclose(found[0][:, 1], sigma, rtol=1e-3)
    np.testing.assert_allclose(found[0][:, 1], expected[0][:, 1], rtol=1e-2)
    np.testing.assert_allclose(found[1], expected[1], atol=2e-3)
    np.testing.assert_allclose(found[2], expected[2], atol=1e-5)
    assert found[2] <= expected[2] + 1e-9
    for name in ("x", "unc", "corr", "fun", "success"):
        assert np.shape(found[3][name]) == np.shape(expected[3][name])


def test_a_fit_returns_what_pyhf_returns(staterror):
    model, data = staterror
    assert_same(mle.fit(data, model, **ALL), by_minuit(mle.fit, data, model, **ALL))
    fixed = mle.fixed_poi_fit(1.2, data, model, **ALL)
    assert_same(fixed, by_minuit(mle.fixed_poi_fit, 1.2, data, model, **ALL))
    mu = model.config.poi_index
    assert fixed[0][mu].tolist() == [1.2, 0.0]
    np.testing.assert_array_equal(fixed[1][mu], 0.0)


def test_it_is_jaxfits_fit(staterror):
    model, data = staterror
    best = jaxfit.fit(model, data)
    pars, correlations, value = mle.fit(
        data, model, return_uncertainties=True, return_correlations=True, return_fitted_val=True
    )
    np.testing.assert_allclose(pars[:, 0], best.bestfit, rtol=0, atol=1e-6)
    np.testing.assert_allclose(pars[:, 1], best.uncertainty, rtol=1e-5)
    np.testing.assert_allclose(correlations, best.corr_mat, atol=1e-5)
    assert value == pytest.approx(best.best_twice_nll, abs=1e-8)


@pytest.mark.parametrize(
    ("options", "shapes"),
    [
        ({}, (5,)),
        ({"return_uncertainties": True}, (5, 2)),
        ({"return_fitted_val": True}, [(5,), ()]),
        ({"return_correlations": True}, [(5,), (5, 5)]),
        ({"return_correlations": True, "return_fitted_val": True}, [(5,), (5, 5), ()]),
    ],
    ids=str,
)
def test_what_is_not_asked_for_is_not_returned(staterror, options, shapes):
    model, data = staterror
    found = mle.fit(data, model, **options)
    assert (found.shape if isinstance(shapes, tuple) else [array.shape for array in found]) == shapes


def test_settings_of_the_call_hold(staterror):
    model, data = staterror
    xsec, mu = model.config.par_names.index("xsec"), model.config.poi_index
    init, bounds = model.config.suggested_init(), model.config.suggested_bounds()
    fixed = [index == xsec for index in range(len(init))]
    init[xsec], bounds[mu] = 0.7, (0.0, 1.0)
    pars, value = mle.fit(data, model, init, bounds, fixed, return_fitted_val=True)
    best = jaxfit.fit(model, data, fix_pars={"xsec": 0.7}, par_bounds={"mu": (0.0, 1.0)})
    assert pars[xsec] == 0.7
    assert pars[mu] == 1.0
    assert value == pytest.approx(best.best_twice_nll, abs=1e-8)


def test_another_fixed_set_compiles_nothing(staterror):
    model, data = staterror
    mle.fit(data, model)
    size = minimization._solve_batch._cache_size()
    number = model.config.npars
    for index in range(number):
        mle.fit(data, model, fixed_params=[i == index for i in range(number)])
        mle.fixed_poi_fit(0.3 * index, data, model)
    assert minimization._solve_batch._cache_size() == size


# -- hypothesis tests and limits --------------------------------------------------------------------------------------


@pytest.mark.parametrize("test_stat", ["qtilde", "q0"])
def test_hypotest(staterror, test_stat):
    model, data = staterror
    for value in (0.0, 1.0, 3.0) if test_stat == "qtilde" else (0.0,):
        args, options = (value, data, model), {"test_stat": test_stat, "return_expected_set": True}
        observed, expected = hypotest(*args, **options)
        theirs = by_minuit(hypotest, *args, **options)
        assert observed == pytest.approx(theirs[0], abs=1e-3)
        np.testing.assert_allclose(expected, theirs[1], rtol=0, atol=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["two_normfactors", "norm_plus_shape", "lumi", "shapesys", "unequal_channels"])
def test_hypotest_of_other_models(name):
    model, data = model_and_data(name)
    for value in (0.5, 2.0):
        observed, expected = hypotest(value, data, model, return_expected_set=True)
        theirs = by_minuit(hypotest, value, data, model, return_expected_set=True)
        assert observed == pytest.approx(theirs[0], abs=1e-3)
        np.testing.assert_allclose(expected, theirs[1], rtol=0, atol=1e-3)


def test_upper_limits(staterror):
    model, data = staterror
    observed, expected = upper_limit(data, model)
    theirs = by_minuit(upper_limit, data, model)
    assert observed == pytest.approx(theirs[0], rel=2e-3)
    np.testing.assert_allclose(expected, theirs[1], rtol=2e-3)


def test_pyhfs_jax_backend():
    """In a process of its own: pyhf tells every living model of another backend, which takes long in this one."""
    code = f"""
import json, pyhf, jaxfit
workspace = pyhf.Workspace(json.loads({json.dumps(WORKSPACES["staterror"])!r}))
codes = {{"normsys": {{"interpcode": "code4"}}, "histosys": {{"interpcode": "code4p"}}}}
model = workspace.model(modifier_settings=codes)
pyhf.set_backend("jax", jaxfit.optimizer())
data = pyhf.tensorlib.astensor(workspace.data(model))
pars, correlations, value = pyhf.infer.mle.fit(
    data, model, return_uncertainties=True, return_correlations=True, return_fitted_val=True
)
observed, expected = pyhf.infer.hypotest(1.0, data, model, return_expected_set=True)
for tensor in (pars, correlations, value, observed):
    assert isinstance(tensor, pyhf.tensorlib.array_type) and tensor.dtype == "float64", tensor
print(json.dumps([pars.tolist(), correlations.tolist(), float(value), float(observed), [float(e) for e in expected]]))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=250)
    assert done.returncode == 0, done.stderr
    pars, correlations, value, *cls = json.loads(done.stdout)
    model, data = model_and_data("staterror")
    expected = mle.fit(data, model, return_uncertainties=True, return_correlations=True, return_fitted_val=True)
    for ours, theirs in zip((pars, correlations, value), expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-8)
    theirs = by_minuit(hypotest, 1.0, data, model, return_expected_set=True)
    np.testing.assert_allclose([cls[0], *cls[1]], [theirs[0], *theirs[1]], rtol=0, atol=1e-3)


# -- what goes wrong --------------------------------------------------------------------------------------------------


def test_a_fit_that_does_not_converge_raises_pyhfs_error(staterror):
    model, data = staterror
    with pytest.raises(FailedMinimization, match=r"NOT_CONVERGED: .*raise maxiter") as error:
        mle.fit(data, model, maxiter=1)
    assert error.value.result.success is False
    assert mle.fit(data, model, maxiter=50).shape == (5,)
    pyhf.set_backend("numpy", jaxfit.optimizer(maxiter=1))
    with pytest.raises(FailedMinimization):
        hypotest(1.0, data, model)


def test_a_flat_direction_is_told():
    """The gamma of a bin where nothing is expected; but pyhf's own optimizers return a minimum, too."""
    spec = {
        "channels": [
            {"name": "SR", "samples": [{"name": "signal", "data": [10.0], "modifiers": [
                {"name": name, "type": "normfactor", "data": None} for name in ("mu", "acceptance")
            ]}]}
        ]
    }  # fmt: skip
    model = pyhf.Model(spec, poi_name="mu", validate=False)
    with pytest.warns(FitWarning, match="SINGULAR: .*fix them with fix_pars"):
        pars, value = mle.fit([15.0], model, return_fitted_val=True)
    assert pars.prod() == pytest.approx(1.5, rel=1e-4)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert value == pytest.approx(by_minuit(mle.fit, [15.0], model, return_fitted_val=True)[1], abs=1e-5)


@pytest.mark.parametrize(
    ("options", "text"), [({"method": "SLSQP"}, "method"), ({"strategy": 0, "maxiter": 3}, "strategy")], ids=str
)
def test_unknown_options_are_refused(staterror, options, text):
    model, data = staterror
    with pytest.raises(Unsupported, match=f"Unsupported options were passed in: .*{text}"):
        mle.fit(data, model, **options)


def test_another_objective_or_model_is_refused(staterror):
    model, data = staterror
    optimizer, config = pyhf.optimizer, model.config
    settings = config.suggested_init(), config.suggested_bounds()
    with pytest.raises(Unsupported, match=r"minimises pyhf\.infer\.mle\.twice_nll of a pyhf\.Model, and nothing else"):
        optimizer.minimize(lambda *_: 0.0, data, model, *settings)
    with pytest.raises(Unsupported, match=r"minimises pyhf\.infer\.mle\.twice_nll of a pyhf\.Model, and nothing else"):
        optimizer.minimize(mle.twice_nll, data, "a model", *settings)


def test_wrong_data_are_refused(staterror):
    model, data = staterror
    with pytest.raises(InputError, match="auxiliary data are missing"):
        mle.fit(data[:3], model)


def test_pyhf_shows_what_it_uses():
    assert pyhf.optimizer.name == "jaxfit"
    assert repr(pyhf.optimizer) == "jaxfit.optimizer(solver='newton', maxiter=None, tolerance=None)"
