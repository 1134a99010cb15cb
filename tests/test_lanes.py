"""Lanes of a batch: cut, padded, and each computed as if it were alone."""

from concurrent.futures import ThreadPoolExecutor

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxfit.lanes import LARGEST, each_lane, run, together


@pytest.fixture
def two_cores(monkeypatch):
    monkeypatch.setattr("jaxfit.lanes.cores", lambda: 2)
    monkeypatch.setattr("jaxfit.lanes._FEWEST", 100)  # numbers, of which a lane here has three


def sizes(count):
    """Lanes and padded lanes of every part, and what they give."""
    seen = []

    def program(part, number, width):
        seen.append((number, len(part[0])))
        assert np.isfinite(part[0]).all()
        np.testing.assert_array_equal(part[0][number:], np.broadcast_to(part[0][0], part[0][number:].shape))
        return part[0] * 2.0, part[1] + width

    lanes = np.arange(float(count))
    found = run(program, (lanes[:, None] * [1.0, 2.0], lanes))
    np.testing.assert_array_equal(found[0], lanes[:, None] * [2.0, 4.0])
    np.testing.assert_array_equal(found[1], lanes + 1)
    return sorted(seen)


@pytest.mark.parametrize(
    ("count", "expected"),
    [
        (1, [(1, 1)]),
        (2, [(2, 64)]),
        (31, [(31, 64)]),
        (41, [(20, 64), (21, 64)]),
        (200, [(100, LARGEST)] * 2),
        (2 * LARGEST + 70, [(530, LARGEST)] * 3 + [(528, LARGEST)]),
    ],
)
def test_every_lane_is_computed_once(two_cores, count, expected):
    assert sizes(count) == sorted(expected)


def test_other_threads_share_the_cores_already(two_cores):
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(sizes, 41).result() == [(41, 64)]


def test_after_an_interrupt_the_other_lanes_are_undone(two_cores):
    def program(part, number, width):
        if part[0][0] > 0:
            raise KeyboardInterrupt
        return (part[0],)

    lanes = np.arange(100.0)
    (found,) = run(program, (lanes,), undone=lambda first: (np.full(100 - first, -1.0),))
    np.testing.assert_array_equal(found, np.where(lanes < 50, lanes, -1.0))
    with pytest.raises(KeyboardInterrupt):
        run(program, (lanes,))
    with pytest.raises(KeyboardInterrupt):
        run(program, (lanes + 1.0,), undone=lambda first: (np.full(100 - first, -1.0),))


@pytest.mark.parametrize("width", [1, 4, 16])
def test_each_lane(width):
    """The lanes that count have their value, however many advance together; whole chunks of the others stay zero."""
    start, steps = jnp.arange(16.0), jnp.arange(16) % 5

    @jax.jit
    def run(number):
        def one(lane):
            return {"value": jax.lax.fori_loop(0, lane[1], lambda _, x: 2.0 * x, lane[0])}

        return each_lane(one, (start, steps), {"value": jnp.zeros(16)}, number, width)["value"]

    found = np.asarray(run(6))
    np.testing.assert_array_equal(found[:6], np.asarray(start * 2.0**steps)[:6])
    np.testing.assert_array_equal(found[-(-6 // width) * width :], 0.0)


def test_a_cpu_takes_lane_by_lane(monkeypatch):
    assert together(64) == 1
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    assert together(64) == 64
