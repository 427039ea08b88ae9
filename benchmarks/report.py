"""What a benchmark found: as a table for people, as JSON to compare later, as CSV."""

from __future__ import annotations

import csv
import io
import json
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any

from benchmarks.statistics import PERCENTILES, Measured
from realtime.errors import UsageError
from realtime.sinks.sink import write_text

FORMAT = 1
# Calls kept in a file: enough for a distribution's tail, little enough to keep a file small.
KEPT_CALLS = 2000

Figure = float | int | str | None


@dataclass(frozen=True)
class Row:
    """One candidate.

    Attributes:
        group: what it was compared within, such as "batch 4, 2 threads".
        name: unique within its group.
        baseline: what the ratios are to, in the same group; None where nothing was compared.
        measured: its times; None where it has figures only.
        figures: what else is known of it, in the units that the names end in.
    """

    group: str
    name: str
    baseline: str | None = None
    measured: Measured | None = None
    figures: Mapping[str, Figure] = field(default_factory=dict)

    @property
    def key(self) -> tuple[str, str]:
        """Return what it is found by in another run."""
        return self.group, self.name

    def cells(self) -> dict[str, Figure]:
        """Return all that is told of it: milliseconds, ratio with its confidence interval, figures."""
        cells: dict[str, Figure] = {}
        if self.measured is not None:
            for percent in PERCENTILES:
                cells[f"p{percent}_ms"] = round(self.measured.percentile(percent) * 1e3, 3)
            cells["mean_ms"] = round(self.measured.mean * 1e3, 3)
            cells["per_s"] = round(1.0 / self.measured.mean, 2) if self.measured.mean else None
            if self.measured.ratio is not None:
                low, high = self.measured.ratio_interval()
                cells |= {"ratio": round(self.measured.ratio, 4)}
                cells |= {"ratio_low": round(low, 4), "ratio_high": round(high, 4)}
        return cells | dict(self.figures)


@dataclass(frozen=True)
class Result:
    """One benchmark.

    Attributes:
        benchmark: its name on the command line.
        settings: what it was run with.
        rows: what was found.
        notes: what was not measured and why, and what a reader must know of the rest.
        traces: stages of frames, for plots; see `Trace.spans`.
    """

    benchmark: str
    settings: Mapping[str, Any]
    rows: Sequence[Row]
    notes: Sequence[str] = ()
    traces: Mapping[str, Mapping[str, float]] = field(default_factory=dict)


def compared(
    group: str, measured: Mapping[str, Measured], figures: Mapping[str, Mapping[str, Figure]] | None = None
) -> list[Row]:
    """Return rows of candidates measured in turns; the first is the baseline."""
    baseline = next(iter(measured))
    known = figures or {}
    return [Row(group, name, baseline, times, known.get(name, {})) for name, times in measured.items()]


def listed(line: str) -> str:
    """Return a line as an item of a Markdown list, wrapped as the pages are."""
    return textwrap.fill(
        f"- {line}", 110, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False
    )


def table(result: Result, markdown: bool = False) -> str:
    """Return a result as text, a block a group; columns that a group has no use for are left out."""
    blocks = []
    for group, rows in groupby(result.rows, key=lambda row: row.group):
        cells = [{"": row.name} | _shown(row) for row in rows]
        names = list(dict.fromkeys(name for line in cells for name in line))
        lines = [names, *([line.get(name, "") for name in names] for line in cells)]
        blocks.append(
            _markdown(group, lines) if markdown else _aligned(f"{result.benchmark}: {group}", lines)
        )
    notes = "\n".join(listed(note) if markdown else f"note: {note}" for note in result.notes)
    return "\n\n".join([*blocks, notes] if notes else blocks)


def write_json(results: Sequence[Result], machine: Mapping[str, Any], path: Path) -> None:
    """Write results with every round's ratio, for `compare` and for plots."""
    benchmarks = [_plain(result) for result in results]
    write_text(path, json.dumps({"format": FORMAT, "machine": machine, "benchmarks": benchmarks}) + "\n")


def read_json(path: Path) -> tuple[dict[str, Any], list[Result]]:
    """Read what `write_json` wrote: the machine and the results.

    Raises:
        UsageError: if it is no such file.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        if data["format"] != FORMAT:
            raise UsageError(f"{path}: written by another version (format {data['format']}); measure again")
        return data["machine"], [_result(entry) for entry in data["benchmarks"]]
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(f"{path}: no figures of `python -m benchmarks ... --json` ({error!r})") from None


def write_csv(results: Sequence[Result], path: Path) -> None:
    """Write a line a candidate, with a column for every figure that any has."""
    lines: list[dict[str, Figure]] = [
        {"benchmark": result.benchmark, "group": row.group, "name": row.name, **row.cells()}
        for result in results
        for row in result.rows
    ]
    text = io.StringIO()
    names = list(dict.fromkeys(name for line in lines for name in line))
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    write_text(path, text.getvalue())


def _shown(row: Row) -> dict[str, str]:
    cells = row.cells()
    low, high = cells.pop("ratio_low", None), cells.pop("ratio_high", None)
    shown = {name.replace("_", " "): _number(value) for name, value in cells.items()}
    if "ratio" in shown:
        shown["ratio"] += f" ({_number(low)} to {_number(high)})"
    return shown


def _number(value: Figure) -> str:
    if value is None or isinstance(value, str):
        return value or ""
    if isinstance(value, int) or abs(value) >= 1000.0:
        return f"{value:.0f}"
    return f"{value:.3f}" if abs(value) < 1.0 else f"{value:.2f}" if abs(value) < 10.0 else f"{value:.1f}"


def _aligned(title: str, lines: Sequence[Sequence[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    text = [
        "  ".join(
            cell.ljust(width) if index == 0 else cell.rjust(width)
            for index, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    ]
    return "\n".join([f"[{title}]", *text])


def _markdown(title: str, lines: Sequence[Sequence[str]]) -> str:
    rows = ["| " + " | ".join(line) + " |" for line in lines]
    return "\n".join([f"**{title}**", "", rows[0], "|" + "---|" * len(lines[0]), *rows[1:]])


def _plain(result: Result) -> dict[str, Any]:
    rows = []
    for row in result.rows:
        entry = asdict(row)
        if row.measured is not None:
            step = max(1, -(-len(row.measured.seconds) // KEPT_CALLS))
            entry["measured"] = {
                "seconds": [round(value, 6) for value in row.measured.seconds[::step]],
                "ratios": [round(value, 5) for value in row.measured.ratios],
            }
        rows.append(entry | {"cells": row.cells()})
    return {
        "benchmark": result.benchmark,
        "settings": dict(result.settings),
        "rows": rows,
        "notes": list(result.notes),
        "traces": dict(result.traces),
    }


def _result(entry: dict[str, Any]) -> Result:
    rows = []
    for row in entry["rows"]:
        times = row["measured"]
        measured = None if times is None else Measured(tuple(times["seconds"]), tuple(times["ratios"]))
        rows.append(Row(row["group"], row["name"], row["baseline"], measured, row["figures"]))
    return Result(entry["benchmark"], entry["settings"], rows, entry["notes"], entry["traces"])
