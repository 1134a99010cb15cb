"""What is legal but worth telling, and the bins that stay empty."""

import models
import numpy as np
import pyhf
import pytest
from specs.cases import channels, spec_of

from jaxfit.specs import check, empty_bins, findings

SAME = "parameters that shift yields to one side both up and down, which can make several minima"
ONE = "parameters that shift yields only up or only down"
NONE = "parameters without effect on any yield"
GAMMAS = "gammas held constant, for want of a yield or an uncertainty"


def modifier(kind, name, lo, hi):
    data = {"lo": lo, "hi": hi} if kind == "normsys" else {"lo_data": lo, "hi_data": hi}
    return {"type": kind, "name": name, "data": data}


def spec(*modifiers, nominal=(50.0, 60.0), parameters=(), more=()):
    """One channel of two bins, one sample with a normfactor and some modifiers."""
    mu = {"type": "normfactor", "name": "mu", "data": None}
    sample = {"name": "b", "data": [*nominal], "modifiers": [mu, *modifiers]}
    return {"channels": [{"name": "SR", "samples": [sample, *more]}], "parameters": [*parameters]}


def found(*args, **options):
    return findings(check(spec(*args, **options)))


def test_nothing_to_tell():
    assert findings(check({"channels": channels(), "parameters": [LUMI]})) == ((), frozenset())


LUMI = {"name": "lumi", "inits": [1.0], "bounds": [[0.5, 1.5]], "auxdata": [1.0], "sigmas": [0.02]}


@pytest.mark.parametrize(
    ("variation", "same_sided"),
    [
        (modifier("histosys", "h", [80.0, 80.0], [80.0, 80.0]), True),
        (modifier("histosys", "h", [40.0, 50.0], [20.0, 50.0]), True),
        (modifier("histosys", "h", [55.0, 60.0], [80.0, 60.0]), True),
        (modifier("normsys", "h", 1.1, 1.2), True),
        (modifier("normsys", "h", 0.8, 0.9), True),
        (modifier("histosys", "h", [40.0, 60.0], [70.0, 70.0]), False),
        (modifier("normsys", "h", 0.9, 1.1), False),
        # one bin this way, the other that way: what is larger in units of the statistical uncertainty
        (modifier("histosys", "h", [60.0, 55.0], [60.0, 65.0]), True),
        (modifier("histosys", "h", [55.0, 50.0], [55.0, 70.0]), False),
        # one-sided, up to rounding
        (modifier("histosys", "h", [50.0, 60.0], [80.0, 60.0]), False),
        (modifier("histosys", "h", [50.0 * (1 + 1e-15), 60.0], [80.0, 60.0]), False),
        # too small to matter
        (modifier("normsys", "h", 1.003, 1.003), False),
    ],
)
def test_same_sided(variation, same_sided):
    result = found(variation)
    assert result.same_sided == ({"h"} if same_sided else set())
    assert (f"{SAME}: 1 ('h')" in result.messages) == same_sided


@pytest.mark.parametrize("scale", [80.0, 50.5, 50.3])
def test_same_sided_variations_can_make_two_minima(scale):
    """What the criterion is for: five standard deviations away the likelihood is convex no more, or still so."""
    variation = modifier("histosys", "h", [scale, 60.0], [scale, 60.0])
    model = pyhf.Model({"channels": spec(variation)["channels"]}, poi_name=None)
    data = [50.0 + 5 * np.sqrt(50.0), 60.0, *model.config.auxdata]
    alpha = [np.array([value, 1.0])[[*map(model.config.par_order.index, ["h", "mu"])]] for value in (-0.01, 0.0, 0.01)]
    below, at, above = (-model.logpdf(pars, data)[0] for pars in alpha)
    assert (below + above < 2 * at) == (found(variation).same_sided == {"h"})


def test_shifts_of_samples_add_up():
    """Up in one sample, down in the other: together to both sides."""
    other = {"name": "other", "data": [50.0, 60.0], "modifiers": [modifier("normsys", "h", 0.7, 0.95)]}
    assert found(modifier("normsys", "h", 1.1, 1.2), more=[other]).same_sided == set()


@pytest.mark.parametrize(
    "variation",
    [
        modifier("histosys", "h", [50.0, 60.0], [55.0, 60.0]),
        modifier("histosys", "h", [50.0, 59.0], [50.0, 60.0]),
        modifier("histosys", "h", [50.0 * (1 + 1e-15), 59.0], [50.0 * (1 + 1e-15), 60.0]),  # up to rounding
        modifier("normsys", "h", 1.0, 1.2),
        modifier("normsys", "h", 0.9, 1.0),
    ],
)
def test_one_sided(variation):
    assert found(variation).messages == (f"{ONE}: 1 ('h')",)


@pytest.mark.parametrize(
    "variation", [modifier("normsys", "h", 1.0, 1.0), modifier("histosys", "h", [50.0, 60.0], [50.0, 60.0])]
)
def test_without_effect(variation):
    assert found(variation).messages == (f"{NONE}: 1 ('h')",)


def test_factors_of_nothing_are_without_effect():
    nothing = {"name": "none", "data": [0.0, 0.0], "modifiers": [
        {"type": kind, "name": kind, "data": None} for kind in ("normfactor", "shapefactor", "lumi")
    ] + [modifier("normsys", "norm", 0.9, 1.1)]}  # fmt: skip
    assert found(more=[nothing], parameters=[LUMI]).messages == (f"{NONE}: 4 ('lumi', 'norm', 'normfactor', ...)",)
    nothing["modifiers"].append(modifier("histosys", "shape", [0.0, 0.0], [1.0, 0.0]))  # now there is something
    assert found(more=[nothing], parameters=[LUMI]).messages == (f"{ONE}: 1 ('shape')",)
    nothing["modifiers"][-1] = {"type": "custom", "name": "custom", "data": None}  # there may be
    assert found(more=[nothing], parameters=[LUMI]).messages == ()


def test_negative_yields():
    other = {"name": "other", "data": [100.0, 100.0], "modifiers": []}
    said = "negative yields: 2 (channel 'SR', sample 'b', data[0], channel 'SR', sample 'b', data[1])"
    assert found(nominal=(-0.5, -2.0), more=[other]).messages == (said,)


def test_settings_of_other_parameters():
    said = "settings of parameters that the model does not have: 1 ('mu_BG')"
    assert found(parameters=[{"name": "mu_BG", "fixed": True}]).messages == (said,)


def test_constant_gammas_are_those_that_pyhf_fixes():
    gammas = [
        {"type": "shapesys", "name": "s", "data": [0.0, 5.0]},
        {"type": "staterror", "name": "t", "data": [0.0, 5.0]},
    ]
    other = {
        "name": "other",
        "data": [1.0, -70.0],
        "modifiers": [{"type": "staterror", "name": "t", "data": [1.0, 1.0]}],
    }
    third = {"name": "third", "data": [0.0, 90.0], "modifiers": [{"type": "shapesys", "name": "u", "data": [1.0, 1.0]}]}
    content = spec(*gammas, more=[other, third])
    config = pyhf.Model({"channels": content["channels"]}, poi_name=None).config
    fixed = [name for name, held in zip(config.par_names, config.suggested_fixed(), strict=True) if held]
    assert fixed == ["s[0]", "u[0]", "t[1]"]
    places = (
        "shapesys 's' in channel 'SR' bin 0, shapesys 'u' in channel 'SR' bin 0, staterror 't' in channel 'SR' bin 1"
    )
    assert f"{GAMMAS}: 3 ({places})" in findings(check(content)).messages


@pytest.mark.parametrize("name", models.WORKSPACES)
def test_constant_gammas_of_the_registry(name):
    model, _ = models.model_and_data(name)
    configured = {setting["name"] for setting in spec_of(name)["parameters"]}
    kinds = dict(model.config.modifiers)
    fixed = sum(
        sum(model.config.param_set(key).suggested_fixed) for key in model.config.par_order
        if kinds[key] in ("staterror", "shapesys") and key not in configured
    )  # fmt: skip
    assert any(message.startswith(f"{GAMMAS}: {fixed} (") for message in findings(check(spec_of(name))).messages) == (
        fixed > 0
    )


@pytest.mark.parametrize("name", models.WORKSPACES)
def test_empty_bins_are_those_where_pyhf_expects_nothing(name):
    model, _ = models.model_and_data(name)
    points = np.random.default_rng(1).uniform(0.5, 1.5, size=(5, model.config.npars))
    expected = np.array([model.expected_data(point, include_auxdata=False) for point in points])
    empty = empty_bins(check(spec_of(name)))
    np.testing.assert_array_equal(empty, (expected == 0).all(axis=0))
    assert empty.any() == any(
        message.startswith("bins of which nothing") for message in findings(check(spec_of(name))).messages
    )


def test_a_bin_that_only_a_variation_or_a_custom_modifier_fills_is_not_empty():
    assert empty_bins(check(spec(nominal=(0.0, 1.0)))).tolist() == [True, False]
    filled = modifier("histosys", "h", [0.0, 1.0], [2.0, 1.0])
    assert empty_bins(check(spec(filled, nominal=(0.0, 1.0)))).tolist() == [False, False]
    custom = {"type": "custom", "name": "c", "data": None}
    assert empty_bins(check(spec(custom, nominal=(0.0, 1.0)))).tolist() == [False, False]
