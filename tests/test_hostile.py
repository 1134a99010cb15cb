"""The hostile cases of ../shared/hostile, each answered as its INDEX.md wants it: refused, fitted or flagged."""

import json
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyhf
import pytest
from click.testing import CliRunner

import jaxfit
from jaxfit import cli, workspaces
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
