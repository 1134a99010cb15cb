"""Gradient and Hessian of the lowered likelihood against JAX's derivatives of pyhf's own log-density."""

import jax
import models
import numpy as np
import pyhf
import pytest
from likelihood.cases import Case, assert_gradient, assert_hessian, assert_nll, case_of, case_of_file

from jaxfit.likelihood import Reference

CODED = [
    ("norm_plus_shape", "code1", "code0"),
    ("norm_plus_shape", "code1", "code4p"),
    ("norm_plus_shape", "code4", "code2"),
    ("everything", "code1", "code0"),
]


@pytest.fixture(scope="module", autouse=True)
def _jax_backend():
    """Every change of pyhf's backend recomputes all models that are alive: one change for all tests of this file."""
    before, x64 = pyhf.get_backend(), jax.config.jax_enable_x64
    with jax.enable_x64(True):
        pyhf.set_backend("jax", precision="64b")
        yield
        pyhf.set_backend(*before)
    jax.config.update("jax_enable_x64", x64)  # importing pyhf's backend sets it


@pytest.mark.parametrize("name", [name for name in models.WORKSPACES if name != "empty_bin"])
def test_registry(name):
    case = case_of(name)
    for pars in (case.start, *case.points(20)):
        case.assert_derivatives(pars)


@pytest.mark.parametrize(("name", "normsys", "histosys"), CODED)
def test_interpolation_codes(name, normsys, histosys):
    """At random points; what happens at the joints is in test_compact."""
    case = case_of(name, normsys, histosys)
    for pars in case.points(20):
        case.assert_derivatives(pars)


def test_shared_workspaces(shared, file):
    """The Hessian up to 60 parameters."""
    case = case_of_file(shared / "workspaces" / file)
    for pars in (case.start, *case.points(5)):
        if len(pars) <= 60:
            case.assert_derivatives(pars)
        else:
            point = case.at(pars)
            assert_gradient(point.gradient, case.reference_gradient(pars), point.hessian)


@pytest.mark.parametrize("zero", [["mu"], ["acceptance"], ["mu", "acceptance"]], ids="+".join)
def test_normfactors_of_exactly_zero(zero):
    """The derivatives by one factor are those of the product of the others, with any of them zero."""
    case = case_of("two_normfactors")
    pars = case.start.copy()
    pars[case.space.index("tilt")] = 0.3
    pars[[case.space.index(name) for name in zero]] = 0.0
    case.assert_derivatives(pars)


def central(function, pars, step=1e-5):
    """Fourth-order central differences by every parameter."""
    rows = []
    for direction in step * np.eye(len(pars)):
        f = [function(pars + k * direction) for k in (-2, -1, 1, 2)]
        rows.append((f[0] - 8 * f[1] + 8 * f[2] - f[3]) / (12 * step))
    return np.array(rows)


def test_an_empty_bin_has_finite_derivatives_where_pyhf_has_none():
    case = case_of("empty_bin")
    for pars in (case.start, *case.points(5)):
        assert np.isnan(case.reference_gradient(pars)).any()
        point = case.at(pars)
        np.testing.assert_allclose(point.gradient, central(lambda x: case.at(x).nll, pars), rtol=1e-6, atol=1e-6)
        np.testing.assert_allclose(point.hessian, central(lambda x: case.at(x).gradient, pars), rtol=1e-6, atol=1e-6)


def test_reference_has_the_derivatives_of_an_empty_bin_too():
    case = case_of("empty_bin")
    reference = Reference.of(case.model)
    derivatives = jax.jit(lambda pars, data: reference.derivatives(reference.split(pars), data, jax.numpy.asarray(1.0)))
    for pars in (case.start, *case.points(3)):
        point, (value, gradient, hessian) = case.at(pars), derivatives(pars, case.data)
        assert_nll(value, point.nll)
        assert_gradient(gradient.border, point.gradient, point.hessian)
        assert_hessian(hessian.corner, point.hessian)


def test_reference_has_the_form_of_the_compact_likelihood():
    case = case_of("norm_plus_shape")
    reference = Reference.of(case.model, reason="for the test")
    assert reference.engine == "reference (for the test)"
    pars = case.points(1)[0]
    derivatives = jax.jit(lambda pars, data, exact: reference.derivatives(reference.split(pars), data, exact))
    value, gradient, hessian = derivatives(pars, case.data, 1.0)
    point = case.at(pars)
    assert value == pytest.approx(point.nll, rel=1e-10)
    np.testing.assert_allclose(reference.join(gradient), point.gradient, rtol=1e-8, atol=1e-10)
    order = reference.order
    np.testing.assert_allclose(hessian.to_dense()[order][:, order], point.hessian, rtol=1e-7, atol=1e-9)
    damped = np.asarray(derivatives(pars, case.data, 0.0)[2].to_dense())
    assert np.linalg.eigvalsh(damped)[0] > 0


# -- the Fisher form ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", models.WORKSPACES)
def test_fisher_form_is_positive_definite(name):
    case = case_of(name)
    free = ~case.space.fixed
    for pars in (case.start, *case.points(20)):
        fisher = case.at(pars, exact=0.0).hessian[free][:, free]
        unit = np.sqrt(np.diag(fisher))
        assert np.linalg.eigvalsh(fisher / np.outer(unit, unit))[0] > 0
        np.testing.assert_array_equal(case.at(pars, exact=0.0).gradient, case.at(pars).gradient)


def test_fisher_form_is_the_expectation_of_the_hessian():
    """Where every bin observes what it expects the two are the same up to the bending by the constraints' pulls."""
    case = case_of("norm_plus_shape")
    data = np.concatenate([case.at(case.start).expected, case.model.config.auxdata])
    asimov = Case(case.model, data)
    assert_hessian(asimov.at(case.start, exact=0.0).hessian, asimov.at(case.start).hessian, relative=1e-12)
