"""The text of a diagnosis: the status and what to do first, then all that is known, without empty lines."""

import numpy as np

from jaxfit import Diagnosis, Status
from jaxfit.diagnoses import device, versions


def test_text():
    diagnosis = Diagnosis(
        status=Status.SINGULAR,
        edm=1e-12,
        edm_goal=1e-8,
        projected_gradient=np.array([0.0, -2e-5]),
        flat=("a", "b"),
        eigenvalues=(1e-17, 2.0),
        lowest_yield=0.5,
        lowest_bin="channel 'SR' bin 2",
        iterations=7,
        rescues=("damped: STALLED", "MINUIT: OK"),
        warnings=("no covariance",),
        engine="compact",
        solver="newton",
        device="cpu",
        versions={"jax": "1"},
    )
    assert str(diagnosis).splitlines() == [
        f"SINGULAR: {Status.SINGULAR.message}",
        "warning: no covariance",
        "EDM                 1.0e-12 (goal 1.0e-08)",
        "projected gradient  at most 2.0e-05",
        "flat                a, b",
        "eigenvalues         1e-17 to 2",
        "lowest yield        0.5 in channel 'SR' bin 2",
        "iterations          7",
        "rescues             damped: STALLED, MINUIT: OK",
        "computed with       newton, compact likelihood, float64 on cpu, jax 1",
    ]


def test_versions_and_device_are_named():
    assert {"jaxfit-histfactory", "jax", "pyhf"} <= set(versions())
    assert all(versions().values())
    assert device()
