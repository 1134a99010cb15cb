"""The ttbar example: what the generator and cabinetry make of it, and that the truth put in comes out of a fit."""

import json
import logging
import subprocess
import sys

import numpy as np
import pyhf
import pytest
import uproot
import yaml

from jaxfit.examples import ttbar
from jaxfit.examples.ttbar import generator

SAMPLES = ["ttbar", "W+jets", "single top, s-channel", "single top, t-channel", "tW"]
SYSTEMATICS = {
    "ME variation": {"ttbar"},
    "PS variation": {"ttbar"},
    "ttbar scale variations": {"ttbar"},
    "Jet energy scale": set(SAMPLES),
    "Jet energy resolution": set(SAMPLES),
    "b-tag NP 1": set(SAMPLES),
    "b-tag NP 2": set(SAMPLES),
    "b-tag NP 3": set(SAMPLES),
    "b-tag NP 4": set(SAMPLES),
    "W+jets scale variations": {"W+jets"},
    "Luminosity": set(SAMPLES),
}
# Seed 1: a change of these is a change of the example (or of numpy's random numbers), never of the platform.
PSEUDODATA = {
    "4j1b CR": [683, 5272, 13420, 16733, 13620, 8775, 5532, 3421, 2224, 1388, 849],
    "4j2b SR": [10664, 22096, 10059, 5479, 3352, 2061, 1367, 960, 620, 416, 277],
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("ttbar") / "not there yet"


@pytest.fixture(scope="module")
def spec(folder):
    return ttbar.workspace(folder)


@pytest.fixture(scope="module")
def channels(spec):
    """The samples' specifications by channel and name."""
    return {channel["name"]: {sample["name"]: sample for sample in channel["samples"]} for channel in spec["channels"]}


@pytest.fixture
def few_events(monkeypatch):
    """Every sample with few events, for tests that don't look at the numbers."""
    samples = {name: (generate, xs, n // 20) for name, (generate, xs, n) in generator.SAMPLES.items()}
    monkeypatch.setattr(generator, "SAMPLES", samples)


@pytest.fixture
def minuit():
    """pyhf on numpy and a tight MINUIT, and its global state as it was afterwards."""
    before = pyhf.get_backend()
    pyhf.set_backend("numpy", pyhf.optimize.minuit_optimizer(strategy=2, tolerance=1e-4, maxiter=100_000))
    yield
    pyhf.set_backend(*before)


def observed(spec):
    return {observation["name"]: observation["data"] for observation in spec["observations"]}


def staterror(sample):
    (modifier,) = (modifier for modifier in sample["modifiers"] if modifier["type"] == "staterror")
    return np.array(modifier["data"])


def test_same_seed_same_workspace(few_events, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    first, again, other = (
        json.dumps(ttbar.workspace(tmp_path.relative_to(tmp_path) / name, seed=seed))
        for name, seed in (("a", 7), ("b", 7), ("c", 8))
    )
    assert first == again
    assert first != other
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b", "c"]


def test_numbers_of_the_shipped_seed(spec):
    assert observed(spec) == PSEUDODATA


def test_files(spec, folder):
    assert json.loads((folder / "workspace.json").read_text()) == spec
    config = yaml.safe_load((folder / "config.yml").read_text())
    assert [region["Binning"] for region in config["Regions"]] == [list(edges) for edges in generator.EDGES.values()]
    with uproot.open(folder / "histograms.root") as file:
        names = file.keys(recursive=True, cycle=False, filter_classname="TH1D")
        # Two regions: data, 5 nominal, 2 x 4 b-tag, JES and JER per sample, ME, PS and 2 scales of ttbar, 2 of W+jets.
        assert len(names) == 2 * (1 + 5 * (1 + 8 + 2) + 4 + 2)


def test_cabinetry_can_use_the_files_and_has_nothing_to_say(spec, folder, monkeypatch, caplog):
    import cabinetry

    monkeypatch.chdir(folder)
    with caplog.at_level(logging.WARNING):
        config = cabinetry.configuration.load("config.yml")
        cabinetry.templates.collect(config)
        cabinetry.templates.postprocess(config)
        assert cabinetry.workspace.build(config, with_validation=False) == spec
    assert caplog.messages == []


@pytest.mark.filterwarnings("ignore:jsonschema.RefResolver is deprecated:DeprecationWarning")  # pyhf 0.7.6
def test_is_valid(spec):
    pyhf.schema.validate(spec, "workspace.json")


def test_structure(spec, channels):
    assert list(channels) == ["4j1b CR", "4j2b SR"]
    (measurement,) = spec["measurements"]
    assert measurement["config"]["poi"] == "ttbar_norm"
    assert measurement["config"]["parameters"] == [{"name": "ttbar_norm", "inits": [1], "bounds": [[0, 10]]}]
    for channel, samples in channels.items():
        assert list(samples) == SAMPLES
        affected: dict[str, set[str]] = {}
        for name, sample in samples.items():
            assert len(sample["data"]) == 11
            for modifier in sample["modifiers"]:
                affected.setdefault(modifier["name"], set()).add(name)
        statistics = {f"staterror_{channel.replace(' ', '-')}": set(SAMPLES)}
        assert affected == SYSTEMATICS | statistics | {"ttbar_norm": {"ttbar"}}


def test_templates_are_positive(channels):
    for samples in channels.values():
        for sample in samples.values():
            nominal = np.array(sample["data"])
            assert np.all(nominal > 0)
            for modifier in sample["modifiers"]:
                if modifier["type"] == "histosys":
                    assert np.all(np.array(list(modifier["data"].values())) > 0), (sample["name"], modifier["name"])


def test_every_variation_varies(channels):
    for samples in channels.values():
        for sample in samples.values():
            for modifier in sample["modifiers"]:
                if modifier["type"] == "histosys":
                    high, low = modifier["data"]["hi_data"], modifier["data"]["lo_data"]
                    assert np.all(np.array(high) != low), (sample["name"], modifier["name"])


def test_statistical_errors(channels):
    for samples in channels.values():
        total = sum(np.array(sample["data"]) for sample in samples.values())
        relative = np.sqrt(sum(staterror(sample) ** 2 for sample in samples.values())) / total
        assert 0.003 < relative.min() < relative.max() < 0.04


def test_pseudodata_are_counts(spec, channels):
    for channel, counts in observed(spec).items():
        assert len(counts) == 11
        assert all(count == int(count) > 0 for count in counts)
        expected = sum(np.array(sample["data"]) for sample in channels[channel].values())
        assert np.all(np.abs(counts / expected - 1) < 0.25)


def test_yields(channels):
    yields = {
        channel: {name: sum(sample["data"]) for name, sample in samples.items()}
        for channel, samples in channels.items()
    }
    fractions = {channel: {name: y / sum(ys.values()) for name, y in ys.items()} for channel, ys in yields.items()}
    assert yields["4j1b CR"]["ttbar"] > 30_000
    assert yields["4j2b SR"]["ttbar"] > 30_000
    assert fractions["4j2b SR"]["ttbar"] > 0.85
    assert 0.6 < fractions["4j1b CR"]["ttbar"] < 0.85
    assert 0.08 < fractions["4j1b CR"]["W+jets"] < 0.2
    assert fractions["4j2b SR"]["W+jets"] < 0.06


def test_top_peak(channels):
    ttbar_mass = channels["4j2b SR"]["ttbar"]["data"]
    assert np.argmax(ttbar_mass) == 1  # 150 to 190 GeV
    assert ttbar_mass[1] > 0.35 * sum(ttbar_mass)
    assert channels["4j2b SR"]["W+jets"]["data"][1] < 0.3 * sum(channels["4j2b SR"]["W+jets"]["data"])


def test_fit_finds_the_truth(spec, minuit):
    workspace = pyhf.Workspace(spec, validate=False)
    codes = {"normsys": {"interpcode": "code4"}, "histosys": {"interpcode": "code4p"}}
    model = workspace.model(modifier_settings=codes, validate=False)
    fit = pyhf.infer.mle.fit(workspace.data(model), model, return_uncertainties=True)
    value, error = fit[model.config.poi_index]
    assert value == pytest.approx(generator.TRUTH["ttbar_norm"], abs=3 * error)
    assert 0.02 < error < 0.10
    for name in SYSTEMATICS:
        pull, constraint = fit[model.config.par_slice(name)][0]
        assert abs(pull) < 2, name
        assert 0.1 < constraint < 1.05, name


def test_import_is_light():
    code = "import sys, jaxfit.examples.ttbar; print({'cabinetry', 'matplotlib', 'uproot'} & set(sys.modules))"
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert output.strip() == "set()"
