"""Command line of the effects: `python -m realtime.effects gallery`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from engines import EngineError
from realtime.effects.gallery import gallery
from realtime.errors import RealtimeError, UsageError, tell
from realtime.quiet import native_chatter_hidden
from realtime.sinks.image import IMAGE_SUFFIXES, save_image
from realtime.sinks.sink import check_writable, one_of


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m realtime.effects", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    sheet = commands.add_parser(
        "gallery", help="every effect and preset on the demo's portrait, as one image"
    )
    sheet.add_argument(
        "--out", type=Path, default=Path("effects.png"), metavar="FILE", help="default: effects.png"
    )
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run the command line; return the exit code (2 usage, 1 other errors)."""
    try:
        _write(_parser().parse_args(argv).out)
    except (RealtimeError, EngineError) as error:
        return tell(error)
    return 0


def _write(path: Path) -> None:
    if path.suffix.lower() not in IMAGE_SUFFIXES:
        raise UsageError(f"{path}: the gallery is an image: one of {one_of(IMAGE_SUFFIXES)}")
    check_writable(path)
    with native_chatter_hidden():
        image = gallery()
    save_image(path, image)
    print(f"wrote {path}")


if __name__ == "__main__":
    sys.exit(main())
