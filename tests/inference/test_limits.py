"""Limits and significances are cabinetry's, and CLs at a limit is what it should be."""

import cabinetry
import numpy as np
import pyhf
import pytest
from models import model_and_data

import jaxfit
from jaxfit import FitError, FitWarning, InputError, Status
from jaxfit.examples import ttbar
from jaxfit.inference import ratios
from jaxfit.workspaces import load
from jaxfit.workspaces import model_and_data as model_and_data_of

TIGHT = {"strategy": 2, "tolerance": 1e-4}
LARGER = ("example", "agc_ttbar_5files", "agc_ttbar_all")


@pytest.fixture(scope="module")
def problem():
    return model_and_data("staterror")


@pytest.fixture(scope="module")
def result(problem):
    return jaxfit.limit(*problem)


def limits_of(result):
    return np.append(result.observed_limit, result.expected_limit)


def assert_limits_are_roots(result, model, data, **options):
    """CLs is on one side of the target a thousandth below a limit, and on the other a thousandth above."""
    target, limits = 1 - result.confidence_level, limits_of(result)
    for side, sign in ((0.999, 1), (1.001, -1)):
        tests = jaxfit.hypotest(side * limits, data, model, **options)
        cls = np.column_stack([tests.CLs_obs, tests.CLs_exp])
        assert (sign * (np.diag(cls) - target) > 0).all()


def failing(monkeypatch, fails):
    """Let those fits fail for which ``fails`` (value of mu, data) is true."""
    solve = ratios.solve

    def some_fail(model, problems, **options):
        solved, index = solve(model, problems, **options), model.config.poi_index
        held = problems.lower[:, index] == problems.upper[:, index]
        failed = [
            fails(lower if own else None, row)
            for lower, own, row in zip(problems.lower[:, index], held, problems.data, strict=True)
        ]
        return solved._replace(status=np.where(failed, Status.STALLED, solved.status))

    monkeypatch.setattr(ratios, "solve", some_fail)


def test_limits_are_cabinetrys(problem, result):
    theirs = cabinetry.fit.limit(*problem)
    assert result.converged
    assert result.confidence_level == theirs.confidence_level
    np.testing.assert_allclose(limits_of(result), limits_of(theirs), rtol=0, atol=0.01)  # cabinetry's tolerance


def test_limits_are_roots(problem, result):
    assert_limits_are_roots(result, *problem)


def test_tested_values(problem, result):
    model, data = problem
    tests = jaxfit.hypotest(result.poi_values, data, model)
    assert (np.diff(result.poi_values) > 0).all()
    np.testing.assert_allclose(result.observed_CLs, tests.CLs_obs, rtol=0, atol=1e-6)
    np.testing.assert_allclose(result.expected_CLs, tests.CLs_exp, rtol=0, atol=1e-6)
    assert len(result.statuses) == len(result.poi_values) <= 20
    nearest = np.abs(result.poi_values[:, None] - limits_of(result)).min(axis=0)
    assert (nearest <= 1e-3 * limits_of(result)).all()
    assert (result.name, result.bestfit) == ("mu", pytest.approx(tests.bestfit, abs=1e-6))


def test_cabinetry_draws_it(result, tmp_path):
    cabinetry.visualize.limit(result, figure_folder=tmp_path, close_figure=True)
    assert (tmp_path / "limit.pdf").stat().st_size > 1000


def test_few_batches(problem, monkeypatch):
    lanes, solve = [], ratios.solve
    monkeypatch.setattr(
        ratios, "solve", lambda *args, **options: lanes.append(len(args[1].start)) or solve(*args, **options)
    )
    jaxfit.limit(*problem)
    assert len(lanes) <= 5
    assert sum(lanes) <= 50


@pytest.mark.parametrize("confidence_level", [0.68, 0.9, 0.999])
def test_other_levels(problem, confidence_level):
    result = jaxfit.limit(*problem, confidence_level=confidence_level)
    assert result.converged
    assert_limits_are_roots(result, *problem)


def test_precision_follows_the_tolerance(problem, result):
    close = jaxfit.limit(*problem, poi_tolerance=1e-7)
    np.testing.assert_allclose(limits_of(result), limits_of(close), rtol=1e-3)
    tests = jaxfit.hypotest(limits_of(close), problem[1], problem[0])
    np.testing.assert_allclose(np.diag(np.column_stack([tests.CLs_obs, tests.CLs_exp])), 0.05, rtol=0, atol=1e-6)


def test_bracket(problem, result):
    np.testing.assert_allclose(limits_of(jaxfit.limit(*problem, bracket=(3.0, 0.5))), limits_of(result), rtol=1e-3)
    with pytest.raises(InputError, match=r"not within the bracket: CLs is 0\.\d+ at 0.5 and 0\.\d+ at 1, and not 0.05"):
        jaxfit.limit(*problem, bracket=(0.5, 1.0))
    with pytest.raises(InputError, match="not within the bracket"):
        jaxfit.limit(*problem, bracket=(3.0, 9.0))


def test_limits_above_the_upper_bound(problem, result):
    """The bound is one for the estimate."""
    narrow = jaxfit.limit(*problem, par_bounds={"mu": (0.0, 1.5)})
    assert result.bestfit < 1.5 < result.observed_limit
    np.testing.assert_allclose(limits_of(narrow), limits_of(result), rtol=1e-3)
    with pytest.warns(FitWarning, match="the best fit of mu is on its upper bound: raise it with par_bounds"):
        jaxfit.limit(*problem, par_bounds={"mu": (0.0, 0.9)}, init_pars={"mu": 0.5})


def test_lower_bound_is_raised_to_zero(problem, result):
    wide = jaxfit.limit(*problem, par_bounds={"mu": (-5.0, 10.0)}, init_pars={"mu": -1.0})
    np.testing.assert_allclose(limits_of(wide), limits_of(result), rtol=1e-3)


def test_limit_of_a_deficit(problem):
    """The best fit is on its bound at 0."""
    model, data = problem
    low = [0.6 * n for n in data[: model.config.nmaindata]] + data[model.config.nmaindata :]
    result = jaxfit.limit(model, low)
    assert result.bestfit == 0.0
    assert result.observed_limit < result.expected_limit[2]
    assert_limits_are_roots(result, model, low)


def test_a_limit_where_fits_fail_is_not_given(problem, result, monkeypatch):
    """Between 2 and 2.5 fits to the data fail, and the observed limit lies there."""
    _, data = problem
    failing(monkeypatch, lambda mu, row: mu is not None and 2.0 < mu < 2.5 and (row == data).all())
    with pytest.warns(
        FitWarning, match=r"fits to the data failed: mu = .*STALLED.*not found .*: observed limit$"
    ) as caught:
        found = jaxfit.limit(*problem)
    assert caught[0].filename == __file__
    assert np.isnan(found.observed_limit)
    np.testing.assert_allclose(found.expected_limit, result.expected_limit, rtol=1e-3)
    assert not found.converged
    assert Status.STALLED in found.statuses
    failed = np.array([status == Status.STALLED for status in found.statuses])
    np.testing.assert_array_equal(np.isnan(found.observed_CLs), failed)
    with pytest.raises(FitError, match="observed limit"):
        jaxfit.limit(*problem, on_failure="raise")


def test_failed_fits_elsewhere_do_not_change_a_limit(problem, result, monkeypatch):
    """Above 1.6 all fits fail: the limits below are found all the same, the others are not given."""
    failing(monkeypatch, lambda mu, row: mu is not None and mu > 1.6)
    with pytest.warns(
        FitWarning, match=r"not found in 100 steps, or for failed fits: observed limit, expected \+2 sigma"
    ):
        found = jaxfit.limit(*problem)
    np.testing.assert_allclose(found.expected_limit[:4], result.expected_limit[:4], rtol=1e-3)
    assert np.isnan([found.observed_limit, found.expected_limit[4]]).all()


@pytest.mark.parametrize("value", [None, 0.0], ids=["best fit", "fit that makes the Asimov data"])
def test_no_limit_without_the_fits_it_stands_on(problem, monkeypatch, value):
    failing(monkeypatch, lambda mu, row: mu == value)
    with pytest.warns(FitWarning, match=r"failed \(STALLED\)"):
        found = jaxfit.limit(*problem)
    assert np.isnan(limits_of(found)).all()
    assert len(found.poi_values) <= 7  # and no search for it


def test_too_few_steps_are_told(problem):
    with pytest.warns(FitWarning, match="not found in 1 steps"):
        found = jaxfit.limit(*problem, maxsteps=1)
    assert np.isnan(found.observed_limit)
    assert np.isfinite(found.observed_CLs).all()


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"bracket": (1.0, 1.0)}, "expected two different numbers"),
        ({"bracket": (1.0,)}, "expected two different numbers"),
        ({"confidence_level": 95}, "confidence_level is 95, expected a number between 0 and 1"),
        ({"poi_tolerance": 0.0}, "poi_tolerance is 0.0, expected a positive number"),
        ({"maxsteps": 0}, "maxsteps is 0"),
        ({"poi_name": "nu"}, "unknown parameter 'nu'"),
        ({"fix_pars": {"mu": 1.0}}, "'mu' is fixed: free it"),
        ({"on_failure": "ask"}, "unknown policy"),
    ],
    ids=str,
)
def test_wrong_input_is_refused(problem, options, text):
    with pytest.raises(InputError, match=text):
        jaxfit.limit(*problem, **options)


# -- significance -----------------------------------------------------------------------------------------------------


def test_significance_is_cabinetrys(problem):
    ours, theirs = jaxfit.significance(*problem), cabinetry.fit.significance(*problem, strategy=2, tolerance=1e-4)
    assert ours.converged
    for name in theirs._fields:
        assert getattr(ours, name) == pytest.approx(float(getattr(theirs, name)), abs=1e-4)


def test_significance_of_a_deficit(problem):
    model, data = problem
    low = [0.6 * n for n in data[: model.config.nmaindata]] + data[model.config.nmaindata :]
    result = jaxfit.significance(model, low, par_bounds={"mu": (-5.0, 5.0)})
    assert result.bestfit < 0
    assert (result.observed_significance, result.observed_p_value) == (0.0, 0.5)
    assert result.expected_significance > 1


def test_significance_of_any_parameter(problem):
    """That of the pull: 2 NLL above the best fit with the parameter held at 0."""
    model, data = problem
    result = jaxfit.significance(model, data, poi_name="xsec")
    best, held = jaxfit.fit(model, data), jaxfit.fit(model, data, fix_pars={"xsec": 0.0})
    assert result.name == "xsec"
    pull = np.sqrt(held.best_twice_nll - best.best_twice_nll)
    assert result.observed_significance == pytest.approx(pull if result.bestfit > 0 else 0.0, abs=1e-5)


def test_significance_without_a_fit_is_not_given(problem):
    with pytest.warns(FitWarning, match="the best fit failed"):
        result = jaxfit.significance(*problem, maxiter=1)
    assert np.isnan([result.observed_significance, result.expected_significance, result.observed_p_value]).all()
    assert result.status == Status.NOT_CONVERGED


# -- larger models ----------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("name", ["pyhf_xml_input1", "bayesian_SRee_SRmm_Srem", "cabinetry_tutorial_ntuples"])
def test_published_workspaces(shared, name):
    model, data = model_and_data_of(load(shared / "workspaces" / f"{name}.json"))
    upper = 40.0
    ours = jaxfit.limit(model, data, par_bounds={model.config.poi_name: (0.0, upper)})
    bounds = model.config.suggested_bounds()
    bounds[model.config.poi_index] = (0.0, upper)
    theirs = cabinetry.fit.limit(model, data, par_bounds=bounds, bracket=(0.1, 30.0))
    assert ours.converged
    np.testing.assert_allclose(limits_of(ours), limits_of(theirs), rtol=0, atol=0.01)
    found, expected = jaxfit.significance(model, data), cabinetry.fit.significance(model, data, **TIGHT)
    for field in expected._fields:
        assert getattr(found, field) == pytest.approx(float(getattr(expected, field)), abs=1e-3)


def larger(shared, folder, name):
    return model_and_data_of(
        ttbar.workspace(folder) if name == "example" else load(shared / "workspaces" / f"{name}.json")
    )


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", LARGER)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # numpy's, where MINUIT tries negative yields
def test_limits_of_larger_models_are_cabinetrys(shared, tmp_path, name):
    """And CLs at all values that cabinetry tests. The signal is some 200 times larger than the expected limits.

    Without a bracket cabinetry searches the expected limits above 0.1, where they are not; with its default strategy
    and number of calls MINUIT fails on the models of the AGC.
    """
    model, data = larger(shared, tmp_path, name)
    ours = jaxfit.limit(model, data)
    limits = limits_of(ours)
    theirs = cabinetry.fit.limit(
        model, data, bracket=(0.9 * limits.min(), 1.1 * limits.max()), poi_tolerance=1e-3, strategy=2, maxiter=100_000
    )
    assert ours.converged
    print(f"\n{name}: limits {limits}, cabinetry's {limits_of(theirs)}")
    np.testing.assert_allclose(limits, limits_of(theirs), rtol=0, atol=1e-3)
    tests = jaxfit.hypotest(theirs.poi_values, data, model)
    np.testing.assert_allclose(tests.CLs_obs, theirs.observed_CLs, rtol=0, atol=1e-3)
    np.testing.assert_allclose(tests.CLs_exp, theirs.expected_CLs, rtol=0, atol=1e-3)
    assert_limits_are_roots(ours, model, data)


@pytest.mark.slow
@pytest.mark.parametrize("name", LARGER)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_significances_of_larger_models_are_pyhfs(shared, tmp_path, name):
    """cabinetry takes them from p-values, which are 0 above 38 standard deviations; pyhf's q0 has them."""
    model, data = larger(shared, tmp_path, name)
    ours, theirs = jaxfit.significance(model, data), cabinetry.fit.significance(model, data, **TIGHT)
    assert ours.observed_p_value == theirs.observed_p_value == 0.0
    assert np.isinf(theirs.observed_significance)
    config, backend = model.config, pyhf.get_backend()
    args = config.suggested_init(), config.suggested_bounds(), config.suggested_fixed()
    pyhf.set_backend("numpy", pyhf.optimize.minuit_optimizer(**TIGHT))
    try:
        asimov = pyhf.infer.calculators.generate_asimov_data(1.0, data, model, *args)
        expected = [np.sqrt(pyhf.infer.test_statistics.q0(0.0, events, model, *args)) for events in (data, asimov)]
    finally:
        pyhf.set_backend(*backend)
    print(f"\n{name}: observed {ours.observed_significance:.4f}, pyhf's {expected[0]:.4f}")
    assert [ours.observed_significance, ours.expected_significance] == pytest.approx(expected, abs=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("name", LARGER)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_significances_of_nuisance_parameters_are_cabinetrys(shared, tmp_path, name):
    """Of the one that is pulled most; in agc_ttbar_5files a tangent leads 8 deviations away into another minimum."""
    model, data = larger(shared, tmp_path, name)
    best, poi = jaxfit.fit(model, data), model.config.poi_name
    pulls = {
        label: value / sigma
        for label, value, sigma in zip(best.labels, best.bestfit, best.uncertainty, strict=True)
        if label != poi and not label.startswith("staterror")
    }
    pulled = max(pulls, key=pulls.get)
    ours = jaxfit.significance(model, data, poi_name=pulled)
    theirs = cabinetry.fit.significance(model, data, poi_name=pulled, **TIGHT)
    print(f"\n{name}, {pulled}: {ours.observed_significance:.4f}, cabinetry's {theirs.observed_significance:.4f}")
    assert ours.observed_significance > 1
    for field in theirs._fields:
        assert getattr(ours, field) == pytest.approx(float(getattr(theirs, field)), abs=1e-3)
