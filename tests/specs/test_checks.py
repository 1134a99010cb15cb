"""What no fit can use is refused with its place; what a fit can use is not."""

import copy

import models
import numpy as np
import pytest
from specs.cases import channels, put, spec_of

from jaxfit.errors import InputError
from jaxfit.specs import KINDS, check, counts

LUMI = {"name": "lumi", "inits": [1.0], "bounds": [[0.5, 1.5]], "auxdata": [1.0], "sigmas": [0.02]}


@pytest.fixture
def spec():
    return {"channels": channels(), "parameters": [copy.deepcopy(LUMI)]}


def refusal(spec, **options):
    with pytest.raises(InputError) as caught:
        check(spec, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("name", models.WORKSPACES)
def test_every_model_of_the_registry_is_sound(name):
    check(spec_of(name))


def test_the_example_is_sound(spec):
    contents = check(spec)
    assert contents.settings == [LUMI]


# -- signs -------------------------------------------------------------------------------------------------------------

MODIFIERS = ("channels", 0, "samples", 0, "modifiers")
PLACE = "channel 'SR', sample 'b', modifier"


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        (
            (*MODIFIERS, 0, "data", "lo"),
            0.0,
            "'norm' (normsys), lo: 0 is not above 0, and has no logarithm to interpolate",
        ),
        ((*MODIFIERS, 0, "data", "hi"), -0.2, "'norm' (normsys), hi: -0.2 is not above 0"),
        ((*MODIFIERS, 2, "data", 1), -2.0, "'stat' (staterror), data[1]: -2 is a negative uncertainty"),
        ((*MODIFIERS, 5, "data", 0), -2.0, "'SR' (shapesys), data[0]: -2 is a negative uncertainty"),
        ((*MODIFIERS, 5, "data", 1), 1e-170, "'SR' (shapesys), data[1]: no double holds the square of 10 / 1e-170"),
        ((*MODIFIERS, 5, "data", 1), 1e170, "'SR' (shapesys), data[1]: no double holds the square of 10 / 1e+170"),
    ],
)
def test_signs(spec, path, value, said):
    put(spec, path, value)
    assert refusal(spec).startswith(f"{PLACE} {said}")


@pytest.mark.parametrize("value", [0.0, 1e-100, 1e100])
def test_gammas_may_be_constant_and_uncertainties_any(spec, value):
    put(spec, (*MODIFIERS, 5, "data", 1), value)
    put(spec, (*MODIFIERS, 2, "data", 1), value)
    put(spec, ("channels", 0, "samples", 1, "data", 1), 0.0)
    check(spec)


def test_custom_modifiers_are_left_alone(spec):
    put(spec, (*MODIFIERS, 0, "data", "lo"), -1.0)
    check(spec, kinds=KINDS - {"normsys"})


# -- totals ------------------------------------------------------------------------------------------------------------


def yields(signal, background, *modifiers, **mu):
    """One channel of two bins; mu scales the signal."""
    signal = {"name": "s", "data": signal, "modifiers": [{"name": "mu", "type": "normfactor", "data": None}]}
    return {
        "channels": [{"name": "SR", "samples": [signal, {"name": "b", "data": background, "modifiers": [*modifiers]}]}],
        "parameters": [{"name": "mu", **mu}],
    }


UPWARDS = {"lo_data": [50.0, 1.0], "hi_data": [50.0, 1.0]}
NEGATIVE = "channel 'SR' bin 1: {} events are expected at the start values, and no free normalization can mend it"


@pytest.mark.parametrize(
    ("spec", "events"),
    [
        (yields([5.0, 0.0], [50.0, -1.0]), "-1"),
        # at the start value of a factor that is fixed
        (yields([5.0, 2.0], [50.0, -3.0], inits=[0.5], fixed=True), "-2"),
        (yields([5.0, -2.0], [50.0, 3.0], inits=[2.0], fixed=True), "-1"),
        # a histosys that has a constraint does not make the nominal yield legal
        (
            yields([5.0, 0.0], [50.0, -1.0], {"name": "h", "type": "histosys", "data": UPWARDS}),
            "-1",
        ),
    ],
)  # fmt: skip
def test_negative_totals(spec, events):
    """Also where lumi acts, which has a constraint."""
    assert refusal(spec).startswith(NEGATIVE.format(events))
    check(spec, clipped=True)
    spec["channels"][0]["samples"][1]["modifiers"].append({"name": "lumi", "type": "lumi", "data": None})
    spec["parameters"].append(LUMI)
    assert refusal(spec).startswith(NEGATIVE.format(events))


@pytest.mark.parametrize(
    "spec",
    [
        yields([5.0, 2.0], [50.0, -1.0]),
        # an interference term that is off where the fit starts, or that a free normalization can turn off
        yields([5.0, -20.0], [50.0, 10.0], inits=[0.0], fixed=True),
        yields([5.0, -20.0], [50.0, 10.0]),
        yields([5.0, 0.0], [50.0, -1.0], {"name": "k", "type": "shapefactor", "data": None}),
        yields([5.0, 0.0], [50.0, -1.0], {"name": "k", "type": "normfactor", "data": None}),
        yields([5.0, 0.0], [50.0, -1.0], {"name": "k", "type": "custom", "data": None}),
        # nothing, and what rounding leaves of nothing
        yields([5.0, 0.0], [50.0, 0.0]),
        yields([5.0, 0.3], [50.0, -0.1 - 0.2], fixed=True),
    ],
)
def test_totals_that_a_fit_can_have(spec):
    check(spec)


# -- settings ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ({"name": "mu", "inits": [1.0, 1.0]}, "parameter 'mu': 2 inits, expected 1"),
        ({"name": "mu", "inits": []}, "parameter 'mu': 0 inits, expected 1"),
        ({"name": "stat", "bounds": [[0.0, 2.0]] * 2}, "parameter 'stat': 2 bounds, expected 4"),
        ({"name": "mu", "inits": [float("nan")]}, "parameter 'mu', inits[0]: nan is not a finite number"),
        ({"name": "mu", "inits": [True]}, "parameter 'mu', inits[0]: True is not a finite number"),
        ({"name": "mu", "bounds": [[0.0, float("inf")]]}, "parameter 'mu', bounds[0]: inf is not a finite number"),
        ({"name": "mu", "bounds": [[0, 1, 2]]}, "parameter 'mu', bounds[0]: 3 numbers, expected 2 (low, high)"),
        ({"name": "mu", "bounds": [[2.0, 0.0]]}, "parameter 'mu', bounds[0]: inverted: [2, 0]"),
        (
            {"name": "CR", "bounds": [[0.0, 2.0], [2.0, 3.0]], "inits": [1.0, 1.0]},
            "parameter 'CR': start value 1 is outside its bounds [2, 3]: configure inits within them",
        ),
        (
            {"name": "norm", "inits": [-6.0]},
            "parameter 'norm': start value -6 is outside its bounds [-5, 5]: configure inits within them",
        ),
        (
            {"name": "mu", "bounds": [[2.0, 5.0]]},
            "parameter 'mu': start value 1 is outside its bounds [2, 5]: configure inits within them",
        ),
        # what its constraint does not have
        ({"name": "mu", "auxdata": [1.0]}, "parameter 'mu': a normfactor has no auxdata to configure"),
        ({"name": "mu", "sigmas": [1.0]}, "parameter 'mu': a normfactor has no sigmas to configure"),
        ({"name": "CR", "auxdata": [1.0, 1.0]}, "parameter 'CR': a shapefactor has no auxdata to configure"),
        ({"name": "norm", "sigmas": [1.0]}, "parameter 'norm': a normsys has no sigmas to configure"),
        ({"name": "stat", "factors": [1.0] * 4}, "parameter 'stat': a staterror has no factors to configure"),
        ({"name": "SR", "sigmas": [1.0] * 2}, "parameter 'SR': a shapesys has no sigmas to configure"),
        # widths
        ({"name": "stat", "sigmas": [0.1, 0.1, 0.0, 0.1]}, "parameter 'stat', sigmas[2]: 0 is not above 0"),
        ({"name": "SR", "factors": [4.0, -1.0]}, "parameter 'SR', factors[1]: -1 is not above 0"),
        ({"name": "SR", "auxdata": [4.0, -1.0]}, "parameter 'SR', auxdata: -1 is negative, where events are counted"),
        # names
        ({"name": "lumi"}, "parameter 'lumi' is there twice: rename or remove one"),
        ({"name": "muu", "fixed": True}, "settings: unknown parameter 'muu' (did you mean 'mu'? known: "),
        ({"name": "Norm", "fixed": True}, "settings: unknown parameter 'Norm' (did you mean 'norm'? known: "),
        ({"name": "SHAPES", "fixed": True}, "settings: unknown parameter 'SHAPES' (did you mean 'shape'? known: "),
        ({"name": "hsape", "fixed": True}, "settings: unknown parameter 'hsape' (did you mean 'shape'? known: "),
    ],
)
def test_settings_that_fit_no_parameter(spec, setting, said):
    spec["parameters"].append(setting)
    assert refusal(spec).startswith(said)


@pytest.mark.parametrize(
    "setting",
    [
        {"name": "mu", "bounds": [[1.0, 1.0]]},
        {"name": "mu", "inits": [20.0], "fixed": True},  # held where it starts
        {"name": "norm", "auxdata": [0.5], "fixed": False},
        {"name": "SR", "auxdata": [0.0, 3.0], "factors": [1.0, 4.0]},
        {"name": "stat", "sigmas": [0.1] * 4, "inits": [1] * 4, "bounds": [[0, 2]] * 4},
        # of parameters that are not in the model, as in published workspaces
        {"name": "lumi2", "fixed": True},
        {"name": "lumis", "fixed": True},  # lumi has its own
        {"name": "mu_BG", "fixed": True},
        {"name": "muu", "bounds": [[0.0, 5.0]]},
        {"name": "norm_2", "fixed": True},
    ],
)
def test_settings_that_a_fit_can_use(spec, setting):
    spec["parameters"].append(setting)
    check(spec)


def test_settings_of_custom_modifiers_are_left_alone(spec):
    put(spec, (*MODIFIERS, 0), {"name": "mu", "type": "funky", "data": None})
    spec["parameters"].append({"name": "mu", "inits": [1.0, 2.0, 3.0], "auxdata": "anything"})
    check(spec)


def test_numbers_in_names_are_no_slips(spec):
    """jes_2, of which nothing is left in this model, is not jes_1 misspelt."""
    spec["channels"][0]["samples"][0]["modifiers"][0]["name"] = "jes_1"
    spec["parameters"].append({"name": "jes_2", "fixed": True})
    check(spec)


@pytest.mark.parametrize(
    ("setting", "missing"),
    [
        (None, "inits, bounds, auxdata, sigmas"),
        ({"name": "lumi", "auxdata": [1.0], "bounds": [[0, 2]]}, "inits, sigmas"),
    ],
)
def test_lumi_without_configuration(spec, setting, missing):
    spec["parameters"] = [setting] if setting else []
    assert refusal(spec) == f"parameter 'lumi': a lumi modifier needs {missing} to be configured"


def test_the_measurement_is_named(spec):
    spec["parameters"].append({"name": "mu", "inits": []})
    assert refusal(spec, within="measurement 'fit'") == "measurement 'fit', parameter 'mu': 0 inits, expected 1"
    spec["parameters"][-1] = {"name": "muu", "fixed": True}
    assert refusal(spec, within="measurement 'fit'").startswith("measurement 'fit': unknown parameter 'muu'")


# -- counts ------------------------------------------------------------------------------------------------------------

SIZES = {"CR": 1, "SR": 2}


@pytest.mark.parametrize("kind", [list, tuple, np.array])
def test_counts_are_in_the_order_of_the_main_data(kind):
    assert counts({"SR": kind([3.0, 0.0]), "CR": kind([5.0])}, SIZES) == [5.0, 3.0, 0.0]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"SR": [1.0, 2.0]}, "channel 'CR': no observation (there are: 'SR')"),
        (
            {"SR": [1.0, 2.0], "CR": [1.0], "VR": [1.0]},
            "observation: unknown channel 'VR' (known: 'CR', 'SR')",
        ),
        ({"SR": [1.0], "CR": [1.0]}, "observation of channel 'SR': 1 bins in data, expected 2"),
        ({"SR": [1.0, -0.5], "CR": [1.0]}, "observation of channel 'SR', data[1]: -0.5 is not a"),
        ({"SR": [1.0, True], "CR": [1.0]}, "observation of channel 'SR', data[1]: True is not a"),
        ({"SR": np.array([np.nan, 1]), "CR": [1]}, "observation of channel 'SR', data[0]: nan is not a"),
        ({"SR": [1.0, [2.0]], "CR": [1.0]}, "observation of channel 'SR', data[1]: [2.0] is not a finite number of at"),
        ({"SR": [1.0, 2.0], "CR": 1.0}, "observation of channel 'CR' is no list of numbers"),
        ({"SR": "12", "CR": [1.0]}, "observation of channel 'SR' is no list of numbers"),
        ({0: [1.0]}, "observation: unknown channel '0' (known: "),
    ],
)  # fmt: skip
def test_counts_that_are_none(given, said):
    with pytest.raises(InputError) as caught:
        counts(given, SIZES)
    assert str(caught.value).startswith(said)
