"""A visitor's webcam as a live source: always the newest picture that has come."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from fractions import Fraction

import cv2
import numpy as np
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack
from av import VideoFrame

from realtime.errors import SourceError
from realtime.frames import Frame, Image
from realtime.frames.channel import Channel, Closed
from realtime.media import SourceInfo

# Seconds without a picture after which the visitor is thought to be gone.
PATIENCE = 10.0
# Longer side in pixels to which larger pictures shrink: nobody may take the machine's whole time.
LONGEST_SIDE = 1280
TIME_BASE = Fraction(1, 90_000)


class TrackSource:
    """Frames of a track that is received; `follow` feeds it on the event loop.

    Args:
        mirrored: asked at each frame whether left and right are exchanged.
    """

    def __init__(self, mirrored: Callable[[], bool] = lambda: False) -> None:
        self.info = SourceInfo("browser", 640, 480, Fraction(30), TIME_BASE, live=True)
        self._mirrored = mirrored
        self._newest: Channel[tuple[VideoFrame, float]] = Channel(1, drop_oldest=True)

    async def follow(self, track: MediaStreamTrack) -> None:
        """Take every picture of a track until it ends."""
        try:
            with contextlib.suppress(MediaStreamError, Closed):
                while True:
                    picture = await track.recv()
                    if isinstance(picture, VideoFrame):
                        self._newest.put((picture, time.monotonic()))
        finally:
            self._newest.close()

    def frames(self) -> Iterator[Frame]:
        """See `Source.frames`; a track that ends does so in order."""
        index, begun = 0, None
        with contextlib.suppress(Closed):
            while True:
                try:
                    picture, captured = self._newest.get(timeout=PATIENCE)
                except TimeoutError:
                    raise SourceError(f"no picture came for {PATIENCE:g} s") from None
                begun = captured if begun is None else begun
                ticks = round((captured - begun) / TIME_BASE)
                yield Frame(self._image(picture), index, ticks * TIME_BASE, captured)
                index += 1

    def interrupt(self) -> None:
        """Let `frames` end."""
        self._newest.cancel()

    def close(self) -> None:
        """Let `frames` end; nothing else is held."""
        self.interrupt()

    def _image(self, picture: VideoFrame) -> Image:
        width, height = picture.width, picture.height
        scale = min(1.0, LONGEST_SIDE / max(width, height))
        if scale < 1.0:
            width, height = max(1, round(width * scale)), max(1, round(height * scale))
        image = np.asarray(picture.to_ndarray(format="rgb24", width=width, height=height), np.uint8)
        if self._mirrored():
            image = np.asarray(cv2.flip(image, 1), np.uint8)
        return np.ascontiguousarray(image)
