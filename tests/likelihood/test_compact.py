"""The lowered likelihood against pyhf's own, over the registry of models and the shared workspaces."""

from decimal import Decimal, localcontext

import jax
import models
import numpy as np
import pyhf
import pytest
import scipy.optimize
from likelihood.cases import Case, assert_nll, case_of, case_of_file

from jaxfit import workspaces
from jaxfit.likelihood import lower

# A Poisson constraint that counts 1e10 events or more is in pyhf a difference of terms of 1e11: rounding of that size
ROUNDING = {"huge_tau": 1e-3, "atlas_3LRJ_2020__ERJR_100p0_20p0.json": 1e-2}


# -- against pyhf ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", models.WORKSPACES)
def test_value_equals_pyhf(name):
    case = case_of(name)
    for pars in (case.start, *case.points(20)):
        assert_nll(case.at(pars).nll, case.pyhf_nll(pars), ROUNDING.get(name, 1e-8))


@pytest.mark.parametrize("name", models.WORKSPACES)
def test_expected_yields_equal_pyhf(name):
    case = case_of(name)
    for pars in (case.start, *case.points(5)):
        np.testing.assert_allclose(case.at(pars).expected, case.pyhf_expected(pars), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("normsys", "histosys"), models.CODES)
def test_value_of_every_interpolation_code_equals_pyhf(normsys, histosys):
    case = case_of("norm_plus_shape", normsys, histosys)
    for pars in (case.start, *case.points(20)):
        assert_nll(case.at(pars).nll, case.pyhf_nll(pars))


def test_value_of_shared_workspaces_equals_pyhf(shared, file):
    case = case_of_file(shared / "workspaces" / file)
    for pars in (case.start, *case.points(20)):
        assert_nll(case.at(pars).nll, case.pyhf_nll(pars), ROUNDING.get(file, 1e-8))


# -- special points ----------------------------------------------------------------------------------------------------


def one_sided(nll, pars, index, side, step=1e-3):
    """First and second derivative of one side, of fourth and third order."""
    f = [nll(pars + side * k * step * np.eye(len(pars))[index]) for k in range(5)]
    first = np.dot([-25, 48, -36, 16, -3], f) / (12 * step)
    second = np.dot([35, -104, 114, -56, 11], f) / (12 * step**2)
    return side * first, second


@pytest.mark.parametrize(("normsys", "histosys"), models.CODES)
@pytest.mark.parametrize("alpha", [0.0, -1e-300, 1.0, -1.0])
def test_special_points_of_the_interpolation(normsys, histosys, alpha):
    """At a kink the derivatives are those of one side: the right one at 0, the left one just below it."""
    case = case_of("norm_plus_shape", normsys, histosys)
    pars = case.start.copy()
    index = case.space.index("jes")
    pars[index] = alpha
    point = case.at(pars)
    assert_nll(point.nll, case.pyhf_nll(pars))
    # code2 jumps at +-1; the points themselves belong to the inside
    side = {0.0: 1, -1e-300: -1, 1.0: -1, -1.0: 1}[alpha]
    first, second = one_sided(case.pyhf_nll, pars, index, side)
    assert point.gradient[index] == pytest.approx(first, rel=1e-7, abs=1e-7)
    assert point.hessian[index, index] == pytest.approx(second, rel=1e-5, abs=1e-5)


@pytest.mark.parametrize(("normsys", "histosys"), models.CODES)
def test_kinked_parameters_are_known(normsys, histosys):
    case = case_of("norm_plus_shape", normsys, histosys)
    kinked = case.compact.kinked
    if normsys == "code4" and histosys != "code0":
        assert kinked is None
        return
    names = np.array(case.space.names)[np.asarray(case.compact.border_rows)]
    assert set(names[np.asarray(kinked)]) == {"jes", "shower"}
    for index in map(case.space.index, ("jes", "shower")):
        below = case.start.copy()
        below[index] = -1e-300
        assert abs(case.at(below).gradient[index] - case.at(case.start).gradient[index]) > 0.01


def test_a_poisson_constraint_of_1e18_events_keeps_its_digits():
    """Its gamma is known to 1e-9, and float64 holds gamma to 1e-16, but not 1e18 gamma."""
    model = pyhf.simplemodels.uncorrelated_background([5.0], [50.0], [50e-9])
    case = Case(model, [55.0, *model.config.auxdata])  # what is expected: the bin has no slope of its own
    tau = Decimal(float(case.data[1]))
    for pull in (-2.0, 0.3, 1.0):
        gamma = 1.0 + 1e-9 * pull
        found, without = (case.at(np.array([1.0, value])) for value in (gamma, 1.0))
        with localcontext() as context:
            context.prec = 50
            excess = Decimal(gamma) - 1
            nll = tau * (excess - (1 + excess).ln())
            slope = tau * excess / (1 + excess)
        assert found.nll - without.nll == pytest.approx(float(nll), rel=1e-5)  # of an NLL rounded to 1e-14
        assert found.gradient[1] == pytest.approx(float(slope), rel=1e-12)


# -- arrow form --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", models.WORKSPACES)
def test_split_and_join_are_inverse(name):
    compact = case_of(name).compact
    pars = np.arange(1.0, case_of(name).start.size + 1)
    vector = compact.split(pars, padding=-7.0)
    np.testing.assert_array_equal(compact.join(vector), pars)
    rows = np.asarray(compact.rows)
    assert vector.blocks.shape == rows.shape
    np.testing.assert_array_equal(np.asarray(vector.blocks)[rows >= pars.size], -7.0)
    np.testing.assert_array_equal(np.sort(np.concatenate([vector.border, vector.blocks[rows < pars.size]])), pars)


@pytest.mark.parametrize("name", ["unequal_channels", "staterror_one_name", "everything"])
def test_slots_without_a_parameter_do_nothing(name):
    """Whatever value the padding has: no gradient, no curvature, no coupling to the border."""
    case = case_of(name)
    compact = case.compact
    unused = np.asarray(compact.rows) >= case.start.size
    assert unused.any()
    derivatives = jax.jit(type(compact).derivatives)
    (value, *_), (again, gradient, hessian) = (
        derivatives(compact, compact.split(case.start, padding), case.data, 1.0) for padding in (1.0, 3.0)
    )
    assert value == again
    np.testing.assert_array_equal(np.asarray(gradient.blocks)[unused], 0.0)
    dense = np.asarray(hessian.to_dense())
    position = compact.border_rows.size + np.flatnonzero(unused)
    np.testing.assert_array_equal(dense[position], 0.0)


# -- conditional minimum of the gammas ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    ["shapesys", "staterror", "staterror_some", "shapefactor", "unequal_channels", "zero_observed", "configured"],
)
@pytest.mark.parametrize("narrow", [False, True], ids=["wide", "narrow"])
def test_profile_gives_the_conditional_minimum(name, narrow):
    """Against a bounded minimisation over the gammas of each bin, everything else held."""
    case = case_of(name)
    compact = case.compact
    lower_bounds, upper_bounds = case.space.lower.copy(), case.space.upper.copy()
    rows = np.asarray(compact.rows)
    gammas = rows[rows < case.start.size]
    if narrow:
        lower_bounds[gammas], upper_bounds[gammas] = 0.97, 1.01
    pars = case.points(1)[0]
    pars[gammas] = case.start[gammas]
    profile = jax.jit(type(compact).profile)
    vector = compact.split(pars)
    for _ in range(60 if rows.shape[0] > 1 else 1):
        vector = profile(compact, vector, compact.split(lower_bounds), compact.split(upper_bounds), case.data)
    found = np.asarray(compact.join(vector))
    others = np.setdiff1d(np.arange(pars.size), gammas)
    np.testing.assert_array_equal(found[others], pars[others])
    assert (found >= lower_bounds).all()
    assert (found <= upper_bounds).all()

    def nll(values, column, base):
        trial = base.copy()
        trial[column] = values
        return case.pyhf_nll(trial)

    for column in rows.T:
        used = column[column < pars.size]
        if used.size == 0:
            continue
        best = scipy.optimize.minimize(
            nll,
            found[used],
            args=(used, found),
            bounds=list(zip(lower_bounds[used], upper_bounds[used], strict=True)),
            method="L-BFGS-B",
            options={"ftol": 1e-15, "gtol": 1e-10},
        )
        assert case.pyhf_nll(found) <= best.fun + 1e-9
        np.testing.assert_allclose(found[used], best.x, atol=2e-5)


def test_profile_lowers_the_nll_with_several_gammas_in_a_bin():
    case = case_of("several_gammas")
    compact = case.compact
    profile, value = jax.jit(type(compact).profile), jax.jit(type(compact).value)
    box = compact.split(case.space.lower), compact.split(case.space.upper)
    vector = compact.split(case.points(1)[0])
    values = [value(compact, vector, case.data)]
    for _ in range(100):
        vector = profile(compact, vector, *box, case.data)
        values.append(value(compact, vector, case.data))
    assert values[1] < values[0] - 1
    assert (np.diff(values) <= 1e-10).all()
    gradient = case.at(np.asarray(compact.join(vector))).gradient
    rows = np.asarray(compact.rows)
    np.testing.assert_allclose(gradient[rows[rows < gradient.size]], 0.0, atol=1e-7)


# -- fixed is data, not structure --------------------------------------------------------------------------------------


def test_models_of_one_shape_share_one_program():
    """Other templates, data and start values: the same compiled program, and no array is closed over."""
    first = case_of("staterror")
    spec = models.WORKSPACES["staterror"]
    other = {**spec, "channels": [{**c, "samples": [_scaled(s) for s in c["samples"]]} for c in spec["channels"]]}
    model = workspaces.model_and_data(other)[0]
    program = jax.jit(lambda likelihood, pars, data: likelihood.value(likelihood.split(pars), data))
    data = first.data.copy()
    values = [float(program(first.compact, first.start, data))]
    data[0] += 3.0
    values.append(float(program(first.compact, first.start, data)))
    values.append(float(program(lower(model), first.start, data)))
    assert program._cache_size() == 1
    assert len(set(values)) == 3


def _scaled(sample):
    return {**sample, "data": [1.3 * value for value in sample["data"]]}
