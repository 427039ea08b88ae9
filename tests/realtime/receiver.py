"""Receives a network stream as players do, in a process of its own: what came is told on stdout.

Usage: receiver.py URL [OPTION=VALUE ...] COUNT; waits for a sender where the protocol listens.
"""

from __future__ import annotations

import contextlib
import json
import sys
import time

import av


def main(url: str, options: dict[str, str], count: int) -> None:
    """Decode so many frames; tell their times, when each came, their mean level and which were key frames."""
    frames = []
    # RTMP ends with an error where the sender has said goodbye and closed.
    with av.open(url, container_options=options) as container, contextlib.suppress(av.error.OSError):
        stream = container.streams.video[0]
        for picture in container.decode(stream):
            level = picture.to_ndarray(format="rgb24").mean(axis=(0, 1)).round().astype(int).tolist()
            frames.append([picture.time, time.monotonic(), level, picture.key_frame])
            if len(frames) == 1:
                print("first", flush=True)
            if len(frames) >= count:
                break
    facts = {"codec": stream.codec_context.name, "size": [stream.width, stream.height], "frames": frames}
    print(json.dumps(facts), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], dict(item.split("=") for item in sys.argv[2:-1]), int(sys.argv[-1]))
