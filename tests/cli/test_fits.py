"""jaxfit fit and jaxfit gof."""

from dataclasses import replace

import pytest
from cli.cases import files, model_and_data, run, saved, steps

import jaxfit
from jaxfit.cli import fits


def test_fit_prints_the_table_the_poi_and_the_times(here):
    done = run("fit", "ws.json")
    model, data = model_and_data()
    result = jaxfit.fit(model, data)
    assert done.exit_code == 0
    *table, line = done.stdout.rstrip().split("\n")
    assert "\n".join(table) == str(result)
    value, sigma = result.bestfit[model.config.poi_index], result.uncertainty[model.config.poi_index]
    name, found, _, error = line.replace("=", "").split()
    assert (name, float(found), float(error)) == ("mu", pytest.approx(value, abs=1e-2), pytest.approx(sigma, abs=1e-2))
    assert len(error.lstrip("0.").replace(".", "")) == 3
    assert steps(done) == ["read", "model", "fit"]
    assert done.stderr.count("\n") == 1


def test_large_table_leaves_out_bin_wise_parameters_but_those_on_a_bound(monkeypatch):
    model, data = model_and_data()
    result = jaxfit.fit(model, data)
    monkeypatch.setattr(fits, "LONG", 3)
    result = replace(result, diagnosis=replace(result.diagnosis, at_bound=("mc[1]",)))
    table = fits._table(model, result)
    assert [line.partition(" = ")[0].split("=")[0].strip() for line in table.splitlines()[1:-1]] == [
        "mu",
        "xs",
        "mc[1]",
    ]
    assert table.endswith("(1 bin-wise parameters are left out, --output has them)")


def test_minos(here):
    done = run("fit", "ws.json", "--minos", "mu", "--minos", "mc[0]", "--output", "fit.json")
    assert done.exit_code == 0
    model, data = model_and_data()
    expected = jaxfit.fit(model, data, minos=["mu", "mc[0]"]).minos_uncertainty
    assert jaxfit.load_results("fit.json").minos_uncertainty == expected
    down, up = expected["mu"]
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("profile likelihood: mu ")]
    assert [float(number) for number in line.split()[-2:]] == pytest.approx([down, up], abs=0.05)


def test_verify(here, monkeypatch):
    def fit(model, data, *, verify, **settings):
        result = real(model, data, **settings)
        return replace(result, diagnosis=replace(result.diagnosis, verification="all is well" if verify else ""))

    real = jaxfit.fit
    monkeypatch.setattr(jaxfit, "fit", fit)
    assert "\nverification: all is well\n" in run("fit", "ws.json", "--verify").stdout
    assert "verification" not in run("fit", "ws.json").stdout


def test_gof(here):
    done = run("gof", "ws.json", "--output", "gof.json", "--figures", "figures")
    assert done.exit_code == 0
    found = jaxfit.load_results("gof.json")
    assert done.stdout == f"{found}\n"
    model, data = model_and_data()
    assert found.p_value == pytest.approx(jaxfit.fit(model, data, goodness_of_fit=True).goodness_of_fit)
    assert 0.0 < found.p_value < 1.0
    assert steps(done) == ["read", "model", "gof", "figures"]
    assert files(here) == {"ws.json", "gof.json", "figures/data_mc_1_prefit.png", "figures/data_mc_1_postfit.png"}


def test_gof_by_toys(here):
    found = saved("gof", "ws.json", "--toys", "60", "--seed", "3", "--fix", "mu=0")
    model, data = model_and_data()
    expected = jaxfit.goodness_of_fit(model, data, calctype="toybased", ntoys=60, seed=3, fix_pars={"mu": 0.0})
    assert (found.calctype, found.ntoys, found.p_value) == ("toybased", 60, expected.p_value)
