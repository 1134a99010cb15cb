"""``python -m benchmarks``: speed beside agreement, measured on this machine.

Without a command everything is measured, kept in a record, and made into a page with figures; a command measures its
part again.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import platform
import time
import warnings
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jax
import pyhf

import jaxfit
from benchmarks import breakdowns, comparisons, ensembles, floors, labels, pages, problems, questions, scaling, starts

_PACKAGES = ("jax", "jaxopt", "pyhf", "cabinetry", "iminuit", "numpy", "scipy")
_OUTPUT = Path("benchmarks-output")

Record = dict[str, Any]


def _compare(arguments: argparse.Namespace, record: Record) -> None:
    for name in arguments.problem or problems.NAMES:
        rows = comparisons.compare(name, arguments.peers, arguments.tasks, arguments.budget)
        asked = [(row["problem"], row["task"], row["peer"]) for row in rows]
        kept = [row for row in record["comparisons"] if (row["problem"], row["task"], row["peer"]) not in asked]
        record["comparisons"] = sorted(kept + rows, key=_place)
        for task in arguments.tasks:
            print(f"\n{name}, {task}")
            here = [row for row in rows if row["task"] == task]
            for row in sorted(here, key=lambda row: (not labels.converged(row), row["seconds"] or 0.0)):
                print("  " + _line(row))


def _place(row: Record) -> tuple[int, str, int]:
    """Where a row stands in the page."""
    known = problems.NAMES.index(row["problem"]) if row["problem"] in problems.NAMES else len(problems.NAMES)
    return known, row["problem"], comparisons.TASKS.index(row["task"])


def _line(row: Record) -> str:
    """One line of the table: a time that is no speed is in parentheses."""
    time_ = "" if row["seconds"] is None or row["seconds"] != row["seconds"] else labels.duration(row["seconds"])
    told = [row["verdict"]] if row["verdict"] != "ok" else []
    told += [f"{what} {row[key]:.1e}" for key, what in (("gap", "2NLL +"), ("pull", "pull"), ("deviation", "off by"))
             if row[key] is not None]  # fmt: skip
    told += [f"from {row['made']} of {row['parts']}"] if row["made"] and row["made"] < row["parts"] else []
    told += [row["error"]] if row["error"] else []
    shown = time_ if labels.converged(row) else f"({time_})"
    return f"{labels.label(row['peer']):<28}{shown:>12}   {', '.join(told)[:90]}"


def _floors(arguments: argparse.Namespace, record: Record) -> None:
    for name in arguments.problem or problems.NAMES:
        floors.report(name, *problems.model_and_data(name), arguments.budget)


def _questions(arguments: argparse.Namespace, record: Record) -> None:
    questions.report()


def _toys(arguments: argparse.Namespace, record: Record) -> None:
    ensembles.report()


def _scaling(arguments: argparse.Namespace, record: Record) -> None:
    record["scaling"] = scaling.measure()
    for row in record["scaling"]:
        times = ", ".join(labels.duration(seconds) for seconds in row["seconds"])
        print(f"  {row['fitter']}, {row['task']}: {row['what']} {row['sizes']}: {times}; exponent {row['exponent']}")


def _breakdown(arguments: argparse.Namespace, record: Record) -> None:
    record["breakdowns"] = breakdowns.measure(arguments.problem or ("ttbar", "M", "L"))
    for row in record["breakdowns"]:
        print(f"\n{row['problem']}: {labels.duration(row['total'])}, {row['of']}")
        for name, seconds in row["parts"].items():
            print(f"  {name:<40}{labels.duration(seconds):>12}")


def _starts(arguments: argparse.Namespace, record: Record) -> None:
    record["starts"] = starts.measure(arguments.problem or ("ttbar",))
    for row in record["starts"]:
        print(f"  {row['problem']}: {labels.label(row['fitter'])}, {row['cache']} cache: {row['seconds']:.2f} s; "
              f"imports of pyhf, cabinetry and jax {row['imports']:.2f} s")  # fmt: skip


COMMANDS: dict[str, tuple[Callable[[argparse.Namespace, Record], None], str]] = {
    "compare": (_compare, "all fitters on the same questions"),
    "floors": (_floors, "a fit beside cabinetry's and beside a matrix product"),
    "questions": (_questions, "rankings, limits, intervals, yields beside cabinetry's"),
    "toys": (_toys, "toys beside loops of cabinetry and pyhf, and beside numpy"),
    "scaling": (_scaling, "time and memory against size"),
    "breakdown": (_breakdown, "where the time of a fit goes"),
    "starts": (_starts, "whole processes"),
}


def _record(file: Path) -> Record:
    """What was measured before on this machine with these packages, to which more is added; or nothing yet."""
    made: Record = {
        "machine": [
            f"{platform.machine()}, {os.cpu_count()} cores, {platform.system()}, JAX on {jax.default_backend()}",
            f"load {os.getloadavg()[0]:.1f} at the start, {time.strftime('%Y-%m-%d')}",
        ],
        "versions": {"Python": platform.python_version()} | {name: version(name) for name in _PACKAGES},
        **{key: [] for key in ("comparisons", "scaling", "breakdowns", "starts", "gpu")},
    }
    before = json.loads(file.read_text(encoding="utf-8")) if file.exists() else made
    same = before["machine"][0] == made["machine"][0] and before["versions"] == made["versions"]
    return {**before, "machine": made["machine"]} if same else made


def main() -> None:
    """Parse the command line, measure, and print."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="commands:\n" + "\n".join(f"  {name:<12}{text}" for name, (_, text) in COMMANDS.items()),
    )
    parser.add_argument("command", nargs="?", choices=[*COMMANDS, "all"], default="all", help="what to measure")
    parser.add_argument("problem", nargs="*", help="S G M L ttbar, or workspace files; default: the command's")
    parser.add_argument("--peers", nargs="+", default=comparisons.PEERS, help="fitters to compare")
    parser.add_argument("--tasks", nargs="+", default=comparisons.TASKS, choices=comparisons.TASKS)
    parser.add_argument("--budget", type=float, default=comparisons.BUDGET, help="seconds of a fitter for one question")
    parser.add_argument("--output", type=Path, default=_OUTPUT, help="folder of the record and the page")
    arguments = parser.parse_intermixed_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    file = arguments.output / "record.json"
    record = _record(file)
    print(", ".join(f"{name} {number}" for name, number in record["versions"].items()))
    print("; ".join(record["machine"]))
    pyhf.set_backend("numpy", precision="64b")
    logging.disable(logging.ERROR)  # pyhf prints the whole covariance of a fit that fails
    for name in COMMANDS if arguments.command == "all" else [arguments.command]:
        print(f"\n== {COMMANDS[name][1]}")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", jaxfit.FitWarning)  # the status is in the table
            COMMANDS[name][0](arguments, record)
        file.write_text(json.dumps(record), encoding="utf-8")
    print(f"\nrecord and page: {pages.write(file, arguments.output)}")


if __name__ == "__main__":
    main()
