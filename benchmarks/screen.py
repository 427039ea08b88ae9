"""Watches the screen in a process of its own: `python -m benchmarks.screen DISPLAY`, until its input ends.

Prints "ready" once the screen can be seen, "found" when the marker is, and at the end one line of JSON: when
each number was first seen, by `time.monotonic`, which all processes of a machine share, and when it looked.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Callable, Iterator

import av
import numpy as np
import numpy.typing as npt

from benchmarks.marker import find_marker, read_marker

# How often a second it polls: more would take time from what is measured.
RATE = 120
SEARCH_RATE = 20


def main() -> int:
    """Watch until the input ends; return the exit code."""
    ended = threading.Event()

    def wait() -> None:
        sys.stdin.read()
        ended.set()

    threading.Thread(target=wait, daemon=True).start()
    display = sys.argv[1]
    try:
        place = _search(display, ended)
        seen, polls = ({}, []) if place is None else _watch(display, place, ended)
    except (av.FFmpegError, OSError) as error:
        print(f"the screen {display} cannot be seen: {error}", file=sys.stderr)
        return 1
    print(json.dumps({"seen": seen, "polls": polls}), flush=True)
    return 0


def _search(display: str, ended: threading.Event) -> tuple[int, int, int, int] | None:
    for index, screen in enumerate(_grab(display, SEARCH_RATE, {}, ended.is_set)):
        if index == 0:
            print("ready", flush=True)
        place = find_marker(screen)
        if place is not None:
            print("found", flush=True)
            return place
    return None


def _watch(
    display: str, place: tuple[int, int, int, int], ended: threading.Event
) -> tuple[dict[int, float], list[float]]:
    """Look at the strip alone, which is quick; return when each number was first seen, and all times."""
    x, y, width, height = place
    # Even sides, as some formats want.
    region = {"grab_x": str(x), "grab_y": str(y), "video_size": f"{width}x{height}"}
    seen: dict[int, float] = {}
    polls = []
    for strip in _grab(display, RATE, region, ended.is_set):
        now = time.monotonic()
        polls.append(now)
        number = read_marker(strip, (0, 0, width, height))
        if number is not None:
            seen.setdefault(number, now)
    return seen, polls


def _grab(
    display: str, rate: int, region: dict[str, str], ended: Callable[[], bool]
) -> Iterator[npt.NDArray[np.uint8]]:
    """Yield pictures of the screen (H, W, 3) uint8 RGB, by FFmpeg's x11grab."""
    options = {"framerate": str(rate), "draw_mouse": "0", **region}
    with av.open(display, format="x11grab", options=options) as container:
        for frame in container.decode(video=0):
            if ended():
                return
            yield np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)


if __name__ == "__main__":
    sys.exit(main())
