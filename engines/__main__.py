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
    for name, text in (
        ("build", "write the OpenVINO network of a checkpoint beside it (needs torch)"),
        ("list", "say which back-ends can run here, and why the others can't"),
    ):
        command = commands.add_parser(name, help=text)
        command.add_argument("--weights", type=Path, default=SHIPPED, help="default: the shipped ones")
    return parser


def _build(weights: Path) -> None:
    from engines.export import export_openvino

    checkpoint, difference = export_openvino(read_checkpoint(weights))
    path = checkpoint.path.with_suffix(".xml")
    print(f"{path}: largest difference from eager {difference:.1e}")


def _list(weights: Path) -> None:
    for name in BACKENDS:
        try:
            engine, _ = load_engine(name, weights)
        except EngineError as error:
            print(f"{name:10s} no: {error}")
        else:
            print(f"{name:10s} {engine.description}")
            engine.close()


def main(argv: list[str] | None = None) -> int:
    """Run the command line; return the exit code (2 usage, 1 other errors)."""
    args = _parser().parse_args(argv)
    try:
        {"build": _build, "list": _list}[args.command](args.weights)
    except (EngineError, CheckpointError, ImportError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
