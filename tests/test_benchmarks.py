"""The benchmark that needs another machine says so, and compares what it should."""

import sys

import jax
import numpy as np
import pytest
from plot.cases import toy_result

import jaxfit
from benchmarks import gpu


@pytest.fixture
def arguments(monkeypatch):
    def give(*given):
        monkeypatch.setattr(sys, "argv", ["gpu", *given])

    return give


def test_no_gpu_is_said_and_is_no_failure(arguments, capsys):
    if jax.default_backend() != "cpu":
        pytest.skip("there is a GPU")
    arguments("G")
    assert gpu.main() == 0
    assert "finds no GPU here" in capsys.readouterr().out


def test_the_part_of_a_device_is_measured_and_saved(arguments, capsys, monkeypatch, tmp_path):
    monkeypatch.setattr(jaxfit, "toys", lambda model, n, **_: toy_result(n))
    arguments("S", "--toys", "5", "--save", str(tmp_path))
    assert gpu.main() == 0
    assert "5 toys" in capsys.readouterr().out
    assert len(jaxfit.load_results(tmp_path / "0.npz")) == gpu._COMPARED


@pytest.mark.parametrize(("shift", "agree"), [(1e-9, True), (3e-8, False), (np.nan, False)])
def test_agreement_is_that_of_the_nll(capsys, shift, agree):
    shifted = toy_result()
    shifted.best_twice_nll[7] += shift
    assert gpu.compared(toy_result(), shifted) == agree
    assert f"{int(not agree)} beyond 1e-08" in capsys.readouterr().out
