"""pyhf's own log-density through JAX: the numbers, and that nothing of it is left behind."""

import gc
import subprocess
import sys
import weakref

import jax
import jax.numpy as jnp
import models
import numpy as np
import pyhf
import pytest
from likelihood.cases import case_of

from jaxfit.likelihood import Reference

value_of = jax.jit(lambda likelihood, pars, data: likelihood.value(likelihood.split(pars), data))


@pytest.fixture
def evaluated():
    """A function that traces pyhf's logpdf of a fresh model."""

    def evaluate():
        model = pyhf.simplemodels.uncorrelated_background([5.0], [50.0], [7.0])
        data = jnp.array([60.0, *model.config.auxdata])
        reference = Reference.of(model)
        return reference.value(reference.split(jnp.array([1.0, 1.0])), data)

    return evaluate


def test_value_expectation_and_arrow_form():
    case = case_of("everything")
    reference = Reference.of(case.model)
    pars = jnp.asarray(case.points(1)[0])
    vector = reference.split(pars)
    np.testing.assert_array_equal(reference.join(vector), pars)
    data = jnp.asarray(case.data)
    value, expected = jax.jit(lambda vector, data: (reference.value(vector, data), reference.expected(vector.border)))(
        vector, data
    )
    assert value + reference.offset(data) == pytest.approx(case.pyhf_nll(np.asarray(pars)), rel=1e-12)
    np.testing.assert_allclose(expected, case.pyhf_expected(np.asarray(pars)), rtol=1e-12)
    assert reference.profile(vector, vector, vector, case.data) is vector
    assert reference.rows.size == 0
    assert reference.kinked is None


def test_infinite_where_pyhf_is_not_a_number():
    case = case_of("histosys")
    pars = case.start.copy()
    pars[case.space.index("jes")] = -5.0
    pars[case.space.index("jer")] = -5.0
    pars[case.space.index("mu")] = -60.0
    assert case.pyhf_expected(pars).min() < 0
    reference = Reference.of(case.model)
    with np.errstate(invalid="ignore"):
        assert np.isnan(case.pyhf_nll(pars))
    assert value_of(reference, pars, case.data) == np.inf


# -- nothing is left behind --------------------------------------------------------------------------------------------


@pytest.fixture
def backend():
    """Puts pyhf's backend back, whatever the test does."""
    before = pyhf.get_backend()
    yield
    pyhf.set_backend(*before)


@pytest.mark.parametrize("optimizer", ["scipy", "minuit"])
def test_backend_and_optimizer_are_put_back(evaluated, backend, optimizer):
    pyhf.set_backend("numpy", optimizer)
    before = pyhf.get_backend()
    evaluated()
    assert pyhf.get_backend() == before
    assert pyhf.tensorlib.name == "numpy"


def test_backend_is_put_back_after_an_exception(backend):
    pyhf.set_backend("numpy", "minuit")
    before = pyhf.get_backend()
    model = pyhf.simplemodels.uncorrelated_background([5.0], [50.0], [7.0])
    reference = Reference.of(model)
    with pytest.raises(Exception, match=r".*"):
        reference.value(reference.split(jnp.ones((2, 2))), jnp.ones(2))
    assert pyhf.get_backend() == before


PRELUDE = """
import jax, jax.numpy as jnp, pyhf
from jaxfit.likelihood import Reference
model = pyhf.simplemodels.uncorrelated_background([5.0], [50.0], [7.0])
data = [60.0, *model.config.auxdata]

def value(data, shape=2):
    with jax.enable_x64(True):
        reference = Reference.of(model)
        nll = jax.jit(lambda pars, data: reference.value(reference.split(pars), data))
        return nll(jnp.ones(shape), jnp.array(data))
"""


def in_fresh_process(code):
    """What pyhf and JAX do once a process, such as importing pyhf's JAX backend, is seen in a fresh one."""
    done = subprocess.run([sys.executable, "-c", PRELUDE + code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


@pytest.mark.parametrize("before", [False, True])
def test_the_x64_flag_is_as_before(before):
    said = in_fresh_process(f"""
jax.config.update("jax_enable_x64", {before})
print(value(data).dtype)
print(jax.config.jax_enable_x64)
try:
    value(data, shape=(2, 2))
except Exception:
    print("raised")
print(jax.config.jax_enable_x64)
""")
    assert said == ["float64", str(before), "raised", str(before)]


def test_the_jax_backend_of_the_user_is_double_precision():
    """pyhf switches x64 on when it imports that backend, which jaxfit has done before. It can be switched off again."""
    said = in_fresh_process("""
value(data)
print(jax.config.jax_enable_x64)
pyhf.set_backend("numpy", "scipy")
print(jax.config.jax_enable_x64)
pyhf.set_backend("jax")
print(jax.config.jax_enable_x64, pyhf.tensorlib.astensor([1.0]).dtype)
jax.config.update("jax_enable_x64", False)
value(data)
pyhf.set_backend("numpy")
pyhf.set_backend("jax")
print(jax.config.jax_enable_x64)
""")
    assert said == ["False", "False", "True", "float64", "False"]


@pytest.mark.parametrize("precision", ["32b", "64b"])
def test_models_work_on_under_the_jax_backend_of_the_user(precision):
    """No tracer is left in them when the backend changes inside a trace, and back."""
    said = in_fresh_process(f"""
pyhf.set_backend("jax", "minuit", precision="{precision}")
before = pyhf.get_backend()
expected = float(model.logpdf([1.0, 1.0], data)[0])
print(abs(float(value(data)) + expected) < 1e-4)
print(pyhf.get_backend() == before)
print(float(model.logpdf([1.0, 1.0], data)[0]) == expected)
""")
    assert said == ["True"] * 3


def test_a_dropped_model_is_freed():
    """Compiled programs live on in JAX's caches; they must not hold the model they were traced from."""
    model = pyhf.Workspace(models.WORKSPACES["shapesys"]).model()
    data = jnp.array([60.0, 70.0, *model.config.auxdata])
    reference = Reference.of(model)
    pars = jnp.array(model.config.suggested_init())
    value = value_of(reference, pars, data)
    alive = weakref.ref(model)
    del model
    gc.collect()
    assert alive() is None
    assert value_of(reference, pars, data) == value  # what is compiled still runs ...
    with pytest.raises(ReferenceError, match="the pyhf model of this likelihood has been deleted"):
        reference.expected(pars)  # ... a new trace cannot


def test_two_models_do_not_share_a_program():
    """Same arrays, other model: the handle is part of the program's key."""
    held, values = [], []
    for background in (50.0, 60.0):
        model = pyhf.simplemodels.uncorrelated_background([5.0], [background], [7.0])
        held.append(model)
        data = jnp.array([60.0, *model.config.auxdata])
        values.append(value_of(Reference.of(model), jnp.ones(2), data))
        assert values[-1] == pytest.approx(-model.logpdf(np.ones(2), np.asarray(data))[0], rel=1e-12)
    assert values[0] != values[1]
