"""An independent check agrees with a good fit, and tells what is wrong with a bad one."""

from dataclasses import replace

import numpy as np
import pytest
from models import model_and_data

import jaxfit
from jaxfit import Status
from jaxfit.inference.verifications import verified
from jaxfit.likelihood import parameter_space


@pytest.fixture(scope="module")
def shapesys():
    model, data = model_and_data("shapesys")
    return model, np.array(data), parameter_space(model), jaxfit.fit(model, data, verify=True)


def test_a_good_fit_is_verified(shapesys):
    *_, result = shapesys
    assert result.status == Status.OK
    assert result.warnings == ()
    assert "a second start ended OK" in result.diagnosis.verification
    assert "free parameters" in result.diagnosis.verification


def test_without_verification_nothing_is_claimed(shapesys):
    model, data, _, _ = shapesys
    assert jaxfit.fit(model, data).diagnosis.verification == ""


def test_a_wrong_likelihood_is_told(shapesys):
    *case, result = shapesys
    checked = verified(*case, replace(result, best_twice_nll=result.best_twice_nll + 1e-4))
    assert any("pyhf's -log(likelihood) is" in text for text in checked.warnings)


def test_a_point_beside_the_minimum_is_told(shapesys):
    model, data, space, result = shapesys
    moved = result.bestfit + 0.1 * result.uncertainty
    nll = -2.0 * float(model.logpdf(moved, data)[0])
    checked = verified(model, data, space, replace(result, bestfit=moved, best_twice_nll=nll))
    assert checked.status == Status.NOT_A_MINIMUM
    assert any("a slope of" in text for text in checked.warnings)
    assert any("a second start ended" in text for text in checked.warnings)
