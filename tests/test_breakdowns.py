"""Rankings and impacts: saved and loaded without a change, printed for reading."""

import numpy as np
import pytest
from test_results import assert_same

from jaxfit import ImpactResults, RankingResults, Status, load_results

RANKING = RankingResults(
    bestfit=np.array([0.5, -0.25]),
    uncertainty=np.array([0.9, 1.0]),
    labels=["jes", "xsec"],
    prefit_up=np.array([0.12, -0.345678]),
    prefit_down=np.array([-0.11, 0.3]),
    postfit_up=np.array([0.1, np.nan]),
    postfit_down=np.array([-0.1, 0.25]),
    name="mu",
    statuses=((Status.OK,) * 4, (Status.OK, Status.OK, Status.STALLED, Status.OK_AT_BOUND)),
    rescues={"xsec post-fit up": ("damped: STALLED",)},
    warnings=("1 of 8 refits are no minimum: xsec post-fit up (STALLED)",),
)
IMPACTS = ImpactResults(
    name="mu",
    value=1.25,
    sigma=0.5,
    labels=["jes", "xsec"],
    bestfit=np.array([0.5, -0.25]),
    uncertainty=np.array([0.9, 1.0]),
    prefit=np.array([0.12, -0.345678]),
    postfit=np.array([0.1, -0.3]),
    global_shifts=np.array([0.09, np.nan]),
    groups={"normsys": ("xsec",), "jets": ("jes",)},
    global_parts={"statistical": 0.4, "normsys": 0.3, "jets": 0.09},
    conditional_parts={"statistical": 0.35, "normsys": 0.31, "jets": 0.1},
    status=Status.OK_AT_BOUND,
)


@pytest.mark.parametrize("result", [RANKING, IMPACTS], ids=["ranking", "impacts"])
def test_round_trip(result, tmp_path):
    result.save(tmp_path / "result.json")
    loaded = load_results(tmp_path / "result.json")
    assert_same(result, loaded)
    assert str(loaded) == str(result)


def test_converged():
    assert not RANKING.converged
    assert IMPACTS.converged


def test_repr():
    assert repr(RANKING) == "RankingResults('mu', 2 parameters, 1 refits not converged)"
    assert repr(IMPACTS) == "ImpactResults('mu', 2 parameters, 2 groups)"


def test_table_of_a_ranking():
    assert str(RANKING).splitlines() == [
        "impacts on mu, by refits",
        "        post-fit up  post-fit down     pre-fit up   pre-fit down",
        "xsec            nan           0.25        -0.3457            0.3",
        "jes             0.1           -0.1           0.12          -0.11",
        "warning: 1 of 8 refits are no minimum: xsec post-fit up (STALLED)",
    ]


def test_table_of_impacts():
    lines = str(IMPACTS).splitlines()
    assert lines[:9] == [
        "mu = 1.25 +/- 0.50, impacts by the covariance",
        "           post-fit        pre-fit         global",
        "xsec           -0.3        -0.3457            nan",
        "jes             0.1           0.12           0.09",
        "",
        "                    global    conditional",
        "statistical            0.4           0.35",
        "normsys                0.3           0.31",
        "jets                  0.09            0.1",
    ]
    assert [line.partition(":")[0] for line in lines[9:]] == list(IMPACTS.definitions)


def test_a_long_table_is_cut():
    number = 30
    sizes = np.linspace(0.01, 0.3, number)
    long = RankingResults(
        sizes, sizes, [f"par_{i}" for i in range(number)], sizes, -sizes, sizes, -sizes, name="mu"
    )  # fmt: skip
    lines = str(long).splitlines()
    assert len(lines) == 23
    assert lines[2].split()[0] == "par_29"
    assert lines[-1] == "and 10 more"
