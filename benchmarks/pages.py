"""``python -m benchmarks.pages RECORD FOLDER``: the page of benchmarks and its figures, only from a record."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks import figures
from benchmarks.labels import OURS, converged, duration, label, ordered

__all__ = ["write"]

Row = Mapping[str, Any]

_LIMITS = {"nuisance parameters": 2.0, "bins": 1.0, "toys": 1.0}  # exponents that the cost is to stay below
_HOW = """\
Times are medians of warm calls in double precision, all fitters in turn on the same machine, each in a process of its
own. What a slow fitter did only in part is extrapolated, and the remark says from how much. Every fitter minimises
pyhf's likelihood, with interpolation codes 4 and 4p and the same data.

**The gate**: each minimum is judged by pyhf's own log-density on numpy, at the parameters that the fitter returned. A
time counts as a speed only if 2 NLL is within 1e-4 of the lowest that any fitter reached at the same point; otherwise
it is in parentheses and the row says "not converged". Pulls are the largest difference of a parameter from that best
point, in its standard deviations."""
_COLUMNS = ("fitter", "time", "× jaxfit's", "2 NLL above best", "pulls", "remark")


def write(record: Path, folder: Path) -> Path:
    """Write ``benchmarks.md`` and ``figures/*.png``.

    Args:
        record: a record's JSON file.
        folder: where to; it is made if there is none.

    Returns:
        The page.
    """
    made = json.loads(record.read_text(encoding="utf-8"))
    (folder / "figures").mkdir(parents=True, exist_ok=True)
    drawings = {
        "overview": (figures.overview, made["comparisons"]),
        "scaling": (figures.scaling, made["scaling"]),
        "breakdowns": (figures.breakdowns, made["breakdowns"]),
        "starts": (figures.starts, made["starts"]),
    }
    drawn = {name: draw(rows) for name, (draw, rows) in drawings.items() if rows}
    for name, figure in drawn.items():
        figure.savefig(folder / "figures" / f"{name}.png", dpi=100, metadata={"Software": None})
    sections = [
        "# Benchmarks",
        f"From the record `{record.name}`; `make bench` measures all of it on your machine.",
        "\n".join(f"- {line}" for line in made["machine"]),
        "Versions: " + ", ".join(f"{name} {version}" for name, version in made["versions"].items()) + ".",
        _HOW,
        *_losses(made["comparisons"], made["starts"]),
        *_comparisons(made["comparisons"]),
        *_scaling(made["scaling"]),
        *_breakdowns(made["breakdowns"]),
        *_starts(made["starts"]),
        *_gpu(made["gpu"]),
    ]
    page = folder / "benchmarks.md"
    page.write_text("\n\n".join(sections) + "\n", encoding="utf-8")
    return page


def _losses(comparisons: Sequence[Row], starts: Sequence[Row]) -> list[str]:
    """What a reader should know first: where another fitter is faster, and where jaxfit itself did not converge."""
    lines = []
    for problem, task in _groups(comparisons, "problem", "task"):
        rows = [row for row in comparisons if (row["problem"], row["task"]) == (problem, task) and converged(row)]
        ours = next((row for row in rows if row["peer"] == OURS), None)
        if ours is None:
            lines.append(f"{problem}, {task}: jaxfit has no converged answer")
            continue
        faster = sorted((row for row in rows if row["seconds"] < ours["seconds"]), key=lambda row: row["seconds"])
        lines += [
            f"{problem}, {task}: {label(row['peer'])} takes {duration(row['seconds'])}, jaxfit "
            f"{duration(ours['seconds'])}, {_ratio(ours['seconds'] / row['seconds'])} as long"
            for row in faster
        ]
    for (problem,) in _groups(starts, "problem"):
        rows = [row for row in starts if row["problem"] == problem]
        for ours in (row for row in rows if row["fitter"] == OURS):
            lines += [
                f"{problem}, whole process: {label(row['fitter'])} takes {duration(row['seconds'])}, jaxfit with a "
                f"{ours['cache']} cache {duration(ours['seconds'])}"
                for row in rows
                if row["fitter"] != OURS and row["seconds"] < ours["seconds"]
            ]
    told = "\n".join(f"- {line}" for line in lines) if lines else "Nowhere in this record."
    return ["## Where jaxfit is not the fastest", told]


def _comparisons(rows: Sequence[Row]) -> list[str]:
    if not rows:
        return []
    made = ["## Fitters", "![time of every fitter, by problem and task](figures/overview.png)"]
    for (problem,) in _groups(rows, "problem"):
        made.append(f"### {problem}")
        for task in dict.fromkeys(row["task"] for row in rows if row["problem"] == problem):
            here = [row for row in rows if (row["problem"], row["task"]) == (problem, task)]
            made += [f"**{task}**", _table(_COLUMNS, _by_speed(here)), _again(f"compare {problem} --tasks {task}")]
    said = {row["peer"]: row["settings"] for row in rows if row["settings"]}
    settings = "\n".join(f"- {label(peer)}: {said[peer]}" for peer in ordered(said))
    return [*made, "### Settings", settings]


def _by_speed(rows: Sequence[Row]) -> list[list[str]]:
    ours = next((row["seconds"] for row in rows if row["peer"] == OURS and converged(row)), None)

    def cells(row: Row) -> list[str]:
        good = converged(row)
        time = "" if _unknown(row["seconds"]) else duration(row["seconds"])
        ratio = _ratio(row["seconds"] / ours) if good and ours else ""
        shown = time if good else f"({time})" if time else ""
        return [label(row["peer"]), shown, ratio, _small(row["gap"]), _small(row["pull"]), _remark(row)]

    ranked = sorted(rows, key=lambda row: (not converged(row), _unknown(row["seconds"]), row["seconds"] or 0.0))
    return [cells(row) for row in ranked]


def _remark(row: Row) -> str:
    told = []
    if not converged(row):
        told.append(row["verdict"] if row["verdict"] != "ok" else "not judged")
    if not _unknown(row["deviation"]) and row["peer"] != OURS:
        what = "limits within {} σ(POI) of jaxfit's" if row["task"] == "limit" else "within a relative {} of jaxfit's"
        told.append(what.format(_small(row["deviation"])))
    if row["made"] and row["made"] < row["parts"]:
        told.append(f"from {row['made']} of {row['parts']}")
    if not _unknown(row["first"]) and not _unknown(row["seconds"]) and row["first"] > max(2 * row["seconds"], 0.1):
        told.append(f"first call {duration(row['first'])}")
    if row["error"]:
        told.append(row["error"].replace("|", "/").replace("\n", " "))
    return "; ".join(told)


def _scaling(rows: Sequence[Row]) -> list[str]:
    if not rows:
        return []
    lines, above = [], []
    for row in rows:
        sizes, limit = row["sizes"], _LIMITS.get(row["what"]) if row["fitter"] == OURS else None
        upper, whole = ("" if x is None else f"{x:.2f}" for x in (row["exponent"], row["exponent_of_all"]))
        lines.append([
            row["what"], row["task"], label(row["fitter"]), f"{sizes[0]:,} to {sizes[-1]:,}",
            duration(row["seconds"][-1]), upper, whole, "" if limit is None else f"{limit:g}",
            "" if _unknown(row["memory_mib"][-1]) else f"{row['memory_mib'][-1]:.0f} MiB",
        ])  # fmt: skip
        if limit is not None and row["exponent"] is not None and row["exponent"] > limit:
            above.append(f"{row['task']} with {row['what']} ({upper} > {limit:g})")
    columns = ("size", "task", "fitter", "range", "time at its end", "exponent", "of all", "bar", "memory at its end")
    held = "Above its bar: " + "; ".join(above) + "." if above else "jaxfit stays within all bars."
    text = (
        "Exponents are fitted to the logarithms of time and size, in the upper half of the range (on the logarithmic "
        f"axis) and in all of it, where fixed costs make the small end flat. {held} Memory is what the process takes "
        "above pyhf's model, compilation included."
    )
    figure = "![time and memory against size](figures/scaling.png)"
    return ["## Growth with size", text, figure, _table(columns, lines), _again("scaling")]


def _breakdowns(rows: Sequence[Row]) -> list[str]:
    if not rows:
        return []
    names = list(dict.fromkeys(name for row in rows for name in row["parts"]))
    lines = [[name, *(duration(row["parts"][name]) if name in row["parts"] else "" for row in rows)] for name in names]
    lines.append(["**all**", *(f"**{duration(row['total'])}**" for row in rows)])
    text = "\n".join(f"- {row['problem']}: {row['of']}" for row in rows)
    table = _table(("part", *(row["problem"] for row in rows)), lines)
    figure = "![the parts of a fit](figures/breakdowns.png)"
    command = _again("breakdown " + " ".join(row["problem"] for row in rows))
    return ["## Where the time of a fit goes", text, figure, table, command]


def _starts(rows: Sequence[Row]) -> list[str]:
    if not rows:
        return []
    lines = [
        [row["problem"], label(row["fitter"]), "" if row["cache"] == "none" else row["cache"], duration(row["seconds"])]
        for row in rows
    ]
    made = [
        "## From file to answer, whole processes",
        "A process of its own reads the workspace, fits it with uncertainties and prints the parameter of interest; "
        f"one that only imports pyhf, cabinetry and jax takes {duration(rows[0]['imports'])}. The cache is that of "
        "compiled programs; fitters without one have no entry.",
        "![seconds of whole processes](figures/starts.png)",
        _table(("problem", "fitter", "cache", "time"), lines),
    ]
    ours = [row for row in rows if row["parts"]]
    if ours:
        names = list(ours[0]["parts"])
        columns = ("part of jaxfit's process", *(f"{row['problem']}, {row['cache']} cache" for row in ours))
        made.append(_table(columns, [[name, *(duration(row["parts"][name]) for row in ours)] for name in names]))
    return [*made, _again("starts")]


def _gpu(lines: Sequence[str]) -> list[str]:
    told = "```\n" + "\n".join(lines) + "\n```" if lines else "No GPU was at hand."
    return ["## GPU", told, "Again: `python -m benchmarks.gpu`, on a machine with a GPU"]


def _groups(rows: Iterable[Row], *keys: str) -> list[tuple[str, ...]]:
    return list(dict.fromkeys(tuple(row[key] for key in keys) for row in rows))


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    ruler = ["---" if column in ("fitter", "remark", "task", "part") else "--:" for column in columns]
    return "\n".join(f"| {' | '.join(row)} |" for row in (columns, ruler, *rows))


def _again(command: str) -> str:
    return f"Again: `python -m benchmarks {command}`"


def _unknown(number: float | None) -> bool:
    return number is None or math.isnan(number)


def _small(number: float | None) -> str:
    if number is None or math.isnan(number):
        return ""
    return "0" if abs(number) < 1e-12 else f"{number:.1e}"


def _ratio(factor: float) -> str:
    return f"{factor:,.0f}" if factor >= 10 else f"{factor:.1f}" if factor >= 1 else f"{factor:.2f}"


if __name__ == "__main__":
    print(write(Path(sys.argv[1]), Path(sys.argv[2])))
