"""Frames of a file in segments that can each be made anew: what a resumed job rests on."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from dataclasses import replace

from realtime.frames import Frame
from realtime.media import SourceInfo
from realtime.sources.video import VideoSource

SEGMENT_SECONDS = 10.0
# Frames before a segment that are given again, so that tracking and smoothing have found their feet when it
# begins.
WARM_UP_FRAMES = 8


def segment_frames(info: SourceInfo) -> int:
    """Return how many frames of a source make a segment."""
    return max(1, round(SEGMENT_SECONDS * info.fps))


class ReplayingSource:
    """Gives a file's frames from the start of a segment, and before each segment the last few again.

    So the frames that come before a segment are the same whether the run began with it or long before.
    A step that remembers earlier frames must forget them when a frame's index does not rise; then the
    segment comes out the same as well.

    Args:
        source: opened, nothing read of it yet.
        first: the frame to begin with, the first one of a segment.
        limit: the number of frames to end after, counted from the file's beginning; None for all.
    """

    def __init__(self, source: VideoSource, first: int, limit: int | None = None) -> None:
        self._source, self._first, self._limit = source, first, limit
        self.info: SourceInfo = source.info
        self.replayed = 0

    def frames(self) -> Iterator[Frame]:
        """See `Source.frames`; an index that falls begins a replay."""
        segment, recent = segment_frames(self.info), deque[Frame](maxlen=WARM_UP_FRAMES)
        self._source.skip_to(max(0, self._first - WARM_UP_FRAMES))
        for frame in self._source.frames():
            if self._limit is not None and frame.index >= self._limit:
                return
            if frame.index > self._first and frame.index % segment == 0:
                for old in recent:
                    self.replayed += 1
                    yield replace(old, captured_at=time.monotonic())
            self.replayed += frame.index < self._first
            yield frame
            recent.append(frame)

    def close(self) -> None:
        """Close the file."""
        self._source.close()
