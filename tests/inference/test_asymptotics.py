"""p-values against pyhf's distributions, and against sampled estimates where pyhf has none."""

import numpy as np
import pyhf
import pytest

from jaxfit import InputError
from jaxfit.inference.asymptotics import p_values

RNG = np.random.default_rng(5)
STATISTIC, ASIMOV = RNG.uniform(0.0, 30.0, 200), RNG.uniform(0.01, 30.0, 200)
MODEL = pyhf.simplemodels.uncorrelated_background([5.0], [50.0], [7.0])


def by_pyhf(test_stat, statistic, asimov, calc_base_dist):
    """Observed and expected (CLsb, CLb, CLs) from the values of the statistic, without fits."""
    root, root_asimov = np.sqrt(statistic), np.sqrt(asimov)
    calculator = pyhf.infer.calculators.AsymptoticCalculator(
        [55.0, *MODEL.config.auxdata], MODEL, test_stat=test_stat, calc_base_dist=calc_base_dist
    )
    calculator.sqrtqmuA_v = root_asimov
    difference = root - root_asimov
    if test_stat == "qtilde" and root > root_asimov:
        difference = (statistic - asimov) / (2 * root_asimov)
    distributions = calculator.distributions(1.0)
    return calculator.pvalues(difference, *distributions), calculator.expected_pvalues(*distributions)


@pytest.mark.parametrize("test_stat", ["qtilde", "q", "q0"])
@pytest.mark.parametrize("calc_base_dist", ["normal", "clipped_normal"])
def test_p_values_are_pyhfs(test_stat, calc_base_dist):
    observed, expected = p_values(test_stat, STATISTIC, ASIMOV, calc_base_dist)
    theirs = [by_pyhf(test_stat, q, a, calc_base_dist) for q, a in zip(STATISTIC, ASIMOV, strict=True)]
    for i, name in enumerate(("CLsb", "CLb", "CLs")):
        which = 0 if (test_stat, name) == ("q0", "CLs") else i  # what hypotest returns for q0
        np.testing.assert_allclose(getattr(observed, name), [float(own[which]) for own, _ in theirs], rtol=1e-12)
        assert getattr(expected, name).shape == (200, 5)
        np.testing.assert_allclose(
            getattr(expected, name), [[float(p) for p in band[which]] for _, band in theirs], rtol=1e-12
        )


def test_clipping_makes_a_difference():
    plain, clipped = (p_values("qtilde", STATISTIC, ASIMOV, name)[1].CLs for name in ("normal", "clipped_normal"))
    assert np.abs(plain - clipped).max() > 0.1


def test_ratio_of_tails_too_small_for_a_number():
    """exp(-A / 2 - d sqrt(A)) (1 - sqrt(A) / d) to leading order, where pyhf has 0 / 0."""
    statistic, asimov = np.array(100.0), np.array(1e-4)
    observed, _ = p_values("qtilde", statistic, asimov)
    assert observed.CLsb == observed.CLb == 0.0
    difference = (statistic - asimov) / (2 * np.sqrt(asimov))
    leading = np.exp(-asimov / 2 - difference * np.sqrt(asimov)) * (1 - np.sqrt(asimov) / difference)
    assert observed.CLs == pytest.approx(leading, rel=1e-6)


def two_sided(estimates, mu, bounded):
    """t or t-tilde of a normally distributed estimate of unit width (arXiv:1007.1727 equations 8 and 11)."""
    statistic = (mu - estimates) ** 2
    return np.where(bounded & (estimates < 0), mu**2 - 2 * mu * estimates, statistic)


@pytest.mark.parametrize("bounded", [False, True], ids=["t", "ttilde"])
@pytest.mark.parametrize("observed", [0.1, 0.9, 2.5, 6.0])
def test_two_sided_tails_are_those_of_samples(bounded, observed):
    mu, number = 1.3, 400_000
    found, _ = p_values("ttilde" if bounded else "t", np.array(observed), np.array(mu**2))
    noise = np.random.default_rng(7).normal(size=number)
    for name, truth in (("CLsb", mu), ("CLb", 0.0)):
        sampled = (two_sided(truth + noise, mu, bounded) >= observed).mean()
        assert getattr(found, name) == pytest.approx(sampled, abs=4 * np.sqrt(0.25 / number))
    assert found.CLs == found.CLsb


@pytest.mark.parametrize("test_stat", ["t", "ttilde"])
def test_two_sided_expected_values_are_those_of_fluctuated_estimates(test_stat):
    mu = 0.7
    _, expected = p_values(test_stat, np.array(1.0), np.array(mu**2))
    for i, fluctuation in enumerate((-2.0, -1.0, 0.0, 1.0, 2.0)):
        statistic = two_sided(np.array(fluctuation), mu, test_stat == "ttilde")
        own, _ = p_values(test_stat, statistic, np.array(mu**2))
        assert expected.CLsb[i] == pytest.approx(own.CLsb, rel=1e-12)
        assert expected.CLb[i] == pytest.approx(own.CLb, rel=1e-12)


def test_no_number_stays_none():
    observed, expected = p_values("qtilde", np.array([np.nan, 1.0]), np.array([1.0, np.nan]))
    assert np.isnan(observed.CLs).all()
    assert np.isfinite(expected.CLs[0]).all()  # the data do not enter
    assert np.isnan(expected.CLs[1]).all()


def test_wrong_names_are_refused():
    with pytest.raises(InputError, match="unknown test_stat 'qmu'"):
        p_values("qmu", STATISTIC, ASIMOV)
    with pytest.raises(InputError, match="unknown calc_base_dist 'clipped'"):
        p_values("q", STATISTIC, ASIMOV, "clipped")
    with pytest.raises(InputError, match="two-sided statistic has nothing to clip"):
        p_values("t", STATISTIC, ASIMOV, "clipped_normal")
