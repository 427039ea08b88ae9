"""Where frames go: video file, image file, masks, window, contact sheet, nowhere."""

from __future__ import annotations

from pathlib import Path

from realtime.errors import UsageError
from realtime.media import SourceInfo
from realtime.sinks.encoders import CONTAINERS, DEFAULT, ENCODERS, Encoding
from realtime.sinks.image import IMAGE_SUFFIXES, ContactSheetSink, ImageFileSink
from realtime.sinks.journal import parts_folder
from realtime.sinks.masks import MaskSink
from realtime.sinks.progress import ProgressSink
from realtime.sinks.resumable import ResumableSink
from realtime.sinks.sink import NullSink, Sink, check_writable, one_of
from realtime.sinks.video import VideoFileSink
from realtime.sinks.window import WindowSink

__all__ = [
    "CONTAINERS",
    "ENCODERS",
    "ContactSheetSink",
    "Encoding",
    "ImageFileSink",
    "MaskSink",
    "NullSink",
    "ProgressSink",
    "ResumableSink",
    "Sink",
    "VideoFileSink",
    "WindowSink",
    "check_output",
    "open_output",
    "parts_folder",
]


def open_output(path: Path, info: SourceInfo, encoding: Encoding = DEFAULT) -> Sink:
    """Open a video or an image file, by the source's kind and the name's ending.

    Raises:
        UsageError: if the ending fits neither, the encoding does not fit it, or the output is the input.
        SinkError: if the place can't be written to.
    """
    check_output(path, info)
    if info.still and encoding != DEFAULT:
        raise UsageError(f"{path}: --codec and --crf are for videos, and this is an image")
    return ImageFileSink(path) if info.still else VideoFileSink(path, info, encoding)


def check_output(path: Path, info: SourceInfo) -> None:
    """Check, before any work, that a file can be made of this source and there.

    Raises:
        UsageError: if the ending does not fit the source, or the output is the input.
        SinkError: if the place can't be written to.
    """
    suffix = path.suffix.lower()
    if info.path is not None and path.exists() and path.samefile(info.path):
        raise UsageError(f"{path}: the output is the input itself; choose another name")
    if info.still and suffix not in IMAGE_SUFFIXES:
        raise UsageError(
            f"{path}: the source is a still image, so the output is one: {one_of(IMAGE_SUFFIXES)}"
        )
    if not info.still and suffix not in CONTAINERS:
        raise UsageError(f"{path}: unknown kind of video {suffix!r}: one of {one_of(CONTAINERS)}")
    check_writable(path)
