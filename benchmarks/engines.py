"""Engines in turns: crops to probabilities, by back-end, precision, batch and threads."""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.report import Figure, Result, Row, compared
from benchmarks.start import starts
from benchmarks.statistics import Measured, interleave
from engines import BACKENDS, Engine, EngineUnavailable, load_engine
from engines.loader import available_cores
from engines.openvino import profile
from realtime.errors import RealtimeError
from stn_icnn.checkpoint import SHIPPED, read_checkpoint

HELP = "time the engines, crop to probabilities"
ROUNDS = 50
WARM_UP = 5
PRECISIONS = ("fp32", "fp16", "int8")
# Nodes of a profile that are shown.
LONGEST = 25


def configure(parser: argparse.ArgumentParser) -> None:
    """Add this benchmark's own flags."""
    parser.add_argument("--weights", type=Path, help="default: the shipped ones")
    parser.add_argument(
        "--backends",
        nargs="+",
        default=list(BACKENDS),
        choices=list(BACKENDS),
        metavar="NAME",
        help="default: all",
    )
    parser.add_argument(
        "--precisions", nargs="+", default=list(PRECISIONS), choices=PRECISIONS, help="default: all"
    )
    parser.add_argument(
        "--batch", nargs="+", type=int, default=[1, 4], help="faces at once (default: 1 and 4)"
    )
    parser.add_argument(
        "--starts",
        nargs="*",
        default=list(BACKENDS),
        choices=list(BACKENDS),
        metavar="NAME",
        help="whose starts, memory and size to measure, none if no name is given (default: all)",
    )
    parser.add_argument(
        "--profile",
        action="store_true",
        help="also what each node of OpenVINO's networks takes, and its kernel",
    )


def run(args: argparse.Namespace) -> Result:
    """Run it; see the docstring of the module."""
    rows: list[Row] = []
    notes: dict[str, None] = {}
    counts = args.threads or [available_cores()]
    for threads in counts:
        with ExitStack() as undo:
            engines = dict(_engines(args, threads, notes, undo))
            if not engines:
                raise RealtimeError("no engine can run here: " + "; ".join(notes))
            for batch in args.batch:
                measured = interleave(_calls(engines, batch), args.rounds, WARM_UP)
                figures = {name: _throughput(times, batch) for name, times in measured.items()}
                rows += compared(
                    f"{_some(batch, 'face')} at once, {_some(threads, 'thread')}", measured, figures
                )
        rows += [_start(name, threads, args.weights) for name in engines if name.split()[0] in args.starts]
        if args.profile:
            rows += _profiles(args, threads, notes)
    settings = {"threads": counts, "rounds": args.rounds, "warm_up": WARM_UP}
    return Result("engine", settings, rows, list(notes))


def _profiles(args: argparse.Namespace, threads: int, notes: dict[str, None]) -> Iterator[Row]:
    """Return rows of kernels, which name the instructions they use, and of the longest nodes."""
    checkpoint = read_checkpoint(args.weights or SHIPPED)
    for precision, ending in (("fp32", ".xml"), ("int8", ".int8.xml")):
        file = f"{checkpoint.path.stem}{ending}"
        if file not in checkpoint.files or precision not in args.precisions:
            notes[f"openvino {precision}: no profile: {file} is not shipped or not asked for"] = None
            continue
        nodes = profile(checkpoint.verified(file), threads, args.rounds)
        kernels: defaultdict[str, float] = defaultdict(float)
        for node in nodes:
            kernels[node.kernel] += node.seconds
        whole = sum(kernels.values())
        group = f"openvino {precision}, {_some(threads, 'thread')}"
        for kernel, seconds in sorted(kernels.items(), key=lambda item: -item[1]):
            figures: dict[str, Figure] = {"ms": round(1e3 * seconds, 3), "share": round(seconds / whole, 3)}
            yield Row(f"kernels of {group}", kernel, figures=figures)
        for node in sorted(nodes, key=lambda node: -node.seconds)[:LONGEST]:
            figures = {"ms": round(1e3 * node.seconds, 3), "kind": node.kind, "kernel": node.kernel}
            yield Row(f"longest nodes of {group}", node.name, figures=figures)


def _throughput(times: Measured, batch: int) -> dict[str, Figure]:
    return {"faces_per_s": round(batch / times.mean, 1)}


def _start(name: str, threads: int, weights: Path | None) -> Row:
    backend, precision = name.split()
    group = f"start in a new process, {_some(threads, 'thread')}"
    return Row(group, name, figures=starts(backend, precision, threads, weights))


def _some(count: int, what: str) -> str:
    return f"{count} {what}" + ("s" if count > 1 else "")


def _engines(
    args: argparse.Namespace, threads: int, notes: dict[str, None], undo: ExitStack
) -> Iterator[tuple[str, Engine]]:
    """Load what runs here, eager, the reference, first; note what doesn't, and why."""
    for name in sorted(args.backends, key=lambda name: (name != "eager", list(BACKENDS).index(name))):
        refusals = []
        for precision in args.precisions:
            try:
                engine, line = load_engine(name, args.weights, threads, precision, max_batch=max(args.batch))
            except EngineUnavailable as error:
                refusals.append(str(error))
                continue
            print(line)
            undo.callback(engine.close)
            yield f"{name} {engine.precision}", engine
        if len(refusals) == len(args.precisions):
            notes[f"{name}: not measured: {refusals[0]}"] = None


def _calls(engines: dict[str, Engine], batch: int) -> dict[str, Callable[[], object]]:
    rng = np.random.default_rng(0)
    calls: dict[str, Callable[[], object]] = {}
    for name, engine in engines.items():
        shape = (batch, *engine.spec.input_shape)
        calls[name] = partial(engine.infer, rng.integers(0, 256, shape, dtype=np.uint8))
    return calls
