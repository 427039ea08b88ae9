"""Where frames come from: camera, video file or network stream, still image, demo."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import cv2

from realtime.errors import SourceError
from realtime.sources.camera import CameraSource
from realtime.sources.demo import DemoSource
from realtime.sources.image import ImageSource
from realtime.sources.live import LiveSource
from realtime.sources.replay import WARM_UP_FRAMES, ReplayingSource, segment_frames
from realtime.sources.source import NOTHING_ASKED, Interruptible, LiveOptions, Source
from realtime.sources.video import VideoSource

__all__ = [
    "NOTHING_ASKED",
    "WARM_UP_FRAMES",
    "CameraSource",
    "DemoSource",
    "ImageSource",
    "Interruptible",
    "LiveOptions",
    "LiveSource",
    "ReplayingSource",
    "Source",
    "VideoSource",
    "open_source",
    "segment_frames",
]


def open_source(name: str, live: LiveOptions | None = None) -> Source:
    """Open a source by what a user writes.

    Args:
        name: a camera's index or device path, a file, a URL, or "demo".
        live: what is asked of a camera or live stream, which is then read on a thread of its own and
            opened again when it is lost.

    Raises:
        SourceError: if it can't be opened; the message says why.
    """
    if name == "demo":
        return DemoSource()
    if name.isdecimal() or name.startswith("/dev/video"):
        device = int(name) if name.isdecimal() else name
        return _lasting(partial(CameraSource, device, live or NOTHING_ASKED), live)
    if "://" in name:
        return _lasting(partial(VideoSource, name), live)
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


def _lasting(connect: Callable[[], Source], live: LiveOptions | None) -> Source:
    source = connect()
    if live is None:
        return source
    # A file on a network is read likewise, as a read may hang; FFmpeg itself asks again for what is missing.
    return LiveSource(source, connect, live.reconnect if source.info.live else 0.0)
