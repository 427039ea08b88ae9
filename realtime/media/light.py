"""Colour, depth and HDR facts of a video, read from its first picture."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import cast

import av
from av.sidedata.sidedata import SideData, Type

# Side data that belongs to each frame and that no encoder here takes.
DYNAMIC = {
    "DYNAMIC_HDR_PLUS": "HDR10+ metadata",
    "DOVI_METADATA": "Dolby Vision metadata",
    "DOVI_RPU_BUFFER": "Dolby Vision metadata",
    "DYNAMIC_HDR_VIVID": "HDR Vivid metadata",
}
RGB_MATRIX = 0
UNSPECIFIED = 2
LIMITED_RANGE = 1


@dataclass(frozen=True)
class Colour:
    """How a video's YUV was made of RGB, as FFmpeg's enumeration values (2 = unspecified)."""

    space: int = UNSPECIFIED
    range: int = 0
    primaries: int = UNSPECIFIED
    transfer: int = UNSPECIFIED


UNKNOWN_COLOUR = Colour()


@dataclass(frozen=True)
class Hdr:
    """Static HDR metadata.

    Attributes:
        mastering: of the mastering display: x and y of red, green, blue and white (CIE 1931), then
            least and greatest luminance (cd/m2); None if not given.
        light: greatest content and frame-average light level (cd/m2); None if not given.
    """

    mastering: tuple[Fraction, ...] | None = None
    light: tuple[int, int] | None = None


def colour_of(context: av.VideoCodecContext) -> Colour:
    """Return the colour a stream declares; RGB streams are written as limited-range YUV."""
    space, spread = int(context.colorspace), int(context.color_range)
    if (context.pix_fmt or "").startswith(("gbr", "rgb", "bgr", "argb", "abgr", "pal8")):
        space, spread = UNSPECIFIED, LIMITED_RANGE
    return Colour(space, spread, int(context.color_primaries), int(context.color_trc))


def hdr_of(picture: av.VideoFrame) -> Hdr | None:
    """Return a picture's static HDR metadata, None if it has none."""
    data = _side_data(picture)
    mastering = light = None
    if raw := data.get("MASTERING_DISPLAY_METADATA"):
        *numbers, has_primaries, has_luminance = struct.unpack("=22i", raw[:88])
        if has_primaries and has_luminance and all(numbers[1::2]):
            mastering = tuple(map(Fraction, numbers[::2], numbers[1::2]))
    if raw := data.get("CONTENT_LIGHT_LEVEL"):
        light = struct.unpack("=2I", raw[:8])
    return Hdr(mastering, light) if mastering or light else None


def matrix_of(picture: av.VideoFrame) -> tuple[int, ...] | None:
    """Return a picture's display matrix, nine 16.16 numbers, None if it has none."""
    raw = _side_data(picture).get("DISPLAYMATRIX")
    return struct.unpack("=9i", raw[:36]) if raw else None


def losses_of(picture: av.VideoFrame) -> tuple[str, ...]:
    """Say what of a picture an 8-bit RGB pipeline can't keep, in words for the user."""
    depth = max(part.bits for part in picture.format.components)
    lost = [f"{depth}-bit depth (it is written in 8 bits)"] if depth > 8 else []
    if any(part.is_alpha for part in picture.format.components):
        lost.append("transparency")
    if picture.interlaced_frame:
        lost.append("interlacing (fields are kept as lines of whole frames)")
    lost += sorted({words for name, words in DYNAMIC.items() if name in _side_data(picture)})
    return tuple(lost)


def _side_data(picture: av.VideoFrame) -> Mapping[str, bytes]:
    items = cast(Iterable[SideData], picture.side_data)  # PyAV declares it a mapping; it iterates over values
    return {Type(item.type).name: bytes(item) for item in items}
