"""The registry of small models: every modifier and every trait that a HistFactory model can have.

``WORKSPACES`` maps a name to a pyhf workspace of one to three channels with one to four bins each. A test that is
parametrised over it runs on whatever is added here.
"""

from functools import cache
from itertools import product
from typing import Any

import numpy as np
import pyhf

__all__ = ["CODES", "WORKSPACES", "model_and_data"]

Spec = dict[str, Any]

# normsys x histosys: all that pyhf offers
CODES = tuple(product(("code1", "code4"), ("code0", "code2", "code4p")))


@cache
def model_and_data(name: str, normsys: str = "code4", histosys: str = "code4p") -> tuple[pyhf.Model, list[float]]:
    """A model of the registry and its data, built once a session."""
    workspace = pyhf.Workspace(WORKSPACES[name])
    settings = {"normsys": {"interpcode": normsys}, "histosys": {"interpcode": histosys}}
    model = workspace.model(modifier_settings=settings)
    return model, workspace.data(model)


# -- building blocks --------------------------------------------------------------------------------------------------


def _sample(name: str, data: list[float], *modifiers: Spec) -> Spec:
    return {"name": name, "data": data, "modifiers": list(modifiers)}


def _modifier(kind: str, name: str, data: Any = None) -> Spec:
    return {"type": kind, "name": name, "data": data}


def _normfactor(name: str = "mu") -> Spec:
    return _modifier("normfactor", name)


def _normsys(name: str, hi: float, lo: float) -> Spec:
    return _modifier("normsys", name, {"hi": hi, "lo": lo})


def _histosys(name: str, hi: list[float], lo: list[float]) -> Spec:
    return _modifier("histosys", name, {"hi_data": hi, "lo_data": lo})


def _workspace(
    channels: dict[str, list[Spec]],
    *,
    seed: int = 1,
    observed: dict[str, list[float]] | None = None,
    poi: str = "mu",
    parameters: list[Spec] | None = None,
) -> Spec:
    """Observed events are drawn from the sum of the samples unless they are given."""
    rng = np.random.default_rng(seed)
    drawn = {
        name: rng.poisson(np.maximum(np.sum([sample["data"] for sample in samples], axis=0), 0.0))
        .astype(float)
        .tolist()
        for name, samples in channels.items()
    }
    return {
        "channels": [{"name": name, "samples": samples} for name, samples in channels.items()],
        "observations": [{"name": name, "data": (observed or drawn)[name]} for name in channels],
        "measurements": [{"name": "fit", "config": {"poi": poi, "parameters": parameters or []}}],
        "version": "1.0.0",
    }


# -- one modifier each ------------------------------------------------------------------------------------------------


def _no_nuisance() -> Spec:
    return _workspace({"SR": [_sample("signal", [5.0, 12.0], _normfactor()), _sample("background", [50.0, 60.0])]})


def _two_normfactors() -> Spec:
    """Two on one sample; a second channel tells them apart."""
    background = _normsys("tilt", 1.1, 0.92)
    return _workspace(
        {
            "SR": [
                _sample("signal", [8.0, 20.0], _normfactor(), _normfactor("acceptance")),
                _sample("background", [50.0, 40.0], background),
            ],
            "CR": [
                _sample("signal", [90.0], _normfactor("acceptance")),
                _sample("background", [30.0], background),
            ],
        },
        seed=2,
        parameters=[{"name": "acceptance", "inits": [1.1], "bounds": [[0.0, 5.0]]}],
    )


def _normsys_model() -> Spec:
    """Asymmetric, one-sided in its effect, and opposite in two samples."""
    return _workspace(
        {
            "SR": [
                _sample("signal", [12.0, 9.0, 4.0], _normfactor(), _normsys("scale", 1.15, 0.9)),
                _sample("top", [40.0, 35.0, 30.0], _normsys("scale", 0.93, 1.04), _normsys("xsec", 1.2, 0.75)),
                _sample("fakes", [6.0, 8.0, 10.0], _normsys("fakes", 1.3, 1.1)),
            ]
        },
        seed=3,
    )


def _histosys_model() -> Spec:
    return _workspace(
        {
            "SR": [
                _sample("signal", [10.0, 14.0], _normfactor(), _histosys("jes", [11.0, 13.0], [9.5, 15.5])),
                _sample(
                    "background",
                    [55.0, 45.0],
                    _histosys("jes", [60.0, 44.0], [52.0, 47.0]),
                    _histosys("jer", [57.0, 44.0], [56.0, 46.5]),
                ),
            ]
        },
        seed=4,
    )


def _norm_plus_shape() -> Spec:
    """normsys and histosys of one name, as cabinetry's NormPlusShape; two such pairs on one sample."""
    return _workspace(
        {
            "SR": [
                _sample(
                    "signal",
                    [10.0, 20.0, 15.0],
                    _normfactor(),
                    _normsys("jes", 1.08, 0.9),
                    _histosys("jes", [9.0, 21.0, 16.0], [11.5, 19.0, 14.0]),
                    _normsys("shower", 0.95, 1.07),
                    _histosys("shower", [10.5, 19.0, 15.0], [9.0, 21.5, 15.5]),
                ),
                _sample(
                    "background",
                    [60.0, 40.0, 30.0],
                    _normsys("jes", 1.05, 0.97),
                    _histosys("jes", [63.0, 39.0, 28.0], [58.0, 41.0, 31.5]),
                ),
            ]
        },
        seed=5,
    )


def _lumi() -> Spec:
    lumi = _modifier("lumi", "lumi")
    return _workspace(
        {
            "SR": [
                _sample("signal", [10.0, 25.0], _normfactor(), lumi),
                _sample("background", [80.0, 70.0], lumi, _normsys("xsec", 1.05, 0.95)),
                _sample("fakes", [5.0, 3.0]),
            ]
        },
        seed=6,
        parameters=[
            {"name": "lumi", "auxdata": [1.02], "sigmas": [0.017], "inits": [1.0], "bounds": [[0.5, 1.5]]},
        ],
    )


def _shapesys() -> Spec:
    return _workspace(
        {
            "SR": [
                _sample("signal", [12.0, 11.0], _normfactor()),
                _sample("background", [50.0, 52.0], _modifier("shapesys", "uncorrelated", [3.0, 7.0])),
            ]
        },
        seed=7,
    )


def _staterror() -> Spec:
    """On all samples: one gamma scales the whole bin."""
    return _workspace(
        {
            "SR": [
                _sample("signal", [9.0, 14.0, 5.0], _normfactor(), _modifier("staterror", "stat_SR", [0.6, 0.8, 0.5])),
                _sample(
                    "background",
                    [40.0, 30.0, 20.0],
                    _normsys("xsec", 1.1, 0.9),
                    _modifier("staterror", "stat_SR", [4.0, 2.5, 3.0]),
                ),
            ]
        },
        seed=8,
    )


def _staterror_some() -> Spec:
    """On some of the samples."""
    return _workspace(
        {
            "SR": [
                _sample("signal", [9.0, 14.0], _normfactor(), _normsys("scale", 1.1, 0.95)),
                _sample("background", [40.0, 30.0], _modifier("staterror", "stat_SR", [4.0, 2.5])),
                _sample(
                    "fakes", [10.0, 6.0], _modifier("staterror", "stat_SR", [2.0, 1.5]), _normsys("scale", 0.9, 1.2)
                ),
            ]
        },
        seed=9,
    )


def _shapefactor() -> Spec:
    """In one channel: free and bin-wise. A control region leaves mu determined."""
    return _workspace(
        {
            "SR": [
                _sample("signal", [10.0, 12.0], _normfactor()),
                _sample("background", [50.0, 45.0], _modifier("shapefactor", "free")),
            ],
            "CR": [_sample("signal", [60.0], _normfactor(), _normsys("scale", 1.05, 0.96))],
        },
        seed=10,
    )


# -- several in one bin, several channels -----------------------------------------------------------------------------


def _several_gammas() -> Spec:
    """staterror on all samples and a shapesys on each of two: three gammas in every bin."""
    return _workspace(
        {
            "SR": [
                _sample("signal", [12.0, 9.0], _normfactor(), _modifier("staterror", "stat_SR", [1.0, 0.8])),
                _sample(
                    "top",
                    [40.0, 30.0],
                    _modifier("staterror", "stat_SR", [3.0, 2.0]),
                    _modifier("shapesys", "model_top", [4.0, 5.0]),
                    _normsys("xsec", 1.08, 0.94),
                ),
                _sample(
                    "fakes",
                    [10.0, 20.0],
                    _modifier("staterror", "stat_SR", [1.5, 2.5]),
                    _modifier("shapesys", "model_fakes", [3.0, 6.0]),
                ),
            ]
        },
        seed=11,
    )


def _shapefactor_shared() -> Spec:
    """One shapefactor in two channels (global parameters), times staterror gammas of its own in every bin."""
    free = _modifier("shapefactor", "shape")
    return _workspace(
        {
            "SR": [
                _sample("signal", [12.0, 18.0], _normfactor(), _modifier("staterror", "stat_SR", [1.0, 1.2])),
                _sample("fakes", [30.0, 25.0], free, _modifier("staterror", "stat_SR", [2.0, 2.2])),
            ],
            "CR": [
                _sample("fakes", [100.0, 80.0], free, _normfactor("transfer")),
                _sample("top", [15.0, 10.0], _normsys("xsec", 1.1, 0.9)),
            ],
            "VR": [_sample("fakes", [50.0, 40.0], free, _normfactor("transfer")), _sample("top", [220.0, 200.0])],
        },
        seed=12,
        parameters=[{"name": "transfer", "fixed": True}],
    )


def _shared_parameters() -> Spec:
    """normfactors and systematics of several channels; a pair whose two halves sit in different channels."""
    return _workspace(
        {
            "SR": [
                _sample("signal", [10.0, 15.0], _normfactor(), _normsys("jes", 1.05, 0.93)),
                _sample("top", [30.0, 20.0], _normfactor("k_top"), _histosys("jes", [32.0, 19.0], [27.0, 20.5])),
            ],
            "CR": [
                _sample("top", [200.0, 150.0], _normfactor("k_top"), _normsys("jes", 1.02, 0.99)),
                _sample("fakes", [20.0, 25.0], _histosys("fakes", [25.0, 22.0], [16.0, 27.0])),
            ],
        },
        seed=13,
    )


def _unequal_channels() -> Spec:
    """Channels of 4, 1 and 3 bins, not in alphabetical order, with different numbers of samples."""
    jes = _normsys("jes", 1.06, 0.95)
    return _workspace(
        {
            "SR": [
                _sample("signal", [4.0, 8.0, 12.0, 6.0], _normfactor(), _modifier("staterror", "stat_SR", [0.4] * 4)),
                _sample("top", [30.0, 25.0, 20.0, 15.0], jes, _modifier("staterror", "stat_SR", [2.0, 1.8, 1.5, 1.2])),
                _sample("fakes", [5.0, 4.0, 3.0, 2.0], _histosys("shape", [6.0, 5.0, 3.0, 1.0], [4.5, 3.0, 2.5, 3.0])),
            ],
            "CR": [_sample("top", [150.0], jes)],
            "BR": [
                _sample("top", [60.0, 50.0, 40.0], jes, _modifier("shapesys", "model_BR", [5.0, 4.0, 3.0])),
                _sample("signal", [2.0, 3.0, 4.0], _normfactor()),
            ],
        },
        seed=14,
    )


def _staterror_one_name() -> Spec:
    """One staterror for two channels of different length: its gammas are still bin-wise."""
    return _workspace(
        {
            "SR": [
                _sample("signal", [9.0, 14.0, 20.0], _normfactor(), _modifier("staterror", "stat", [0.6, 0.8, 0.9])),
                _sample("background", [40.0, 30.0, 25.0], _modifier("staterror", "stat", [4.0, 2.5, 2.0])),
            ],
            "CR": [
                _sample("background", [100.0, 90.0], _modifier("staterror", "stat", [5.0, 7.0])),
                _sample("signal", [3.0, 2.0], _normfactor(), _modifier("staterror", "stat", [0.3, 0.2])),
            ],
        },
        seed=15,
    )


def _configured() -> Spec:
    """Fixed parameters, start values, bounds, auxiliary data and sigmas from the measurement."""
    return _workspace(
        {
            "SR": [
                _sample("signal", [10.0, 15.0], _normfactor(), _normsys("scale", 1.1, 0.88), _modifier("lumi", "lumi")),
                _sample(
                    "background",
                    [40.0, 30.0],
                    _normsys("xsec", 1.07, 0.93),
                    _histosys("tilt", [43.0, 28.0], [38.0, 33.0]),
                    _modifier("staterror", "stat_SR", [2.0, 1.8]),
                ),
            ]
        },
        seed=16,
        parameters=[
            {"name": "mu", "inits": [0.7], "bounds": [[-2.0, 6.0]]},
            {"name": "scale", "auxdata": [0.4], "inits": [0.2], "bounds": [[-3.0, 3.0]]},
            {"name": "xsec", "inits": [0.5], "fixed": True},
            {"name": "tilt", "bounds": [[-1.5, 2.5]]},
            {"name": "lumi", "auxdata": [1.0], "sigmas": [0.03], "inits": [1.0], "bounds": [[0.8, 1.2]], "fixed": True},
            {
                "name": "stat_SR",
                "auxdata": [1.02, 0.97],
                "sigmas": [0.06, 0.05],
                "inits": [1.0, 0.99],
                "bounds": [[0.5, 2.0], [0.4, 3.0]],
            },
        ],
    )


# -- traits of the numbers --------------------------------------------------------------------------------------------


def _zero_uncertainty() -> Spec:
    """A shapesys without uncertainty, and one without yield, in a bin: pyhf fixes those gammas."""
    return _workspace(
        {
            "SR": [
                _sample("signal", [12.0, 11.0, 7.0], _normfactor()),
                _sample("top", [50.0, 52.0, 0.0], _modifier("shapesys", "model_top", [3.0, 0.0, 2.0])),
                _sample("fakes", [4.0, 5.0, 6.0], _normsys("fakes", 1.2, 0.8)),
            ]
        },
        seed=17,
    )


def _empty_bin() -> Spec:
    """A bin where nothing is expected, whatever the parameters, and nothing observed."""
    return _workspace(
        {
            "SR": [
                _sample("signal", [12.0, 0.0, 7.0], _normfactor(), _modifier("staterror", "stat_SR", [0.9, 0.0, 0.7])),
                _sample(
                    "background",
                    [50.0, 0.0, 30.0],
                    _histosys("tilt", [53.0, 0.0, 28.0], [46.0, 0.0, 31.0]),
                    _modifier("staterror", "stat_SR", [3.0, 0.0, 2.0]),
                ),
            ]
        },
        observed={"SR": [66.0, 0.0, 35.0]},
    )


def _zero_observed() -> Spec:
    return _workspace(
        {
            "SR": [
                _sample("signal", [2.0, 6.0], _normfactor(), _modifier("staterror", "stat_SR", [0.2, 0.3])),
                _sample(
                    "background",
                    [1.5, 20.0],
                    _normsys("xsec", 1.2, 0.85),
                    _modifier("staterror", "stat_SR", [0.3, 1.0]),
                    _modifier("shapesys", "model", [0.4, 3.0]),
                ),
            ]
        },
        observed={"SR": [0.0, 24.0]},
    )


def _fractional() -> Spec:
    """Asimov data are no whole numbers; the first bin expects less than one event."""
    return _workspace(
        {
            "SR": [
                _sample("signal", [0.03, 1.7], _normfactor(), _normsys("scale", 1.1, 0.9)),
                _sample("background", [0.21, 10.9], _modifier("shapesys", "model", [0.07, 1.3])),
            ]
        },
        observed={"SR": [0.24, 12.6]},
    )


def _gammas_only() -> Spec:
    """Nothing but bin-wise parameters, and no parameter of interest."""
    return _workspace(
        {
            "SR": [
                _sample("top", [20.0, 30.0], _modifier("staterror", "stat_SR", [2.0, 4.0])),
                _sample("fakes", [5.0, 10.0], _modifier("shapesys", "model", [1.0, 3.0])),
            ]
        },
        seed=18,
        poi="",
    )


def _large_counts() -> Spec:
    return _workspace(
        {
            "SR": [
                _sample("signal", [2.0e4, 5.0e4], _normfactor(), _normsys("scale", 1.02, 0.985)),
                _sample(
                    "background",
                    [1.0e6, 2.0e6],
                    _histosys("tilt", [1.004e6, 1.99e6], [0.997e6, 2.007e6]),
                    _modifier("staterror", "stat_SR", [2.0e3, 3.0e3]),
                ),
            ]
        },
        seed=19,
    )


def _huge_tau() -> Spec:
    """A shapesys so small that its auxiliary measurement counts 1e11 events."""
    return _workspace(
        {
            "SR": [
                _sample("signal", [6.0, 9.0], _normfactor()),
                _sample("background", [50.0, 40.0], _modifier("shapesys", "model", [1.6e-4, 4.0])),
            ]
        },
        seed=20,
    )


def _negative_template() -> Spec:
    """An interference term: a sample with negative yields."""
    return _workspace(
        {
            "SR": [
                _sample("signal", [20.0, 25.0], _normfactor(), _normsys("scale", 1.1, 0.93)),
                _sample("interference", [-3.0, 2.0], _normfactor(), _histosys("tilt", [-4.0, 2.5], [-2.5, 1.0])),
                _sample("background", [60.0, 50.0], _modifier("staterror", "stat_SR", [3.0, 2.0])),
            ]
        },
        seed=21,
    )


def _everything() -> Spec:
    """All modifiers in one model of three channels."""
    lumi, free = _modifier("lumi", "lumi"), _modifier("shapefactor", "shape")
    return _workspace(
        {
            "SR": [
                _sample(
                    "signal",
                    [8.0, 12.0, 10.0],
                    _normfactor(),
                    _normfactor("acceptance"),
                    lumi,
                    _normsys("jes", 1.07, 0.95),
                    _histosys("jes", [7.5, 12.5, 11.0], [8.8, 11.0, 9.5]),
                    _modifier("staterror", "stat_SR", [0.8, 1.0, 0.9]),
                ),
                _sample(
                    "top",
                    [40.0, 30.0, 20.0],
                    lumi,
                    _normsys("xsec", 1.1, 0.92),
                    _modifier("shapesys", "model_top", [3.0, 0.0, 2.5]),
                    _modifier("staterror", "stat_SR", [2.0, 1.5, 1.8]),
                ),
                _sample("fakes", [15.0, 20.0, 25.0], free, _modifier("staterror", "stat_SR", [1.0, 1.2, 1.5])),
            ],
            "CR": [
                _sample("fakes", [90.0, 120.0, 140.0], free, _modifier("shapesys", "model_fakes", [9.0, 8.0, 7.0])),
                _sample("top", [10.0, 9.0, 8.0], lumi, _normsys("xsec", 1.1, 0.92), _normsys("jes", 1.03, 0.96)),
            ],
            "AR": [
                _sample("signal", [200.0], _normfactor("acceptance"), lumi),
                _sample("top", [50.0], lumi, _normsys("xsec", 1.1, 0.92), _modifier("shapefactor", "free_AR")),
            ],
        },
        seed=22,
        parameters=[
            {"name": "lumi", "auxdata": [1.0], "sigmas": [0.02], "inits": [1.0], "bounds": [[0.9, 1.1]]},
            {"name": "acceptance", "inits": [0.95], "bounds": [[0.0, 3.0]]},
            {"name": "free_AR", "inits": [1.0], "fixed": True},
        ],
    )


WORKSPACES: dict[str, Spec] = {
    "no_nuisance": _no_nuisance(),
    "two_normfactors": _two_normfactors(),
    "normsys": _normsys_model(),
    "histosys": _histosys_model(),
    "norm_plus_shape": _norm_plus_shape(),
    "lumi": _lumi(),
    "shapesys": _shapesys(),
    "staterror": _staterror(),
    "staterror_some": _staterror_some(),
    "shapefactor": _shapefactor(),
    "several_gammas": _several_gammas(),
    "shapefactor_shared": _shapefactor_shared(),
    "shared_parameters": _shared_parameters(),
    "unequal_channels": _unequal_channels(),
    "staterror_one_name": _staterror_one_name(),
    "configured": _configured(),
    "zero_uncertainty": _zero_uncertainty(),
    "empty_bin": _empty_bin(),
    "zero_observed": _zero_observed(),
    "fractional": _fractional(),
    "gammas_only": _gammas_only(),
    "large_counts": _large_counts(),
    "huge_tau": _huge_tau(),
    "negative_template": _negative_template(),
    "everything": _everything(),
}
