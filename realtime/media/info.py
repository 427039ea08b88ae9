"""What a source says of itself: whoever writes what it shows needs to know."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from realtime.media.light import UNKNOWN_COLOUR, Colour, Hdr


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
