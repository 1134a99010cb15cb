"""Hypothesis tests by toys: exact in counting experiments, pyhf's in general, the asymptotic ones at high counts."""

import countings
import numpy as np
import pyhf
import pytest
from models import model_and_data
from scipy.stats import poisson

import jaxfit
from jaxfit import FitError, FitWarning, InputError, Status
from jaxfit.inference import trials
from jaxfit.inference.distributions import _expected, _observed, binomial_error, bootstraps, fraction

NTOYS = 2000
SETTINGS = {"calctype": "toybased", "ntoys": NTOYS, "progress": False}
# observed events, tested values of mu
CASES = {"qtilde": (2, [1.5, 4.0]), "q0": (6, [0.0]), "ttilde": (5, [0.5, 6.0])}


@pytest.fixture(scope="module")
def model():
    return countings.counting()


@pytest.fixture(scope="module")
def tested(model):
    """qtilde of two values, for two events."""
    return jaxfit.hypotest([1.5, 4.0], [2.0], model, **SETTINGS)


def weights_of(*sizes):
    return list(bootstraps((1, 2), tuple(np.ones(size, dtype=bool) for size in sizes)))


def test_a_bootstrap_has_as_many_toys_as_there_are():
    known = np.arange(300) % 3 > 0
    pairs = list(bootstraps((1, 2), (np.ones(200, dtype=bool), known)))
    assert [one.sum() for one, _ in pairs] == [200] * len(pairs)
    assert np.mean([other.sum() for _, other in pairs]) == pytest.approx(200, abs=5)
    assert len({tuple(other) for _, other in pairs}) == len(pairs)
    # a toy is drawn as often whichever others are known
    everything = next(bootstraps((1, 2), (known, np.ones(300, dtype=bool))))[1]
    np.testing.assert_array_equal(pairs[0][1], everything[known])


def test_a_fraction_counts_ties():
    samples = np.array([0.0, 1.0, 1.0 - 1e-9, 1.0 - 1e-6, 3.0])
    assert fraction(samples, 1.0) == (0.6, binomial_error(3, 5))
    assert np.isnan(fraction(samples, np.nan)).all()
    assert np.isnan(fraction(samples[:0], 1.0)).all()


def test_binomial_errors():
    assert binomial_error(300, 1000) == pytest.approx(np.sqrt(0.3 * 0.7 / 1000), rel=3e-3)
    assert binomial_error(0, 1000) == binomial_error(1000, 1000) == pytest.approx(1e-3, rel=3e-3)


@pytest.mark.parametrize("ratio", [True, False])
def test_p_values_of_samples_are_pyhfs(ratio):
    rng = np.random.default_rng(1)
    signal, background = rng.chisquare(1, 300), np.round(4.0 * rng.chisquare(1, 200), 1)
    known = [pyhf.infer.calculators.EmpiricalDistribution(samples) for samples in (signal, background)]
    pvalues = pyhf.infer.calculators.ToyCalculator([], None, [0.0], [(0, 1)], [False]).pvalues
    rows = np.array([pvalues(t, *known) for t in background])
    # ToyCalculator.expected_pvalues, which fails with numpy 2
    expected = np.percentile(rows, [2.27501319, 15.86552539, 50.0, 84.13447461, 97.72498681], axis=0).T
    columns = [0, 1, 2] if ratio else [0, 1, 0]
    found = _expected((signal, background), weights_of(300, 200), 2.0, ratio)
    np.testing.assert_allclose(found[0], expected[columns], rtol=1e-6)
    np.testing.assert_allclose(_observed((signal, background), 2.0, ratio)[0], np.array(pvalues(2.0, *known))[columns])


def test_errors_are_those_of_repeated_ensembles():
    """Bootstraps against 200 independent pairs of ensembles; the data lie at a fixed value of the statistic."""
    rng = np.random.default_rng(2)
    pairs = [(rng.chisquare(1, 1000), rng.noncentral_chisquare(1, 4.0, 1000)) for _ in range(200)]
    observed = [_observed(pair, 2.0, True) for pair in pairs]
    np.testing.assert_allclose(observed[0][1], np.std([values for values, _ in observed], axis=0), rtol=0.2)
    expected = np.array([_expected(pair, weights_of(1000, 1000)[:2], 2.0, True)[0] for pair in pairs])
    errors = np.mean([_expected(pair, weights_of(1000, 1000), 2.0, True)[1] for pair in pairs[:10]], axis=0)
    spread = np.std(expected, axis=0)
    np.testing.assert_allclose(errors[[0, 2], 1:], spread[[0, 2], 1:], rtol=0.25)


@pytest.mark.parametrize("test_stat", CASES)
def test_p_values_of_a_counting_experiment_are_exact(model, test_stat):
    n, values = CASES[test_stat]
    result = jaxfit.hypotest(values, [float(n)], model, test_stat=test_stat, seed=3, **SETTINGS)
    other = 1.0 if test_stat == "q0" else 0.0
    for k, value in enumerate(values):
        exact = [countings.tail(test_stat, value, n, mu) for mu in (value, other)]
        found, error = (
            np.array([result.CLsb_obs[k], result.CLb_obs[k]]),
            [result.CLsb_obs_error[k], result.CLb_obs_error[k]],
        )
        np.testing.assert_array_less(np.abs(found - exact), 4.0 * np.array(error))
        ratio = found[0] / found[1] if test_stat == "qtilde" else found[0]
        assert result.CLs_obs[k] == pytest.approx(ratio, rel=1e-12)
        # percentiles of a discrete distribution: those of p-values, each with its probability
        numbers = np.arange(60)
        weights = poisson.pmf(numbers, other + 3.0)
        own = np.array([countings.tail(test_stat, value, number, value) for number in numbers])
        order = np.argsort(own)
        exact = own[order][np.searchsorted(np.cumsum(weights[order]), [0.02275, 0.15866, 0.5, 0.84134, 0.97725])]
        np.testing.assert_array_less(np.abs(result.CLsb_exp[k] - exact), 4.0 * result.CLsb_exp_error[k])
    assert (result.ntoys, result.ntoys_used.tolist(), result.left_out) == (NTOYS, [[NTOYS] * 2] * len(values), {})
    assert result.calctype == "toybased"
    assert result.warnings == ()


def test_toys_agree_with_asymptotic_formulae_at_high_counts():
    model, data = countings.counting(background=10_000.0, signal=100.0), [10_050.0]
    toys = jaxfit.hypotest([1.0, 2.0], data, model, seed=1, **SETTINGS)
    formulae = jaxfit.hypotest([1.0, 2.0], data, model)
    assert (np.abs(toys.CLs_obs - formulae.CLs_obs) < 3.5 * toys.CLs_obs_error).all()
    assert (np.abs(toys.CLs_exp - formulae.CLs_exp) < 3.5 * toys.CLs_exp_error)[:, :4].all()
    np.testing.assert_array_equal(toys.statistic, formulae.statistic)
    assert not formulae.CLs_obs_error.any()


def test_a_tested_value_has_its_own_toys(model, tested):
    alone = jaxfit.hypotest(4.0, [2.0], model, **SETTINGS)
    assert alone.CLsb_obs == tested.CLsb_obs[1]
    assert alone.CLb_obs == tested.CLb_obs[1]
    np.testing.assert_array_equal(alone.CLs_exp, tested.CLs_exp[1])
    assert np.ndim(alone.CLs_obs) == np.ndim(alone.CLs_obs_error) == 0
    other = jaxfit.hypotest(4.0, [2.0], model, seed=1, **SETTINGS)
    assert other.CLb_obs != alone.CLb_obs


def test_a_result_can_be_saved(tested, tmp_path):
    tested.save(tmp_path / "tests.json")
    loaded = jaxfit.load_results(tmp_path / "tests.json")
    np.testing.assert_array_equal(loaded.CLs_exp_error, tested.CLs_exp_error)
    np.testing.assert_array_equal(loaded.ntoys_used, tested.ntoys_used)
    assert str(loaded) == str(tested)
    assert f"{NTOYS} toys of each hypothesis" in str(tested)


def spoiling(monkeypatch, status, number, held):
    """The first toys of every ensemble get another status, of their best fit or the fit with the parameter held."""

    def carry_out(plan, first, count, **how):
        outcomes = original(plan, first, count, **how)
        outcomes.status[:number, int(held)] = status
        return outcomes

    original = trials.carry_out
    monkeypatch.setattr(trials, "carry_out", carry_out)


@pytest.mark.parametrize("held", [False, True])
def test_toys_that_fail_are_left_out_and_counted(monkeypatch, model, tested, held):
    spoiling(monkeypatch, Status.STALLED, 500, held)
    text = "1000 test statistics of toys are left out, since a fit failed: 1000 STALLED"
    with pytest.warns(FitWarning, match=text):
        result = jaxfit.hypotest(4.0, [2.0], model, **SETTINGS)
    assert result.left_out == {"STALLED": 1000}
    assert result.ntoys_used.tolist() == [NTOYS - 500] * 2
    assert text in result.warnings
    assert result.CLsb_obs != tested.CLsb_obs[1]
    assert result.CLsb_obs == pytest.approx(tested.CLsb_obs[1], abs=4.0 * result.CLsb_obs_error)
    accepted = jaxfit.hypotest(4.0, [2.0], model, accept=[Status.STALLED], **SETTINGS)
    assert accepted.CLsb_obs == tested.CLsb_obs[1]
    with pytest.raises(FitError, match=text):
        jaxfit.hypotest(4.0, [2.0], model, on_failure="raise", **SETTINGS)


def test_nothing_is_drawn_after_an_interrupt(monkeypatch, model):
    spoiling(monkeypatch, Status.NOT_RUN, 500, held=False)
    with pytest.warns(FitWarning, match=f"{NTOYS + 500} NOT_RUN"):
        result = jaxfit.hypotest(4.0, [2.0], model, **SETTINGS)
    assert result.ntoys_used.tolist() == [0, NTOYS - 500]
    assert np.isnan(result.CLsb_obs)
    assert np.isnan(result.CLs_exp).all()


def test_a_checkpoint_is_not_done_again(monkeypatch, model, tested, tmp_path):
    folder = tmp_path / "toys"
    first = jaxfit.hypotest([1.5, 4.0], [2.0], model, checkpoint=folder, **SETTINGS)
    monkeypatch.setattr("jaxfit.inference.campaigns.perform", None)
    second = jaxfit.hypotest([1.5, 4.0], [2.0], model, checkpoint=folder, **SETTINGS)
    for result in (first, second):
        np.testing.assert_array_equal(result.CLs_exp, tested.CLs_exp)


def test_cls_without_toys_of_the_background_has_no_value(model):
    """A deficit that no toy of 25 expected events has."""
    many = countings.counting(background=25.0)
    with pytest.warns(FitWarning, match="CLs has no value at mu = 1, 2, where no toy of the background"):
        result = jaxfit.hypotest([1.0, 2.0], [2.0], many, **SETTINGS)
    assert result.CLb_obs.tolist() == [0.0, 0.0]
    assert np.isnan(result.CLs_obs).all()
    assert np.isfinite(result.CLs_exp).all()
    assert jaxfit.hypotest(1.0, [2.0], many, test_stat="ttilde", **SETTINGS).warnings == ()


def test_a_statistic_of_failed_fits_has_no_p_value(model):
    with pytest.warns(FitWarning):
        result = jaxfit.hypotest(4.0, [2.0], model, maxiter=1, **SETTINGS)
    assert np.isnan([result.CLsb_obs, result.CLb_obs, result.CLs_obs, result.CLs_obs_error]).all()
    assert not result.converged


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"ntoys": 0}, "ntoys is 0, expected a whole number of at least 1"),
        ({"ntoys": 10.0}, "ntoys is 10.0, expected a whole number"),
        ({"seed": -1}, "seed is -1, expected a whole number of at least 0"),
        ({"calctype": "toys"}, "unknown calctype 'toys'"),
        ({"calc_base_dist": "clipped_normal"}, "calc_base_dist is 'clipped_normal', which is for asymptotic"),
        ({"checkpoint": "/dev/null/toys"}, "checkpoint /dev/null/toys"),
    ],
)
def test_wrong_settings_are_refused(model, settings, text):
    with pytest.raises(InputError, match=text):
        jaxfit.hypotest(1.0, [2.0], model, **{**SETTINGS, **settings})


@pytest.mark.slow
def test_an_empty_bin_whose_yield_would_be_negative():
    """The data are treated as toys are: at the edge of positive yields, where there is no bin without a yield."""
    histosys = {"type": "histosys", "name": "jes", "data": {"hi_data": [10.0, 3.0], "lo_data": [10.0, -1.0]}}
    signal = {"name": "signal", "data": [5.0, 1.0], "modifiers": [{"type": "normfactor", "name": "mu", "data": None}]}
    background = {"name": "background", "data": [10.0, 1.0], "modifiers": [histosys]}
    spec = {"channels": [{"name": "SR", "samples": [signal, background]}]}
    model = pyhf.Model(spec, poi_name="mu", modifier_settings={"histosys": {"interpcode": "code4p"}})
    data = [12.0, 0.0, *model.config.auxdata]
    assert jaxfit.fit(model, data, on_failure="ignore").status == Status.NEGATIVE_EXPECTATION
    test = jaxfit.hypotest(1.0, data, model, **SETTINGS)
    region = jaxfit.feldman_cousins(model, data, "mu", [1.0], ntoys=NTOYS, progress=False, on_failure="ignore")
    goodness = jaxfit.goodness_of_fit(model, data, **SETTINGS)
    assert all(result.converged for result in (test, region, goodness))
    assert test.statistic == pytest.approx(region.statistic[0], abs=1e-6)
    assert 0.0 < test.CLsb_obs < region.p_values[0] < 1.0
    assert 0.0 < goodness.p_value < 1.0


@pytest.mark.slow
@pytest.mark.parametrize("test_stat", ["qtilde", "q0"])
def test_toys_are_pyhfs(test_stat):
    """With nuisance parameters; pyhf's toys have the errors of their number."""
    model, data = model_and_data("staterror")
    value, number = (0.0 if test_stat == "q0" else 1.0), 400
    backend = pyhf.get_backend()
    pyhf.set_backend("numpy", pyhf.optimize.scipy_optimizer())
    np.random.seed(1)  # pyhf's generator
    calculator = pyhf.infer.calculators.ToyCalculator(
        data, model, test_stat=test_stat, ntoys=number, track_progress=False
    )
    distributions = calculator.distributions(value)
    theirs = [float(distribution.pvalue(calculator.teststatistic(value))) for distribution in distributions]
    pyhf.set_backend(*backend)
    ours = jaxfit.hypotest(value, data, model, test_stat=test_stat, **{**SETTINGS, "ntoys": 20_000})
    for found, other in zip((ours.CLsb_obs, ours.CLb_obs), theirs, strict=True):
        assert found == pytest.approx(other, abs=3.5 * binomial_error(round(other * number), number))
