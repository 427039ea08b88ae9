"""Command line of the package: `python -m realtime setup`."""

from __future__ import annotations

import argparse
import sys

from realtime.errors import RealtimeError, tell
from realtime.models import model_paths


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m realtime", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser(
        "setup",
        help="fetch the models that faces and people are found by, so that later runs need no network",
    )
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run the command line; return the exit code (2 usage, 1 other errors)."""
    _parser().parse_args(argv)
    try:
        print(*model_paths(), sep="\n")
    except RealtimeError as error:
        return tell(error)
    return 0


if __name__ == "__main__":
    sys.exit(main())
