"""Reading a workspace: every mistake is named with its place, a good one gives cabinetry's model and data."""

import copy
import io
import json
import sys
import tracemalloc

import cabinetry
import numpy as np
import pyhf
import pytest

from jaxfit import workspaces
from jaxfit.errors import InputError, JaxfitError, suggest


def channel(name, scale=1.0):
    """Two bins of signal and background, with every type of modifier that fits a small model."""
    signal = {
        "name": "signal",
        "data": [5.0 * scale, 10.0 * scale],
        "modifiers": [
            {"name": "mu", "type": "normfactor", "data": None},
            {"name": "lumi", "type": "lumi", "data": None},
            {"name": "xs", "type": "normsys", "data": {"lo": 0.9, "hi": 1.2}},
        ],
    }
    background = {
        "name": "background",
        "data": [50.0 * scale, 60.0],
        "modifiers": [
            {"name": "xs", "type": "histosys", "data": {"lo_data": [45.0, 58.0], "hi_data": [57.0, 63.0]}},
            {"name": f"mc_{name}", "type": "staterror", "data": [2.0, 3.0]},
            {"name": f"fake_{name}", "type": "shapesys", "data": [4.0, 5.0]},
        ],
    }
    return {"name": name, "samples": [signal, background]}


@pytest.fixture
def spec():
    """A workspace whose channels and observations are in different orders, neither that of pyhf."""
    free = {"name": "free", "samples": [{"name": "other", "data": [3.0, 4.0], "modifiers": []}]}
    free["samples"][0]["modifiers"] = [{"name": "shape", "type": "shapefactor", "data": None}]
    lumi = {"name": "lumi", "auxdata": [1.0], "sigmas": [0.02], "bounds": [[0.5, 1.5]], "inits": [1.0]}
    fixed = {"name": "mu", "inits": [0.5], "bounds": [[0.0, 5.0]], "fixed": True}
    return {
        "channels": [channel("SR"), free, channel("CR", 2.0)],
        "observations": [
            {"name": "free", "data": [2.0, 7.0]},
            {"name": "SR", "data": [57.0, 69.5]},
            {"name": "CR", "data": [110.0, 0.0]},
        ],
        "measurements": [
            {"name": "nominal", "config": {"poi": "mu", "parameters": [lumi]}},
            {"name": "fixed_mu", "config": {"poi": "", "parameters": [lumi, fixed]}},
        ],
        "version": "1.0.0",
    }


def load_text(text):
    return workspaces.load(io.StringIO(text))


def message(call, *args, **kwargs):
    """The message of the InputError that a call raises: always one line."""
    with pytest.raises(InputError) as caught:
        call(*args, **kwargs)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def put(tree, path, value):
    """Replace or add what a path leads to."""
    *parents, last = path
    for step in parents:
        tree = tree[step]
    tree[last] = value


SIGNAL = ("channels", 0, "samples", 0)
BACKGROUND = ("channels", 0, "samples", 1)
MEASUREMENT = ("measurements", 0, "config")


# Reading


def test_load_from_path_stream_and_standard_input(spec, tmp_path, monkeypatch):
    path = tmp_path / "workspace.json"
    path.write_text(json.dumps(spec), encoding="utf-8")
    monkeypatch.setattr(sys, "stdin", io.StringIO(json.dumps(spec)))
    assert workspaces.load(path) == workspaces.load(str(path)) == spec
    assert workspaces.load("-") == spec
    assert load_text(json.dumps(spec)) == spec


def test_errors_are_of_one_family():
    assert issubclass(InputError, JaxfitError)
    assert issubclass(InputError, ValueError)


def test_unreadable_sources(tmp_path):
    missing = tmp_path / "missing.json"
    assert message(workspaces.load, missing) == f"{missing}: cannot be read: No such file or directory"
    assert str(tmp_path) in message(workspaces.load, tmp_path)
    assert "cannot be read" in message(workspaces.load, tmp_path)


def test_bytes_that_are_no_text(tmp_path):
    path = tmp_path / "workspace.root"
    path.write_bytes(b'{"\xff')
    assert message(workspaces.load, path) == f"{path}: not JSON: not UTF-8 text (invalid start byte at byte 2)"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "input: not JSON: Expecting value (line 1, column 1)"),
        ('{"channels": [],\n "version" 1}', "not JSON: Expecting ':' delimiter (line 2, column 12)"),
        ("[" * 100_000, "input: not JSON that can be read: nested too deeply"),
        ('{"a":' * 100_000, "input: not JSON that can be read: nested too deeply"),
        ("[" * 900 + "]" * 900, "input: not a pyhf workspace: nested too deeply"),
        ("[" + "9" * 5000 + "]", "not JSON that can be read: Exceeds the limit"),
    ],
)
def test_not_json(text, said):
    assert said in message(load_text, text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"version": "1.0.0", "channels": [], "version": "1.0.0"}', "key 'version' is there twice"),
        (
            '{"channels": [{"name": "SR", "samples": [], "samples": []}]}',
            "key 'samples' is there twice in the object named",
        ),
        ('{"name": "b", "data": 1, "name": "s"}', "key 'name' is there twice in the object named 's'"),
        ('{"\\u0061": 1, "a": 2}', "key 'a' is there twice"),
        ('{"%s": 1, "%s": 2}' % (2 * ("x" * 1000,)), f"key '{'x' * 76}... is there twice"),
    ],
)
def test_keys_that_are_there_twice(text, said):
    """Of which Python keeps the last, and others the first."""
    assert f"input: not JSON that can be read: {said}" in message(load_text, text)


def test_keys_that_are_in_many_objects_or_look_like_two(spec):
    spec["channels"][0]["name"] = '"name": "x", "name": "y"'
    assert load_text(json.dumps(spec)) == spec


class Endless(io.StringIO):
    """A stream that has always more."""

    def read(self, size=-1):
        assert size >= 0, "a stream may not end"
        return " " * size


def test_more_than_the_memory_can_take(monkeypatch, tmp_path):
    monkeypatch.setattr(workspaces, "_memory", lambda: 30e6)
    path = tmp_path / "large.json"
    path.write_text(" " * 1_000_001, encoding="utf-8")
    for source in (Endless(), path):
        said = message(workspaces.load, source)
        assert said.endswith(": more than 1 MB of JSON, which this machine has no memory to read")
    path.write_text(" " * 1_000_000, encoding="utf-8")
    assert "not JSON: Expecting value" in message(workspaces.load, path)


# The schema

PLACE = "channels[0].samples[1]"
NAMES = "channel 'SR', sample 'background'"


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        (("channels",), {}, "channels: expected array, found an object"),
        (("channels",), [], "channels: [] has less than 1 item"),
        (("version",), "2.0.0", 'version: "1.0.0" was expected'),
        (("surplus",), 1, "input: not a pyhf workspace: unknown key 'surplus'"),
        (
            (*MEASUREMENT, "poi"),
            None,
            "measurements[0].config.poi (measurement 'nominal'): expected string, found null",
        ),
        (
            (*MEASUREMENT, "parameters", 0, "init"),
            [1.0],
            "(measurement 'nominal', parameter 'lumi'): unknown key 'init'",
        ),
        ((*BACKGROUND, "dta"), [1.0], f"{PLACE} ({NAMES}): unknown key 'dta'"),
        ((*BACKGROUND, "data", 1), "x", f'{PLACE}.data[1] ({NAMES}): expected finite number, found "x"'),
        ((*BACKGROUND, "data", 1), float("nan"), f"{PLACE}.data[1] ({NAMES}): expected finite number, found NaN"),
        (("observations", 1, "data", 0), float("inf"), "observations[1].data[0] (observation 'SR'): expected finite"),
        # modifiers, of which the schema says only that they must be valid under any of seven
        ((*BACKGROUND, "modifiers", 0), "x" * 999, f"{PLACE}.modifiers[0] ({NAMES}): expected object, found"),
        ((*BACKGROUND, "modifiers", 0), {"name": "a"}, f"({NAMES}, modifier 'a'): key 'type' is missing"),
        ((*BACKGROUND, "modifiers", 0, "type"), "histosyst", f"{PLACE}.modifiers[0] ({NAMES}, modifier 'xs'): unknown"),
        ((*BACKGROUND, "modifiers", 0, "type"), "histosyst", "modifier type 'histosyst' (did you mean 'histosys'?"),
        ((*BACKGROUND, "modifiers", 0, "data", "up"), [1.0], "modifiers[0].data"),
        ((*BACKGROUND, "modifiers", 0, "data", "up"), [1.0], f"({NAMES}, modifier 'xs'): unknown key 'up'"),
        ((*BACKGROUND, "modifiers", 0, "data", "hi_data", 1), float("-inf"), "data.hi_data[1]"),
        ((*BACKGROUND, "modifiers", 1, "data"), {}, "modifier 'mc_SR'): expected array, found an object"),
        ((*SIGNAL, "modifiers", 1, "name"), "luminosity", "modifiers[1].name (channel 'SR', sample 'signal'"),
        (
            (*SIGNAL, "modifiers", 2, "data", "hi"),
            float("nan"),
            "sample 'signal', modifier 'xs'): expected finite number",
        ),
        ((*SIGNAL, "modifiers", 2, "type"), "\ud800", "not a pyhf workspace: 'utf-8' codec"),
    ],
)
def test_not_a_workspace(spec, path, value, said):
    put(spec, path, value)
    error = message(load_text, json.dumps(spec))
    assert said in error
    assert len(error) < 400


@pytest.mark.parametrize(
    ("path", "said"),
    [
        (("measurements",), "input: not a pyhf workspace: key 'measurements' is missing"),
        ((*BACKGROUND, "data"), f"{PLACE} ({NAMES}): key 'data' is missing"),
        ((*BACKGROUND, "modifiers", 0, "data", "lo_data"), "modifier 'xs'): key 'lo_data' is missing"),
    ],
)
def test_missing_key(spec, path, said):
    *parents, last = path
    tree = spec
    for step in parents:
        tree = tree[step]
    del tree[last]
    assert said in message(load_text, json.dumps(spec))


def test_number_too_large_for_a_float(spec):
    text = json.dumps(spec).replace("57.0", "1e999")
    assert "expected finite number, found Infinity" in message(load_text, text)


def test_other_json():
    assert message(load_text, "[1]") == "input: not a pyhf workspace: expected object, found an array"


# The model and the data


def test_model_and_data_are_cabinetrys(spec):
    before = copy.deepcopy(spec)
    expected_model, expected_data = cabinetry.model_utils.model_and_data(spec)
    model, data = workspaces.model_and_data(spec, measurement="nominal")
    assert spec == before
    assert data == expected_data
    assert model.config.par_order == expected_model.config.par_order
    assert model.config.poi_name == "mu"
    pars = np.array(model.config.suggested_init()) + 0.1  # off the nominal point, where the interpolation codes differ
    assert model.logpdf(pars, data) == expected_model.logpdf(pars, data)


def test_measurement_by_name(spec):
    model = workspaces.model_of(spec, measurement="fixed_mu")
    assert model.config.poi_name is None
    assert model.config.suggested_fixed()[model.config.par_slice("mu")] == [True]


def test_first_of_several_measurements_is_announced(spec, caplog):
    model, _ = workspaces.model_and_data(spec)
    assert model.config.poi_name == "mu"
    assert "2 measurements, taking the first: 'nominal'" in caplog.text


def test_unknown_measurement(spec):
    said = message(workspaces.model_and_data, spec, measurement="fixed")
    assert said == "unknown measurement 'fixed' (did you mean 'fixed_mu'? known: 'fixed_mu', 'nominal')"


def test_unknown_parameter_of_interest(spec):
    put(spec, (*MEASUREMENT, "poi"), "Mu")
    said = message(workspaces.model_and_data, spec)
    assert said.startswith(
        "measurement 'nominal': unknown parameter of interest 'Mu' (did you mean 'mu'? known: 'mu', "
    )


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ((*BACKGROUND, "data"), [1.0], f"{NAMES}: 1 bins in data, expected 2"),
        (
            (*BACKGROUND, "modifiers", 0, "data", "hi_data"),
            [1.0, 2.0, 3.0],
            "modifier 'xs' (histosys): 3 bins in hi_data",
        ),
        ((*BACKGROUND, "modifiers", 0, "data", "lo_data"), [1.0], "modifier 'xs' (histosys): 1 bins in lo_data"),
        (
            (*BACKGROUND, "modifiers", 1, "data"),
            [1.0],
            f"{NAMES}, modifier 'mc_SR' (staterror): 1 bins in data, expected 2",
        ),
        ((*BACKGROUND, "modifiers", 2, "data"), [1.0], "modifier 'fake_SR' (shapesys): 1 bins in data, expected 2"),
        ((*MEASUREMENT, "parameters", 0, "inits"), [1.0, 1.0], "'nominal', parameter 'lumi': 2 inits, expected 1"),
        ((*MEASUREMENT, "parameters", 0), {"name": "mc_SR", "bounds": [[0.0, 1.0]]}, "'mc_SR': 1 bounds, expected 2"),
        ((*MEASUREMENT, "parameters"), [{"name": "mu"}] * 2, "'nominal', parameter 'mu' is there twice"),
        (
            (*SIGNAL, "modifiers", 0, "name"),
            "xs",
            "channel 'SR', sample 'signal', modifier 'xs' (normfactor): the histosys of channel 'CR'",
        ),
        (
            (*BACKGROUND, "modifiers", 2, "name"),
            "fake_CR",
            "modifier 'fake_CR' (shapesys): the shapesys of channel 'CR', sample 'background' has this name",
        ),
        ((*MEASUREMENT, "poi"), "shape", "The parameter 'shape' contains multiple components"),
    ],
)
def test_impossible_model(spec, path, value, said):
    put(spec, path, value)
    load_text(json.dumps(spec))  # the schema sees nothing of it
    assert said in message(workspaces.model_and_data, spec)


def bulky(number):
    """A workspace of few bytes, every channel, sample and modifier of which has its own name."""
    return {
        "channels": [
            {
                "name": f"c{i}",
                "samples": [
                    {
                        "name": f"s{i}",
                        "data": [1.0],
                        "modifiers": [{"name": f"m{i}", "type": "normsys", "data": {"lo": 0.9, "hi": 1.1}}],
                    }
                ],
            }
            for i in range(number)
        ],
        "observations": [{"name": f"c{i}", "data": [1.0]} for i in range(number)],
        "measurements": [{"name": "m", "config": {"poi": "", "parameters": []}}],
        "version": "1.0.0",
    }


def test_the_estimate_of_memory_is_that_of_pyhf():
    """What is measured of pyhf, its temporary arrays included; an estimate of the order of magnitude is enough."""
    tracemalloc.start()
    workspaces.model_and_data(bulky(40))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak == pytest.approx(240 * 40**3, rel=0.3)


def test_a_model_that_needs_more_memory_than_there_is(monkeypatch):
    """Before anything is made."""
    monkeypatch.setattr(pyhf, "Model", None)
    said = message(workspaces.model_and_data, bulky(5000))
    assert said.startswith(
        "the model needs about 3e+04 GB in pyhf, for 5000 modifiers x 5000 samples x 5000 bins, and this machine has "
    )
    monkeypatch.setattr(workspaces, "_memory", lambda: 1e6)
    assert "for 20 modifiers x 20 samples x 20 bins, and this machine has 0.001 GB" in message(
        workspaces.model_and_data, bulky(20)
    )


def test_a_measurement_that_is_there_twice(spec):
    """Whichever is asked for."""
    spec["measurements"].append(spec["measurements"][0])
    assert "measurement 'nominal' is there twice" in message(workspaces.model_and_data, spec)
    assert "measurement 'nominal' is there twice" in message(workspaces.model_and_data, spec, measurement="fixed_mu")


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        (("observations",), [{"name": "SR", "data": [1.0, 2.0]}], "channel 'CR': no observation (there are: 'SR')"),
        (("observations", 1, "name"), "VR", "observation: unknown channel 'VR' (known: 'CR', 'SR', 'free')"),
        (("observations", 1, "name"), "CR", "observation of channel 'CR' is there twice"),
        (("observations", 1, "data"), [1.0], "observation of channel 'SR': 1 bins in data, expected 2"),
        (("observations", 1, "data", 1), -0.5, "observation of channel 'SR', data[1]: -0.5 is not a finite number of"),
        (
            ("observations", 2, "data", 0),
            float("nan"),
            "observation of channel 'CR', data[0]: nan is not a finite number",
        ),
        (
            ("observations", 2, "data", 0),
            float("inf"),
            "observation of channel 'CR', data[0]: inf is not a finite number",
        ),
    ],
)
def test_impossible_data(spec, path, value, said):
    put(spec, path, value)
    assert said in message(workspaces.model_and_data, spec)
    workspaces.model_of(spec)  # needs no observation


def test_sizes_of_shared_parameters(spec):
    """A staterror over two channels has the bins of both, a shapefactor those of one: as configured, so accepted."""
    spec["channels"][0]["samples"][1]["modifiers"][1]["name"] = "mc"
    spec["channels"][2]["samples"][1]["modifiers"][1]["name"] = "mc"
    spec["channels"][0]["samples"][1]["modifiers"].append({"name": "shape", "type": "shapefactor", "data": None})
    spec["measurements"][0]["config"]["parameters"] += [
        {"name": "mc", "inits": [1.0, 1.1, 1.2, 1.3]},
        {"name": "shape", "inits": [1.0, 1.1]},
    ]
    model, _ = workspaces.model_and_data(spec)
    assert model.config.param_set("mc").suggested_init == [1.0, 1.1, 1.2, 1.3]
    assert model.config.param_set("shape").suggested_init == [1.0, 1.1]


def test_no_second_validation(spec, monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("validated by pyhf")

    loaded = load_text(json.dumps(spec))
    monkeypatch.setattr(pyhf.schema, "validate", refuse)
    workspaces.model_and_data(loaded)


def test_shared_workspaces(shared):
    paths = [path for path in sorted((shared / "workspaces").glob("*.json")) if path.name != "INDEX.json"]
    assert paths
    for path in paths:
        spec = workspaces.load(path)
        model, data = workspaces.model_and_data(spec)
        workspace = pyhf.Workspace(spec, validate=False)
        expected = workspace.model(validate=False)
        assert data == workspace.data(expected), path.name
        assert model.config.par_names == expected.config.par_names, path.name
        init = model.config.suggested_init()
        assert model.logpdf(init, data) == expected.logpdf(init, data), path.name


# Names


def test_suggest_shows_the_nearest_first_and_few():
    known = [f"p{i}" for i in range(30)] + ["alpha_JER", "alpha_JES"]
    said = suggest("parameter", "alpha_jes", known)
    assert said.startswith(
        "unknown parameter 'alpha_jes' (did you mean 'alpha_JES'? known: 'alpha_JES', 'alpha_JER', 'p"
    )
    assert said.endswith(", and 24 more)")


def test_suggest_does_not_guess_wildly():
    assert suggest("parameter", "zz", ["alpha"]) == "unknown parameter 'zz' (known: 'alpha')"
    assert suggest("parameter", "zz", []) == "unknown parameter 'zz' (there are none)"
