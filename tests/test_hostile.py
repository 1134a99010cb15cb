"""The hostile cases of ../shared/hostile, each answered as its INDEX.md wants it: refused, fitted or flagged."""

import json
import warnings
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyhf
import pytest
from click.testing import CliRunner
from scipy.special import gammaln

import jaxfit
from jaxfit import Status, cli, workspaces
from jaxfit.likelihood import checked_data

FOLDER = Path(__file__).resolve().parents[2] / "shared" / "hostile"
pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason="there is no ../shared/hostile beside the repository")


@dataclass(frozen=True)
class Case:
    """A hostile case.

    Attributes:
        expect: "FIT", "FLAG" or "REFUSE".
        workspace: the workspace.
        data: in place of the observed and auxiliary data, if the case has any.
        fit: keyword arguments of the fit.
        settings: ``modifier_settings`` of the model, pyhf's own if the case has none.
        measurement: name of the measurement, None for the first.
    """

    expect: str
    workspace: dict[str, Any]
    data: list[float] | None = None
    fit: dict[str, Any] = field(default_factory=dict)
    settings: dict[str, Any] | None = None
    measurement: str | None = None

    def model_and_data(self) -> tuple[pyhf.Model, list[float]]:
        """The model as pyhf makes it."""
        workspace = pyhf.Workspace(self.workspace)
        options = {} if self.settings is None else {"modifier_settings": self.settings}
        model = workspace.model(measurement_name=self.measurement, **options)
        return model, self.data or workspace.data(model)


@cache
def case(name: str) -> Case:
    content = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    given = content.get("fit", {})
    fit = {"init_pars": given.get("init_pars") or given["init_by_name"]} if given else {}
    return Case(
        content["expect"], content["workspace"], content.get("data"), fit,
        content.get("modifier_settings"), content.get("measurement"),
    )  # fmt: skip


# -- refused -----------------------------------------------------------------------------------------------------------

SAMPLE = "channel 'SR', sample 'background'"
BIN = "observation of channel 'SR', data[0]"
DATUM = "data: channel 'SR' bin 0 is"
LENGTH = "data: expected 3 entries (2 bins and 1 auxiliary data), found"
NEGATIVE = "channel 'SR' bin 1: -1 events are expected at the start values"
NOT_POSITIVE = f"{SAMPLE}, modifier 'a' (normsys), lo: {{}} is not above 0"
OUTSIDE = "parameter 'mu': start value {} is outside its bounds {}"
FINITE = "expected finite number, found"
OF_NO_PARAMETER = "unknown parameter 'muu' (did you mean 'mu'?"
# A part of what is said of the workspace read from a file, None if it is in order, and of the model that pyhf makes of
# it: the exception if pyhf makes none, None if nothing is to be seen there.
REFUSED: dict[str, tuple[str | None, str | type[Exception] | None]] = {
    "bounds_default_init_outside": (OUTSIDE.format(1, "[2, 5]"), OUTSIDE.format(1, "[2, 5]")),
    "bounds_wrong_arity": ("bounds[0]: 3 numbers, expected 2", "parameter 'mu', bounds[0]: 3 numbers, expected 2"),
    "config_duplicate": ("parameter 'mu' is there twice", pyhf.exceptions.InvalidModel),
    # FLAG in the index. A misspelt name that leaves a parameter free is refused; other settings of parameters that the
    # model does not have are told: three of the published workspaces in ../shared have some.
    "config_unknown_parameter": (f"measurement 'meas': {OF_NO_PARAMETER}", f"settings: {OF_NO_PARAMETER}"),
    "data_inf": (f"observations[0].data[0] (observation 'SR'): {FINITE} Infinity", f"{DATUM} inf"),
    "data_nan_in_template": (f"({SAMPLE}): {FINITE} NaN", f"{SAMPLE}, data[0]: nan is not a finite number"),
    "data_negative": (f"{BIN}: -3.0 is not", f"{DATUM} -3, expected a number of events"),
    "data_negative_half": (f"{BIN}: -0.5 is not", f"{DATUM} -0.5, expected a number of events"),
    "data_obs_wrong_nbins": ("observation of channel 'SR': 3 bins in data, expected 2", f"{LENGTH} 4"),
    "data_too_long": (None, f"{LENGTH} 4"),
    "data_wrong_length": (None, f"{LENGTH} 2: the auxiliary data are missing"),
    "dup_modifiers": (f"{SAMPLE}, modifier 'a' (normsys) is there twice", "modifier 'a' (normsys) is there twice"),
    # a model has no observations: pyhf takes the last
    "dup_observations": ("observation of channel 'SR' is there twice", None),
    "dup_samples": ("channel 'SR': sample 'background' is there twice", "sample 'background' is there twice"),
    "histosys_nan": (
        f"({SAMPLE}, modifier 'h'): {FINITE} NaN",
        f"{SAMPLE}, modifier 'h' (histosys), hi_data[0]: nan is",
    ),
    "init_outside_bounds": (OUTSIDE.format(20, "[0, 10]"), OUTSIDE.format(20, "[0, 10]")),
    "init_wrong_length": (None, "init_pars has 1 entries, expected 2"),
    # an assertion of pyhf's, before there is anything for jaxfit to see
    "interp_invalid": (None, AssertionError),
    "lumi_missing_config": ("parameter 'lumi': a lumi modifier needs inits, bounds, auxdata, sigmas", TypeError),
    "lumi_sigma_zero": ("parameter 'lumi', sigmas[0]: 0 is not above 0", "'lumi', sigmas[0]: 0 is not above 0"),
    "measurement_missing": ("unknown measurement 'nope' (known: 'meas')", pyhf.exceptions.InvalidMeasurement),
    "name_reuse_incompatible": (
        f"modifier 'mu' (normfactor): the normsys of {SAMPLE} has this name",
        pyhf.exceptions.InvalidNameReuse,
    ),
    "negative_total_at_init": (NEGATIVE, NEGATIVE),
    "normsys_lo_negative": (NOT_POSITIVE.format(-0.2), NOT_POSITIVE.format(-0.2)),
    "normsys_lo_zero": (NOT_POSITIVE.format(0), NOT_POSITIVE.format(0)),
    # FLAG in the index. With code 1 the factor 0^|alpha| has no derivative at 0, where every fit starts.
    "normsys_lo_zero_code1": (NOT_POSITIVE.format(0), NOT_POSITIVE.format(0)),
    # FLAG in the index, which leaves the choice; pyhf's model has no observations
    "obs_extra_channel": ("observation: unknown channel 'CR' (known: 'SR')", None),
    "obs_missing_channel": ("channel 'CR': no observation (there are: 'SR')", KeyError),
    "poi_missing": ("unknown parameter of interest 'not_there' (known: 'a', 'mu')", pyhf.exceptions.InvalidModel),
    "sample_bins_mismatch": (f"{SAMPLE}: 2 bins in data, expected 3", pyhf.exceptions.InvalidModel),
    "schema_extra_key": ("sample 'signal'): unknown key 'colour'", pyhf.exceptions.InvalidSpecification),
    "schema_unknown_modifier": (
        f"({SAMPLE}, modifier 'a'): unknown modifier type 'normsyst' (did you mean 'normsys'?",
        pyhf.exceptions.InvalidSpecification,
    ),
    "shapesys_negative_unc": (
        f"{SAMPLE}, modifier 'ss' (shapesys), data[0]: -5 is a negative uncertainty",
        "modifier 'ss' (shapesys), data[0]: -5 is a negative uncertainty",
    ),
    "start_nan": (None, "init_pars of 'mu' is nan, expected a finite number"),
    "zero_nominal_npos": ("impossible data: channel 'SR' bin 1 has 3 events", "channel 'SR' bin 1 has 3 events"),
}
TRANSPOSED = "data_transposed_channels"  # has a test of its own


def test_all_refusals_are_here():
    names = {path.stem for path in FOLDER.glob("*.json")}
    assert names >= REFUSED.keys()
    assert {name for name in names if case(name).expect == "REFUSE"} <= REFUSED.keys() | {TRANSPOSED}


@pytest.mark.parametrize("name", [name for name, (of_workspace, _) in REFUSED.items() if of_workspace])
def test_a_workspace_is_refused(name, tmp_path, monkeypatch):
    """By the command line: one line, exit code 2, nothing written."""
    monkeypatch.chdir(tmp_path)
    Path("ws.json").write_text(json.dumps(case(name).workspace), encoding="utf-8")
    measurement = case(name).measurement
    options = ["--output", "new/fit.json", "--figures", "new/figures", "--no-cache"]
    done = CliRunner().invoke(
        cli.main, ["fit", "ws.json", *options, *(["--measurement", measurement] if measurement else [])]
    )
    assert isinstance(done.exception, SystemExit), done.exc_info
    assert done.exit_code == 2
    assert done.stdout == ""
    assert done.stderr.startswith("jaxfit: error: ")
    assert done.stderr.count("\n") == 1
    assert REFUSED[name][0] in done.stderr
    assert [path.name for path in tmp_path.rglob("*")] == ["ws.json"]


@pytest.mark.filterwarnings("ignore:.*:RuntimeWarning")  # pyhf takes the logarithm of what is refused afterwards
@pytest.mark.parametrize("name", [name for name, (_, of_model) in REFUSED.items() if isinstance(of_model, str)])
def test_a_model_is_refused(name):
    """By the fit of a model that pyhf has made of the workspace."""
    model, data = case(name).model_and_data()
    with pytest.raises(jaxfit.InputError) as caught:
        jaxfit.fit(model, data, **case(name).fit)
    assert REFUSED[name][1] in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", [name for name, (_, of_model) in REFUSED.items() if isinstance(of_model, type)])
def test_pyhf_makes_no_model(name):
    """So that there is nothing for a fit to see. When pyhf changes this, the test above takes the case over."""
    with pytest.raises(REFUSED[name][1]):
        case(name).model_and_data()


def test_data_by_channel_cannot_be_transposed():
    """A list in another order of channels is a list of numbers as good as any; by name there is no order.

    Lists are taken because they are what pyhf and cabinetry return.
    """
    transposed = case(TRANSPOSED)
    model, data = transposed.model_and_data()
    observed = {entry["name"]: entry["data"] for entry in transposed.workspace["observations"]}
    assert [*observed] != model.config.channels
    np.testing.assert_array_equal(checked_data(model, observed), data)
    np.testing.assert_array_equal(workspaces.model_and_data(transposed.workspace)[1], data)
    with pytest.raises(jaxfit.InputError, match="unknown channel 'SR'"):
        jaxfit.fit(model, {"SR": [55.0, 70.0], "zCR": [505.0, 398.0]})


# -- fitted ------------------------------------------------------------------------------------------------------------


def by_expectation(expect):
    if not FOLDER.is_dir():
        return []
    return sorted(path.stem for path in FOLDER.glob("*.json") if case(path.stem).expect == expect)


def tight_minuit(model, data, start=None):
    """-log(likelihood) where MINUIT ends, infinite where it fails."""
    backend = pyhf.get_backend()
    pyhf.set_backend("numpy", pyhf.optimize.minuit_optimizer(strategy=2, tolerance=1e-4, maxiter=100_000))
    try:
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return 0.5 * float(pyhf.infer.mle.fit(data, model, start, return_fitted_val=True)[1])
    except (pyhf.exceptions.FailedMinimization, ValueError, AttributeError):  # the last if all parameters are fixed
        return np.inf
    finally:
        pyhf.set_backend(*backend)


def minuit_from_many_starts(model, data, fit):
    """The least -log(likelihood) of MINUIT from the start of the case and, for parameters about 0, beside it."""
    start = np.array(model.config.suggested_init(), dtype=float)
    given = fit.get("init_pars") or {}
    for name, value in given.items() if isinstance(given, dict) else zip(model.config.par_names, given, strict=True):
        start[model.config.par_names.index(name)] = value
    alphas = (start == 0) & ~np.array(model.config.suggested_fixed())
    starts = [start, *(np.where(alphas, shift, start) for shift in (-1.0, 1.0) if alphas.any())]
    return min(tight_minuit(model, data, one.tolist()) for one in starts)


def exact_nll(model, pars, data):
    """The Poisson terms by their deviance and Stirling's series, and a normal constraint of width 1 for each alpha."""
    data, bins = np.array(data), model.config.nmaindata
    n, nu = data[:bins], np.asarray(model.expected_data(pars, include_auxdata=False))
    safe = np.where(n > 0, n, 1.0)
    lost = np.where(
        n > 1e3, 0.5 * np.log(2 * np.pi * safe) + 1 / (12 * safe), gammaln(safe + 1) - safe * np.log(safe) + safe
    )
    main = np.where(n > 0, n * ((nu - n) / safe - np.log1p((nu - n) / safe)) + lost, nu)
    pulls = np.asarray(pars)[[name != "mu" for name in model.config.par_names]] - data[bins:]
    return float(main.sum() + np.sum(0.5 * pulls**2 + 0.5 * np.log(2 * np.pi)))


ALMOST = {
    # pyhf's likelihood has its minimum at -11 expected events: found, and flagged, which the index wants as well
    "negative_histosys_extrapolation": Status.NEGATIVE_EXPECTATION,
}
SAID = {
    "zero_bkg_init_at_zero": "the first attempt failed (NONFINITE), then start at pre-fit values: OK",
    "interp_code0_kink": "at the kink of their interpolation, where the Hessian is one-sided: h",
    "negative_nominal_bin": "negative yields: 1 (channel 'SR', sample 'b2', data[0])",
    "normsys_unit": "parameters without effect on any yield: 1 ('a')",
    "shapesys_zero_nominal": "gammas held constant",
    "staterror_zero_nominal": "gammas held constant",
}


# most cases compile programs of their own
FAST = (
    "all_fixed", "decades_1e-12_1e12", "negative_histosys_extrapolation", "normsys_unit", "param_scale_1e-8",
    "param_scale_1e8", "shapesys_zero_unc", "staterror_huge_rel", "tiny_counts_1e-6", "zero_bkg_init_at_zero",
    "zero_bkg_signal_only_n0", "zero_nominal_n0",
)  # fmt: skip


@pytest.mark.filterwarnings("ignore:.*:RuntimeWarning")  # MINUIT tries what has no likelihood
@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=() if n in FAST else pytest.mark.slow) for n in by_expectation("FIT")]
)
def test_the_minimum_is_found(name):
    model, data = case(name).model_and_data()
    result = jaxfit.fit(model, data, on_failure="ignore", **case(name).fit)
    if name in ALMOST:
        assert result.status == ALMOST[name]
    else:
        assert result.converged, str(result)
    nll = 0.5 * result.best_twice_nll
    if name == "decades_1e-12_1e12":  # a bin of 1e12 events: pyhf's n log(nu) loses three decimals
        assert nll == pytest.approx(exact_nll(model, result.bestfit, data), abs=1e-6)
        assert nll <= minuit_from_many_starts(model, data, case(name).fit) + 1e-2
    elif name != "interp_code2_code4":  # pyhf 0.7.6 has another code2 below -1: test_interpolation holds the formula
        assert nll == pytest.approx(-float(model.logpdf(result.bestfit, data)[0]), abs=1e-6)
        assert nll <= minuit_from_many_starts(model, data, case(name).fit) + 1e-6
    assert SAID.get(name, "") in " ".join(result.warnings)
    fixed = set(result.diagnosis.fixed)
    assert fixed == {n for n, f in zip(model.config.par_names, model.config.suggested_fixed(), strict=True) if f}
    assert (result.uncertainty[[n in fixed for n in result.labels]] == 0).all()


# -- flagged -----------------------------------------------------------------------------------------------------------

# What flags them: the status, and parts of the warnings, of the parameters on a bound, fixed or flat.
FLAGGED: dict[str, tuple[Status, str]] = {
    "bounds_equal": (Status.OK, "fixed mu"),
    "data_all_zero": (Status.OK_AT_BOUND, "at bound mu"),
    "decades_1e-150_1e150": (Status.SINGULAR, "no covariance"),
    "flat_normfactor": (Status.SINGULAR, "flat flat"),
    "histosys_symmetric_minima": (Status.MULTIPLE_MINIMA, "another minimum is as good"),
    "mu_at_upper_bound": (Status.OK_AT_BOUND, "at bound mu"),
    "near_degenerate_1e-6": (Status.SINGULAR, "no covariance"),
    "np_at_bound": (Status.OK_AT_BOUND, "at bound mu, a"),
    "product_degenerate": (Status.SINGULAR, "flat k, mu"),
    "shapefactor_degenerate": (Status.SINGULAR, "flat mu, sf[0], sf[1]"),
    "start_negative_lambda": (Status.OK, "the first attempt failed (NONFINITE)"),
    "staterror_negative_nominal": (Status.OK, "negative yields: 1"),
    "two_minima_unequal": (Status.OK_AT_BOUND, "can make several minima: 1 ('h')"),
}


@pytest.mark.filterwarnings("ignore:.*:RuntimeWarning")
@pytest.mark.parametrize("name", sorted(set(by_expectation("FLAG")) - set(REFUSED)))
def test_the_flag_is_raised(name):
    model, data = case(name).model_and_data()
    result = jaxfit.fit(model, data, on_failure="ignore", **case(name).fit)
    status, flag = FLAGGED[name]
    told = [f"{word} {', '.join(names)}" for word, names in (
        ("fixed", result.diagnosis.fixed), ("at bound", result.at_bound), ("flat", result.diagnosis.flat))]  # fmt: skip
    assert result.status == status, str(result)
    assert any(flag in text for text in (*told, *result.warnings)), (told, result.warnings)
    if status == Status.SINGULAR:
        assert np.isnan(result.uncertainty[np.isin(result.labels, result.diagnosis.flat)]).all()
    if result.converged:  # the global minimum
        assert 0.5 * result.best_twice_nll <= minuit_from_many_starts(model, data, case(name).fit) + 1e-6


def test_no_case_is_left_out():
    names = {path.stem for path in FOLDER.glob("*.json")}
    assert names == {*REFUSED, *by_expectation("FIT"), *FLAGGED, TRANSPOSED} - ({TRANSPOSED} - names)
