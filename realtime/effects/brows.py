"""Darker or tinted eyebrows: the hairs, not the skin between them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2

from realtime.effects.effect import Colour
from realtime.effects.paint import blend
from realtime.effects.patch import find_small
from realtime.effects.tone import Lab, ramp, tinted, to_rgb
from realtime.frames import Image, ParsedFace, Plane

BROWS = ("r_brow", "l_brow")
# The hairs' part of the way to the colour's lightness at full strength.
DARKEN = 0.75
TINT = 0.5


@dataclass(frozen=True)
class Brows:
    """Darken the eyebrows and lend them a colour; their shape stays.

    Attributes:
        color: RGB.
        strength: 0 to 1.
    """

    color: Colour = (52, 34, 24)
    strength: float = 0.5

    def apply(self, image: Image, faces: Sequence[ParsedFace]) -> None:
        """See `Effect.apply`."""
        for face in faces if self.strength > 0.0 else ():
            for name in BROWS:
                self._paint(image, face, name)

    def _paint(self, image: Image, face: ParsedFace, name: str) -> None:
        found = find_brow(image, face, name)
        if found is not None:
            pixels, lab, hairs = found
            blend(pixels, hairs, to_rgb(tinted(lab, self.color, DARKEN, TINT)), self.strength)


def find_brow(image: Image, face: ParsedFace, name: str) -> tuple[Image, Lab, Plane] | None:
    """Return the pixels around an eyebrow, a view of the image, their CIELAB and the hairs' alpha (h, w).

    None where it is not seen.
    """
    found = find_small(image, face, face.paint_plane(name))
    if found is None:
        return None
    patch, lab, alpha = found
    # The skin around is what a hair is darker than.
    skin = cv2.blur(lab.light, (2 * (patch.size[1] // 4) + 1, 2 * (patch.size[0] // 2) + 1))
    return patch.pixels, lab, alpha * (0.25 + 0.75 * ramp(skin - lab.light, -2.0, 14.0))
