"""Webcams, by OpenCV."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from fractions import Fraction
from typing import cast

import cv2

from realtime.errors import SourceError
from realtime.frames import Frame, Image
from realtime.media import SourceInfo
from realtime.sources.source import NOTHING_ASKED, LiveOptions

# Microseconds: fine enough for any camera, and what files take without rounding.
CAMERA_TIME_BASE = Fraction(1, 1_000_000)


class CameraSource:
    """A webcam, by index or device path. Frames carry the time since the first one.

    Raises:
        SourceError: if there is no such camera or it gives no picture.
    """

    def __init__(self, device: int | str, options: LiveOptions = NOTHING_ASKED) -> None:
        self._capture = cv2.VideoCapture(device)
        if not self._capture.isOpened():
            raise SourceError(
                f"camera {device} cannot be opened; try another number, or --source FILE, or --source demo"
            )
        self._ask(options)
        good, picture = self._capture.read()
        if not good:
            self._capture.release()
            raise SourceError(f"camera {device} gives no picture; is another program using it?")
        rate = self._capture.get(cv2.CAP_PROP_FPS)
        height, width = picture.shape[:2]
        print(f"camera {device}: {self._mode(options, width, height, rate)}", file=sys.stderr, flush=True)
        self._device = device
        self.info = SourceInfo(
            name=f"camera {device}",
            width=width,
            height=height,
            fps=Fraction(rate).limit_denominator(1001) if 1.0 <= rate <= 240.0 else Fraction(30),
            time_base=CAMERA_TIME_BASE,
            live=True,
        )

    def _ask(self, options: LiveOptions) -> None:
        # Compressed frames let a USB camera reach its full rate; a buffer of one keeps them fresh. The
        # format comes first: sizes and rates depend on it.
        self._capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*"MJPG"))
        if options.size is not None:
            self._capture.set(cv2.CAP_PROP_FRAME_WIDTH, options.size[0])
            self._capture.set(cv2.CAP_PROP_FRAME_HEIGHT, options.size[1])
        if options.fps is not None:
            self._capture.set(cv2.CAP_PROP_FPS, options.fps)
        self._capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)

    def _mode(self, options: LiveOptions, width: int, height: int, rate: float) -> str:
        """Say what was asked of the camera and what it gives."""
        asked = ["MJPG"]
        if options.fps is not None:
            asked.insert(0, f"{options.fps:g} fps")
        if options.size is not None:
            asked.insert(0, f"{options.size[0]}x{options.size[1]}")
        code = int(self._capture.get(cv2.CAP_PROP_FOURCC)).to_bytes(4, "little", signed=True)
        given = [f"{width}x{height}", f"{rate:g} fps", code.decode("ascii", "replace").strip("\0 ") or "raw"]
        return f"asked for {' '.join(asked)}; it gives {' '.join(given)}"

    def frames(self) -> Iterator[Frame]:
        """See `Source.frames`."""
        started = None
        index = 0
        while True:
            good, picture = self._capture.read()
            now = time.monotonic()
            if not good:
                raise SourceError(
                    f"{self.info.name} stopped giving pictures (unplugged?); output so far is kept"
                )
            started = now if started is None else started
            image = cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)
            micros = round((now - started) * 1e6)
            yield Frame(cast(Image, image), index, micros * CAMERA_TIME_BASE, now)
            index += 1

    def close(self) -> None:
        """Release the camera."""
        self._capture.release()
