"""What a call leaves behind: nothing. What threads do to each other: nothing. What a dropped model leaves: nothing."""

import gc
import weakref
from concurrent.futures import ThreadPoolExecutor

import jax
import numpy as np
import pyhf
import pytest
from models import WORKSPACES, model_and_data

import jaxfit


@pytest.fixture(params=[False, True], ids=["x32", "x64"])
def x64(request):
    before = jax.config.read("jax_enable_x64")
    jax.config.update("jax_enable_x64", request.param)
    yield request.param
    jax.config.update("jax_enable_x64", before)


def state():
    """All that is global and that a fit could touch."""
    backend, optimizer = pyhf.get_backend()
    config = {name: jax.config.values[name] for name in jax.config.values if name != "jax_dump_ir_to"}
    return backend, optimizer, config, np.random.get_state()[1].tolist()


def calls():
    """A fit that works, one that is verified, one that fails, and input that is refused."""
    model, data = model_and_data("shapesys")
    yield lambda: jaxfit.fit(model, data)
    yield lambda: jaxfit.fit(model, data, verify=True)
    yield lambda: jaxfit.scan(model, data, "mu", n_steps=3)
    yield lambda: jaxfit.fit(model, data, maxiter=1, on_failure="raise")
    yield lambda: jaxfit.fit(model, data[:-1])
    yield lambda: jaxfit.fit(model, data, init_pars={"no such": 1.0})


@pytest.mark.parametrize("call", range(6))
def test_the_process_is_as_before(call, x64):
    before = state()
    error = None
    try:
        list(calls())[call]()
    except jaxfit.JaxfitError as caught:
        error = caught
    assert (error is not None) == (call > 2)
    assert state() == before
    assert jax.numpy.zeros(1).dtype == (np.float64 if x64 else np.float32)


def test_precision_does_not_depend_on_the_flag(x64):
    model, data = model_and_data("staterror")
    result = jaxfit.fit(model, data)
    nll = -float(model.logpdf(result.bestfit, data)[0])
    assert 0.5 * result.best_twice_nll == pytest.approx(nll, rel=1e-12)
    assert result.diagnosis.dtype == "float64"


def test_eight_threads_find_what_one_finds():
    model, data = model_and_data("shapesys")
    toys = [[float(n), *data[1:]] for n in range(40, 72)]
    alone = [jaxfit.fit(model, toy) for toy in toys]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda toy: jaxfit.fit(model, toy), toys))
    for one, other in zip(alone, together, strict=True):
        np.testing.assert_array_equal(one.bestfit, other.bestfit)
        np.testing.assert_array_equal(one.uncertainty, other.uncertainty)
        assert one.best_twice_nll == other.best_twice_nll


def test_a_dropped_model_is_freed_even_if_its_result_is_kept():
    workspace = pyhf.Workspace(WORKSPACES["shapesys"])
    model = workspace.model()
    result = jaxfit.fit(model, workspace.data(model))
    alive = weakref.ref(model)
    del model
    gc.collect()
    assert alive() is None
    assert np.isfinite(result.corr_mat).all()
