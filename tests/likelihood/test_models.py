"""Parameters, checked specification, checked data and constants of a pyhf model."""

import copy
import gc
import math
import weakref

import cabinetry
import models
import numpy as np
import pyhf
import pytest
import scipy.stats
from likelihood.cases import case_of

from jaxfit.errors import InputError
from jaxfit.likelihood import (
    bin_name,
    checked_data,
    likelihood_of,
    parameter_space,
    review,
    saturated_nll,
    unconstrained_count,
)
from jaxfit.likelihood.models import constraint_table


@pytest.mark.parametrize("name", models.WORKSPACES)
def test_parameter_space_is_what_pyhf_suggests(name):
    config = models.model_and_data(name)[0].config
    space = parameter_space(models.model_and_data(name)[0])
    assert space.names == tuple(config.par_names)
    np.testing.assert_array_equal(space.start, config.suggested_init())
    np.testing.assert_array_equal(np.stack([space.lower, space.upper], axis=1), config.suggested_bounds())
    assert space.fixed.tolist() == config.suggested_fixed()
    assert space.poi == config.poi_name
    assert (space.poi is None) == (name == "gammas_only")


def test_settings_of_the_measurement_arrive():
    space = parameter_space(models.model_and_data("configured")[0])
    index = space.index("mu")
    assert (space.start[index], space.lower[index], space.upper[index]) == (0.7, -2.0, 6.0)
    assert {name for name, fixed in zip(space.names, space.fixed, strict=True) if fixed} == {"xsec", "lumi"}


def test_bins_are_named_in_the_order_of_the_data():
    model, _ = models.model_and_data("unequal_channels")
    names = [bin_name(model, index) for index in range(model.config.nmaindata)]
    assert names == [
        *(f"channel 'BR' bin {i}" for i in range(3)),
        "channel 'CR' bin 0",
        *(f"channel 'SR' bin {i}" for i in range(4)),
    ]
    with pytest.raises(IndexError):
        bin_name(model, model.config.nmaindata)


# -- the specification -------------------------------------------------------------------------------------------------


def broken(name="staterror", **options):
    """A model of the registry with a negative total in its last bin, which pyhf takes."""
    spec = copy.deepcopy(models.WORKSPACES[name])
    for sample in spec["channels"][-1]["samples"]:
        sample["data"][-1] = -1.0
        sample["modifiers"] = [modifier for modifier in sample["modifiers"] if modifier["type"] == "staterror"]
    content = {"channels": spec["channels"], "parameters": []}
    return pyhf.Model(content, poi_name=None, validate=False, **options)


@pytest.mark.parametrize("entry", [review, parameter_space, likelihood_of, lambda model: checked_data(model, [])])
def test_every_entry_refuses_a_specification_that_no_fit_can_use(entry):
    model = broken()
    for _ in range(2):  # a refusal is not forgotten
        with pytest.raises(InputError, match="channel 'SR' bin 2: -2 events are expected at the start values"):
            entry(model)


def test_bounds_that_are_no_pairs_are_refused_before_they_are_read():
    spec = copy.deepcopy(models.WORKSPACES["staterror"])
    settings = [{"name": "mu", "bounds": [[0.0, 1.0, 2.0]]}]
    model = pyhf.Model({"channels": spec["channels"], "parameters": settings}, validate=False)
    with pytest.raises(InputError, match=r"parameter .mu., bounds\[0\]: 3 numbers, expected 2"):
        parameter_space(model)


@pytest.mark.parametrize("clip", ["clip_sample_data", "clip_bin_data"])
def test_clipped_yields_may_be_negative_and_clipped_bins_have_events(clip):
    model = broken(**{clip: 1e-3})
    data = [1.0] * (model.config.nmaindata + model.config.nauxdata)
    np.testing.assert_array_equal(checked_data(model, data), data)


def test_a_bin_that_is_clipped_is_not_empty():
    workspace = pyhf.Workspace(models.WORKSPACES["empty_bin"])
    assert (review(workspace.model()).highest == 0).any()
    assert not (review(workspace.model(clip_bin_data=1e-3)).highest == 0).any()


@pytest.mark.parametrize("name", models.WORKSPACES)
def test_the_registry_is_sound(name):
    model, data = models.model_and_data(name)
    found = review(model)
    assert review(model) is found
    assert found.lowest.shape == found.highest.shape == (len(data),)


def test_a_review_lives_as_long_as_its_model():
    workspace = pyhf.Workspace(models.WORKSPACES["no_nuisance"])
    model = workspace.model()
    review(model)
    gone = weakref.ref(model)
    del model
    gc.collect()
    assert gone() is None


# -- data --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [list, tuple, np.array])
def test_good_data_pass(kind):
    model, data = models.model_and_data("empty_bin")
    checked = checked_data(model, kind(data))
    assert checked.dtype == np.float64
    np.testing.assert_array_equal(checked, data)


def changed(data, index, value):
    return [*data[:index], value, *data[index + 1 :]]


# staterror: channel SR of three bins, data of three bins and four auxiliary data (xsec, three gammas)
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda data: data[:-1],
            "data: expected 7 entries (3 bins and 4 auxiliary data), found 6",
        ),
        (
            lambda data: data[:3],
            "data: expected 7 entries (3 bins and 4 auxiliary data), found 3: "
            "the auxiliary data are missing (model.config.auxdata)",
        ),
        (
            lambda data: [data],
            "data: expected 7 entries (3 bins and 4 auxiliary data), found an array of shape (1, 7)",
        ),
        (
            lambda data: 3.0,
            "data: expected 7 entries (3 bins and 4 auxiliary data), found an array of shape ()",
        ),
        (lambda data: changed(data, 1, -2.0), "data: channel 'SR' bin 1 is -2, expected a number of events"),
        (lambda data: changed(data, 2, math.nan), "data: channel 'SR' bin 2 is nan, expected a number of events"),
        (lambda data: changed(data, 0, math.inf), "data: channel 'SR' bin 0 is inf, expected a number of events"),
        (lambda data: changed(data, 4, math.nan), "data: auxiliary datum 1 is nan, expected a number"),
        (lambda data: changed(data, 3, -math.inf), "data: auxiliary datum 0 is -inf, expected a number"),
        (lambda data: changed(data, 0, "many"), "data is not a list of numbers"),
        (lambda data: changed(data, 0, [1.0, 2.0]), "data is not a list of numbers"),
        # what numpy takes for numbers
        (lambda data: changed(data, 0, True), "data is not a list of numbers"),
        (lambda data: changed(data, 0, "57"), "data is not a list of numbers"),
        (lambda data: changed(data, 0, None), "data is not a list of numbers"),
        (lambda data: np.array(data) > 0, "data is not a list of numbers"),
        (lambda data: np.array(data, dtype=complex), "data is not a list of numbers"),
        (lambda data: None, "data: expected 7 entries (3 bins and 4 auxiliary data), found an array of shape ()"),
    ],
)
def test_bad_data_name_the_place(change, message):
    model, data = models.model_and_data("staterror")
    with pytest.raises(InputError) as caught:
        checked_data(model, change(data))
    assert str(caught.value) == message


@pytest.mark.parametrize("name", ["unequal_channels", "everything", "no_nuisance"])
def test_data_by_channel_have_no_order(name):
    model, data = models.model_and_data(name)
    observed = {entry["name"]: entry["data"] for entry in models.WORKSPACES[name]["observations"]}
    for given in (observed, dict(reversed(observed.items()))):
        np.testing.assert_array_equal(checked_data(model, given), data)
    given = {channel: np.array(events) for channel, events in observed.items()}
    np.testing.assert_array_equal(checked_data(model, given), data)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "channel 'SR': no observation (there are: )"),
        ({"sr": [1.0, 2.0, 3.0]}, "observation: unknown channel 'sr' (did you mean 'SR'? known: 'SR')"),
        ({"SR": [1.0, 2.0]}, "observation of channel 'SR': 2 bins in data, expected 3"),
        ({"SR": [1.0, 2.0, -3.0]}, "observation of channel 'SR', data[2]: -3.0 is not a finite number of at least 0"),
        ({"SR": [1.0, 2.0, 3.0], "auxdata": [1.0] * 4}, "observation: unknown channel 'auxdata' (known: 'SR')"),
    ],
)
def test_bad_data_by_channel_name_the_channel(given, message):
    with pytest.raises(InputError) as caught:
        checked_data(models.model_and_data("staterror")[0], given)
    assert str(caught.value) == message


def test_events_where_none_can_be_are_impossible_data():
    """The bin whose templates are all empty; without events it is as if it were not there."""
    model, data = models.model_and_data("empty_bin")
    (empty,) = np.flatnonzero(review(model).highest == 0)
    assert data[empty] == 0
    with pytest.raises(InputError, match=f"impossible data: {bin_name(model, empty)} has 0.5 events, and none are exp"):
        checked_data(model, changed(data, empty, 0.5))


def test_poisson_auxiliary_data_are_counts_and_normal_ones_any_numbers():
    model, data = models.model_and_data("everything")
    kind, aux, _, _ = constraint_table(model.config)
    for index in aux[kind == 1]:
        checked_data(model, changed(data, index, -3.0))
    for index in aux[kind == 2]:
        checked_data(model, changed(data, index, 0.0))
        with pytest.raises(InputError, match="is -3, expected a number of at least 0, as it is counted"):
            checked_data(model, changed(data, index, -3.0))
    assert {1, 2} <= set(kind)


# -- constants ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", models.WORKSPACES)
def test_constraint_table_is_that_of_pyhf(name):
    """The constraints' part of pyhf's log-density, from the table."""
    model, data = models.model_and_data(name)
    data = np.array(data)
    kind, aux, sigma, tau = constraint_table(model.config)
    assert len(kind) == len(aux) == len(sigma) == len(tau) == model.config.npars + 1
    assert (kind[-1], aux[-1], sigma[-1], tau[-1]) == (0, len(data), 1.0, 1.0)
    pars = np.array(model.config.suggested_init()) + 0.1
    normal, poisson = np.flatnonzero(kind == 1), np.flatnonzero(kind == 2)
    assert len(normal) + len(poisson) == model.config.nauxdata
    found = (
        scipy.stats.norm.logpdf(data[aux[normal]], pars[normal], sigma[normal]).sum()
        + pyhf.tensorlib.poisson_logpdf(data[aux[poisson]], tau[poisson] * pars[poisson]).sum()
    )
    expected = model.constraint_logpdf(np.array(model.config.auxdata), pars) if model.config.nauxdata else 0.0
    assert found == pytest.approx(float(expected), rel=1e-10, abs=1e-10)


@pytest.mark.parametrize("name", [name for name in models.WORKSPACES if name != "huge_tau"])
def test_saturated_nll_is_the_lowest_there_can_be(name):
    """Every Poisson term at its own maximum, every normal one too: pyhf's terms at nu = n."""
    model, data = models.model_and_data(name)
    data = np.array(data)
    kind, aux, sigma, _ = constraint_table(model.config)
    counts = np.concatenate([data[: model.config.nmaindata], data[aux[kind == 2]]])
    expected = -pyhf.tensorlib.poisson_logpdf(counts, counts).sum()
    expected -= scipy.stats.norm.logpdf(0.0, 0.0, sigma[kind == 1]).sum()
    found = saturated_nll(model, data[None])[0]
    assert found == pytest.approx(expected, rel=1e-9)
    case = case_of(name)
    assert found <= min(case.pyhf_nll(pars) for pars in (case.start, *case.points(5)))


@pytest.mark.parametrize("name", models.WORKSPACES)
def test_unconstrained_parameters_are_counted_as_cabinetry_does(name):
    model, _ = models.model_and_data(name)
    assert unconstrained_count(model) == cabinetry.model_utils.unconstrained_parameter_count(model)
