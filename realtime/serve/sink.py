"""Painted frames handed to the track that goes back: always the newest one."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Callable
from fractions import Fraction
from statistics import median

from aiortc.mediastreams import MediaStreamError, MediaStreamTrack
from av import VideoFrame

from realtime.frames import Image, RenderedFrame

CLOCK_RATE = 90_000
# Frames over which a visitor's figures are taken.
LATELY = 60


class PaintedTrack(MediaStreamTrack):
    """A track that gives each painted frame once, the newest when several have come.

    To be made on the event loop, where all but `TrackSink` lives.
    """

    kind = "video"

    def __init__(self) -> None:
        super().__init__()
        self._newest: tuple[VideoFrame, float] | None = None
        self._came = asyncio.Event()
        self._begun: float | None = None
        self._latencies: deque[float] = deque(maxlen=LATELY)
        self._sent: deque[float] = deque(maxlen=LATELY)
        self.skipped = 0

    def offer(self, picture: VideoFrame, captured_at: float) -> None:
        """Take a picture instead of one that was not sent yet."""
        self.skipped += self._newest is not None
        self._newest = picture, captured_at
        self._came.set()

    async def recv(self) -> VideoFrame:
        """Wait for the next picture; see `MediaStreamTrack.recv`."""
        while self._newest is None and self.readyState == "live":
            self._came.clear()
            await self._came.wait()
        if self._newest is None:
            raise MediaStreamError
        (picture, captured_at), self._newest = self._newest, None
        now = time.monotonic()
        self._begun = now if self._begun is None else self._begun
        # The time of sending, not of capture: a browser takes what varies between the two for a bad network
        # and holds frames back to even it out.
        picture.pts, picture.time_base = round((now - self._begun) * CLOCK_RATE), Fraction(1, CLOCK_RATE)
        self._sent.append(now)
        self._latencies.append(now - captured_at)
        return picture

    def stop(self) -> None:
        """End the track; whoever waits for a picture is told."""
        super().stop()
        self._came.set()

    def figures(self) -> dict[str, float]:
        """Return "fps", frames a second lately, and "latency", received to sent, median, milliseconds."""
        sent = [moment for moment in self._sent if moment > time.monotonic() - 2.0]
        fps = (len(sent) - 1) / (sent[-1] - sent[0]) if len(sent) > 1 else 0.0
        latency = median(self._latencies) * 1e3 if sent else 0.0
        return {"fps": round(fps, 1), "latency": round(latency, 1)}


class TrackSink:
    """Hands frames from the pipeline's thread to a track.

    Args:
        track: it lives on `loop`.
        loop: the event loop.
        split: asked at each frame which share of it, from the left, is shown as captured; 0 to 1.
    """

    def __init__(
        self, track: PaintedTrack, loop: asyncio.AbstractEventLoop, split: Callable[[], float] = lambda: 0.0
    ) -> None:
        self._track, self._loop, self._split = track, loop, split

    def write(self, rendered: RenderedFrame) -> bool:
        """See `Sink.write`."""
        # Here and not on the event loop: converting takes a millisecond, and the loop serves all visitors.
        picture = VideoFrame.from_ndarray(split_at(rendered, self._split()), "rgb24").reformat(
            format="yuv420p"
        )
        with contextlib.suppress(RuntimeError):  # the loop is closed: the run is about to be stopped
            self._loop.call_soon_threadsafe(self._track.offer, picture, rendered.frame.captured_at)
        return True

    def close(self, whole: bool = True) -> None:
        """Nothing is held; the track ends with its connection."""

    def abort(self) -> None:
        """Nothing is held."""


def split_at(rendered: RenderedFrame, share: float) -> Image:
    """Return (H, W, 3) uint8 RGB: as captured left of a share of the width, painted right of it."""
    width = round(share * rendered.image.shape[1])
    if not width:
        return rendered.image
    image = rendered.image.copy()
    image[:, :width] = rendered.frame.image[:, :width]
    return image
