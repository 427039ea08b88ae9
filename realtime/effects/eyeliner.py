"""A line along the upper lid, with a wing if wanted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from realtime.effects.effect import Colour
from realtime.effects.geometry import EYES, Eye, find_eye, to_image
from realtime.effects.paint import blend
from realtime.effects.strokes import around, filled
from realtime.frames import Image, ParsedFace, Plane
from realtime.frames.geometry import Points

# Greatest thickness over the eye's width.
THICK = 0.085


@dataclass(frozen=True)
class Eyeliner:
    """Draw along the upper lid.

    Attributes:
        color: RGB.
        strength: 0 to 1.
        wing: length of the stroke beyond the outer corner, 0 to 1.
    """

    color: Colour = (22, 16, 18)
    strength: float = 0.8
    wing: float = 0.4

    def apply(self, image: Image, faces: Sequence[ParsedFace]) -> None:
        """See `Effect.apply`."""
        for face in faces if self.strength > 0.0 else ():
            for eye in (find_eye(face, name) for name in EYES):
                if eye is not None:
                    self._draw(image, face, eye)

    def _draw(self, image: Image, face: ParsedFace, eye: Eye) -> None:
        found = find_stroke(face, eye, self.wing)
        if found is not None:
            where, alpha = found
            region = image[where]
            # Ink darkens; it never lights up lashes that are darker still.
            ink = np.minimum(np.asarray(self.color, np.uint8), region)
            blend(region, alpha, ink, self.strength * eye.shown)


def find_stroke(face: ParsedFace, eye: Eye, wing: float) -> tuple[tuple[slice, slice], Plane] | None:
    """Return where an eye's line lies: rows and columns of the image, and (h, w) float32 in them, 0 to 1.

    None where it is outside the image.
    """
    outline = to_image(face, _outline(eye, wing))
    soft = max(0.4, 0.012 * eye.width * face.alignment.side / face.probabilities.shape[-1])
    found = around(outline, 3.0 * soft + 1.0, face.image_size)
    if found is None:
        return None
    return found, np.asarray(cv2.GaussianBlur(filled(outline, *found), (0, 0), soft), np.float32)


def _outline(eye: Eye, wing: float) -> Points:
    """Return the closed stroke: back along the lid, and out along it thickened."""
    lid, width = eye.upper, eye.width
    share = np.linspace(0.0, 1.0, len(lid))
    thick = THICK * width * (0.15 + 0.85 * share**1.3)
    top = lid - np.stack([np.zeros_like(thick), thick], axis=1)
    bottom = lid + np.array([0.0, 0.02 * width])
    tip = np.array([eye.outwards * 0.35, -0.22]) * wing * width + lid[-1]
    return np.concatenate([top, tip[None], bottom[::-1]])
