"""What the options of all commands mean, and arguments that are refused."""

from pathlib import Path

import jax
import numpy as np
import pytest
from cli.cases import NO_POI, assert_refused, named, run, saved, specification, write

import jaxfit
from jaxfit.cli.options import numbers_of


def test_asimov_data(here):
    result = saved("fit", "ws.json", "--data", "asimov")
    np.testing.assert_allclose(dict(zip(result.labels, result.bestfit, strict=True))["mu"], 1.0, atol=1e-6)


def test_measurement(here):
    write("ws.json", specification(measurements=[*specification()["measurements"], NO_POI]))
    assert named(saved("fit", "ws.json", "--measurement", "background only"), "uncertainty")["mu"] == 0.0
    assert named(saved("fit", "ws.json"), "uncertainty")["mu"] > 0.0


@pytest.mark.parametrize(
    ("texts", "fixed"),
    [
        (["mu"], {"mu": 1.0}),
        (["mu=0.5"], {"mu": 0.5}),
        (["mu=-1e-1"], {"mu": -0.1}),
        (["mc[0]=1.02", "mu=2"], {"mc[0]": 1.02, "mu": 2.0}),
        (["xs = 1 [pb]"], {"xs = 1 [pb]": 0.0}),
        (["xs = 1 [pb]=0.3"], {"xs = 1 [pb]": 0.3}),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_fix(here, texts, fixed):
    result = saved("fit", "ws.json", *(argument for text in texts for argument in ("--fix", text)))
    values, uncertainties = named(result), named(result, "uncertainty")
    assert {name: values[name] for name in fixed} == fixed
    assert {name for name, sigma in uncertainties.items() if sigma == 0.0} == set(fixed)


def test_a_name_that_ends_like_a_value_is_a_name():
    assert numbers_of(["a=1", "a=2"], ["a", "a=1"]) == {"a=1": True, "a": 2.0}


def test_settings_reach_the_fit(here, monkeypatch):
    given = {}
    monkeypatch.setattr(jaxfit, "fit", lambda model, data, **settings: given.update(settings) or real(model, data))
    assert run("fit", "ws.json", "--solver", "lbfgsb", "--tolerance", "0.1", "--maxiter", "7").exit_code == 0
    assert given == {"solver": "lbfgsb", "tolerance": 0.1, "maxiter": 7, "fix_pars": {}, "minos": (), "verify": False}


real = jaxfit.fit


def test_on_the_cpu(here):
    assert run("fit", "ws.json", "--device", "cpu").exit_code == 0


BAD_ARGUMENTS = {
    "no file": (["fit", "absent.json"], "absent.json: cannot be read: No such file"),
    "a folder": (["fit", "."], ".: cannot be read: "),
    "unknown measurement": (["fit", "ws.json", "--measurement", "x-section"], "did you mean 'cross-section'?"),
    "unknown parameter": (["fit", "ws.json", "--fix", "xs = 2 [pb]=1"], "'xs = 2 [pb]' (did you mean 'xs = 1 [pb]'?"),
    "unknown parameter, no value": (["fit", "ws.json", "--fix", "Mu"], "'Mu' (did you mean 'mu'?"),
    "no number": (["fit", "ws.json", "--fix", "mu=one"], "unknown parameter 'mu=one' ("),
    "not finite": (["fit", "ws.json", "--fix", "mu=nan"], "'mu' is nan, expected a finite number"),
    "unknown scan parameter": (["scan", "ws.json", "mux"], "unknown parameter 'mux' (did you mean 'mu'?"),
    "scan range": (["scan", "ws.json", "mu", "--range", "0", "nan"], "must be finite numbers"),
    "no such option": (["fit", "ws.json", "--fx", "mu"], "No such option '--fx'"),
    "no such command": (["ft", "ws.json"], "No such command 'ft'"),
    "no workspace": (["fit"], "Missing argument 'WORKSPACE.json'"),
    "no iterations": (["fit", "ws.json", "--maxiter", "0"], "Invalid value for '--maxiter'"),
    "no such solver": (["fit", "ws.json", "--solver", "simplex"], "'simplex' is not one of 'newton'"),
    "output is a folder": (["fit", "ws.json", "--output", "folder"], "'folder' is a directory"),
    "output below a file": (["fit", "ws.json", "--output", "ws.json/fit.json"], "'ws.json/fit.json' cannot be written"),
    "figures are a file": (["fit", "ws.json", "--figures", "ws.json"], "'ws.json' is a file"),
    "demo into a file": (["demo", "--output", "ws.json"], "'ws.json' is a file"),
}


@pytest.mark.parametrize("case", BAD_ARGUMENTS)
def test_bad_arguments(here, case):
    Path("folder").mkdir()
    arguments, message = BAD_ARGUMENTS[case]
    extra = [] if arguments[0] == "demo" else ["--figures", "figures", "--output", "new/out.json"]
    given = [argument for argument in extra if not set(arguments) & {"--figures", "--output"}]
    assert_refused(here, [*arguments, *given], message)


def test_a_device_that_is_not_there(here, monkeypatch):
    def devices(kind):
        raise RuntimeError(f"unknown backend {kind}")

    monkeypatch.setattr(jax, "devices", devices)
    assert_refused(here, ["fit", "ws.json", "--device", "gpu"], "JAX finds no GPU here")
