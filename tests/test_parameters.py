"""Overrides by name and by list, and what each mistake is told."""

import math
from dataclasses import replace

import numpy as np
import pytest

from jaxfit.errors import InputError
from jaxfit.parameters import ParameterSpace


@pytest.fixture
def space():
    return ParameterSpace(
        names=("mu", "jes", "stat[0]"),
        start=np.array([1.0, 0.0, 1.0]),
        lower=np.array([0.0, -5.0, 1e-10]),
        upper=np.array([10.0, 5.0, 10.0]),
        fixed=np.array([False, False, True]),
        poi="mu",
    )


def settings(space):
    return space.start.tolist(), space.lower.tolist(), space.upper.tolist(), space.fixed.tolist()


def test_index(space):
    assert [space.index(name) for name in space.names] == [0, 1, 2]


def test_nothing_given_changes_nothing(space):
    for same in (space.override(), space.override({}, {}, {})):
        assert settings(same) == settings(space)
        assert (same.names, same.poi) == (space.names, space.poi)


@pytest.mark.parametrize("init_pars", [{"jes": 0.5}, [1.0, 0.5, 1.0], np.array([1.0, 0.5, 1.0]), (1, 0.5, 1)])
def test_start_values(space, init_pars):
    assert space.override(init_pars).start.tolist() == [1.0, 0.5, 1.0]


@pytest.mark.parametrize("true", [True, np.True_])
def test_fixed_by_flag_keeps_the_start_value(space, true):
    changed = space.override(fix_pars={"mu": true})
    assert changed.fixed.tolist() == [True, False, True]
    assert changed.start.tolist() == [1.0, 0.0, 1.0]


def test_a_fixed_parameter_can_be_freed(space):
    assert space.override(fix_pars={"stat[0]": False}).fixed.tolist() == [False] * 3
    assert space.override(fix_pars=[True, False, False]).fixed.tolist() == [True, False, False]


@pytest.mark.parametrize("value", [2.5, 0, 1, np.float64(0.5), np.int64(3)])
def test_a_number_fixes_at_that_value(space, value):
    """0 and 1 are numbers, not flags."""
    changed = space.override(fix_pars={"mu": value})
    assert changed.fixed.tolist() == [True, False, True]
    assert changed.start.tolist() == [value, 0.0, 1.0]


@pytest.mark.parametrize("fix_pars", [[1, 0, 1], np.array([1, 0, 1]), np.array([True, False, True])])
def test_in_a_list_numbers_are_flags(space, fix_pars):
    """cabinetry's form."""
    changed = space.override(fix_pars=fix_pars)
    assert changed.fixed.tolist() == [True, False, True]
    assert changed.start.tolist() == space.start.tolist()


def test_the_value_of_fix_pars_wins(space):
    assert space.override({"mu": 3.0}, {"mu": 4.0}).start[0] == 4.0
    assert space.override({"mu": 3.0}, {"mu": True}).start[0] == 3.0


@pytest.mark.parametrize(
    "par_bounds", [{"jes": (-1, 2)}, {"jes": np.array([-1.0, 2.0])}, [(0, 10), (-1, 2), (1e-10, 10)]]
)
def test_bounds(space, par_bounds):
    changed = space.override(par_bounds=par_bounds)
    assert changed.lower.tolist() == [0.0, -1.0, 1e-10]
    assert changed.upper.tolist() == [10.0, 2.0, 10.0]


def test_bounds_may_be_infinite_or_equal(space):
    changed = space.override(par_bounds={"mu": (-math.inf, math.inf), "jes": (0.0, 0.0)})
    assert (changed.lower[0], changed.upper[0], changed.lower[1], changed.upper[1]) == (-math.inf, math.inf, 0.0, 0.0)


def test_a_fixed_parameter_may_lie_outside_its_bounds(space):
    assert space.override(fix_pars={"mu": -2.0}).start[0] == -2.0


def test_the_original_is_not_changed(space):
    before = settings(space)
    space.override({"mu": 2.0}, {"jes": True}, {"mu": (1.0, 3.0)})
    assert settings(space) == before


def test_box_holds_fixed_parameters_at_their_start(space):
    lower, upper = space.override(fix_pars={"mu": 12.0}).box()
    assert lower.tolist() == [12.0, -5.0, 1.0]
    assert upper.tolist() == [12.0, 5.0, 1.0]


UNKNOWN = "unknown parameter 'Mu' (did you mean 'mu'? known: 'mu', 'jes', 'stat[0]')"
NO_LIST = "{} is a {}, expected a mapping by parameter name or a list of one entry for every parameter"
LENGTH = "{} has 2 entries, expected 3, one for every parameter (a mapping by parameter name sets only those you mean)"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"init_pars": {"Mu": 1.0}}, UNKNOWN),
        ({"fix_pars": {"Mu": True}}, UNKNOWN),
        ({"par_bounds": {"Mu": (0, 1)}}, UNKNOWN),
        ({"init_pars": [1.0, 0.0]}, LENGTH.format("init_pars")),
        ({"fix_pars": [True, False]}, LENGTH.format("fix_pars")),
        ({"par_bounds": [(0, 1), (0, 1)]}, LENGTH.format("par_bounds")),
        ({"init_pars": {"mu": math.nan}}, "init_pars of 'mu' is nan, expected a finite number"),
        ({"init_pars": {"mu": math.inf}}, "init_pars of 'mu' is inf, expected a finite number"),
        ({"init_pars": {"mu": "one"}}, "init_pars of 'mu' is 'one', expected a number"),
        ({"init_pars": {"mu": None}}, "init_pars of 'mu' is None, expected a number"),
        # Python would take these for numbers, and any of those for true
        ({"init_pars": {"mu": "1"}}, "init_pars of 'mu' is '1', expected a number"),
        ({"init_pars": [1.0, True, 1.0]}, "init_pars of 'jes' is True, expected a number"),
        ({"init_pars": {"mu": 10**400}}, f"init_pars of 'mu' is {10**400}, expected a number"),
        ({"par_bounds": {"jes": (False, True)}}, "par_bounds of 'jes' is False, expected a number"),
        ({"fix_pars": ["False", False, False]}, "fix_pars of 'mu' is 'False', expected True or False in a list"),
        ({"fix_pars": [0.5, False, False]}, "fix_pars of 'mu' is 0.5, expected True or False in a list"),
        ({"fix_pars": [math.nan, False, False]}, "fix_pars of 'mu' is nan, expected True or False in a list"),
        # what has no order, or is no list at all
        ({"init_pars": {1.0, 0.0, 2.0}}, NO_LIST.format("init_pars", "set")),
        ({"fix_pars": "mu!"}, NO_LIST.format("fix_pars", "str")),
        ({"init_pars": 1.0}, NO_LIST.format("init_pars", "float")),
        ({"init_pars": {0: 1.0}}, "unknown parameter '0' (known: 'stat[0]', 'mu', 'jes')"),
        ({"fix_pars": {"jes": math.nan}}, "fix_pars of 'jes' is nan, expected a finite number"),
        ({"fix_pars": {"jes": "yes"}}, "fix_pars of 'jes' is 'yes', expected a number"),
        ({"par_bounds": {"jes": 3.0}}, "par_bounds of 'jes' is 3.0, expected (low, high)"),
        ({"par_bounds": {"jes": (1, 2, 3)}}, "par_bounds of 'jes' is (1, 2, 3), expected (low, high)"),
        ({"par_bounds": {"jes": (math.nan, 2)}}, "par_bounds of 'jes' is nan, expected a finite number"),
        ({"par_bounds": {"jes": ("low", 2)}}, "par_bounds of 'jes' is 'low', expected a number"),
        ({"par_bounds": {"jes": (2, -2)}}, "bounds of 'jes' are inverted: [2, -2]"),
        (
            {"par_bounds": {"mu": (2, 5)}},
            "start value 1 of 'mu' is outside its bounds [2, 5]: change init_pars or par_bounds",
        ),
        (
            {"init_pars": {"jes": -6.5}},
            "start value -6.5 of 'jes' is outside its bounds [-5, 5]: change init_pars or par_bounds",
        ),
    ],
)
def test_mistakes_are_named(space, arguments, message):
    with pytest.raises(InputError) as caught:
        space.override(**arguments)
    assert str(caught.value) == message


def test_an_unknown_name_is_an_input_error(space):
    with pytest.raises(InputError, match="unknown parameter 'lumi'"):
        space.index("lumi")


def test_the_parameter_of_interest(space):
    assert space.poi_index() == space.index(space.poi)
    assert space.poi_index("jes") == space.index("jes")
    with pytest.raises(InputError, match="unknown parameter 'lumi'"):
        space.poi_index("lumi")
    with pytest.raises(InputError, match="no parameter of interest: name one with poi_name"):
        replace(space, poi=None).poi_index()
    for fixed in (space.override(fix_pars={"jes": True}), space.override(par_bounds={"jes": (0.0, 0.0)})):
        with pytest.raises(InputError, match="'jes' is fixed"):
            fixed.poi_index("jes")
