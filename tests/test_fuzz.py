"""Random workspaces (tests/strategies.py): the likelihood against pyhf and an oracle, fits against MINUIT.

A short run that is always the same belongs to the suite. ``make fuzz CASES=2000`` draws that many workspaces anew, over
more skeletons, and reports what it has seen. A workspace that fails is reduced to what matters and printed as JSON.
"""

import copy
import os
import time
from collections import Counter
from dataclasses import asdict, replace

import jax
import models
import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, assume, given, settings
from iminuit import Minuit
from likelihood.cases import Case, case_of
from oracle import Oracle
from strategies import structures, workspaces

import jaxfit

CASES = int(os.environ.get("FUZZ_CASES", "0"))

SMOOTH, KINKED = ("code4", "code4p"), ("code1", "code0")
SKELETONS = [("norm_plus_shape", *codes) for codes in models.CODES] + [("everything", *SMOOTH)]
FITTED = [("norm_plus_shape", *SMOOTH)]
RESCALED = [("norm_plus_shape", *SMOOTH)]
if CASES:
    SKELETONS = [(name, *codes) for name in models.WORKSPACES for codes in (SMOOTH, KINKED)] + SKELETONS
    RESCALED += [(name, *SMOOTH) for name in ("shapesys", "staterror_some", "shared_parameters")]
    FITTED = [
        *RESCALED,
        *((name, *SMOOTH) for name in ("configured", "unequal_channels", "several_gammas", "everything")),
        *((name, *KINKED) for name in ("norm_plus_shape", "several_gammas", "configured")),
        ("norm_plus_shape", "code4", "code2"),
    ]


def fuzz(strategy, short, share=1, phases=(Phase.generate, Phase.shrink)):
    """Run a test on ``short`` cases in the suite, or on a share of those asked for."""
    health = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]
    how = {"max_examples": max(CASES // share, 1)} if CASES else {"max_examples": short, "derandomize": True}
    choice = settings(deadline=None, database=None, suppress_health_check=health, phases=phases, **how)
    return lambda test: choice(given(fuzzed=strategy)(test))


@pytest.fixture(scope="module")
def seen(request):
    """Counts of what has been seen, for the report of a long run."""
    counts, start = Counter(), time.monotonic()
    yield counts
    if CASES:
        report = request.config.pluginmanager.getplugin("terminalreporter").write_line
        report("")
        for what in sorted(counts):
            report(f"{counts[what]:>8}  {what}")
        report(f"{time.monotonic() - start:>8.0f}  seconds")


@pytest.fixture(autouse=True)
def _surroundings(monkeypatch):
    """The likelihood is called beneath the library's entry points; pyhf's numpy warns of negative yields."""
    monkeypatch.setattr("jaxfit.inference.rescues._COSTLY", 0)  # rungs that compile a program for every model
    with jax.enable_x64(True), np.errstate(all="ignore"):
        yield


# -- the likelihood ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("codes", [SMOOTH, KINKED])
def test_oracle_has_the_derivatives_of_pyhf(codes):
    """As JAX finds them; in the tests below the oracle's value is pyhf's everywhere."""
    case = case_of("norm_plus_shape", *codes)
    for pars in case.points(5):
        answer = Oracle(case.model, case.data).at(pars)
        gradient, hessian = case.reference_derivatives(pars)
        np.testing.assert_allclose(answer.gradient, gradient, rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(answer.hessian, hessian, rtol=1e-9, atol=1e-9)


def check_likelihood(fuzzed, seen):
    model, data = fuzzed.model_and_data()
    case, oracle = Case(model, data), Oracle(model, data)
    shapes = [model.config.par_slice(name).start for name, kind in model.config.modifiers if kind == "histosys"]
    for pars in fuzzed.points(model, count=3):
        exact, found, by_pyhf = oracle.at(pars), case.at(pars), case.pyhf_nll(pars)
        # pyhf 0.7.6 departs from its documentation there, see jaxfit.likelihood.interpolation
        comparable = fuzzed.histosys != "code2" or (pars[shapes] >= -1).all()
        seen["points"] += 1
        if not np.isfinite(exact.nll):
            assert found.nll == np.inf
            assert not comparable or not np.isfinite(by_pyhf)
            continue
        seen["points, likelihood finite"] += 1
        seen["points, likelihood finite and yields negative"] += int(exact.expected.min() < 0)
        tolerance = max(1e-10 * abs(2 * exact.nll), 1e-8) + 16 * exact.nll_rounding
        assert abs(found.nll - exact.nll) <= tolerance
        assert not comparable or abs(by_pyhf - exact.nll) <= tolerance + 16 * exact.pyhf_rounding
        assert (np.abs(found.expected - exact.expected) <= 16 * exact.yield_rounding).all()

        # in units of themselves or of a standard deviation, which a slope without curvature has, too
        width = np.sqrt(np.abs(np.diag(exact.hessian)))
        scale = np.abs(exact.gradient) + width
        off = np.abs(found.gradient - exact.gradient)
        assert (off <= 1e-7 * scale + 16 * exact.gradient_rounding + 1e-60).all()
        width = np.where(width > 0, width, np.abs(exact.gradient))
        rounding = 16 * np.outer(width, exact.slope_rounding)
        scale = np.abs(exact.hessian) + np.outer(width, width)
        off = np.abs(found.hessian - exact.hessian)
        assert (off <= 1e-6 * scale + rounding + rounding.T + 16 * exact.bend_rounding + 1e-60).all()


@fuzz(workspaces(SKELETONS), short=30)
def test_likelihood(seen, fuzzed):
    """Value, gradient and Hessian: 1e-10, 1e-7 and 1e-6, and no NaN."""
    seen["workspaces compared with pyhf and the oracle"] += 1
    check_likelihood(fuzzed, seen)


@fuzz(structures(), short=2, share=20, phases=[Phase.generate])
def test_likelihood_of_any_structure(seen, fuzzed):
    """Every structure is a program of its own to compile: too slow to be shrunk."""
    seen["structures compared with pyhf and the oracle"] += 1
    check_likelihood(fuzzed, seen)


# -- fits --------------------------------------------------------------------------------------------------------------


def minuit(case, start):
    """MINUIT's minimum (strategy 2, tolerance 1e-4), with the exact gradient."""
    free, pars, last = ~case.space.fixed, start.copy(), {}
    if not free.any():
        return pars

    def at(values):
        key = tuple(values)
        if key not in last:
            pars[free] = values
            point = case.at(pars)
            last.clear()
            last[key] = 2 * point.nll if np.isfinite(point.nll) else 1e100, 2 * point.gradient[free]
        return last[key]

    first = at(start[free])[0]
    found = Minuit(lambda values: at(values)[0] - first, start[free], grad=lambda values: at(values)[1])
    found.limits = list(zip(case.space.lower[free], case.space.upper[free], strict=True))
    found.strategy, found.tol, found.errordef = 2, 1e-4, 1.0
    found.migrad(ncall=3000)
    pars[free] = np.clip(found.values, case.space.lower[free], case.space.upper[free])
    return pars


@fuzz(workspaces(FITTED), short=15)
def test_minimum(seen, fuzzed):
    """MINUIT finds nothing lower than a fit that says nothing, neither from the start point nor from the fit's."""
    model, data = fuzzed.model_and_data()
    result = jaxfit.fit(model, data, on_failure="ignore")
    seen[f"fits that say {result.status.name}"] += 1
    if not result.converged:
        return
    case, oracle = Case(model, data), Oracle(model, data)
    found = oracle.at(result.bestfit)
    assert found.expected.min() >= -1e-9  # of a bin without events; below that it says NEGATIVE_EXPECTATION
    for start in (result.bestfit + 1e-3 * (case.start - result.bestfit), case.start):
        other = oracle.at(minuit(case, start))
        if other.expected.min() < 0:
            seen["minima of MINUIT with negative yields"] += 1
            continue
        seen["minima compared with MINUIT's"] += 1
        higher = found.nll - other.nll > 1e-6 + 16 * (found.nll_rounding + other.nll_rounding)
        if higher and fuzzed.several_minima and start is case.start:
            seen["minima above another one, in models that may have several"] += 1
            continue
        assert not higher


@fuzz(workspaces(FITTED), short=15, share=10)
def test_a_result_is_the_same_after_saving_and_loading(seen, tmp_path_factory, fuzzed):
    model, data = fuzzed.model_and_data()
    result = jaxfit.fit(model, data, on_failure="ignore")
    file = tmp_path_factory.getbasetemp() / "fuzzed.json"
    result.save(file)
    seen["results saved and loaded"] += 1
    np.testing.assert_equal(asdict(jaxfit.load_results(file)), asdict(result))


# -- what must not matter ----------------------------------------------------------------------------------------------


def permuted(fuzzed):
    """Other names for channels, samples and parameters, by which pyhf sorts, and all lists in another order."""
    rng, spec = np.random.default_rng(fuzzed.seed), copy.deepcopy(fuzzed.spec)
    config = spec["measurements"][0]["config"]

    def shuffle(items):
        items[:] = [items[i] for i in rng.permutation(len(items))]

    def rename(items):
        names = sorted({item["name"] for item in items})
        new = dict(zip(names, (f"name{i}" for i in rng.permutation(len(names))), strict=True)) | {"lumi": "lumi"}
        for item in items:
            item["name"] = new[item["name"]]
        return new

    samples = [sample for channel in spec["channels"] for sample in channel["samples"]]
    rename([*spec["channels"], *spec["observations"]])
    rename(samples)
    modifiers = [modifier for sample in samples for modifier in sample["modifiers"]]
    names = rename([*modifiers, *config["parameters"]])
    config["poi"] = names[config["poi"]]
    for items in (spec["channels"], spec["observations"], *(c["samples"] for c in spec["channels"])):
        shuffle(items)
    for sample in samples:
        shuffle(sample["modifiers"])
    return replace(fuzzed, spec=spec), names


def rescaled(fuzzed, factor):
    """The signal in other units: its templates times a factor, the parameter of interest divided by it."""
    spec = copy.deepcopy(fuzzed.spec)
    config = spec["measurements"][0]["config"]
    poi = config["poi"]
    for channel in spec["channels"]:
        for sample in channel["samples"]:
            if poi not in (modifier["name"] for modifier in sample["modifiers"]):
                continue
            sample["data"] = [factor * value for value in sample["data"]]
            for modifier in sample["modifiers"]:
                assume(modifier["type"] != "staterror")  # its width would be relative to another sum
                if modifier["type"] == "histosys":
                    modifier["data"] = {k: [factor * v for v in values] for k, values in modifier["data"].items()}
                elif modifier["type"] == "shapesys":
                    modifier["data"] = [factor * value for value in modifier["data"]]
    setting = next((setting for setting in config["parameters"] if setting["name"] == poi), None)
    if setting is None:
        setting = {"name": poi, "inits": [1.0], "bounds": [[0.0, 10.0]]}
        config["parameters"].append(setting)
    setting["inits"] = [value / factor for value in setting["inits"]]
    setting["bounds"] = [[low / factor, high / factor] for low, high in setting["bounds"]]
    return replace(fuzzed, spec=spec)


def assert_same_fit(fuzzed, other, names, unit):
    """Of two workspaces whose parameters correspond, in some units."""
    first, second = (jaxfit.fit(*workspace.model_and_data(), on_failure="ignore") for workspace in (fuzzed, other))
    assert first.converged == second.converged
    if not first.converged:
        return
    assert second.best_twice_nll == pytest.approx(first.best_twice_nll, rel=1e-10, abs=1e-6)
    order = [second.labels.index(name) for name in names(first.labels)]
    scale = np.array([unit(name) for name in first.labels])
    sigma = first.uncertainty
    np.testing.assert_allclose(second.uncertainty[order] * scale, sigma, rtol=1e-3)
    apart = np.abs(second.bestfit[order] * scale - first.bestfit)
    assert (apart <= 1e-3 * np.nan_to_num(sigma, nan=np.inf) + 1e-9).all()


@fuzz(workspaces(FITTED), short=10, share=10)
def test_order_does_not_matter(seen, fuzzed):
    """Channels, samples, modifiers and parameters in another order."""
    assume(not fuzzed.several_minima)
    other, new = permuted(fuzzed)
    seen["permuted workspaces"] += 1

    def names(labels):
        return [new[label.split("[")[0]] + label[len(label.split("[")[0]) :] for label in labels]

    assert_same_fit(fuzzed, other, names, lambda name: 1.0)


@pytest.mark.parametrize("factor", [1e-8, 1e8])
@fuzz(workspaces(RESCALED), short=5, share=20)
def test_units_do_not_matter(seen, factor, fuzzed):
    """A signal of 1e-8 or 1e8 times the yields, and its strength in units of that."""
    assume(not fuzzed.several_minima)
    other, poi = rescaled(fuzzed, factor), fuzzed.spec["measurements"][0]["config"]["poi"]
    seen["rescaled workspaces"] += 1
    assert_same_fit(fuzzed, other, lambda labels: labels, lambda name: factor if name == poi else 1.0)
