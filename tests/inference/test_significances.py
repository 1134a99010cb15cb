"""Significances by toys: those of counting experiments are known."""

import countings
import numpy as np
import pytest
from scipy.stats import norm, poisson

import jaxfit
from jaxfit import FitWarning, InputError

SETTINGS = {"calctype": "toybased", "ntoys": 4000, "progress": False}


@pytest.fixture(scope="module")
def model():
    """Six events of signal are expected."""
    return countings.counting(signal=6.0)


def test_a_significance_of_a_counting_experiment_is_exact(model):
    result = jaxfit.significance(model, [7.0], seed=1, **SETTINGS)
    p = poisson.sf(6, 3.0)
    assert result.observed_p_value == pytest.approx(p, abs=4.0 * result.observed_p_value_error)
    assert result.observed_p_value_error == pytest.approx(np.sqrt(p * (1.0 - p) / 4000), rel=0.2)
    assert result.observed_significance == pytest.approx(norm.isf(result.observed_p_value))
    assert result.observed_significance == pytest.approx(norm.isf(p), abs=4.0 * result.observed_significance_error)
    expected = poisson.sf(poisson.ppf(0.5, 9.0) - 1.0, 3.0)
    assert result.expected_p_value == pytest.approx(expected, abs=4.0 * result.expected_p_value_error)
    assert result.expected_significance == pytest.approx(norm.isf(result.expected_p_value))
    test = jaxfit.hypotest(0.0, [7.0], model, test_stat="q0", seed=1, **SETTINGS)
    assert result.observed_p_value == test.CLsb_obs
    text = f"observed {result.observed_significance:.3f} +- {result.observed_significance_error:.3f}"
    assert text in str(result)


def test_no_excess_is_no_significance(model):
    result = jaxfit.significance(model, [3.0], **SETTINGS)
    assert (result.observed_p_value, result.observed_significance) == (1.0, 0.0)


def test_a_p_value_below_what_toys_can_tell(model, tmp_path):
    text = "the observed p-value is below what 4000 toys can tell, about 0.0008: raise ntoys"
    with pytest.warns(FitWarning, match=text):
        result = jaxfit.significance(model, [30.0], **SETTINGS)
    assert (result.observed_p_value, result.observed_significance) == (0.0, np.inf)
    assert 0 < result.observed_p_value_error < 0.0008
    result.save(tmp_path / "significance.json")
    assert str(jaxfit.load_results(tmp_path / "significance.json")) == str(result)


def test_wrong_settings_are_refused(model):
    with pytest.raises(InputError, match="unknown calctype 'toy'"):
        jaxfit.significance(model, [2.0], calctype="toy")
    with pytest.raises(InputError, match="ntoys is -5"):
        jaxfit.significance(model, [2.0], calctype="toybased", ntoys=-5)
