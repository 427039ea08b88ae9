"""Pictures of results: latency distributions, stage waterfalls, growth, accuracy against latency."""

from __future__ import annotations

import os
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.report import Result
from realtime.errors import SinkError, UsageError
from realtime.sinks.sink import temporary_name

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DPI = 80
# Colours that people who see fewer can tell apart (Okabe and Ito), by span: a wait is pale.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
_WAIT = "#d9d9d9"


def require_plots() -> None:
    """Check that plots can be drawn, before anything is measured.

    Raises:
        UsageError: if matplotlib is missing.
    """
    try:
        import matplotlib  # noqa: F401 - only whether it is there
    except ImportError:
        raise UsageError("plots need matplotlib: pip install '.[bench]'") from None


def write_plots(results: Sequence[Result], folder: Path) -> list[Path]:
    """Draw what the results hold into a folder, which is made; return the PNG files.

    Raises:
        SinkError: if they can't be written.
    """
    written = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for result in results:
            if result.benchmark == "growth":
                written.append(_save(_growth(result), folder / "growth.png"))
            elif result.benchmark == "accuracy":
                written.append(_save(_accuracy(result), folder / "accuracy.png"))
            elif any(len(row.measured.seconds) > 1 for row in result.rows if row.measured):
                written.append(_save(_distributions(result), folder / f"{result.benchmark}.png"))
            if result.traces:
                written.append(_save(_waterfall(result), folder / f"{result.benchmark}-stages.png"))
    except OSError as error:
        raise SinkError(f"{folder}: cannot be written: {error.strerror}") from None
    return written


def _distributions(result: Result) -> Figure:
    """Draw each candidate's calls as a box with the 5th and 95th percentile, and the calls beyond."""
    measured = [row for row in result.rows if row.measured]
    groups = {group: list(rows) for group, rows in groupby(measured, key=lambda row: row.group)}
    figure = _figure(9.0, 0.6 + 0.42 * len(measured) + 0.75 * len(groups))
    heights = [len(rows) + 1.2 for rows in groups.values()]
    all_axes = figure.subplots(len(groups), 1, squeeze=False, gridspec_kw={"height_ratios": heights})[:, 0]
    for axes, (group, rows) in zip(all_axes, groups.items(), strict=True):
        times = [np.array(row.measured.seconds) * 1e3 for row in rows if row.measured]
        axes.boxplot(
            times,
            orientation="horizontal",
            whis=(5, 95),
            tick_labels=[row.name for row in rows],
            widths=0.6,
            flierprops={"marker": ".", "markersize": 3, "alpha": 0.4},
            medianprops={"color": _COLOURS[1], "linewidth": 2},
        )
        axes.invert_yaxis()
        axes.set_title(f"{result.benchmark}: {group}", fontsize=10, loc="left")
        if max(map(np.median, times)) > 8 * min(map(np.median, times)):
            axes.set_xscale("log")
            _plain_ticks(axes)
        else:
            axes.set_xlim(left=0.0)
        axes.grid(axis="x", alpha=0.3)
    all_axes[-1].set_xlabel("ms a call; box: quartiles, whiskers: 5th and 95th percentile")
    return figure


def _waterfall(result: Result) -> Figure:
    """Draw the mean way of a frame from capture to sink, span after span."""
    figure = _figure(9.0, 1.0 + 0.45 * len(result.traces))
    axes = figure.add_subplot()
    names = list(dict.fromkeys(name for trace in result.traces.values() for name in trace))
    works = [name for name in names if not name.endswith(" waits")]
    for place, trace in enumerate(result.traces.values()):
        left = 0.0
        for name in names:
            width, waits = trace.get(name, 0.0), name.endswith(" waits")
            colour = _WAIT if waits else _COLOURS[works.index(name)]
            label = ("waits" if name == names[0] else None) if waits else name
            axes.barh(place, width, 0.65, left, color=colour, label=None if place else label)
            left += width
        axes.text(left, place, f" {left:.0f} ms", va="center", fontsize=8)
    axes.set_yticks(range(len(result.traces)), list(result.traces))
    axes.invert_yaxis()
    axes.margins(x=0.1)
    axes.set_xlabel("mean ms of a frame, from capture to sink")
    axes.legend(fontsize=8)
    axes.grid(axis="x", alpha=0.3)
    return figure


def _growth(result: Result) -> Figure:
    """Draw milliseconds against faces and against megapixels, a line a step of the work."""
    groups = {group: list(rows) for group, rows in groupby(result.rows, key=lambda row: row.group)}
    figure = _figure(9.0, 3.4)
    for place, (group, rows) in enumerate(groups.items()):
        axes = figure.add_subplot(1, len(groups), place + 1, title=group, ylabel="ms a frame")
        steps = [name for name in rows[0].figures if name.endswith("_ms")]
        over = "faces" if group.startswith("faces") else "megapixels"
        for colour, step in zip(_COLOURS, steps, strict=False):
            points = [(row.figures[over], row.figures[step]) for row in rows]
            axes.plot(*zip(*points, strict=True), marker=".", color=colour, label=step[:-3].replace("_", " "))
        axes.set_xlabel(over)
        axes.set_ylim(bottom=0.0)
        axes.grid(alpha=0.3)
        axes.legend(fontsize=8)
    return figure


def _accuracy(result: Result) -> Figure:
    """Draw mean F1 against the milliseconds of a face, a point a network and precision."""
    figure = _figure(7.0, 4.0)
    axes = figure.add_subplot(
        xlabel="ms a face (median), crop to probabilities", ylabel="mean F1, 19 classes"
    )
    groups = {group: list(rows) for group, rows in groupby(result.rows, key=lambda row: row.group)}
    for colour, (group, rows) in zip(_COLOURS, groups.items(), strict=False):
        points = [
            (row.measured.median * 1e3, float(row.figures["mean_f1"] or 0.0), row.name)
            for row in rows
            if row.measured
        ]
        for index, (x, y, name) in enumerate(points):
            axes.plot(x, y, "o", color=colour, label=group if index == 0 else None)
            axes.annotate(name, (x, y), xytext=(5, 4), textcoords="offset points", fontsize=8)
    axes.margins(0.2)
    axes.set_xlim(left=0.0)
    low, high = axes.get_ylim()
    # A narrow axis would make much of nothing.
    axes.set_ylim(max(0.0, min(low, high - 0.1)), min(1.0, max(high, low + 0.1)))
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8, loc="lower right")
    return figure


def _plain_ticks(axes: Axes) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())


def _figure(width: float, height: float) -> Figure:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _save(figure: Figure, path: Path) -> Path:
    temporary = temporary_name(path)
    figure.savefig(temporary, format="png", dpi=DPI)
    os.replace(temporary, path)
    return path
