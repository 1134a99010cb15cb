"""The figures of the page of benchmarks, each from the rows of a record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from benchmarks.labels import color, converged, duration, label, ordered

__all__ = ["breakdowns", "overview", "scaling", "starts"]

_ROW = 0.3  # height of a row in inches
_WIDTH = 10.0  # of a figure, with 100 dots an inch: 1000
_PARTS = ("#4477aa", "#66ccee", "#228833", "#ccbb44", "#ee6677", "#aa3377", "#bbbbbb", "#44bb99", "#ddaa33", "#555555")


def overview(rows: Sequence[Mapping[str, Any]]) -> Figure:
    """Time of every fitter (a row) for every problem (a column) and task (a panel of it), hollow if not converged."""
    rows = [row for row in rows if row["seconds"] is not None]
    problems, tasks = (list(dict.fromkeys(row[key] for row in rows)) for key in ("problem", "task"))
    peers = ordered(row["peer"] for row in rows)
    heights = [len({row["peer"] for row in rows if row["task"] == task}) for task in tasks]
    figure = Figure(figsize=(_WIDTH, 1.0 + sum(_ROW * height + 0.55 for height in heights)), layout="constrained")
    panels = figure.subplots(
        len(tasks), len(problems), squeeze=False, height_ratios=[height + 1 for height in heights], sharex="col"
    )
    for task, line in zip(tasks, panels, strict=True):
        shown = [peer for peer in peers if any(row["peer"] == peer and row["task"] == task for row in rows)]
        for problem, axes in zip(problems, line, strict=True):
            here = [row for row in rows if (row["problem"], row["task"]) == (problem, task)]
            for row in here:
                _point(axes, row, shown[::-1].index(row["peer"]))
            axes.set_ylim(-0.7, len(shown) - 0.3)
            first = problem == problems[0]
            axes.set_yticks(range(len(shown)), [label(peer) for peer in shown[::-1]] if first else [""] * len(shown))
            _logarithmic(axes)
            if task == tasks[0]:
                axes.set_title(problem, fontweight="bold")
            if first:
                axes.set_ylabel(task, fontweight="bold")
    figure.supxlabel("time in seconds", fontsize="medium")
    handles = [
        Line2D([], [], color="black", marker="o", linestyle="", label="converged"),
        Line2D([], [], color="black", marker="o", linestyle="", markerfacecolor="none", label="not converged"),
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=2, frameon=False)
    return figure


def scaling(rows: Sequence[Mapping[str, Any]]) -> Figure:
    """Time and memory against size, one column for every kind of size, with the slopes of the upper half."""
    kinds = list(dict.fromkeys(row["what"] for row in rows))
    figure = Figure(figsize=(_WIDTH, 8.4), layout="constrained")
    panels = figure.subplots(3, len(kinds), squeeze=False, height_ratios=(4, 1.4, 2.2), sharex="col")
    for what, (upper, middle, lower) in zip(kinds, panels.T, strict=True):
        here = [row for row in rows if row["what"] == what]
        for number, row in enumerate(here):
            same = sum(other["fitter"] == row["fitter"] for other in here[:number])
            style: dict[str, Any] = {
                "color": color(row["fitter"]), "linestyle": ("-", "--", ":", "-.")[same % 4],
                "marker": "os^v"[same % 4], "markersize": 4.5, "linewidth": 1.2,
            }  # fmt: skip
            slope = "" if row["exponent"] is None else f": size^{row['exponent']:.2f}"
            upper.plot(row["sizes"], row["seconds"], **style, label=f"{label(row['fitter'])}, {row['task']}{slope}")
            lower.plot(row["sizes"], row["memory_mib"], **style)
        for axes in (upper, lower):
            axes.set_xscale("log")
            axes.set_yscale("log")
            axes.grid(color="0.92")
        # a panel of its own, as a legend would lie on some curve
        middle.axis("off")
        middle.legend(*upper.get_legend_handles_labels(), loc="center", fontsize="x-small", frameon=False)
        lower.set_xlabel(what)
        upper.tick_params(labelbottom=True)
    panels[0, 0].set_ylabel("seconds")
    panels[2, 0].set_ylabel("MiB above pyhf's model")
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


def _point(axes: Axes, row: Mapping[str, Any], y: int) -> None:
    good = converged(row)
    shade = color(row["peer"])
    axes.axhline(y, color="0.92", linewidth=0.8, zorder=0)
    axes.plot(row["seconds"], y, "o", color=shade, markersize=6.5, markerfacecolor=shade if good else "none")


def _logarithmic(axes: Axes) -> None:
    axes.set_xscale("log")
    low, high = (np.log10(edge) for edge in axes.get_xlim())
    step = max(int(np.ceil((high - low) / 4)), 1)
    ticks = np.arange(np.floor(low), np.ceil(high) + 1, step)
    axes.set_xticks(10.0**ticks)
    axes.minorticks_off()
    axes.set_xlim(10**low / 1.5, 10**high * 1.5)
    axes.tick_params(axis="y", length=0)


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
