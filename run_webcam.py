"""Parse faces in real time and paint effects on their parts: from a webcam, a file or the demo."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from engines import EngineError
from realtime.app.arguments import add_effects, add_engine, add_files
from realtime.app.config import RunConfig, split_output
from realtime.app.doctor import run_doctor
from realtime.app.likeness import take_effects
from realtime.app.run import run
from realtime.errors import RealtimeError, report_error
from realtime.serve.options import DEFAULT_ADDRESS
from realtime.sources.cameras import print_cameras


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="run_webcam.py",
        description=f"{__doc__} Without --output a window opens: h shows its keys, q or Esc ends.",
    )
    add = parser.add_argument
    add(
        "--source",
        default="0",
        help="camera number or device, file, folder, URL, or demo (default: 0)",
    )
    add("--save-preset", type=Path, metavar="FILE", help="write the effects, as they are at the end, as TOML")
    add(
        "--output",
        metavar="FILE|URL",
        help="write a video, or what the source is: an image, a folder; or send it to rtmp:// rtsp:// udp://",
    )
    add(
        "--virtual-camera",
        nargs="?",
        const="",
        metavar="DEVICE",
        help="be a webcam for other programs (default: the first virtual camera there is)",
    )
    add(
        "--display",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="show a window (default: only where there is no other output)",
    )
    add("--contact-sheet", type=Path, metavar="FILE", help="write evenly spaced frames as one image")
    add("--camera-size", metavar="WxH", help="picture size to ask of a camera")
    add("--camera-fps", type=float, metavar="N", help="frames a second to ask of a camera")
    add(
        "--reconnect",
        type=float,
        default=30.0,
        metavar="SECONDS",
        help="how long a lost camera or network stream is tried again (default: 30; 0: never)",
    )
    add(
        "--progress",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="show a bar with frames a second and time left (default: for files, on a terminal)",
    )
    add(
        "--serve",
        nargs="?",
        const=DEFAULT_ADDRESS,
        metavar="HOST:PORT",
        help=f"serve a page that paints the browser's own camera (default: {DEFAULT_ADDRESS})",
    )
    add("--token", metavar="TOKEN", help="what the page must know; needed where other hosts are served")
    add("--tls-cert", type=Path, metavar="FILE", help="serve over HTTPS with this PEM certificate")
    add("--tls-key", type=Path, metavar="FILE", help="and its PEM key")
    add("--max-visitors", type=int, default=2, metavar="N", help="pages painted at once (default: 2)")
    add("--stats", action="store_true", help="print the time of each stage at the end")
    add("--stats-json", type=Path, metavar="FILE", help="write the times of each stage as JSON")
    add("--list-cameras", action="store_true", help="say which cameras there are, and end")
    add("--doctor", action="store_true", help="say what works here and how to mend what does not, and end")
    add_effects(parser)
    add_files(parser)
    add_engine(parser)
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run the command line; return the exit code: 0, 2 for usage, 1 for other errors."""
    args = _parser().parse_args(argv)
    values = vars(args)
    lists_cameras, examines = values.pop("list_cameras"), values.pop("doctor")
    if lists_cameras or examines:
        return run_doctor() if examines else print_cameras()
    values["output"], values["stream"] = split_output(values["output"])
    try:
        values["effects"] = take_effects(values)
        config = RunConfig(**values)
    except (RealtimeError, EngineError) as error:
        return report_error(error)
    return run(config)


if __name__ == "__main__":
    sys.exit(main())
