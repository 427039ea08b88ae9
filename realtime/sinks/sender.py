"""Encodes frames and sends them to a network address: a program of its own, run by `realtime.sinks.stream`.

PyAV connects, and writes a stream's head and end, while it holds Python's lock, and can't be told to give
up: in the process of the window, a slow network would stop everything. It imports nothing of the project,
so that it starts quickly.

On stdin: a line of JSON (url, format, options, width, height, rate, codec), then for each frame its time
(8 bytes, microseconds, little-endian) and its pixels (height, width, 3) uint8 RGB. On stdout: a line "ready"
once the receiver has answered, or the reason why it did not or is lost.
"""

from __future__ import annotations

import json
import signal
import struct
import sys
from fractions import Fraction
from typing import Any, BinaryIO

import av
import numpy as np

TICKS = 90_000
# FLV counts milliseconds; two frames in one would be refused.
LEAST_STEP = 90
KEY_SECONDS = 2
# FFmpeg's numbers for BT.709 in limited range, which is what receivers take for granted.
BT709, LIMITED = 1, 1


def open_stream(job: dict[str, Any]) -> tuple[av.container.OutputContainer, av.VideoStream]:
    """Connect, and send the head of the stream."""
    container = av.open(job["url"], "w", format=job["format"], container_options=job["options"])
    stream = container.add_stream("libx264", rate=Fraction(job["rate"]), options=job["codec"])
    context = stream.codec_context
    stream.width, stream.height, stream.pix_fmt = job["width"], job["height"], "yuv420p"
    stream.time_base = context.time_base = Fraction(1, TICKS)
    context.gop_size = round(KEY_SECONDS * Fraction(job["rate"]))
    context.colorspace = context.color_primaries = context.color_trc = BT709
    context.color_range = LIMITED
    container.start_encoding()
    return container, stream


def send_frames(
    pipe: BinaryIO, container: av.container.OutputContainer, stream: av.VideoStream, width: int, height: int
) -> None:
    """Send what comes, from time zero, with a key frame every two seconds."""
    first: int | None = None
    last, key = -LEAST_STEP, -KEY_SECONDS * TICKS
    while True:
        head, body = pipe.read(8), pipe.read(width * height * 3)
        if len(body) < width * height * 3:
            break
        (micros,) = struct.unpack("<q", head)
        first = micros if first is None else first
        last = max((micros - first) * TICKS // 1_000_000, last + LEAST_STEP)
        image = np.frombuffer(body, np.uint8).reshape(height, width, 3)
        picture = av.VideoFrame.from_ndarray(image, format="rgb24").reformat(
            format="yuv420p", dst_colorspace=BT709
        )
        picture.pts, picture.time_base = last, Fraction(1, TICKS)
        if last - key >= KEY_SECONDS * TICKS:
            picture.pict_type, key = av.video.frame.PictureType.I, last
        container.mux(stream.encode(picture))
    container.mux(stream.encode(None))


def main() -> int:
    """Send until stdin ends; return 1 when the receiver is lost, its reason told."""
    # Ctrl-C while it connects ends it at once.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    job = json.loads(sys.stdin.buffer.readline())
    try:
        container, stream = open_stream(job)
        # From now on Ctrl-C is for the program that the user started; it ends this one by closing the pipe.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        print("ready", flush=True)
        send_frames(sys.stdin.buffer, container, stream, job["width"], job["height"])
        container.close()
    except Exception as error:
        # Without the address, which may hold a stream's key.
        print(getattr(error, "strerror", None) or type(error).__name__, flush=True)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
