"""Where frames come from: camera, video file or network stream, still image, demo."""

from __future__ import annotations

from pathlib import Path

import cv2

from realtime.errors import SourceError
from realtime.sources.camera import CameraSource
from realtime.sources.demo import DemoSource
from realtime.sources.image import ImageSource
from realtime.sources.light import Colour
from realtime.sources.source import Interruptible, LiveOptions, Source, SourceInfo
from realtime.sources.video import VideoSource

__all__ = [
    "CameraSource",
    "Colour",
    "DemoSource",
    "ImageSource",
    "Interruptible",
    "LiveOptions",
    "Source",
    "SourceInfo",
    "VideoSource",
    "open_source",
]


def open_source(name: str) -> Source:
    """Open a source by what a user writes.

    Args:
        name: a camera's index or device path, a file, a URL, or "demo".

    Raises:
        SourceError: if it can't be opened; the message says why.
    """
    if name == "demo":
        return DemoSource()
    if name.isdecimal() or name.startswith("/dev/video"):
        return CameraSource(int(name) if name.isdecimal() else name)
    if "://" in name:
        return VideoSource(name)
    path = Path(name)
    if path.is_dir():
        raise SourceError(f"{name}: is a folder; give one video file")
    if not path.exists():
        raise SourceError(f"{name}: no such file (or give a camera number, a URL, or demo)")
    try:
        empty = path.stat().st_size == 0
        with path.open("rb"):
            pass
    except OSError as error:
        raise SourceError(f"{name}: cannot be read: {error.strerror}") from None
    if empty:
        raise SourceError(f"{name}: the file is empty (0 bytes)")
    # By content: a photo may have any name.
    if cv2.haveImageReader(name):
        return ImageSource(path)
    return VideoSource(name)
