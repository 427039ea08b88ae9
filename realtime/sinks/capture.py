"""Pictures and recordings that the user takes from the window, in the current folder."""

from __future__ import annotations

import time
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

from realtime.errors import SinkError
from realtime.frames import RenderedFrame
from realtime.media import SourceInfo
from realtime.sinks.image import save_image
from realtime.sinks.sink import check_writable
from realtime.sinks.video import VideoFileSink


def take_snapshot(rendered: RenderedFrame) -> Path:
    """Write a frame, with its transparency if it has any, as a PNG; return its path.

    Raises:
        SinkError: if it can't be written.
    """
    path = _free_name("snapshot", ".png")
    check_writable(path)
    save_image(path, rendered.image if rendered.cutout is None else rendered.cutout)
    return path


class Recorder:
    """Writes frames to a new video file from one press of a key to the next.

    Args:
        info: of the source; its audio is not recorded.
    """

    def __init__(self, info: SourceInfo) -> None:
        self._info = replace(info, path=None, url=None, lost=())
        self._sink: VideoFileSink | None = None
        self._path = Path()
        self._began: Fraction | None = None

    @property
    def on(self) -> bool:
        """Say whether it records."""
        return self._sink is not None

    def start(self) -> None:
        """Begin a new file with the next frame.

        Raises:
            SinkError: if none can be written here.
        """
        path = _free_name("recording", ".mp4")
        check_writable(path)
        self._path, self._sink, self._began = path, VideoFileSink(path, self._info), None

    def write(self, rendered: RenderedFrame) -> None:
        """Add a frame, where it records; the recording's first frame has time 0.

        Raises:
            SinkError: if it can't be written; the recording is given up.
        """
        if self._sink is None:
            return
        if self._began is None:
            self._began = rendered.frame.time
        frame = replace(rendered.frame, time=rendered.frame.time - self._began)
        try:
            self._sink.write(RenderedFrame(frame, rendered.image))
        except SinkError:
            self._sink.abort()
            self._sink = None
            raise

    def stop(self) -> Path | None:
        """Finish the file and return its path; None where nothing was recorded.

        Raises:
            SinkError: if it can't be finished.
        """
        sink, self._sink = self._sink, None
        if sink is None:
            return None
        sink.close(whole=False)
        return self._path if self._began is not None else None


def _free_name(kind: str, ending: str) -> Path:
    stem = time.strftime(f"{kind}-%Y%m%d-%H%M%S")
    path, number = Path(f"{stem}{ending}"), 2
    while path.exists():
        path, number = Path(f"{stem}-{number}{ending}"), number + 1
    return path
