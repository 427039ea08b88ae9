"""What every source is, and what it says of itself."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Protocol, runtime_checkable

from realtime.frames import Frame
from realtime.sources.light import UNKNOWN_COLOUR, Colour, Hdr


@dataclass(frozen=True)
class SourceInfo:
    """What a source says of itself.

    Attributes:
        name: shown to users.
        width, height: in pixels, as the frames come.
        fps: frames a second; an average where it varies, a guess where it is unknown.
        time_base: unit of the frames' times, seconds; every time is a whole multiple of it.
        frames: how many there are, None where that is unknown.
        live: frames come at their own pace and may be dropped.
        path: the file, where there is one: its audio, subtitles, chapters and tags are copied.
        colour: of the source's video.
        still: a single picture.
        url: of a finite file on a network, copied from as from `path`.
        seconds: how long it lasts, None where that is unknown.
        pixel_aspect: width of a pixel in its heights.
        hdr: static HDR metadata, where there is any.
        lost: what the 8-bit RGB pipeline can't keep of it, in words for the user.
    """

    name: str
    width: int
    height: int
    fps: Fraction
    time_base: Fraction
    frames: int | None = None
    live: bool = False
    path: Path | None = None
    colour: Colour = UNKNOWN_COLOUR
    still: bool = False
    url: str | None = None
    seconds: float | None = None
    pixel_aspect: Fraction = Fraction(1)
    hdr: Hdr | None = None
    lost: tuple[str, ...] = ()

    @property
    def tracks(self) -> str | None:
        """Return what to open for the tracks beside the video, None where there is nothing."""
        return self.url or (None if self.path is None else str(self.path))


class Source(Protocol):
    """An open source; `frames` is iterated once, by one thread."""

    @property
    def info(self) -> SourceInfo:
        """What it is."""
        ...

    def frames(self) -> Iterator[Frame]:
        """Yield frames until the end.

        Raises:
            SourceError: when the source breaks.
        """
        ...

    def close(self) -> None:
        """Free it; a second call does nothing."""
        ...


@runtime_checkable
class Interruptible(Protocol):
    """A source whose `frames` may wait long; `interrupt` ends the wait from any thread."""

    def interrupt(self) -> None:
        """Let `frames` end soon, without an error."""
        ...


@dataclass(frozen=True)
class LiveOptions:
    """What is asked of cameras and live streams.

    Attributes:
        size: width and height asked of a camera, pixels; None: the camera's own.
        fps: frames a second asked of a camera; None: the camera's own.
        reconnect: for how many seconds a lost source is tried again; 0: it is given up at once.
    """

    size: tuple[int, int] | None = None
    fps: float | None = None
    reconnect: float = 0.0


NOTHING_ASKED = LiveOptions()
