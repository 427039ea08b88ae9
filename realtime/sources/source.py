"""What every source is, and what it says of itself."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Protocol

from realtime.frames import Frame


@dataclass(frozen=True)
class Colour:
    """How a video's YUV was made of RGB, as FFmpeg's enumeration values (2 = unspecified)."""

    space: int = 2
    range: int = 0
    primaries: int = 2
    transfer: int = 2


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
        path: the file, where there is one: its audio is copied.
        colour: of the source's video.
        still: a single picture.
    """

    name: str
    width: int
    height: int
    fps: Fraction
    time_base: Fraction
    frames: int | None = None
    live: bool = False
    path: Path | None = None
    colour: Colour = Colour()
    still: bool = False


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
