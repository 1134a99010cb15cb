"""The figures of the page of benchmarks, each from the rows of a record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, NullLocator

from benchmarks.labels import color, converged, duration, label, ordered
from benchmarks.scaling import upper_half

__all__ = ["breakdowns", "overview", "scaling", "starts"]

_WIDTH = 10.0  # of a figure, with 100 dots an inch: 1000
_PARTS = ("#4477aa", "#66ccee", "#228833", "#ccbb44", "#ee6677", "#aa3377", "#bbbbbb", "#44bb99", "#ddaa33", "#555555")


def overview(rows: Sequence[Mapping[str, Any]]) -> Figure:
    """Time of every fitter (a row) for every problem (a column) and task (a panel of it), hollow if not converged."""
    rows = [row for row in rows if row["seconds"] is not None and np.isfinite(row["seconds"])]
    problems, tasks = (list(dict.fromkeys(row[key] for row in rows)) for key in ("problem", "task"))
    shown = {task: ordered(row["peer"] for row in rows if row["task"] == task)[::-1] for task in tasks}
    heights = [len(shown[task]) + 1 for task in tasks]
    figure = Figure(figsize=(_WIDTH, 1.0 + sum(0.2 * height + 0.1 for height in heights)), layout="constrained")
    panels = figure.subplots(
        len(tasks), len(problems), squeeze=False, height_ratios=heights, sharex="col", sharey="row"
    )
    for task, line in zip(tasks, panels, strict=True):
        for problem, axes in zip(problems, line, strict=True):
            axes.set_xscale("log")
            axes.xaxis.set_major_locator(LogLocator(numticks=5))
            axes.xaxis.set_minor_locator(NullLocator())
            axes.tick_params(axis="y", length=0, labelsize="small")
            axes.set_ylim(-0.7, len(shown[task]) - 0.3)
            axes.set_yticks(range(len(shown[task])), [label(peer) for peer in shown[task]])
            axes.grid(color="0.92", axis="y", linewidth=0.8)
            axes.set_axisbelow(True)
            for row in rows:
                if (row["problem"], row["task"]) == (problem, task):
                    _point(axes, row, shown[task].index(row["peer"]))
            if task == tasks[0]:
                axes.set_title(problem, fontweight="bold", fontsize="medium")
        line[0].set_ylabel(task, fontweight="bold")
    for axes in panels[0]:
        axes.margins(x=0.1)
    figure.align_ylabels(panels[:, 0])
    figure.supxlabel("time in seconds", fontsize="medium")
    marker: dict[str, Any] = {"color": "black", "marker": "o", "linestyle": ""}
    handles = [
        Line2D([], [], **marker, label="converged"),
        Line2D([], [], **marker, markerfacecolor="none", label="not converged"),
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=2, frameon=False)
    return figure


def scaling(rows: Sequence[Mapping[str, Any]]) -> Figure:
    """Time and memory against size, a line of panels for every kind of size, with slopes (black, of the upper half)."""
    kinds = list(dict.fromkeys(row["what"] for row in rows))
    figure = Figure(figsize=(_WIDTH, 0.4 + 2.6 * len(kinds)), layout="constrained")
    panels = figure.subplots(len(kinds), 3, squeeze=False, width_ratios=(4, 3, 3))
    for what, (times, memories, words) in zip(kinds, panels, strict=True):
        here = [row for row in rows if row["what"] == what]
        for number, row in enumerate(here):
            same = sum(other["fitter"] == row["fitter"] for other in here[:number])
            style: dict[str, Any] = {
                "color": color(row["fitter"]), "linestyle": ("-", "--", ":", "-.")[same % 4],
                "marker": "os^v"[same % 4], "markersize": 4.5, "linewidth": 1.2,
            }  # fmt: skip
            slope = "" if row["exponent"] is None else f"time ∝ size$^{{{row['exponent']:.2f}}}$"
            text = "\n".join(filter(None, (f"{label(row['fitter'])}: {row['task'].replace(', ', chr(10), 1)}", slope)))
            times.plot(row["sizes"], row["seconds"], **style, label=text)
            memories.plot(row["sizes"], row["memory_mib"], **style)
            if row["exponent"] is not None:
                times.plot(*_line(row), color="black", linewidth=0.8, zorder=3)
        for axes in (times, memories):
            axes.set_xscale("log")
            axes.grid(color="0.92")
            axes.set_xlabel(what)
        times.set_yscale("log")
        times.set_ylabel("seconds")
        memories.set_ylim(bottom=0)
        memories.set_ylabel("MiB above the model")
        # a panel of its own, as a legend would lie on some curve
        words.axis("off")
        words.legend(*times.get_legend_handles_labels(), loc="center left", fontsize="small", frameon=False)
    return figure


def breakdowns(rows: Sequence[Mapping[str, Any]]) -> Figure:
    """The parts of fits as shares of the whole."""
    bars = [(f"{row['problem']}, {duration(row['total'])}", row["parts"], row["total"]) for row in rows]
    figure = Figure(figsize=(_WIDTH, 1.9 + 0.5 * len(bars)), layout="constrained")
    axes = figure.subplots()
    _stack(axes, [(name, {k: 100 * v / total for k, v in parts.items()}) for name, parts, total in bars], least=4.0)
    axes.set_xlabel("% of a warm fit with uncertainties")
    axes.set_xlim(0, 100)
    figure.legend(
        *axes.get_legend_handles_labels(), loc="outside upper center", ncols=4, frameon=False, fontsize="small"
    )
    return figure


def starts(rows: Sequence[Mapping[str, Any]]) -> Figure:
    """Seconds of whole processes, those of jaxfit in their parts; the line is the import of pyhf, cabinetry and jax."""
    problems = list(dict.fromkeys(row["problem"] for row in rows))
    counts = [sum(row["problem"] == problem for row in rows) for problem in problems]
    figure = Figure(figsize=(_WIDTH, 1.6 + 0.42 * sum(counts) + 0.6 * len(counts)), layout="constrained")
    panels = figure.subplots(len(problems), 1, squeeze=False, height_ratios=[count + 1 for count in counts])[:, 0]
    handles: dict[str, Any] = {}
    for problem, axes in zip(problems, panels, strict=True):
        here = sorted((row for row in rows if row["problem"] == problem), key=lambda row: row["seconds"])
        bars = []
        for row in here:
            cache = f", {row['cache']} cache" if row["parts"] else ""
            parts = row["parts"] | {"start and end of Python": row["seconds"] - sum(row["parts"].values())}
            bars.append((label(row["fitter"]) + cache, parts if row["parts"] else {}))
        _stack(axes, bars, least=0.12)
        for y, row in zip(range(len(here))[::-1], here, strict=True):
            if not row["parts"]:
                axes.barh(y, row["seconds"], color=color(row["fitter"]), height=0.6)
            axes.annotate(
                duration(row["seconds"]), (row["seconds"], y), (4, 0), textcoords="offset points", va="center"
            )
        imports = axes.axvline(here[0]["imports"], color="tab:red", linewidth=1, linestyle="--", zorder=0.5)
        axes.set_title(f"{problem}: from file to answer", fontsize="medium")
        axes.margins(x=0.1)
        for handle, name in zip(*axes.get_legend_handles_labels(), strict=True):
            handles.setdefault(name, handle)
        handles.setdefault("imports of pyhf, cabinetry, jax", imports)
    panels[-1].set_xlabel("seconds of the process")
    figure.legend(
        handles.values(), handles.keys(), loc="outside upper center", ncols=5, frameon=False, fontsize="small"
    )
    return figure


def _line(row: Mapping[str, Any]) -> tuple[Any, Any]:
    """The fitted power law, where it was fitted."""
    upper = upper_half(row["sizes"])
    sizes, seconds = np.log(row["sizes"][upper]), np.log(row["seconds"][upper])
    return np.exp(sizes), np.exp(np.mean(seconds) + row["exponent"] * (sizes - np.mean(sizes)))


def _point(axes: Axes, row: Mapping[str, Any], y: int) -> None:
    shade = color(row["peer"])
    axes.plot(row["seconds"], y, "o", color=shade, markersize=6, markerfacecolor=shade if converged(row) else "none")


def _stack(axes: Axes, bars: Sequence[tuple[str, Mapping[str, float]]], *, least: float) -> None:
    """Horizontal bars of parts, each with a colour; those of ``least`` length say it."""
    names = list(dict.fromkeys(name for _, parts in bars for name in parts))
    for name in names:
        shade = _PARTS[names.index(name) % len(_PARTS)]
        axes.barh(0, 0, color=shade, label=name)
    for y, (_, parts) in zip(range(len(bars))[::-1], bars, strict=True):
        left = 0.0
        for name, length in parts.items():
            length = max(length, 0.0)
            axes.barh(y, length, left=left, height=0.6, color=_PARTS[names.index(name) % len(_PARTS)])
            if length >= least:
                text = f"{length:.0f} %" if least > 1 else f"{length:.2f}"
                axes.text(left + length / 2, y, text, ha="center", va="center", fontsize="small", color="white")
            left += length
    axes.set_yticks(range(len(bars)), [name for name, _ in bars][::-1])
    axes.tick_params(axis="y", length=0)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
