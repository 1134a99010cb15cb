"""The search for further minima, and what lets a fit doubt that it has found the lowest."""

import numpy as np
import pyhf
import pytest
from one_channel import SIGNAL, histosys, model_of, spec_of

import jaxfit
from jaxfit import FitWarning, Status, workspaces
from jaxfit.inference import explorations
from jaxfit.likelihood import same_sided


@pytest.fixture(scope="module")
def twins():
    """Two minima of one depth, h = +-a, and a maximum between them, where the fit starts."""
    return model_of([0.5], [50.0], [80.0], histosys("h", [80.0], [80.0]), parameters=[{"name": "mu", "fixed": True}])


def sample(name, nominal, *modifiers):
    return {"name": name, "data": nominal, "modifiers": list(modifiers)}


def both(name, hi, lo, up, down):
    """A systematic with a variation of the yield and one of the shape."""
    return [{"type": "normsys", "name": name, "data": {"hi": hi, "lo": lo}}, histosys(name, down, up)]


def spec_with(samples, observed):
    """One channel with these samples."""
    return {
        "channels": [{"name": "SR", "samples": samples}],
        "observations": [{"name": "SR", "data": observed}],
        "measurements": [{"name": "fit", "config": {"poi": "mu", "parameters": []}}],
        "version": "1.0.0",
    }


def test_two_equal_minima_are_flagged(twins):
    model, data = twins
    with pytest.warns(FitWarning, match="MULTIPLE_MINIMA: another minimum is as good"):
        result = jaxfit.fit(model, data)
    assert result.status == Status.MULTIPLE_MINIMA
    assert abs(result.bestfit[result.labels.index("h")]) > 0.5
    assert any("'h'" in text for text in result.warnings)


@pytest.mark.parametrize("start", [-1.0, 0.0, 1.0])
def test_the_lower_of_two_minima_is_found_from_anywhere(start):
    """52 up and 100 down at one standard deviation, 100 observed: only h = -1 explains it."""
    model, data = model_of([0.5], [50.0], [100.0], histosys("h", [100.0], [52.0]),
                           parameters=[{"name": "mu", "fixed": True}])  # fmt: skip
    result = jaxfit.fit(model, data, init_pars={"h": start})
    assert result.status == Status.OK
    scanned = [-model.logpdf([h if name == "h" else 1.0 for name in result.labels], data)[0]
               for h in np.linspace(-5, 5, 2001)]  # fmt: skip
    assert 0.5 * result.best_twice_nll <= min(scanned) + 1e-9
    assert result.bestfit[result.labels.index("h")] < -0.5


@pytest.mark.parametrize("start", [-0.5, 0.0, 0.5])
def test_the_lower_side_of_a_ridge_is_found_from_anywhere(start):
    """At the kink of code 0 the way down is steeper to the left, and goes deeper to the right."""
    shape, fixed = histosys("h", [1011.0, 970.0], [1010.0, 1005.0]), [{"name": "mu", "fixed": True}]
    workspace = pyhf.Workspace(spec_of([0.5, 0.5], [1000.0, 1000.0], [1100.0, 1000.0], shape, parameters=fixed))
    model = workspace.model(modifier_settings={"normsys": {"interpcode": "code1"}, "histosys": {"interpcode": "code0"}})
    data = workspace.data(model)
    result = jaxfit.fit(model, data, init_pars={"h": start})
    assert result.status == Status.OK
    assert not same_sided(model).any()
    scanned = [-model.logpdf([h if name == "h" else 1.0 for name in result.labels], data)[0]
               for h in np.linspace(-2, 2, 2001)]  # fmt: skip
    assert 0.5 * result.best_twice_nll <= min(scanned) + 1e-9
    assert result.bestfit[result.labels.index("h")] > 0.1


def test_a_valley_beside_a_minimum_at_a_kink_is_found():
    """MINUIT goes from jes = 0 over a ridge of 0.004 to a minimum 0.22 lower."""
    signal = sample(
        "signal", [50000.0, 75000.0, 24218.75], {"type": "normfactor", "name": "mu", "data": None},
        *both("jes", 1.284, 0.7788, [37500.0, 56250.0, 30273.4375], [58593.75, 89941.40625, 20434.5703125]),
        *both("shower", 0.7788, 1.284, [62500.0, 56250.0, 18164.0625], [43750.0, 89648.4375, 30651.85546875]),
    )  # fmt: skip
    background = sample("background", [100000.0, 100000.0, 75000.0],
                        *both("jes", 1.284, 0.852, [75000.0, 118750.0, 65625.0],
                              [115625.0, 87500.0, 84667.96875]))  # fmt: skip
    workspace = pyhf.Workspace(spec_with([signal, background], [150000.0, 175837.0, 99219.0]))
    model = workspace.model(modifier_settings={"normsys": {"interpcode": "code1"}, "histosys": {"interpcode": "code0"}})
    data = workspace.data(model)
    result = jaxfit.fit(model, data)
    assert result.converged
    assert result.bestfit[result.labels.index("jes")] < -0.3
    on_kink = jaxfit.fit(model, data, fix_pars={"jes": 0.0})
    assert result.best_twice_nll < on_kink.best_twice_nll - 0.4


def test_a_parameter_looser_than_its_constraint_is_explored():
    """Two minima 0.003 apart in 2 NLL, none of the variations same-sided: the uncertainty of shower tells, 1.4."""
    signal = sample(
        "signal", [25.0, 100.0, 100.0], {"type": "normfactor", "name": "mu", "data": None},
        *both("jes", 1.284, 0.7788, [31.25, 75.0, 112.5], [18.75, 112.5, 87.5]),
        *both("shower", 0.7788, 1.284, [31.25, 71.875, 71.875], [18.75, 109.375, 118.75]),
    )  # fmt: skip
    background = sample("background", [100.0, 100.0, 75.0],
                        *both("jes", 0.7788, 1.284, [87.5, 112.5, 56.25], [125.0, 87.5, 84.375]))  # fmt: skip
    workspace = pyhf.Workspace(spec_with([signal, background], [125.0, 186.0, 175.0]))
    model = workspace.model(modifier_settings={
        "normsys": {"interpcode": "code4"}, "histosys": {"interpcode": "code4p"}
    })  # fmt: skip
    data = workspace.data(model)
    assert not explorations.several_minima(model)
    result = jaxfit.fit(model, data, on_failure="ignore")
    assert result.status == Status.MULTIPLE_MINIMA
    assert result.bestfit[result.labels.index("shower")] > 0.3
    left = jaxfit.fit(model, data, par_bounds={"shower": (-5.0, 0.0)}, on_failure="ignore")
    assert 0 < left.best_twice_nll - result.best_twice_nll < 0.01
    sigma = left.uncertainty[result.labels.index("shower")]
    assert sigma > 1.3


# -- doubts about one minimum ------------------------------------------------------------------------------------------


def test_beyond_a_bound_without_curvature_there_may_be_a_lower_minimum():
    """The first step leads to mu = 0, where shower has no effect; at mu = 0.7 2 NLL is 26 lower."""
    signal = sample(
        "signal", [1000.0, 1.0, 1250.0], SIGNAL,
        *both("jes", 0.7788, 1.284, [750.0, 0.75, 937.5], [1250.0, 1.25, 1562.5]),
        *both("shower", 0.7788, 1.284, [-1000.0, 0.75, 937.5], [3000.0, 1.25, 1562.5]),
    )  # fmt: skip
    background = sample("background", [1000.0, 1.0, 10000.0],
                        *both("jes", 0.7788, 1.284, [750.0, 0.75, 7500.0], [1250.0, 1.25, 12500.0]))  # fmt: skip
    model, data = workspaces.model_and_data(spec_with([signal, background], [2000.0, 2.0, 22500.0]))
    result = jaxfit.fit(model, data)
    assert result.status == Status.OK
    assert result.bestfit[result.labels.index("mu")] == pytest.approx(0.736, abs=1e-3)
    on_bound = jaxfit.fit(model, data, fix_pars={"mu": 0.0})
    assert result.best_twice_nll == pytest.approx(on_bound.best_twice_nll - 25.7, abs=0.1)


def test_another_minimum_beyond_a_bound_is_flagged():
    """Nothing is observed in a bin: either its gamma is 0, or there is no signal."""

    def stat(*errors):
        return {"name": "stat", "type": "staterror", "data": list(errors)}

    xsec = {"name": "xsec", "type": "normsys", "data": {"hi": 0.912, "lo": 1.327}}
    shape = {"name": "model", "type": "shapesys", "data": [2.24, 0.08]}
    samples = [
        sample("signal", [9.8, 6.4], stat(0.86, 1.62), SIGNAL),
        sample("top", [1.0, 5.5], stat(1.0, 2.87), xsec),
        sample("fakes", [3.5, 5.4], stat(3.06, 0.4), shape),
    ]
    model, data = workspaces.model_and_data(spec_with(samples, [0.0, 30.0]))
    result = jaxfit.fit(model, data, on_failure="ignore")
    assert result.status == Status.MULTIPLE_MINIMA


def test_far_from_the_data_there_may_be_a_lower_minimum():
    """Nothing is observed where thousands are expected: short steps lead to a minimum that is 20.8 lower in 2 NLL."""
    mu, top = ({"name": name, "type": "normfactor", "data": None} for name in ("mu", "k_top"))
    signal_jes = {"name": "jes", "type": "normsys", "data": {"hi": 0.7408, "lo": 1.054}}
    top_jes = {"name": "jes", "type": "normsys", "data": {"hi": 1.338, "lo": 0.9273}}
    spec = spec_with(
        [
            sample("signal", [10.0, 5.559], mu, signal_jes),
            sample("top", [3.0, 9.04], top, histosys("jes", [3.787, 9.56], [2.647, 7.216])),
        ],
        [44.29, 37.46],
    )
    control = [
        sample("top", [7900.0, 6101.0], top_jes, top),
        sample("fakes", [3000.0, 2149.0], histosys("fakes", [3838.0, 2794.0], [2250.0, 1734.0])),
    ]
    spec["channels"].append({"name": "CR", "samples": control})
    spec["observations"].append({"name": "CR", "data": [11100.0, 0.0]})
    spec["measurements"][0]["config"]["parameters"] = [
        {"name": "fakes", "auxdata": [0.2305], "inits": [-0.4668], "bounds": [[-3.149, 5.648]]},
        {"name": "jes", "auxdata": [-1.5], "inits": [-0.5445], "bounds": [[-1.973, 6.0]]},
        {"name": "mu", "inits": [1.97], "bounds": [[0.05, 16.89]]},
    ]
    model, data = workspaces.model_and_data(spec)
    result = jaxfit.fit(model, data)
    assert result.status == Status.OK
    assert result.bestfit[result.labels.index("fakes")] == pytest.approx(-0.31, abs=0.02)
