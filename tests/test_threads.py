"""Compiled programs run in double precision and without threads of LAPACK; afterwards everything is as before."""

import threading

import jax
import jax.numpy as jnp
import pytest
from threadpoolctl import ThreadpoolController

from jaxfit import threads


@pytest.fixture
def libraries():
    found = ThreadpoolController().select(user_api="blas").lib_controllers
    before = [library.num_threads for library in found]
    yield found
    threads._set(before)


def numbers(libraries):
    return [library.num_threads for library in libraries]


def test_one_thread_within(libraries):
    threads._set([2] * len(libraries))
    with jax.enable_x64(False), threads.computing():
        assert jnp.zeros(1, dtype=float).dtype == jnp.float64
        assert numbers(libraries) == [1] * len(libraries)
        with threads.computing():
            assert numbers(libraries) == [1] * len(libraries)
        assert numbers(libraries) == [1] * len(libraries)
    assert numbers(libraries) == [2] * len(libraries)


def test_errors_change_nothing(libraries):
    threads._set([2] * len(libraries))
    with pytest.raises(KeyError), threads.computing():
        raise KeyError
    assert numbers(libraries) == [2] * len(libraries)


def test_the_last_thread_to_leave_restores(libraries):
    """Whichever came first, and whichever thread used to control OpenBLAS."""
    threads._set([2] * len(libraries))
    entered, leave, seen = threading.Event(), threading.Event(), []

    def other():
        with threads.computing():
            entered.set()
            leave.wait(30)
            seen.append(numbers(libraries))

    thread = threading.Thread(target=other)
    with threads.computing():
        thread.start()
        assert entered.wait(30)
    assert numbers(libraries) == [1] * len(libraries)
    leave.set()
    thread.join()
    assert seen == [[1] * len(libraries)]
    assert numbers(libraries) == [2] * len(libraries)
