"""Opening what others wrote or send: how long it may take, how often it is tried, which are videos."""

from __future__ import annotations

import time
from collections.abc import Iterator

import av

OPEN_SECONDS = 10.0
FIRST_PAUSE, LONGEST_PAUSE = 0.25, 4.0


def is_cover(stream: av.VideoStream) -> bool:
    """Say whether a stream is a cover picture."""
    return bool(stream.disposition & av.stream.Disposition.attached_pic)


def pauses(patience: float) -> Iterator[float]:
    """Yield ever longer waits, seconds, until `patience` is used up."""
    until, pause = time.monotonic() + patience, FIRST_PAUSE
    while (left := until - time.monotonic()) > 0:
        yield min(pause, left)
        pause = min(2 * pause, LONGEST_PAUSE)
