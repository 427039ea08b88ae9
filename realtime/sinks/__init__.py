"""Where frames go: video file, image file, window, contact sheet, nowhere."""

from __future__ import annotations

from pathlib import Path

from realtime.errors import UsageError
from realtime.sinks.image import IMAGE_SUFFIXES, ContactSheetSink, ImageFileSink
from realtime.sinks.sink import NullSink, Sink, check_writable, one_of
from realtime.sinks.video import VIDEO_CODECS, VideoFileSink
from realtime.sinks.window import WindowSink
from realtime.sources import SourceInfo

__all__ = [
    "ContactSheetSink",
    "ImageFileSink",
    "NullSink",
    "Sink",
    "VideoFileSink",
    "WindowSink",
    "open_output",
]


def open_output(path: Path, info: SourceInfo) -> Sink:
    """Open a video or an image file, by the source's kind and the name's ending.

    Raises:
        UsageError: if the ending fits neither, or the output is the input.
        SinkError: if the place can't be written to.
    """
    suffix = path.suffix.lower()
    if info.path is not None and path.exists() and path.samefile(info.path):
        raise UsageError(f"{path}: the output is the input itself; choose another name")
    if info.still and suffix not in IMAGE_SUFFIXES:
        raise UsageError(
            f"{path}: the source is a still image, so the output is one: {one_of(IMAGE_SUFFIXES)}"
        )
    if not info.still and suffix not in VIDEO_CODECS:
        raise UsageError(f"{path}: unknown kind of video {suffix!r}: one of {one_of(VIDEO_CODECS)}")
    check_writable(path)
    return ImageFileSink(path) if info.still else VideoFileSink(path, info)
