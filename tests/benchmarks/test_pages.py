"""The page says what the record says, and no more."""

import json
import re

import pytest
from benchmarks_record import record, row

from benchmarks import labels, pages


def written(made, folder):
    file = folder / "run.json"
    file.write_text(json.dumps(made))
    page = pages.write(file, folder / "docs")
    return page.read_text()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("page")


@pytest.fixture(scope="module")
def text(folder):
    return written(record(), folder)


def line(text, *parts):
    found = [line for line in text.splitlines() if all(part in line for part in parts)]
    assert len(found) == 1, found
    return found[0]


def section(text, title):
    return text.split(f"{title}\n")[1].split("\n#")[0]


def test_every_figure_of_the_page_is_there(text, folder):
    shown = re.findall(r"\]\((figures/\w+\.png)\)", text)
    assert len(shown) == 4
    assert {f"figures/{path.name}" for path in (folder / "docs" / "figures").iterdir()} == set(shown)


def test_fitters_are_ranked_by_speed_and_compared_with_jaxfit(text):
    table = section(text, "### M").split("**ranking**")[0]
    assert table.index("| jaxfit |") < table.index("| cabinetry (MINUIT) |") < table.index("| pyhf + scipy |")
    assert "| 5.6 s | 5,600 | 1.0e-09 | 2.0e-05 |" in table


def test_a_minimum_that_was_missed_is_no_speed(text):
    missed = line(section(text, "### M"), "| pyhf + scipy |")
    assert "| (0.10 ms) |  | 3.0e-01 |" in missed
    assert "not converged" in missed
    assert "pyhf + scipy" not in section(text, "## Where jaxfit is not the fastest")


@pytest.mark.parametrize("known", [{"gap": 2e-4}, {"gap": None}, {"gap": float("nan")}, {"verdict": "no answer"}])
def test_the_gate_holds_whatever_else_the_row_says(known):
    assert labels.converged(row("nextstat", 1e-6))
    assert not labels.converged(row("nextstat", 1e-6, **known))


def test_jaxfit_s_losses_are_said(text):
    lost = section(text, "## Where jaxfit is not the fastest")
    assert "S, fit: NextStat takes 50 µs, jaxfit 0.20 ms, 4.0 as long" in lost
    assert "ttbar, whole process: NextStat takes 400 ms, jaxfit with a cold cache 4.0 s" in lost
    assert "M, fit" not in lost


def test_jaxfit_that_does_not_converge_is_said_to_lose(tmp_path):
    made = record()
    made["comparisons"] = [row("jaxfit_newton", 1e-3, gap=1.0, verdict="not converged"), row("roofit", 1.0)]
    lost = section(written(made, tmp_path), "## Where jaxfit is not the fastest")
    assert "M, fit: jaxfit has no converged answer" in lost


def test_remarks(text):
    ranking = section(text, "### M").split("**ranking**")[1].split("**limit**")[0]
    assert "from 8 of 560" in line(ranking, "cabinetry")
    assert "no answer; Error: a / b" in line(ranking, "RooFit")
    assert "limits within 2.0e-04 σ(POI) of jaxfit's" in line(text.split("**limit**")[1], "cabinetry (MINUIT) | 9.0 s")
    assert "first call 2.5 s" in text


def test_every_table_has_the_command_that_repeats_it(text):
    tables = len(re.findall(r"^\| -", text, re.MULTILINE))
    assert tables == len(re.findall(r"^Again: `python -m benchmarks ", text, re.MULTILINE)) + 1  # parts of a process
    assert "`python -m benchmarks compare M --tasks ranking`" in text


def test_exponents_and_what_is_above_its_bar(text):
    assert "Above its bar: fit, 1000 bins with nuisance parameters (2.30 > 2)." in text
    assert "| 10 to 1,000 | 500 ms | 1.70 | 1.30 |  | 3 MiB |" in line(text, "| bins |")


def test_an_empty_record_has_a_page_without_figures(tmp_path):
    made = record() | {"comparisons": [], "scaling": [], "breakdowns": [], "starts": []}
    text = written(made, tmp_path)
    assert "No GPU was at hand." in text
    assert "Nowhere in this record." in text
    assert "figures/" not in text
    assert not list((tmp_path / "docs" / "figures").iterdir())


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (3.7e-5, "37 µs"),
        (2.9e-4, "0.29 ms"),
        (5.04e-3, "5.0 ms"),
        (0.322, "322 ms"),
        (5.6, "5.6 s"),
        (2940.0, "49 min"),
        (36000.0, "10 h"),
    ],
)
def test_durations(seconds, text):
    assert labels.duration(seconds) == text
