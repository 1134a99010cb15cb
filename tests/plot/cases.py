"""Results by hand, of which figures are drawn."""

import numpy as np
import pyhf

from jaxfit.breakdowns import ImpactResults, RankingResults
from jaxfit.ensembles import ToyResults
from jaxfit.regions import ONE_SIGMA, FeldmanCousinsResults, IntervalResults, Scan2DResults
from jaxfit.results import FitResults, ScanResults
from jaxfit.statuses import Status
from jaxfit.verdicts import LimitResults


def scan_result(**changes):
    values = np.linspace(0.0, 2.0, 5)
    content = {
        "name": "mu", "bestfit": 1.0, "uncertainty": 0.5, "parameter_values": values,
        "delta_nlls": ((values - 1.0) / 0.5) ** 2, "statuses": (Status.OK,) * 5,
    }  # fmt: skip
    return ScanResults(**content | changes)


def model_of(name="SR"):
    signal = {"name": "signal", "data": [5.0, 9.0], "modifiers": [{"name": "mu", "type": "normfactor", "data": None}]}
    modifiers = [
        {"name": "xs", "type": "normsys", "data": {"lo": 0.9, "hi": 1.1}},
        {"name": "lumi", "type": "lumi", "data": None},
        {"name": "mc", "type": "staterror", "data": [2.0, 3.0]},
        {"name": "off", "type": "normsys", "data": {"lo": 0.9, "hi": 1.1}},
    ]
    background = {"name": "background", "data": [50.0, 60.0], "modifiers": modifiers}
    lumi = {"name": "lumi", "auxdata": [1.0], "sigmas": [0.02], "bounds": [[0.5, 1.5]], "inits": [1.0]}
    spec = {
        "channels": [{"name": name, "samples": [signal, background]}],
        "parameters": [lumi, {"name": "off", "fixed": True}],
    }
    model = pyhf.Model(spec, poi_name="mu")
    return model, [57.0, 72.0, *model.config.auxdata]


def fit_result(model, **changes):
    """A result by hand: lumi half a standard deviation up, xs strongly correlated with mu."""
    values = {"mu": 1.1, "xs": 0.3, "lumi": 1.01, "mc[0]": 1.0, "mc[1]": 1.0, "off": 0.0}
    sigmas = {"mu": 0.4, "xs": 0.9, "lumi": 0.02, "mc[0]": 0.02, "mc[1]": 0.02, "off": 0.0}
    names = model.config.par_names
    correlation = np.diag([float(sigmas[name] > 0) for name in names])
    i, j = names.index("mu"), names.index("xs")
    correlation[i, j] = correlation[j, i] = -0.6
    content = {
        "bestfit": np.array([values[name] for name in names]), "labels": names, "corr_mat": correlation,
        "uncertainty": np.array([sigmas[name] for name in names]), "best_twice_nll": 1.0,
    }  # fmt: skip
    return FitResults(**content | changes)


def scan2d_result(**changes):
    """A Gaussian likelihood with widths 0.5 and 1, and a contour by hand."""
    x, y = np.linspace(0.0, 2.0, 5), np.linspace(-2.0, 2.0, 4)
    content = {
        "names": ("mu", "xs"), "bestfit": np.array([1.0, 0.0]), "uncertainty": np.array([0.5, 1.0]),
        "correlation": 0.0, "parameter_values": (x, y), "delta_nlls": ((x[:, None] - 1) / 0.5) ** 2 + y**2,
        "confidence_levels": (0.6827, 0.95), "contours": ((np.array([[0.5, 0.0], [1.0, 1.0], [0.5, 0.0]]),), ()),
        "statuses": ((Status.OK,) * 4,) * 5,
    }  # fmt: skip
    return Scan2DResults(**content | changes)


def interval_result(**changes):
    """Of the model of ``model_of``: mu ends on its bound, and the upper end of mc[0] was not found."""
    content = {
        "labels": ["mu", "xs", "lumi", "mc[0]"], "bestfit": np.array([1.1, 0.3, 1.01, 1.0]),
        "uncertainty": np.array([0.4, 0.9, 0.02, 0.02]), "lower": np.array([0.0, -0.7, 0.99, 0.98]),
        "upper": np.array([1.6, 1.1, 1.03, np.nan]), "lower_at_bound": (True, False, False, False),
        "upper_at_bound": (False,) * 4, "confidence_level": ONE_SIGMA,
    }  # fmt: skip
    return IntervalResults(**content | changes)


def ranking_result(**changes):
    """Of the model of ``model_of``: nothing is known of mc[1], and off is fixed."""
    content = {
        "labels": ["xs", "lumi", "mc[0]", "mc[1]", "off"], "bestfit": np.array([0.3, 1.01, 1.0, 1.0, 0.0]),
        "uncertainty": np.array([0.9, 0.02, 0.02, 0.02, 0.0]), "prefit_up": np.array([-0.2, 0.1, 0.0, np.nan, 0.0]),
        "prefit_down": np.array([0.2, -0.1, 0.0, 0.0, 0.0]), "postfit_up": np.array([-0.1, 0.3, 0.0, 0.0, 0.0]),
        "postfit_down": np.array([0.1, -0.1, 0.0, 0.0, 0.0]), "name": "mu",
    }  # fmt: skip
    return RankingResults(**content | changes)


def impact_result(**changes):
    content = {
        "name": "mu", "value": 1.1, "sigma": 0.5, "labels": ["xs", "lumi", "mc[0]"],
        "bestfit": np.array([0.3, 1.01, 1.0]), "uncertainty": np.array([0.9, 0.02, 0.02]),
        "prefit": np.array([-0.2, 0.4, 0.0]), "postfit": np.array([-0.1, 0.3, np.nan]),
        "global_shifts": np.array([-0.1, 0.3, 0.0]), "groups": {"systematic": ("xs", "lumi", "mc[0]")},
        "global_parts": {"systematic": 0.3, "statistical": 0.4}, "conditional_parts": {},
    }  # fmt: skip
    return ImpactResults(**content | changes)


def limit_result():
    values = np.array([0.5, 1.0, 2.0])
    expected = np.array([0.5, 0.1, 0.01])[:, None] * np.linspace(0.8, 1.2, 5)
    return LimitResults(1.3, np.linspace(1.1, 1.5, 5), np.array([0.4, 0.1, 0.01]), expected, values, 0.95, name="mu$")


def toy_result(n=400, **changes):
    """Drawn by hand: mu has a bias of one standard deviation and too large pulls, xs is as it should be."""
    rng = np.random.default_rng(1)
    bestfit = np.column_stack([1.5 + rng.normal(0.0, 1.0, n), rng.normal(0.0, 1.0, n), np.ones(n)])
    content = {
        "labels": ["mu", "xs", "lumi"], "truth": np.array([1.0, 0.0, 1.0]), "bestfit": bestfit,
        "uncertainty": np.tile([0.5, 1.0, 0.0], (n, 1)), "best_twice_nll": np.full(n, 10.0), "edm": np.zeros(n),
        "iterations": np.full(n, 4), "status": np.zeros(n, dtype=int), "poi": "mu", "poi_values": np.array([1.0, 2.0]),
        "poi_twice_nll": 10.0 + np.column_stack([bestfit[:, 1] ** 2, np.full(n, 2.5)]),
        "poi_status": np.zeros((n, 2), dtype=int), "seed": 1, "aux": "sampled", "bootstrap": False,
        "model_digest": "", "versions": {},
    }  # fmt: skip
    return ToyResults(**content | changes)


def belt_result(**changes):
    """90 % intervals of mu."""
    values = np.linspace(0.0, 2.0, 5)
    content = {
        "names": ("mu",), "bestfit": np.array([0.5]), "parameter_values": (values,),
        "statistic": np.array([0.5, 0.0, 0.5, 2.0, 4.0]), "critical_values": np.linspace(1.6, 2.7, 5),
        "p_values": np.array([0.4, 1.0, 0.6, 0.15, 0.05]), "p_values_error": np.full(5, 0.02),
        "confidence_level": 0.9, "ntoys": 500, "ntoys_used": np.full(5, 500.0), "left_out": {}, "status": Status.OK,
        "statuses": (Status.OK,) * 5,
    }  # fmt: skip
    return FeldmanCousinsResults(**content | changes)


def region_result(**changes):
    """Of mu and xs, with p-values that fall with mu alone."""
    p_values = np.repeat([[1.0], [0.5], [0.2], [0.0]], 3, axis=1)
    content = {
        "names": ("mu", "xs"), "bestfit": np.array([0.5, 0.0]),
        "parameter_values": (np.linspace(0.0, 3.0, 4), np.linspace(-1.0, 1.0, 3)), "statistic": np.zeros((4, 3)),
        "critical_values": np.ones((4, 3)), "p_values": p_values, "p_values_error": np.zeros((4, 3)),
        "ntoys_used": np.full((4, 3), 500.0), "statuses": (Status.OK,) * 12,
    }  # fmt: skip
    return belt_result(**content | changes)
