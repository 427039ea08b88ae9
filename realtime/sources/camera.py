"""Webcams, by OpenCV."""

from __future__ import annotations

import time
from collections.abc import Iterator
from fractions import Fraction
from typing import cast

import cv2

from realtime.errors import SourceError
from realtime.frames import Frame, Image
from realtime.sources.source import SourceInfo

# Microseconds: fine enough for any camera, and what files take without rounding.
CAMERA_TIME_BASE = Fraction(1, 1_000_000)


class CameraSource:
    """A webcam, by index or device path. Frames carry the time since the first one.

    Raises:
        SourceError: if there is no such camera or it gives no picture.
    """

    def __init__(self, device: int | str) -> None:
        self._capture = cv2.VideoCapture(device)
        if not self._capture.isOpened():
            raise SourceError(
                f"camera {device} cannot be opened; try another number, or --source FILE, or --source demo"
            )
        # Compressed frames let a USB camera reach its full rate; a buffer of one keeps them fresh.
        self._capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*"MJPG"))
        self._capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)
        good, picture = self._capture.read()
        if not good:
            self._capture.release()
            raise SourceError(f"camera {device} gives no picture; is another program using it?")
        rate = self._capture.get(cv2.CAP_PROP_FPS)
        height, width = picture.shape[:2]
        self._device = device
        self.info = SourceInfo(
            name=f"camera {device}",
            width=width,
            height=height,
            fps=Fraction(rate).limit_denominator(1001) if 1.0 <= rate <= 240.0 else Fraction(30),
            time_base=CAMERA_TIME_BASE,
            live=True,
        )

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
