"""A video file made of segments, so that an interrupted job can go on where its last whole one ended."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import av

from realtime.errors import SinkError
from realtime.frames import RenderedFrame
from realtime.media import SourceInfo
from realtime.sinks.encoders import Encoding, choose_encoder
from realtime.sinks.joining import join_segments
from realtime.sinks.journal import Journal
from realtime.sinks.video import VideoFileSink


class ResumableSink:
    """Encodes segments into a hidden folder and joins them when all are whole.

    Frames that are in a finished segment already, or come a second time, are passed over.

    Args:
        path: the file to make; replaced only when the new one is whole.
        info: of the source.
        encoding: encoder and quality.
        job: see `Journal`.
        segment: frames in a segment.
        limit: the job is done after so many frames; None: with the source's last.
        keep_journal: leave the fact that the job is done beside the output.

    Raises:
        UsageError, SinkError: as `VideoFileSink` and `Journal`.
    """

    def __init__(
        self,
        path: Path,
        info: SourceInfo,
        encoding: Encoding,
        job: Mapping[str, Any],
        segment: int,
        limit: int | None = None,
        keep_journal: bool = False,
    ) -> None:
        self._path, self._info, self._encoding = path, info, encoding
        self._segment, self._limit, self._keep = segment, limit, keep_journal
        # The parts have no other tracks.
        self._part_info = replace(info, path=None, url=None)
        self._part: VideoFileSink | None = None
        choose_encoder(path.suffix.lower(), encoding)
        self._journal = Journal(path, job)
        self.next_index = self._journal.frames
        self._part_start = self.next_index

    @property
    def finished(self) -> bool:
        """Say whether the job was done by an earlier run."""
        return self._journal.finished()

    def write(self, rendered: RenderedFrame) -> bool:
        """Encode a frame, unless it has been."""
        index = rendered.frame.index
        if index < self.next_index:
            return True
        if index > self.next_index:
            raise SinkError(f"{self._path}: frame {self.next_index} is missing before {index}")
        if self._part is None:
            place = self._journal.segment(len(self._journal.segments))
            self._part = VideoFileSink(place, self._part_info, self._encoding, quiet=index > 0)
        self._part.write(rendered)
        self.next_index += 1
        if self.next_index % self._segment == 0:
            self._end_part()
        return True

    def _end_part(self) -> None:
        if self._part is not None:
            self._part.close()
            self._part = None
            self._journal.add(self.next_index - self._part_start)
            self._part_start = self.next_index

    def close(self, whole: bool = True) -> None:
        """Join the segments if the job is done; else leave the finished ones for a later run."""
        done = whole or (self._limit is not None and self.next_index >= self._limit)
        if not done or not self.next_index:
            self.abort()
            return
        self._end_part()
        parts = [self._journal.segment(number) for number in range(len(self._journal.segments))]
        limited = self._limit is not None and self.next_index >= self._limit
        try:
            join_segments(parts, self._journal.whole, self._info, whole=not limited)
            os.replace(self._journal.whole, self._path)
        except (av.error.FFmpegError, OSError, ValueError) as error:
            self._journal.whole.unlink(missing_ok=True)
            self._journal.leave()
            raise SinkError(f"{self._path}: cannot be finished: {error}") from None
        self._journal.finish(self._keep)

    def abort(self) -> None:
        """Give up the segment at hand; the finished ones stay."""
        if self._part is not None:
            with contextlib.suppress(SinkError):
                self._part.abort()
            self._part = None
        self._journal.leave()
