"""Command line of the engines: `python -m engines build|list`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from engines.engine import EngineError
from engines.loader import BACKENDS, load_engine
from stn_icnn.checkpoint import SHIPPED, CheckpointError, read_checkpoint


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m engines", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    build = commands.add_parser(
        "build", help="write the OpenVINO network of a checkpoint beside it (needs torch)"
    )
    build.add_argument("--out", type=Path, metavar="FOLDER", help="copy the weights there first")
    build.add_argument("--half", action="store_true", help="copy them as 16-bit numbers; computing is fp32")
    listing = commands.add_parser("list", help="say which back-ends can run here, and why others can't")
    for command in (build, listing):
        command.add_argument("--weights", type=Path, default=SHIPPED, help="default: the shipped ones")
    return parser


def _build(args: argparse.Namespace) -> None:
    from engines.export import copy_checkpoint, export_openvino

    if args.half and args.out is None:
        raise EngineError("--half needs --out: the weights themselves are left as they are")
    checkpoint = read_checkpoint(args.weights)
    if args.out is not None:
        checkpoint = copy_checkpoint(checkpoint, args.out, args.half)
    checkpoint, difference = export_openvino(checkpoint)
    path = checkpoint.path.with_suffix(".xml")
    print(f"{path}: largest difference from eager {difference:.1e}")


def _list(args: argparse.Namespace) -> None:
    for name in BACKENDS:
        try:
            engine, _ = load_engine(name, args.weights)
        except EngineError as error:
            print(f"{name:10s} no: {error}")
        else:
            print(f"{name:10s} {engine.description}")
            engine.close()


def main(argv: list[str] | None = None) -> int:
    """Run the command line; return the exit code (2 usage, 1 other errors)."""
    args = _parser().parse_args(argv)
    try:
        {"build": _build, "list": _list}[args.command](args)
    except (EngineError, CheckpointError, ImportError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
