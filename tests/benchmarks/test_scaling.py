"""Exponents, how sizes grow, and what is measured in the process of a job."""

import numpy as np
import pytest

from benchmarks import problems, scaling
from jaxfit import workspaces


@pytest.mark.parametrize("power", [0.0, 1.0, 2.3])
def test_the_exponent_of_a_power_law(power):
    sizes = [1, 10, 100, 1000]
    assert scaling.exponent(sizes, [3e-3 * size**power for size in sizes]) == pytest.approx(power, abs=1e-12)


def test_a_fixed_cost_is_left_out_of_the_upper_half():
    sizes = [1, 10, 100, 1000, 10_000]
    seconds = [1.0 + 1e-2 * size for size in sizes]
    upper = scaling.upper_half(sizes)
    assert sizes[upper] == [100, 1000, 10_000]
    assert scaling.exponent(sizes, seconds) < 0.6 < 0.8 < scaling.exponent(sizes[upper], seconds[upper]) < 1


def test_few_sizes():
    assert scaling.exponent([7], [1.0]) is None
    assert [7][scaling.upper_half([7])] == [7]
    assert [1, 10][scaling.upper_half([1, 10])] == [1, 10]


def test_the_upper_half_is_one_of_logarithms():
    sizes = [10, 30, 100, 200, 500, 1000]
    assert sizes[scaling.upper_half(sizes)] == [100, 200, 500, 1000]


def test_models_grow_until_one_is_too_large_for_the_fitter(monkeypatch):
    asked = []

    def measured(job):
        asked.append((job["fitter"], job["problem"]))
        largest = max(job["problem"]) if isinstance(job["problem"], list) else 0
        too_large = job["fitter"] == "cabinetry_minuit" and largest > 50
        return [] if too_large else [[1e-3 * size, 5.0] for size in job["sizes"]]

    monkeypatch.setattr(scaling, "_measured", measured)
    rows = scaling.measure()
    sizes = {(row["what"], row["fitter"], row["task"]): row["sizes"] for row in rows}
    assert sizes["bins", "jaxfit_newton", "fit with uncertainties, 40 nuisance parameters"][-1] == 10_000
    assert sizes["bins", "cabinetry_minuit", "fit with uncertainties, 40 nuisance parameters"] == [10, 50]
    assert sizes["nuisance parameters", "cabinetry_minuit", "fit with uncertainties, 50 bins"] == [10, 30]
    assert ("cabinetry_minuit", [40, 200]) in asked
    assert ("cabinetry_minuit", [40, 1000]) not in asked
    toys = next(row for row in rows if row["what"] == "toys")
    assert toys["seconds"] == [1e-3 * size for size in toys["sizes"]]
    assert toys["exponent"] == pytest.approx(1.0)
    assert toys["memory_mib"] == [5.0] * 6


def test_a_job_of_minuit_is_done_or_too_large(monkeypatch):
    job = {"problem": [1, 2], "task": "fit", "fitter": "cabinetry_minuit", "sizes": [1]}
    ((seconds, memory),) = scaling.answer(job)
    assert seconds > 0
    assert np.isnan(memory) or memory >= 0
    monkeypatch.setattr(scaling, "_LONGEST", 0.0)
    assert scaling.answer(job) == []


@pytest.mark.slow
def test_a_job_of_jaxfit_in_a_process_of_its_own():
    found = scaling._measured({"problem": "S", "task": "scan", "fitter": "jaxfit_newton", "sizes": [1, 3]})
    assert np.shape(found) == (2, 2)


@pytest.mark.parametrize(("systematics", "bins"), [(1, 2), (4, 50), (3, 100)])
def test_models_have_the_sizes_that_were_asked_for(systematics, bins):
    model, data = workspaces.model_and_data(problems.sized(systematics=systematics, bins=bins))
    assert model.config.nmaindata == bins
    assert model.config.npars == 1 + systematics + bins  # the POI, and a gamma a bin
    assert len(data) == bins + model.config.nauxdata
