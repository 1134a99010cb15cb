"""What the README shows can be run, and what it names exists."""

import re
import shlex
from pathlib import Path

import cabinetry
import matplotlib.pyplot as plt
import numpy as np
import pyhf
import pytest

import jaxfit
from jaxfit import cli
from jaxfit.plot import impact_chart, likelihood_contours, pull_histogram

README = (Path(__file__).resolve().parents[1] / "README.md").read_text(encoding="utf-8")


def workspace():
    """With the names that the README uses."""
    normalisation = {"name": "ttbar_norm", "type": "normfactor", "data": None}
    luminosity = {"name": "Luminosity", "type": "normsys", "data": {"lo": 0.97, "hi": 1.03}}
    scale = {"name": "Jet energy scale", "type": "normsys", "data": {"lo": 0.9, "hi": 1.15}}
    yields = {"SR": ([20.0, 14.0], [40.0, 50.0]), "CR": ([90.0], [310.0])}
    return {
        "channels": [
            {
                "name": channel,
                "samples": [
                    {"name": "ttbar", "data": ttbar, "modifiers": [normalisation, luminosity]},
                    {"name": "background", "data": background, "modifiers": [luminosity, scale]},
                ],
            }
            for channel, (ttbar, background) in yields.items()
        ],
        "observations": [{"name": "SR", "data": [63.0, 66.0]}, {"name": "CR", "data": [412.0]}],
        "measurements": [{"name": "cross-section", "config": {"poi": "ttbar_norm", "parameters": []}}],
        "version": "1.0.0",
    }


@pytest.fixture
def backend():
    """The one that was set, set again at the end."""
    before = pyhf.get_backend()
    yield
    pyhf.set_backend(*before)


def test_python(tmp_path, monkeypatch, backend):
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    assert len(blocks) == 11
    names = {"workspace": workspace(), "impact_chart": impact_chart, "likelihood_contours": likelihood_contours}
    names |= {"pull_histogram": pull_histogram, "pyhf": pyhf}
    for block in blocks:
        exec(block, names)
        plt.close("all")
    result = names["result"]
    sigma = result.uncertainty[result.labels.index("ttbar_norm")]
    assert np.sqrt(sum(part**2 for part in names["impacts"].global_parts.values())) == pytest.approx(sigma)
    assert names["cls"] == pytest.approx(jaxfit.hypotest(1.0, names["data"], names["model"]).CLs_obs, abs=1e-6)
    assert jaxfit.load_results("fit.json").goodness_of_fit > 0.0
    assert len(jaxfit.load_results("toys.npz")) == len(names["statistic"]) == 200
    ((low, high),) = names["belt"].intervals
    assert low < result.bestfit[result.labels.index("ttbar_norm")] < high
    files = {"pulls", "correlation_matrix", "ranking", "scan_ttbar_norm", "limit", "SR_postfit", "CR_postfit"}
    assert {path.stem for path in Path("figures").iterdir()} == files


def test_commands():
    commands = [shlex.split(line)[1:] for line in re.findall(r"^\$ (jaxfit .*)$", README, flags=re.MULTILINE)]
    assert len(commands) > 3
    for name, *arguments in commands:
        cli.main.commands[name].make_context(name, arguments)  # raises for what is no argument of the command
    (listed,) = re.findall(r"There is a command for every question: (.*?)\.", README, flags=re.DOTALL)
    assert set(re.findall(r"`([\w-]+)`", listed)) == cli.main.commands.keys() - {"demo"}


def test_statuses():
    rows = re.findall(r"^\| `([A-Z_]+)` \|", README, flags=re.MULTILINE)
    assert rows == [name for name in jaxfit.Status.__members__ if name in rows]
    assert set(rows) == set(jaxfit.Status.__members__)


def test_names():
    for module in (jaxfit, cabinetry.fit, cabinetry.visualize, cabinetry.model_utils):
        prefix = re.escape(module.__name__)
        for name in re.findall(rf"\b{prefix}\.([a-zA-Z_0-9]+)", README.replace("jaxfit.examples", "")):
            assert hasattr(module, name), f"{module.__name__}.{name}"
