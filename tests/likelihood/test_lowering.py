"""What can be lowered, what cannot and why, and how a model is cut into arrays."""

import copy
import gc
import weakref

import jax
import models
import numpy as np
import pyhf
import pytest
from likelihood.cases import Case, Squared, case_of, custom_model
from pyhf.modifiers import histfactory_set
from pyhf.modifiers.normfactor import normfactor_builder

from jaxfit.likelihood import Compact, NotLowerable, Reference, likelihood_of, lower
from jaxfit.likelihood.lowering import _block_width

value_of = jax.jit(lambda likelihood, pars, data: likelihood.value(likelihood.split(pars), data))


def with_options(**options):
    workspace = pyhf.Workspace(models.WORKSPACES["normsys"])
    return workspace.model(**options)


# -- fallback ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda: custom_model()[0], "custom modifier 'squared'"),
        (
            lambda: custom_model("normfactor", {**histfactory_set, "normfactor": (normfactor_builder, Squared)})[0],
            "custom modifier 'normfactor'",
        ),
        (lambda: with_options(clip_sample_data=0.0), "clipped yields"),
        (lambda: with_options(clip_bin_data=0.0), "clipped yields"),
        (lambda: with_options(batch_size=2), "a batched model"),
    ],
    ids=["custom", "replaced", "clip samples", "clip bins", "batched"],
)
def test_what_cannot_be_lowered_falls_back_and_says_why(make, reason):
    model = make()
    with pytest.raises(NotLowerable, match=reason):
        lower(model)
    likelihood = likelihood_of(model)
    assert isinstance(likelihood, Reference)
    assert likelihood.engine == f"reference ({reason})"


def test_the_fallback_gives_the_custom_model():
    model, data = custom_model()
    likelihood = likelihood_of(model)
    pars = np.array(model.config.suggested_init()) + 0.3
    value = value_of(likelihood, pars, data) + likelihood.offset(data)
    assert value == pytest.approx(-model.logpdf(pars, data)[0], rel=1e-12)
    plain, _ = models.model_and_data("normsys")
    pars[model.config.par_names.index("mu")] **= 2
    plain_pars = pars[[model.config.par_names.index(name) for name in plain.config.par_names]]
    assert value == pytest.approx(-plain.logpdf(plain_pars, data)[0], rel=1e-12)


def test_the_fallback_gives_the_clipped_model():
    """A template is pushed below zero, where only the clipping keeps the model defined."""
    spec = copy.deepcopy(models.WORKSPACES["histosys"])
    spec["channels"][0]["samples"][0]["modifiers"][1]["data"]["lo_data"] = [-5.0, 15.0]
    workspace = pyhf.Workspace(spec)
    model = workspace.model(clip_sample_data=0.0)
    data = np.array(workspace.data(model))
    likelihood = likelihood_of(model)
    pars = np.array(model.config.suggested_init())
    pars[model.config.par_names.index("jes")] = -3.0
    value = value_of(likelihood, pars, data)
    assert value == pytest.approx(-model.logpdf(pars, data)[0], rel=1e-12)
    assert value != pytest.approx(-workspace.model().logpdf(pars, data)[0], rel=1e-3)


def test_a_shapefactor_with_too_few_parameters_is_not_lowered():
    """pyhf gives a shapefactor the length of its first channel and repeats a parameter beyond it."""
    free = {"type": "shapefactor", "name": "free", "data": None}
    channels = [
        {"name": name, "samples": [{"name": "background", "data": data, "modifiers": [free]}]}
        for name, data in (("A", [10.0, 20.0]), ("B", [30.0, 40.0, 50.0]))
    ]
    model = pyhf.Model({"channels": channels}, poi_name=None)
    with pytest.raises(NotLowerable, match="shapefactor 'free' in a channel with more bins than it has parameters"):
        lower(model)


def test_a_shapefactor_may_have_more_parameters_than_a_channel_has_bins():
    free = {"type": "shapefactor", "name": "free", "data": None}
    channels = [
        {"name": name, "samples": [{"name": "background", "data": data, "modifiers": [free]}]}
        for name, data in (("A", [10.0, 20.0, 30.0]), ("B", [30.0, 40.0]), ("C", [5.0]))
    ]
    model = pyhf.Model({"channels": channels}, poi_name=None)
    case = Case(model, [12.0, 19.0, 33.0, 31.0, 37.0, 4.0])
    pars = np.array([1.1, 0.9, 1.3])
    assert case.at(pars).nll == pytest.approx(case.pyhf_nll(pars), rel=1e-12)
    np.testing.assert_allclose(case.at(pars).gradient, case.reference_gradient(pars), rtol=1e-10)


# -- the cache ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [{}, {"clip_bin_data": 0.0}], ids=["compact", "reference"])
def test_likelihood_of_caches_as_long_as_the_model_lives(options):
    model = with_options(**options)
    likelihood = likelihood_of(model)
    assert isinstance(likelihood, Reference if options else Compact)
    assert likelihood_of(model) is likelihood
    assert likelihood_of(with_options(**options)) is not likelihood
    alive = weakref.ref(model)
    del model
    gc.collect()
    assert alive() is None


def test_the_compact_likelihood_lives_without_its_model():
    model = with_options()
    data = np.array([45.0, 59.0, 33.0, *model.config.auxdata])
    pars = np.array(model.config.suggested_init())
    expected = -model.logpdf(pars, data)[0]
    likelihood = likelihood_of(model)
    del model
    gc.collect()
    value = value_of(likelihood, pars, data) + likelihood.offset(data)
    assert value == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    ("settings", "codes"),
    [
        ({}, ("code4", "code4p")),
        ({"modifier_settings": {"normsys": {"interpcode": "code4"}}}, ("code4", "code0")),
        ({"modifier_settings": {"histosys": {"interpcode": "code2"}}}, ("code1", "code2")),
        ({"modifier_settings": {}}, ("code1", "code0")),
    ],
)
def test_interpolation_codes_that_are_not_given(settings, codes):
    """pyhf's defaults: code4 and code4p without any settings, code1 and code0 for what the settings leave out."""
    model = pyhf.Workspace(models.WORKSPACES["norm_plus_shape"]).model(**settings)
    templates = lower(model).templates
    assert (templates.factor_code, templates.shape_code) == codes
    appliers = model.main_model.modifiers_appliers
    assert (appliers["normsys"].interpcode, appliers["histosys"].interpcode) == codes


# -- the arrays --------------------------------------------------------------------------------------------------------


def global_names(case):
    return {case.space.names[i] for i in np.asarray(case.compact.border_rows)}


@pytest.mark.parametrize("name", models.WORKSPACES)
def test_bin_wise_parameters_are_the_gammas_of_one_bin(name):
    case = case_of(name)
    kinds = {}
    for modifier, kind in case.model.config.modifiers:
        kinds.setdefault(modifier, set()).add(kind)
    shared = {"shape"} if name in ("shapefactor_shared", "everything") else set()
    expected = {
        par for par in case.space.names
        if (modifier := par.split("[")[0]) in shared or not kinds[modifier] & {"staterror", "shapesys", "shapefactor"}
    }  # fmt: skip
    assert global_names(case) == expected


@pytest.mark.parametrize("name", models.WORKSPACES)
def test_every_bin_and_parameter_has_one_place(name):
    case = case_of(name)
    compact, config = case.compact, case.model.config
    main, rows = np.asarray(compact.main), np.asarray(compact.rows)
    np.testing.assert_array_equal(np.sort(main.ravel())[: config.nmaindata], np.arange(config.nmaindata))
    assert (np.sort(main.ravel())[config.nmaindata :] == len(case.data)).all()
    np.testing.assert_array_equal(main.ravel()[compact.bins], np.arange(config.nmaindata))
    places = np.concatenate([compact.border_rows, rows.ravel()])
    np.testing.assert_array_equal(places[compact.order], np.arange(config.npars))


@pytest.mark.parametrize(
    ("sizes", "width"), [([5], 5), ([1, 1, 1], 1), ([4, 4], 4), ([40, 40, 40], 40), ([1] * 100 + [10], 1)]
)
def test_block_width(sizes, width):
    """Equal channels are one block each; one long channel among short ones is cut rather than padding them all."""
    assert _block_width(sizes) == width


def test_a_long_channel_is_cut_into_blocks():
    """The cut changes nothing: gammas, templates and data of each block are those of its bins."""
    rng = np.random.default_rng(5)

    def sample(name, bins, *modifiers):
        data = rng.uniform(5, 30, bins).tolist()
        gammas = {"type": "staterror", "name": "stat", "data": (0.1 * np.array(data)).tolist()}
        shape = {"hi_data": [1.1 * x for x in data], "lo_data": [0.95 * x for x in data]}
        tilt = {"type": "histosys", "name": "tilt", "data": shape}
        return {"name": name, "data": data, "modifiers": [*modifiers, tilt, gammas]}

    mu = {"type": "normfactor", "name": "mu", "data": None}
    sizes = {"long": 23, **{f"short{i}": 2 for i in range(9)}}
    channels = [{"name": c, "samples": [sample("signal", n, mu), sample("background", n)]} for c, n in sizes.items()]
    for channel in channels:
        for one in channel["samples"]:
            one["modifiers"][-1]["name"] = f"stat_{channel['name']}"
    model = pyhf.Model({"channels": channels}, poi_name="mu")
    pars = np.array(model.config.suggested_init())
    data = np.concatenate([rng.poisson(model.expected_data(pars, include_auxdata=False)), model.config.auxdata])
    case = Case(model, data)
    assert case.compact.main.shape[0] > len(sizes)
    for pars in case.points(3):
        assert case.at(pars).nll == pytest.approx(case.pyhf_nll(pars), rel=1e-11)
        np.testing.assert_allclose(case.at(pars).expected, case.pyhf_expected(pars), rtol=1e-12)
