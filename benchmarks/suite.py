"""All benchmarks after each other, and docs/benchmarks.md brought up to date with what they found."""

from __future__ import annotations

import argparse
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.machine import machine_lines
from benchmarks.plots import write_plots
from benchmarks.report import Result, listed, table
from realtime.errors import UsageError
from realtime.sinks.sink import write_text

HELP = "run them all; a short set of three minutes with --quick"
# What the short set leaves out: it is for `make bench`, whose figures stand in docs/benchmarks.md.
QUICK: dict[str, list[str]] = {
    # The first start of ONNX Runtime exports the network, which takes most of a minute: left out.
    "engine": ["--rounds", "30", "--starts", "eager", "openvino"],
    "pipeline": ["--sizes", "480p", "720p", "1080p", "--faces", "1", "--frames", "45"],
    "growth": ["--rounds", "16"],
    "effects": ["--rounds", "12"],
    "peers": ["--rounds", "8", "--network-rounds", "12", "--most", "60"],
    "glass": ["--rounds", "3", "--seconds", "3"],
    "accuracy": ["--most", "40"],
}


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the flags of the set; most are passed on to the benchmarks that have them."""
    parser.add_argument("--quick", action="store_true", help="fewer sizes and rounds")
    parser.add_argument("--only", nargs="+", choices=list(QUICK), default=list(QUICK), help="default: all")
    parser.add_argument("--clip", help="a video with one face, for `pipeline` and `peers`")
    parser.add_argument(
        "--data", type=Path, help="labelled faces, for `accuracy`; without them it is left out"
    )
    parser.add_argument("--landmarker", type=Path, help="MediaPipe's face_landmarker.task, for `peers`")
    parser.add_argument("--landmarks-data", type=Path, help="faces with 68 points, for `peers`")
    parser.add_argument(
        "--docs", type=Path, metavar="FILE", help="bring the tables and plots of this page up to date"
    )


def command_lines(args: argparse.Namespace) -> list[list[str]]:
    """Return the benchmarks' own command lines."""
    passed = {
        "pipeline": {"--clip": args.clip},
        "peers": {
            "--clip": args.clip,
            "--landmarker": args.landmarker,
            "--landmarks-data": args.landmarks_data,
        },
        "accuracy": {"--data": args.data},
    }
    lines = []
    for name in args.only:
        if name == "accuracy" and args.data is None:
            continue
        flags = {"--threads": args.threads} | passed.get(name, {})
        given = [word for flag, value in flags.items() if value is not None for word in (flag, str(value))]
        quick = QUICK[name] if args.quick else []
        # Its faces are the clip's own.
        lines.append([name, *quick, *given])
    return lines


def publish(results: Sequence[Result], machine: Mapping[str, Any], page: Path) -> None:
    """Put the tables between the page's marks `<!-- NAME -->` and `<!-- /NAME -->`, and plots beside it.

    Plots go to the folder named like the page; a benchmark that wasn't run keeps its old figures.

    Raises:
        UsageError: if the page or one of its marks is missing.
        SinkError: if it can't be written.
    """
    if not page.is_file():
        raise UsageError(f"{page}: no such page; give the project's docs/benchmarks.md")
    text = page.read_text(encoding="utf-8")
    plots = write_plots(results, page.with_suffix(""))
    text = _put(text, "machine", "\n".join(map(listed, machine_lines(dict(machine)))), page)
    for result in results:
        pictures = [path for path in plots if path.stem.split("-")[0] == result.benchmark]
        links = [f"![{path.stem}]({page.stem}/{path.name})" for path in pictures]
        settings = ", ".join(f"{name} {value}" for name, value in result.settings.items())
        parts = [f"Settings: {settings}.", table(result, markdown=True), *links]
        text = _put(text, result.benchmark, "\n\n".join(parts), page)
    write_text(page, text)


def _put(text: str, name: str, content: str, page: Path) -> str:
    marks = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
    if not marks.search(text):
        raise UsageError(f"{page}: has no place marked <!-- {name} --> ... <!-- /{name} -->")
    return marks.sub(lambda found: f"{found[1]}{content}\n{found[2]}", text)
