"""Results: saved and loaded without a change, printed for reading."""

import json
import math
from dataclasses import fields, is_dataclass

import numpy as np
import pytest
from models import model_and_data

import jaxfit
from jaxfit import Diagnosis, FitResults, InputError, ScanResults, Status, load_results

FIT = FitResults(
    bestfit=np.array([1.1234567, -0.25, 1.0, 3.0e-9, 0.1 + 0.2]),
    uncertainty=np.array([0.0314, 1.0, 0.0, 2.0e-10, 12.0]),
    labels=["mu", "jet energy scale", "lumi", "tiny", "wide"],
    corr_mat=np.array(
        [
            [1.0, -0.5, 0.0, 0.1, 0.0],
            [-0.5, 1.0, 0.0, 0.0, 0.25],
            [0.0, 0.0, 0.0, 0.0, 0.0],
            [0.1, 0.0, 0.0, 1.0, 0.0],
            [0.0, 0.25, 0.0, 0.0, 1.0],
        ]
    ),
    best_twice_nll=27.123456789,
    goodness_of_fit=0.6789,
    minos_uncertainty={"mu": (-0.03, 0.032)},
    diagnosis=Diagnosis(
        status=Status.OK_AT_BOUND,
        edm=1.5e-11,
        edm_goal=1e-8,
        projected_gradient=np.array([1e-9, 0.0, 0.0, -2e-3, 0.0]),
        fixed=("lumi",),
        at_bound=("wide",),
        lowest_yield=0.25,
        lowest_bin="channel 'SR' bin 3",
        iterations=7,
        rescues=("damped: STALLED", "start at pre-fit values: OK"),
        verification="pyhf's likelihood differs by 1e-12",
        warnings=("at the kink: jet energy scale",),
        engine="compact",
        solver="newton",
        device="cpu",
        versions={"jax": "0.10.2", "pyhf": "0.7.6"},
        model_digest="ab12",
        data_digest="cd34",
        toy=17,
    ),
)
HOLES = FitResults(
    bestfit=np.array([np.nan, np.inf, -np.inf, -0.0, 5e-324, 1.7976931348623157e308]),
    uncertainty=np.array([np.nan, 0.0, np.inf, 1.0, 2.0, 1 / 3]),
    labels=[f"γ_{i}[0]" for i in range(6)],
    corr_mat=np.full((6, 6), np.nan),
    best_twice_nll=math.inf,
    goodness_of_fit=math.nan,
    diagnosis=Diagnosis(status=Status.NONFINITE, edm=-math.inf, eigenvalues=(-0.5, 2.0), flat=("γ_0[0]",)),
)
SCAN = ScanResults(
    name="mu",
    bestfit=1.1234567,
    uncertainty=0.0314,
    parameter_values=np.array([1.0, 1.1234567, 1.25]),
    delta_nlls=np.array([15.4, 0.0, np.nan]),
    statuses=(Status.OK, Status.OK_AT_BOUND, Status.NONFINITE),
    edms=np.array([1e-12, 3e-10, np.inf]),
    warnings=("1 of 3 points are no minimum: mu = 1.25 (NONFINITE)",),
    engine="compact",
    solver="newton",
)


def assert_same(left, right):
    """Bit by bit, and of the same types."""
    assert type(left) is type(right)
    for item in fields(left):
        one, other = getattr(left, item.name), getattr(right, item.name)
        if isinstance(one, np.ndarray):
            assert isinstance(other, np.ndarray)
            assert one.dtype == other.dtype == np.float64
            assert one.shape == other.shape
            np.testing.assert_array_equal(one, other)
            np.testing.assert_array_equal(np.signbit(one), np.signbit(other))
        elif is_dataclass(one):
            assert_same(one, other)
        elif item.name == "eigenvalues":
            np.testing.assert_array_equal(one, other)
        elif isinstance(one, float):
            assert one == other or (math.isnan(one) and math.isnan(other))
        else:
            assert one == other
            assert item.name == "goodness_of_fit" or type(one) is type(other)


@pytest.mark.parametrize("result", [FIT, HOLES, SCAN], ids=["fit", "holes", "scan"])
def test_round_trip(result, tmp_path):
    path = tmp_path / "result.json"
    result.save(path)
    loaded = load_results(path)
    assert_same(result, loaded)
    assert str(loaded) == str(result)
    loaded.save(str(path) + ".again")
    assert path.read_text() == (tmp_path / "result.json.again").read_text()


def test_round_trip_of_every_double(tmp_path):
    """Random bit patterns, subnormal numbers and infinities among them."""
    bits = np.random.default_rng(5).integers(0, 2**64, size=2000, dtype=np.uint64)
    values = bits.view(np.float64)
    values = values[~np.isnan(values)]
    result = ScanResults("x", 0.0, 1.0, values, np.zeros_like(values), (Status.OK,) * values.size, values[::-1].copy())
    result.save(tmp_path / "scan.json")
    loaded = load_results(tmp_path / "scan.json")
    np.testing.assert_array_equal(loaded.parameter_values.view(np.uint64), values.view(np.uint64))
    np.testing.assert_array_equal(loaded.edms.view(np.uint64), values[::-1].view(np.uint64))


def test_round_trip_of_a_real_fit_and_scan(tmp_path):
    model, data = model_and_data("staterror")
    for result in (
        jaxfit.fit(model, data, goodness_of_fit=True, fix_pars={"xsec": True}),
        jaxfit.scan(model, data, "mu", n_steps=5),
    ):
        result.save(tmp_path / "result.json")
        assert_same(result, load_results(tmp_path / "result.json"))


def test_the_file_is_strict_json(tmp_path):
    HOLES.save(tmp_path / "result.json")

    def refuse(constant):
        raise AssertionError(f"{constant} is no JSON")

    content = json.loads((tmp_path / "result.json").read_text(), parse_constant=refuse)
    assert content["jaxfit_result"] == "fit"
    assert content["format"] == 1
    assert content["diagnosis"]["status"] == "NONFINITE"
    assert content["bestfit"][:3] == ["nan", "inf", "-inf"]
    assert content["labels"][0] == "γ_0[0]"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "not a jaxfit result"),
        ("{", "not a jaxfit result"),
        ("[1, 2]", "not a jaxfit result"),
        ("3", "not a jaxfit result"),
        ("{}", "not a jaxfit result"),
        ('{"jaxfit_result": "ranking", "format": 1}', "not a jaxfit result"),
        ('{"jaxfit_result": ["fit"], "format": 1}', "not a jaxfit result"),
        ('{"jaxfit_result": "fit"}', "not a jaxfit result"),
        ('{"jaxfit_result": "fit", "format": 1, "bestfit": [1.0]}', "not a jaxfit result"),
        ('{"jaxfit_result": "scan", "format": 2}', "written by a newer jaxfit"),
    ],
)
def test_what_is_no_result_is_refused(text, reason, tmp_path):
    path = tmp_path / "wrong.json"
    path.write_text(text)
    with pytest.raises(InputError, match=reason) as caught:
        load_results(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("diagnosis", {"status": "FINE"}),
        ("diagnosis", {"edm": "small"}),
        ("bestfit", ["one"]),
        ("best_twice_nll", "small"),
        ("surplus", 1),
    ],
)
def test_wrong_entries_are_refused(name, value, tmp_path):
    path = tmp_path / "wrong.json"
    FIT.save(path)
    path.write_text(json.dumps({**json.loads(path.read_text()), name: value}))
    with pytest.raises(InputError, match="not a jaxfit result"):
        load_results(path)


def test_a_file_that_cannot_be_read_is_refused(tmp_path):
    with pytest.raises(InputError, match="cannot be read: No such file"):
        load_results(tmp_path / "absent.json")
    with pytest.raises(InputError, match="cannot be read"):
        load_results(tmp_path)
    (tmp_path / "binary.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="not a jaxfit result"):
        load_results(tmp_path / "binary.json")


def test_covariance():
    expected = np.array([[0.0314**2, -0.5 * 0.0314], [-0.5 * 0.0314, 1.0]])
    np.testing.assert_allclose(FIT.covariance[:2, :2], expected, rtol=1e-15)
    assert not FIT.covariance[2].any()
    np.testing.assert_array_equal(FIT.covariance, FIT.covariance.T)
    np.testing.assert_allclose(np.sqrt(np.diag(FIT.covariance)), FIT.uncertainty)


@pytest.mark.parametrize("status", Status)
def test_converged_and_its_message(status):
    result = FitResults(FIT.bestfit, FIT.uncertainty, FIT.labels, FIT.corr_mat, 1.0, diagnosis=Diagnosis(status=status))
    assert result.converged == (status in (Status.OK, Status.OK_AT_BOUND))
    assert status.message
    assert status.message[0].islower()
    assert not status.message.endswith(".")


def test_scan_has_converged_if_all_points_have():
    assert not SCAN.converged
    assert ScanResults("mu", 1.0, 0.1, np.zeros(2), np.zeros(2), (Status.OK, Status.OK_AT_BOUND)).converged


def test_results_cannot_be_changed():
    with pytest.raises(AttributeError):
        FIT.edm = 0.0


def test_repr():
    assert repr(FIT) == "FitResults(5 parameters, 2NLL 27.123457, EDM 1.5e-11, OK_AT_BOUND)"
    assert repr(SCAN) == "ScanResults('mu', 3 points, 1 not converged)"


def test_table_of_a_fit():
    assert str(FIT).splitlines() == [
        "OK_AT_BOUND: 2NLL = 27.123457, EDM = 1.5e-11 (goal 1.0e-08), 7 iterations, newton, compact likelihood",
        "mu               = 1.123 +/- 0.031",
        "jet energy scale = -0.2 +/- 1.0",
        "lumi             = 1.0000 +/- 0.0000  (constant)",
        "tiny             = 0.00000000300 +/- 0.00000000020",
        "wide             = 0 +/- 12  (on bound)",
        "goodness of fit (saturated model): p-value 0.6789",
        "warning: at the kink: jet energy scale",
    ]


def test_table_of_a_fit_without_covariance():
    lines = str(HOLES).splitlines()
    assert lines[0].startswith("NONFINITE: 2NLL = inf, EDM = -inf")
    assert lines[1] == "γ_0[0] = nan +/- nan"
    assert lines[-1] == "goodness of fit (saturated model): p-value nan"


def test_table_of_a_scan():
    assert str(SCAN).splitlines() == [
        "mu = 1.123 +/- 0.031",
        "           1     15.400000",
        "     1.12346      0.000000",
        "        1.25           nan  NONFINITE",
        "warning: 1 of 3 points are no minimum: mu = 1.25 (NONFINITE)",
    ]


def test_the_correlation_matrix_may_be_made_when_it_is_read():
    made = []

    def make():
        made.append(1)
        return FIT.corr_mat

    result = FitResults(FIT.bestfit, FIT.uncertainty, FIT.labels, make, 1.0)
    assert not made
    assert result.corr_mat is FIT.corr_mat
    np.testing.assert_allclose(result.covariance[0, 1], -0.5 * 0.0314)
    assert made == [1]


def test_eigenvalues_are_those_of_the_scaled_hessian_of_the_free_parameters():
    free = FIT.uncertainty > 0
    hessian = np.linalg.inv(FIT.covariance[np.ix_(free, free)])
    scale = np.sqrt(np.diag(hessian))
    expected = np.linalg.eigvalsh(hessian / np.outer(scale, scale))[[0, -1]]
    np.testing.assert_allclose(FIT.eigenvalues, expected, rtol=1e-6)
    assert HOLES.eigenvalues == (-0.5, 2.0)
