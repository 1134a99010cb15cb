"""jaxfit ranking and jaxfit impacts."""

import numpy as np
import pytest
from cli.cases import NO_POI, assert_refused, files, model_and_data, run, saved, specification, steps, write

import jaxfit


def test_ranking(here):
    done = run("ranking", "ws.json", "--output", "ranking.json", "--figures", "figures")
    assert done.exit_code == 0
    found = jaxfit.load_results("ranking.json")
    assert done.stdout == f"{found}\n"
    model, data = model_and_data()
    expected = jaxfit.ranking(model, data)
    assert (found.name, found.labels) == ("mu", [name for name in model.config.par_names if name != "mu"])
    np.testing.assert_array_equal(found.postfit_up, expected.postfit_up)
    assert steps(done) == ["read", "model", "ranking", "figures"]
    assert files(here) == {"ws.json", "ranking.json", "figures/ranking.png"}


@pytest.mark.parametrize("command", ["ranking", "impacts"])
def test_any_parameter_can_be_of_interest(here, command):
    write("ws.json", specification(measurements=[NO_POI]))
    assert saved(command, "ws.json", "--poi", "xs = 1 [pb]").name == "xs = 1 [pb]"


def test_impacts(here):
    options = ["--output", "impacts.json", "--figures", "figures"]
    groups = ["--group", "all else=mc[[]1]", "--group", "all else=xs*", "--group", "first=mc[0]"]
    done = run("impacts", "ws.json", *groups, *options)
    assert done.exit_code == 0
    found = jaxfit.load_results("impacts.json")
    assert done.stdout == f"{found}\n"
    assert {name: set(members) for name, members in found.groups.items()} == {
        "all else": {"xs = 1 [pb]", "mc[1]"},
        "first": {"mc[0]"},
    }
    model, data = model_and_data()
    np.testing.assert_array_equal(found.global_shifts, jaxfit.impacts(model, data).global_shifts)
    assert files(here) == {"ws.json", "impacts.json", "figures/impacts.png"}


def test_impacts_group_by_kind_by_default(here):
    assert list(saved("impacts", "ws.json").groups) == ["normsys", "MC statistical"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["ranking", "ws.json", "--poi", "Mu"], "unknown parameter 'Mu' (did you mean 'mu'?"),
        (["ranking", "ws.json", "--fix", "mu"], "the parameter of interest 'mu' is fixed"),
        (["ranking", "ws.json", "--solver", "bfgs"], "No such option '--solver'"),
        (["impacts", "ws.json", "--group", "jes"], "'jes' is not NAME=PATTERN"),
        (["impacts", "ws.json", "--group", "jes=jes_*"], "group 'jes': unknown parameter or pattern 'jes_*'"),
        (["impacts", "ws.json", "--group", "a=mc*", "--group", "b=mc[0]"], "'mc[0]' is in 'a' and in 'b'"),
    ],
)
def test_refused(here, arguments, message):
    assert_refused(here, [*arguments, "--output", "new/out.json", "--figures", "figures"], message)
