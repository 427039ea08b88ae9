"""Command line of the benchmarks: `python -m benchmarks engine|pipeline|effects|browser|shapes`."""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from benchmarks.effects import effect_costs, table, write_json
from benchmarks.statistics import Summary, interleave
from engines import BACKENDS, EngineError, EngineUnavailable, load_engine
from engines.loader import available_cores
from realtime.app import run
from realtime.config import RunConfig
from realtime.errors import RealtimeError, tell
from realtime.frames import Frame, RenderedFrame
from realtime.pipeline import Pipeline, Stage
from realtime.sinks import open_output
from realtime.sinks.sink import check_writable, write_text
from realtime.sources import open_source
from stn_icnn.checkpoint import CheckpointError

EFFECTS = ("lips", "hair", "skin")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    engine = commands.add_parser("engine", help="time the engines, crop to probabilities")
    engine.add_argument("--weights", type=Path, default=None, help="default: the shipped ones")
    engine.add_argument("--batch", type=int, default=1, help="faces at once (default 1)")
    engine.add_argument("--rounds", type=int, default=50, help="timed rounds (default 50)")
    pipeline = commands.add_parser(
        "pipeline", help="time file to file with lips, hair and skin, beside plain decoding and encoding"
    )
    pipeline.add_argument("--source", default="demo", help="a video file or demo (default)")
    pipeline.add_argument("--max-frames", type=int, default=150, help="frames a run (default 150)")
    pipeline.add_argument("--rounds", type=int, default=3, help="timed rounds (default 3)")
    effects = commands.add_parser(
        "effects", help="time each effect on a face of 400 pixels, beside a Gaussian blur of the frame"
    )
    effects.add_argument("--rounds", type=int, default=50, help="timed rounds (default 50)")
    effects.add_argument("--json", type=Path, metavar="FILE", help="write the figures, too")
    shapes = commands.add_parser("shapes", help="accuracy beside time and size of trained networks")
    shapes.add_argument("weights", nargs="+", type=Path, help="the others are compared with the first")
    shapes.add_argument("--rounds", type=int, default=30, help="timed rounds (default 30)")
    browser = commands.add_parser(
        "browser", help="the browser page in a Chromium with a made camera: frame rate, latency, memory"
    )
    browser.add_argument("--seconds", type=float, default=30.0, help="measured (default 30)")
    browser.add_argument("--visitors", type=int, default=1, help="pages at once (default 1)")
    browser.add_argument("--connects", type=int, default=0, help="visits to watch memory over (default 0)")
    browser.add_argument("--preset", default="evening", help="effects painted (default: evening)")
    browser.add_argument("--json", type=Path, metavar="FILE", help="write the figures, too")
    for command in (engine, pipeline, effects, shapes):
        command.add_argument("--threads", type=int, default=None, help="CPU threads (default: one a core)")
    return parser


def _engine(args: argparse.Namespace) -> None:
    candidates: dict[str, Callable[[], object]] = {}
    rng = np.random.default_rng(0)
    for name in ("eager", *(name for name in BACKENDS if name != "eager")):
        try:
            engine, line = load_engine(name, args.weights, args.threads)
        except EngineUnavailable as error:
            print(f"{name}: not measured: {error}")
            continue
        print(line)
        side = engine.spec.input_size
        crops = rng.integers(0, 256, (args.batch, side, side, 3), dtype=np.uint8)
        candidates[name] = partial(engine.infer, crops)
    _print(interleave(candidates, args.rounds, warm_up=5), 1, "ms a call")


def _pipeline(args: argparse.Namespace) -> None:
    with tempfile.TemporaryDirectory() as folder:
        config = RunConfig(
            source=args.source,
            effects=EFFECTS,
            output=Path(folder) / "out.mp4",
            max_frames=args.max_frames,
            threads=args.threads,
        )
        candidates = {
            "decode + encode": partial(_copy, args.source, Path(folder) / "copy.mp4", args.max_frames),
            "whole pipeline": partial(_quietly, config),
        }
        summaries = interleave(candidates, args.rounds, warm_up=1)
    _print(summaries, args.max_frames, "ms a frame")
    for name, summary in summaries.items():
        print(f"{name:16s} {args.max_frames / summary.median:6.1f} fps (start-up included)")


def _effects(args: argparse.Namespace) -> None:
    if args.json is not None:
        check_writable(args.json)
    cv2.setNumThreads(args.threads or 1)
    costs = effect_costs(args.rounds)
    print(table(costs))
    if args.json is not None:
        write_json(costs, args.json)


def _browser(args: argparse.Namespace) -> None:
    # Here, as its browser is needed by nothing else.
    from benchmarks.browser import measure, table

    if args.json is not None:
        check_writable(args.json)
    results = measure(args.seconds, args.visitors, args.connects, ("--preset", args.preset))
    print(table(results))
    if args.json is not None:
        write_text(args.json, json.dumps(results, indent=1) + "\n")


def _shapes(args: argparse.Namespace) -> None:
    # Here, so that the other benchmarks run without torch.
    from benchmarks.shapes import compare_shapes, markdown

    threads = args.threads or available_cores()
    with tempfile.TemporaryDirectory() as folder:
        print(markdown(compare_shapes(args.weights, args.rounds, threads, Path(folder))))


def _copy(source: str, output: Path, frames: int) -> None:
    opened = open_source(source)

    def wrap(frame: Frame) -> RenderedFrame:
        return RenderedFrame(frame, frame.image)

    Pipeline(opened, [Stage("copy", wrap)], [open_output(output, opened.info)], frames).run()


def _quietly(config: RunConfig) -> None:
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()) as errors:
        code = run(config)
    if code != 0:
        raise RealtimeError(errors.getvalue().strip())


def _print(summaries: dict[str, Summary], units: int, unit: str) -> None:
    print(f"{'':16s} {'median':>8s} {'p95':>8s} {unit}; ratio to the first (quartiles)")
    for name, summary in summaries.items():
        scale = 1e3 / units
        ratio = f"{summary.ratio:.2f} ({summary.low:.2f} to {summary.high:.2f})"
        print(f"{name:16s} {summary.median * scale:8.1f} {summary.p95 * scale:8.1f} {ratio}")


def main(argv: list[str] | None = None) -> int:
    """Run the command line; return the exit code (2 usage, 1 other errors)."""
    args = _parser().parse_args(argv)
    try:
        commands = {"engine": _engine, "pipeline": _pipeline, "effects": _effects, "browser": _browser}
        commands["shapes"] = _shapes
        commands[args.command](args)
    except (RealtimeError, EngineError, CheckpointError, ImportError) as error:
        return tell(error)
    return 0


if __name__ == "__main__":
    sys.exit(main())
