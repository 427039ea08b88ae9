"""Command line of the package: `python -m realtime setup|gallery`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from engines import EngineError
from realtime.errors import RealtimeError, UsageError, report_error
from realtime.models import model_paths
from realtime.native_logs import hide_native_logs
from realtime.sinks.image import IMAGE_SUFFIXES, save_image
from realtime.sinks.sink import check_writable, one_of


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m realtime", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser(
        "setup",
        help="fetch the models that faces and people are found by, so that later runs need no network",
    )
    sheet = commands.add_parser(
        "gallery", help="every effect and preset on the demo's portrait, as one image"
    )
    sheet.add_argument(
        "--out", type=Path, default=Path("effects.png"), metavar="FILE", help="default: effects.png"
    )
    sheet.add_argument(
        "--steps",
        dest="shown",
        action="store_const",
        const="steps",
        default="effects",
        help="three pictures alone: before, its parts, painted",
    )
    sheet.add_argument(
        "--like",
        dest="shown",
        action="store_const",
        const="like",
        help="three pictures alone: a photo, before, painted with the look of the photo",
    )
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run the command line; return the exit code (2 usage, 1 other errors)."""
    args = _parser().parse_args(argv)
    try:
        if args.command == "gallery":
            _write_gallery(args.out, args.shown)
        else:
            print(*model_paths(), sep="\n")
    except (RealtimeError, EngineError) as error:
        return report_error(error)
    return 0


def _write_gallery(path: Path, shown: str) -> None:
    # Here, so that set-up imports nothing that it has no use for.
    from realtime.app.gallery import gallery

    if path.suffix.lower() not in IMAGE_SUFFIXES:
        raise UsageError(f"{path}: the gallery is an image: one of {one_of(IMAGE_SUFFIXES)}")
    check_writable(path)
    with hide_native_logs():
        image = gallery(shown)
    save_image(path, image)
    print(f"wrote {path}")


if __name__ == "__main__":
    sys.exit(main())
