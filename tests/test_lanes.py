"""Lanes of a batch: cut, padded, and each computed as if it were alone."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxfit.lanes import LARGEST, each_lane, parts, together


def test_parts_hold_every_lane_once():
    lanes = np.arange(2 * LARGEST + 70.0)[:, None] * [1.0, 2.0]
    cut = list(parts((lanes, lanes[:, 0])))
    assert [(first, number, len(padded[0])) for first, number, padded in cut] == [
        (0, LARGEST, LARGEST),
        (LARGEST, LARGEST, LARGEST),
        (2 * LARGEST, 70, LARGEST),
    ]
    np.testing.assert_array_equal(np.concatenate([padded[0][:number] for _, number, padded in cut]), lanes)
    np.testing.assert_array_equal(cut[2][2][1][70:], lanes[2 * LARGEST, 0])  # padded by the first lane of the part


@pytest.mark.parametrize(("lanes", "size"), [(1, 1), (2, 64), (64, 64), (65, LARGEST)])
def test_sizes_of_compiled_programs(lanes, size):
    ((_, number, (padded,)),) = parts((np.zeros(lanes),))
    assert (number, len(padded)) == (lanes, size)


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
