"""Results of hypothesis tests: saved and loaded without a change, printed for reading."""

import numpy as np
import pytest
from test_results import assert_same

from jaxfit import HypotestResults, LimitResults, SignificanceResults, Status, load_results

BAND = np.array([0.003, 0.014, 0.064, 0.235, 0.573])


def hypotest(test_stat, points):
    shape = () if points is None else (points,)
    exp = np.broadcast_to(BAND, (*shape, 5)).copy()
    obs = np.full(shape, 0.0525)[()]
    statuses = (Status.OK_AT_BOUND, *[Status.STALLED] * ((points or 1) - 1))
    return HypotestResults(
        "mu", np.full(shape, 1.5)[()], 0.25, test_stat, obs * 75, obs * 60, obs / 2, obs * 8, obs, exp / 2, exp, exp,
        statuses, {"mu = 1.5": ("damped: STALLED",)}, ("one fit failed",),
    )  # fmt: skip


LIMIT = LimitResults(
    observed_limit=2.2463,
    expected_limit=np.array([0.5027, 0.6799, 0.9552, 1.3557, np.nan]),
    observed_CLs=np.array([0.3, np.nan]),
    expected_CLs=np.array([BAND, BAND / 2]),
    poi_values=np.array([0.5, 2.5]),
    confidence_level=0.95,
    name="mu",
    bestfit=1.37,
    statuses=(Status.OK, Status.STALLED),
    warnings=("not found in 100 steps, or for failed fits: expected +2 sigma limit",),
)
SIGNIFICANCE = SignificanceResults(0.00178, 2.9139, 0.0171, 2.1179, "mu", 1.37, Status.OK)
RESULTS = {
    "hypotest": hypotest("qtilde", None),
    "hypotests": hypotest("q0", 2),
    "limit": LIMIT,
    "significance": SIGNIFICANCE,
}


@pytest.mark.parametrize("name", RESULTS)
def test_round_trip(name, tmp_path):
    result = RESULTS[name]
    result.save(tmp_path / "result.json")
    loaded = load_results(tmp_path / "result.json")
    assert_same(result, loaded)
    assert str(loaded) == str(result)


def test_converged():
    assert RESULTS["hypotest"].converged
    assert not RESULTS["hypotests"].converged
    assert not LIMIT.converged
    found = LimitResults(1.0, np.ones(5), np.ones(1), np.ones((1, 5)), np.ones(1), 0.95)
    assert found.converged
    assert not LimitResults(np.nan, np.ones(5), np.ones(1), np.ones((1, 5)), np.ones(1), 0.95).converged
    assert SIGNIFICANCE.converged


def test_repr():
    assert repr(RESULTS["hypotests"]) == "HypotestResults(q0, 'mu', 2 points, 1 not converged)"
    assert repr(LIMIT) == "LimitResults('mu', observed 2.246, expected 0.9552, 2 points, 1 not converged)"
    assert repr(SIGNIFICANCE) == "SignificanceResults('mu', observed 2.914, expected 2.118, OK)"


def test_table_of_hypothesis_tests():
    lines = str(RESULTS["hypotests"]).splitlines()
    assert lines[0].split() == ["mu", "q0", "p", "p(-2)", "p(-1)", "p(0)", "p(+1)", "p(+2)"]
    assert lines[1].split() == ["1.5", "3.9375", "0.0525", "0.003", "0.014", "0.064", "0.235", "0.573"]
    assert lines[2] == f"{lines[1]}  STALLED"
    assert lines[3:] == ["warning: one fit failed"]
    assert str(RESULTS["hypotest"]).splitlines()[0].split()[2:4] == ["CLs", "CLs(-2)"]


def test_table_of_limits():
    assert str(LIMIT).splitlines() == [
        "upper limits on mu at 95 % confidence level",
        "observed          2.2463",
        "expected -2 sigma 0.5027",
        "expected -1 sigma 0.6799",
        "expected          0.9552",
        "expected +1 sigma 1.3557",
        "expected +2 sigma nan",
        "warning: not found in 100 steps, or for failed fits: expected +2 sigma limit",
    ]


def test_table_of_significances():
    assert str(SIGNIFICANCE).splitlines() == [
        "significance of mu > 0",
        "observed 2.914 (p = 0.00178)",
        "expected 2.118 (p = 0.0171)",
    ]
