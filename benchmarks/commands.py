"""The benchmarks' commands but `gpu`: their flags, and where what they find goes."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from benchmarks import (
    accuracy,
    browser,
    effects,
    engines,
    glass,
    gpu,
    growth,
    likeness,
    peers,
    pipeline,
    regression,
    shapes,
    suite,
    video,
)
from benchmarks.machine import ISAS, describe_machine, hold_to, load, machine_lines
from benchmarks.plots import require_plots, write_plots
from benchmarks.report import Result, read_json, table, write_csv, write_json
from engines import EngineError
from realtime.errors import RealtimeError, UsageError, report_error
from realtime.sinks.sink import check_writable
from stn_icnn.checkpoint import CheckpointError

COMMANDS: dict[str, ModuleType] = {
    "engine": engines,
    "pipeline": pipeline,
    "growth": growth,
    "effects": effects,
    "peers": peers,
    "glass": glass,
    "browser": browser,
    "accuracy": accuracy,
    "shapes": shapes,
    "video": video,
    "likeness": likeness,
}


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of all commands."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, module in COMMANDS.items():
        command = commands.add_parser(name, help=module.HELP)
        module.configure(command)
        _add_common(command, many_threads=name == "engine")
        if module.ROUNDS is not None:
            _add_timed(command, module.ROUNDS)
    everything = commands.add_parser("all", help=suite.HELP)
    suite.configure(everything)
    _add_common(everything)
    _add_plots(everything)
    gpu.configure(commands.add_parser("gpu", help=gpu.HELP))
    compare = commands.add_parser(
        "compare", help="compare two --json files by their ratios; exit code 1 where the new one is slower"
    )
    compare.add_argument("old", type=Path)
    compare.add_argument("new", type=Path)
    compare.add_argument(
        "--tolerance",
        type=float,
        default=regression.TOLERANCE,
        help=f"share by which a ratio may grow (default {regression.TOLERANCE})",
    )
    return parser


def _add_common(command: argparse.ArgumentParser, many_threads: bool = False) -> None:
    several: dict[str, Any] = {"nargs": "+"} if many_threads else {}
    command.add_argument(
        "--threads",
        type=_count,
        metavar="N",
        help="CPU threads of the engine (default: one a core)",
        **several,
    )
    command.add_argument(
        "--isa", choices=ISAS, help="hold OpenVINO to these vector instructions, as on an older processor"
    )
    command.add_argument(
        "--json", type=Path, metavar="FILE", help="write every round, for `compare` and plots"
    )
    command.add_argument("--csv", type=Path, metavar="FILE", help="write the table")


def _add_timed(command: argparse.ArgumentParser, rounds: int) -> None:
    _add_plots(command)
    command.add_argument("--rounds", type=_count, default=rounds, help=f"timed rounds (default {rounds})")


def _add_plots(command: argparse.ArgumentParser) -> None:
    command.add_argument("--plots", type=Path, metavar="DIR", help="write PNG plots")


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"a whole number from 1 is needed, not {text!r}")
    return int(text)


def _measure(args: argparse.Namespace) -> None:
    """Run one command or all of them, and put out what was found."""
    for path in (args.json, args.csv):
        if path is not None:
            check_writable(path)
    if args.isa is not None:
        hold_to(args.isa)
    # Where nothing is timed there is nothing to plot.
    args.plots = getattr(args, "plots", None)
    if args.plots is not None or getattr(args, "docs", None) is not None:
        require_plots()
    machine = describe_machine()
    print("\n".join(machine_lines(machine)), flush=True)
    results = []
    for result in _results(args):
        results.append(result)
        print(f"\n{table(result)}", flush=True)
    machine["load_at_end"] = load()
    _put_out(args, results, machine)


def _results(args: argparse.Namespace) -> Any:
    if args.command != "all":
        yield COMMANDS[args.command].run(args)
        return
    parser = make_parser()
    for arguments in suite.command_lines(args):
        single = parser.parse_args(arguments)
        try:
            yield COMMANDS[single.command].run(single)
        except (RealtimeError, EngineError, ImportError) as error:
            # One that can't run here must not lose the others.
            print(f"\n{single.command}: not measured: {error}", flush=True)
            yield Result(single.command, {}, [], [f"not measured: {error}"])


def _put_out(args: argparse.Namespace, results: Sequence[Result], machine: dict[str, Any]) -> None:
    if args.json is not None:
        write_json(results, machine, args.json)
    if args.csv is not None:
        write_csv(results, args.csv)
    if args.plots is not None:
        for path in write_plots(results, args.plots):
            print(f"wrote {path}")
    if getattr(args, "docs", None) is not None:
        suite.publish(results, machine, args.docs)
        print(f"wrote {args.docs}")


def _compare(args: argparse.Namespace) -> int:
    (_, old), (_, new) = read_json(args.old), read_json(args.new)
    found = regression.changes(old, new, args.tolerance)
    print(regression.table(found))
    return 1 if any(change.slower for change in found) else 0


def main(argv: list[str]) -> int:
    """Run a command but `gpu`; return the exit code (2 usage, 1 other errors or slower)."""
    args = make_parser().parse_args(argv)
    try:
        if args.command == "compare":
            return _compare(args)
        _measure(args)
    except UsageError as error:
        return report_error(error)
    except (RealtimeError, EngineError, CheckpointError, ImportError) as error:
        return report_error(error)
    return 0
