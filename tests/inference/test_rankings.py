"""Every entry of a ranking is the refit that it stands for, and cabinetry's."""

import cabinetry
import numpy as np
import pytest
from models import model_and_data

import jaxfit
from jaxfit import FitError, FitWarning, InputError, Status, load_results
from jaxfit.examples import ttbar
from jaxfit.inference import rankings
from jaxfit.workspaces import load
from jaxfit.workspaces import model_and_data as model_and_data_of

COLUMNS = ("prefit_up", "prefit_down", "postfit_up", "postfit_down")
TIGHT = {"strategy": 2, "tolerance": 1e-4}


@pytest.fixture(scope="module")
def problem():
    return model_and_data("staterror")


@pytest.fixture(scope="module")
def best(problem):
    return jaxfit.fit(*problem)


@pytest.fixture(scope="module")
def result(problem, best):
    return jaxfit.ranking(*problem, fit_results=best)


def matrix(result):
    return np.column_stack([getattr(result, column) for column in COLUMNS])


def of_cabinetry(fit_results):
    """Our fit in cabinetry's container."""
    return cabinetry.fit.FitResults(*(getattr(fit_results, name) for name in cabinetry.fit.FitResults._fields[:5]))


def widths_of(model, best):
    prefit = cabinetry.model_utils.prefit_uncertainties(model)
    return np.column_stack([prefit, -prefit, best.uncertainty, -best.uncertainty])


def assert_entries_are_fits(result, model, data, best, poi="mu", **options):
    index = best.labels.index(poi)
    for label, impacts, shifts in zip(
        result.labels, matrix(result), np.delete(widths_of(model, best), index, axis=0), strict=True
    ):
        value = best.bestfit[best.labels.index(label)]
        for impact, shift in zip(impacts, shifts, strict=True):
            if shift == 0:
                assert impact == 0.0
                continue
            held = {**options.get("fix_pars", {}), label: float(value + shift)}
            refit = jaxfit.fit(model, data, **{**options, "fix_pars": held})
            expected = refit.bestfit[index] - best.bestfit[index]
            assert impact == pytest.approx(expected, abs=1e-4 * best.uncertainty[index])


def test_entries_are_fits(problem, best, result):
    assert result.name == "mu"
    assert result.converged
    assert result.labels == [name for name in best.labels if name != "mu"]
    assert result.statuses == ((Status.OK,) * 4,) * len(result.labels)
    assert_entries_are_fits(result, *problem, best)
    assert (np.abs(matrix(result)) > 1e-4).all()


def test_entries_are_cabinetrys(problem, best, result):
    theirs = cabinetry.fit.ranking(*problem, fit_results=of_cabinetry(best), **TIGHT)
    assert result.labels == theirs.labels
    sigma = best.uncertainty[best.labels.index("mu")]
    for column in (*COLUMNS, "bestfit", "uncertainty"):
        np.testing.assert_allclose(getattr(result, column), getattr(theirs, column), rtol=0, atol=1e-3 * sigma)


def test_without_a_fit_it_is_made(problem, result):
    alone = jaxfit.ranking(*problem)
    np.testing.assert_allclose(matrix(alone), matrix(result), rtol=0, atol=1e-6)


def test_fits_of_cabinetry_will_do(problem, best, result):
    given = jaxfit.ranking(*problem, fit_results=of_cabinetry(best))
    np.testing.assert_array_equal(matrix(given), matrix(result))


def test_fixed_and_unconstrained_parameters_as_in_cabinetry(problem):
    """A parameter that only the call fixes has a pre-fit impact, but no post-fit one; mu only has a post-fit one."""
    model, data = problem
    fixed = [name == "xsec" for name in model.config.par_names]
    best = jaxfit.fit(model, data, fix_pars=fixed)
    ours = jaxfit.ranking(model, data, fit_results=best, fix_pars=fixed, poi_name="stat_SR[0]")
    theirs = cabinetry.fit.ranking(
        model, data, fit_results=of_cabinetry(best), fix_pars=fixed, poi_name="stat_SR[0]", **TIGHT
    )
    sigma = best.uncertainty[best.labels.index("stat_SR[0]")]
    expected = np.column_stack([getattr(theirs, column) for column in COLUMNS])
    np.testing.assert_allclose(matrix(ours), expected, rtol=0, atol=1e-3 * sigma)
    np.testing.assert_array_equal(matrix(ours) == 0, expected == 0)
    assert (matrix(ours)[ours.labels.index("xsec")] != 0).tolist() == [True, True, False, False]
    assert (matrix(ours)[ours.labels.index("mu")] != 0).tolist() == [False, False, True, True]


def test_settings_hold_in_the_refits(problem):
    model, data = problem
    options = {"fix_pars": {"stat_SR[1]": 1.03}, "par_bounds": {"mu": (0.0, 1.5)}, "init_pars": {"mu": 0.6}}
    result, best = jaxfit.ranking(model, data, **options), jaxfit.fit(model, data, **options)
    assert Status.OK_AT_BOUND in np.ravel(result.statuses)
    assert_entries_are_fits(result, model, data, best, **options)


def test_it_is_one_batch(problem, best, monkeypatch):
    lanes, solve = [], rankings.solve
    monkeypatch.setattr(rankings, "solve", lambda *args, **options: lanes.append(args[1]) or solve(*args, **options))
    jaxfit.ranking(*problem, fit_results=best)
    assert [len(batch.start) for batch in lanes] == [4 * (len(best.labels) - 1)]
    # on the tangent: closer to the solutions than the best fit
    solved = solve(problem[0], lanes[0]).pars
    tangent, far = (np.abs(start - solved).max(axis=1) for start in (lanes[0].start, best.bestfit))
    assert (tangent < 0.5 * far).all()


def test_cabinetry_draws_it(result, tmp_path):
    cabinetry.visualize.ranking(result, figure_folder=tmp_path, close_figure=True)
    assert (tmp_path / "ranking.pdf").stat().st_size > 1000


def test_a_failed_refit_is_flagged(problem, best, result, monkeypatch):
    solve, index = rankings.solve, best.labels.index("xsec")

    def xsec_fails(model, problems, **options):
        solved = solve(model, problems, **options)
        failed = (problems.lower[:, index] == problems.upper[:, index]) & (problems.start[:, index] > 0.5)
        rescues = tuple(("damped: STALLED",) if lane else () for lane in failed)
        return solved._replace(status=np.where(failed, Status.STALLED, solved.status), rescues=rescues)

    monkeypatch.setattr(rankings, "solve", xsec_fails)
    text = r"^2 of 16 refits are no minimum: xsec pre-fit up \(STALLED\), xsec post-fit up \(STALLED\)$"
    with pytest.warns(FitWarning, match=text) as caught:
        flagged = jaxfit.ranking(*problem, fit_results=best)
    assert caught[0].filename == __file__
    assert not flagged.converged
    missing = np.isnan(matrix(flagged))
    np.testing.assert_array_equal(missing, np.array(flagged.statuses) == Status.STALLED)
    np.testing.assert_array_equal(matrix(flagged)[~missing], matrix(result)[~missing])
    assert flagged.rescues == {f"xsec {when}-fit up": ("damped: STALLED",) for when in ("pre", "post")}
    assert "STALLED" in str(flagged).splitlines()[-1]
    with pytest.raises(FitError):
        jaxfit.ranking(*problem, fit_results=best, on_failure="raise")


def test_a_parameter_without_uncertainty_has_no_post_fit_impact(problem, best):
    unknown = of_cabinetry(best)
    sigma = unknown.uncertainty.copy()
    sigma[best.labels.index("xsec")] = np.nan
    with pytest.warns(FitWarning, match="without a post-fit impact: xsec"):
        result = jaxfit.ranking(*problem, fit_results=unknown._replace(uncertainty=sigma))
    row = result.labels.index("xsec")
    assert np.isnan(matrix(result)[row]).tolist() == [False, False, True, True]
    assert result.statuses[row][2:] == (Status.NOT_RUN,) * 2
    assert np.isfinite(np.delete(matrix(result), row, axis=0)).all()


def test_refits_below_the_best_fit_are_told(problem, best):
    above = of_cabinetry(best)._replace(best_twice_nll=best.best_twice_nll + 30.0)
    with pytest.warns(FitWarning, match=r"the refit with .* lies \d+ below the best fit, which is a local minimum"):
        jaxfit.ranking(*problem, fit_results=above)


def test_a_failed_best_fit_is_told(problem):
    with pytest.warns(FitWarning, match="NOT_CONVERGED"):
        jaxfit.ranking(*problem, maxiter=1)


def test_a_model_of_one_parameter():
    best = cabinetry.fit.FitResults(np.ones(1), np.ones(1), ["mu"], np.ones((1, 1)), 0.0)
    result = jaxfit.ranking(*model_and_data("no_nuisance"), fit_results=best)
    assert (result.labels, matrix(result).shape) == ([], (0, 4))
    assert str(result).startswith("impacts on mu")


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"poi_name": "nu"}, "unknown parameter 'nu'"),
        ({"fix_pars": {"mu": True}}, "'mu' is fixed: free it"),
        ({"on_failure": "ask"}, "unknown policy"),
        ({"fit_results": cabinetry.fit.FitResults(np.zeros(1), np.zeros(1), ["x"], np.zeros((1, 1)), 0.0)}, "model"),
    ],
    ids=str,
)
def test_wrong_input_is_refused(problem, options, text):
    with pytest.raises(InputError, match=text):
        jaxfit.ranking(*problem, **options)


def test_a_model_needs_a_parameter_of_interest():
    with pytest.raises(InputError, match="no parameter of interest: name one with poi_name"):
        jaxfit.ranking(*model_and_data("gammas_only"))


def test_round_trip(result, tmp_path):
    result.save(tmp_path / "ranking.json")
    loaded = load_results(tmp_path / "ranking.json")
    np.testing.assert_array_equal(matrix(loaded), matrix(result))
    assert (loaded.labels, loaded.statuses, str(loaded)) == (result.labels, result.statuses, str(result))


# -- against MINUIT on larger models: minutes each --------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("name", ["example", "agc_ttbar_5files", "agc_ttbar_all"])
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_larger_models_are_cabinetrys(shared, tmp_path, name):
    """Within 1e-3 of the width of the POI, or at a lower minimum than MINUIT's."""
    spec = ttbar.workspace(tmp_path) if name == "example" else load(shared / "workspaces" / f"{name}.json")
    model, data = model_and_data_of(spec)
    best, poi = jaxfit.fit(model, data), model.config.poi_index
    ours = jaxfit.ranking(model, data, fit_results=best)
    theirs = cabinetry.fit.ranking(model, data, fit_results=of_cabinetry(best), **TIGHT)
    assert ours.converged
    differences = (matrix(ours) - np.column_stack([getattr(theirs, c) for c in COLUMNS])) / best.uncertainty[poi]
    apart = np.argwhere(np.abs(differences) > 1e-3)
    assert len(apart) <= 2
    for row, column in apart:
        index = best.labels.index(ours.labels[row])
        value = float(best.bestfit[index] + widths_of(model, best)[index, column])
        fixed = [i == index for i in range(len(best.labels))]
        start = [value if hold else init for hold, init in zip(fixed, model.config.suggested_init(), strict=True)]
        minuit = cabinetry.fit.fit(model, data, init_pars=start, fix_pars=fixed, **TIGHT)
        refit = jaxfit.fit(model, data, fix_pars={best.labels[index]: value})
        assert refit.bestfit[poi] - best.bestfit[poi] == pytest.approx(matrix(ours)[row, column], abs=1e-4)
        assert refit.best_twice_nll < minuit.best_twice_nll - 1e-3
