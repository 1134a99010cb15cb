"""jaxfit predict."""

import json
from pathlib import Path

import numpy as np
from cli.cases import assert_refused, files, model_and_data, run, steps

import jaxfit
from jaxfit.cli import yields


def test_predict(here):
    done = run("predict", "ws.json", "--output", "yields.json", "--figures", "figures")
    assert done.exit_code == 0
    assert steps(done) == ["read", "model", "predict", "figures"]
    assert files(here) == {
        "ws.json", "yields.json", "figures/data_mc_1_prefit.png", "figures/data_mc_1_postfit.png"
    }  # fmt: skip
    found = json.loads(Path("yields.json").read_text(encoding="utf-8"))
    model, data = model_and_data()
    after = jaxfit.prediction(model, fit_results=jaxfit.fit(model, data))
    for name, expected in (("prefit", jaxfit.prediction(model)), ("postfit", after)):
        for attribute in ("model_yields", "total_stdev_model_bins", "total_stdev_model_channels"):
            np.testing.assert_array_equal(found[name].pop(attribute), getattr(expected, attribute))
        assert found.pop(name) == {}
    samples = ["background", "signal"]
    assert found == {"status": "OK", "channels": ["SR"], "samples": samples, "data": [[63.0, 66.0]]}


def test_the_table_has_the_sums_of_channels(here):
    done = run("predict", "ws.json", "--quiet")
    _, empty, title, *rows = done.stdout.rstrip().split("\n")
    assert (empty, title.split()) == ("", ["SR", "prefit", "postfit"])
    table = {name: cells for name, *cells in (row.replace("+/-", " ").split() for row in rows)}
    assert list(table) == ["background", "signal", "total", "data"]
    assert [float(table[name][0]) for name in table] == [110.0, 13.0, 123.0, 129.0]
    model, data = model_and_data()
    after = jaxfit.prediction(model, fit_results=jaxfit.fit(model, data))
    assert float(table["total"][2]) == round(np.sum(after.model_yields))
    assert float(table["total"][3]) == round(after.total_stdev_model_channels[0][-1])


def test_numbers_that_are_none_are_null():
    assert yields._numbers([[1.0, np.nan], [np.nan, 2.5]]) == [[1.0, None], [None, 2.5]]


def test_refused(here):
    arguments = ["predict", "ws.json", "--fix", "Mu", "--output", "new/out.json", "--figures", "figures"]
    assert_refused(here, arguments, "unknown parameter 'Mu' (did you mean 'mu'?")
