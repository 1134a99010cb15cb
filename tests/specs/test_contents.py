"""Specifications as arrays: what is where, how many parameters there are, and what cannot be read."""

import models
import numpy as np
import pytest
from specs.cases import channels, put, spec_of

from jaxfit.errors import InputError
from jaxfit.specs import KINDS, read


@pytest.mark.parametrize("name", models.WORKSPACES)
def test_channels_and_parameters_are_pyhfs(name):
    config = models.model_and_data(name)[0].config
    contents = read(spec_of(name))
    assert list(contents.sizes) == config.channels
    assert contents.sizes == config.channel_nbins
    assert contents.parameter_sizes() == {key: config.param_set(key).n_parameters for key in config.par_order}
    assert contents.kinds().keys() == set(config.par_order)
    assert contents.unknown_settings() == []


@pytest.mark.parametrize("name", ["unequal_channels", "staterror_one_name", "everything"])
def test_sums_over_samples_are_in_the_order_of_the_main_data(name):
    model, _ = models.model_and_data(name)
    contents = read(spec_of(name))
    np.testing.assert_allclose(contents.total(contents.nominal), model.nominal_rates.sum(axis=(0, 1, 2)))


def test_bins_of_rows():
    """Those of the rows of channel BR (3 bins) and SR (4), each once and in order, with the row that each is from."""
    contents = read(spec_of("unequal_channels"))
    rows = np.array([row for row, (channel, _) in enumerate(contents.rows) if channel != "CR"])
    positions, which = contents.spread(rows)
    assert positions.tolist() == [i for i in range(contents.nominal.size) if contents.bins[i] != 3]
    assert which.tolist() == [i for i, row in enumerate(rows) for _ in range(3 if contents.rows[row][0] == "BR" else 4)]


def test_places():
    contents = read(spec_of("unequal_channels"))
    last = len(contents.nominal) - 1
    assert contents.entry_place(0) == f"channel 'BR', sample {contents.rows[0][1]!r}, data[0]"
    assert contents.entry_place(last) == f"channel 'SR', sample {contents.rows[-1][1]!r}, data[3]"
    assert [contents.bin_place(i) for i in (2, 3, 4)] == [
        "channel 'BR' bin 2",
        "channel 'CR' bin 0",
        "channel 'SR' bin 0",
    ]


def refusal(spec, **options):
    with pytest.raises(InputError) as caught:
        read({"channels": spec}, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


B = (0, "samples", 0)
MODIFIERS = (*B, "modifiers")
PLACE = "channel 'SR', sample 'b'"


def test_the_example_is_sound():
    contents = read({"channels": channels()})
    assert {kind for kind, found in contents.modifiers.items() if found.names} == KINDS


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (float("nan"), "nan is not a finite number"),
        (float("-inf"), "-inf is not a finite number"),
        (True, "True is not a finite number"),
        (np.True_, "np.True_ is not a finite number"),
        (None, "None is not a finite number"),
        ("7", "'7' is not a finite number"),
        ([1.0], "[1.0] is not a finite number"),
        (10**400, "an integer of 1329 bits is not a finite number"),
        ("x" * 100, f"'{'x' * 36}... is not a finite number"),
    ],
)
@pytest.mark.parametrize(
    ("path", "place"),
    [
        ((*B, "data", 1), f"{PLACE}, data[1]: "),
        ((*MODIFIERS, 0, "data", "lo"), f"{PLACE}, modifier 'norm' (normsys), lo: "),
        ((*MODIFIERS, 0, "data", "hi"), f"{PLACE}, modifier 'norm' (normsys), hi: "),
        ((*MODIFIERS, 1, "data", "lo_data", 0), f"{PLACE}, modifier 'shape' (histosys), lo_data[0]: "),
        ((*MODIFIERS, 1, "data", "hi_data", 1), f"{PLACE}, modifier 'shape' (histosys), hi_data[1]: "),
        ((*MODIFIERS, 2, "data", 1), f"{PLACE}, modifier 'stat' (staterror), data[1]: "),
        ((*MODIFIERS, 5, "data", 0), f"{PLACE}, modifier 'SR' (shapesys), data[0]: "),
    ],
)
def test_what_is_no_number(path, place, value, said):
    spec = channels()
    put(spec, path, value)
    assert refusal(spec) == place + said


@pytest.mark.parametrize("value", [5, np.float32(5.0), np.int64(5), np.float64(5.0)])
def test_numbers_of_all_types(value):
    spec = channels()
    spec[0]["samples"][0]["data"][1] = value
    contents = read({"channels": spec})
    assert contents.nominal.dtype == np.float64
    assert contents.nominal.tolist() == [10.0, 10.0, 1.0, 2.0, 10.0, 5.0, 1.0, 2.0]


def test_arrays_in_place_of_lists():
    """pyhf takes them."""
    spec = channels()
    spec[0]["samples"][0]["data"] = np.array([10.0, 20.0])
    assert read({"channels": spec}).nominal[4:6].tolist() == [10.0, 20.0]
    spec[0]["samples"][0]["data"] = np.array([10.0, np.nan])
    assert refusal(spec) == f"{PLACE}, data[1]: nan is not a finite number"


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ((1, "name"), "SR", "channel 'SR' is there twice: rename or remove one"),
        ((0, "samples", 1, "name"), "b", "channel 'SR': sample 'b' is there twice: rename or remove one"),
        (
            (*MODIFIERS, 5),
            {"name": "norm", "type": "normsys", "data": {"lo": 0.5, "hi": 1.5}},
            f"{PLACE}, modifier 'norm' (normsys) is there twice: rename or remove one",
        ),
        ((*B, "data"), [1.0], "channel 'SR', sample 's': 2 bins in data, expected 1"),
        (
            (*MODIFIERS, 1, "data", "lo_data"),
            [1.0],
            f"{PLACE}, modifier 'shape' (histosys): 1 bins in lo_data, expected 2",
        ),
        ((*MODIFIERS, 2, "data"), [1.0] * 3, f"{PLACE}, modifier 'stat' (staterror): 3 bins in data, expected 2"),
        # names that cannot be shared
        (
            (*MODIFIERS, 3, "name"),
            "norm",
            f"{PLACE}, modifier 'norm' (normfactor): the normsys of channel 'CR', sample 'b' has this name, and they "
            "cannot share a parameter: rename one",
        ),
        (
            (0, "samples", 1, "modifiers", 4),
            {"name": "SR", "type": "shapesys", "data": [1.0, 1.0]},
            f"channel 'SR', sample 's', modifier 'SR' (shapesys): the shapesys of {PLACE} has this name, and they "
            "cannot share a parameter: rename one",
        ),
        # what pyhf meets with an AssertionError and a KeyError
        (
            (*MODIFIERS, 2, "name"),
            "other",
            "staterror 'stat': samples 'b' and 's' have it in different channels (CR; CR, SR): give every channel its "
            "own name",
        ),
        ((*MODIFIERS, 2, "name"), "stat/SR", f"{PLACE}, modifier 'stat/SR' (staterror): pyhf allows no / in this name"),
    ],
)
def test_structures_that_pyhf_merges_or_cannot_build(path, value, said):
    spec = channels()
    put(spec, path, value)
    assert refusal(spec) == said


def test_normsys_and_histosys_share_a_parameter():
    spec = channels()
    for channel in spec:
        for sample in channel["samples"]:
            sample["modifiers"][1]["name"] = "norm"
    assert read({"channels": spec}).parameter_sizes()["norm"] == 1


def test_unknown_types_are_left_alone():
    """Whatever they hold, and whatever names they share; also a type of pyhf's with another meaning."""
    spec = channels()
    put(spec, (*MODIFIERS, 0), {"name": "mu", "type": "funky", "data": "anything"})
    put(spec, (*MODIFIERS, 1), {"name": "mu", "type": "funky", "data": float("nan")})
    contents = read({"channels": spec})
    assert contents.custom == [(2, "mu"), (2, "mu")]
    put(spec, (*MODIFIERS, 0, "type"), "normsys")
    assert read({"channels": spec}, KINDS - {"normsys"}).modifiers["normsys"].names == []


def test_settings_of_parameters_that_there_are_not():
    """HistFactory's XML configures lumi whether it is used or not."""
    spec = {"channels": channels(), "parameters": [{"name": "mu"}, {"name": "mu_BG"}, {"name": "lumi"}]}
    assert read(spec).unknown_settings() == ["mu_BG"]
    for channel in spec["channels"]:
        for sample in channel["samples"]:
            del sample["modifiers"][4]
    assert read(spec).unknown_settings() == ["mu_BG"]
