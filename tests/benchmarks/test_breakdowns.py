"""The parts of a fit."""

import time

import pytest

from benchmarks import breakdowns
from jaxfit import curvatures
from jaxfit.inference import fits, uncertainties


def test_what_is_clocked_within_a_fit(monkeypatch):
    def minimize():
        time.sleep(2e-3)

    def curvature():
        time.sleep(1e-3)

    def fit():
        fits.minimize()
        fits.minimize()
        uncertainties.curvature()

    for module, name, slow in (
        (breakdowns, "minimize", minimize),
        (fits, "minimize", minimize),
        (curvatures, "curvature", curvature),
        (uncertainties, "curvature", curvature),
    ):
        monkeypatch.setattr(module, name, slow)
    total, minimization, around = breakdowns._clocked(fit)
    assert minimization >= 4e-3
    assert around >= 1e-3
    assert total >= minimization + around


@pytest.mark.slow
def test_parts_add_up_to_the_fit():
    (row,) = breakdowns.measure(["S"])
    assert sum(row["parts"].values()) == pytest.approx(row["total"])
    assert row["problem"] == "S"
    measured = [name for name in row["parts"] if name not in ("rest of the minimisation", "second derivatives")]
    assert all(row["parts"][name] > 0 for name in measured)
    assert row["parts"]["uncertainties"] < row["total"]
