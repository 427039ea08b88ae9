"""Blush on the apples of the cheeks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from realtime.effects.effect import Colour
from realtime.effects.geometry import cheeks
from realtime.effects.paint import add_difference
from realtime.effects.patch import Patch
from realtime.effects.tone import lab_of, tinted, to_lab, to_rgb
from realtime.frames import Image, ParsedFace

# Share of the way to a darker colour's lightness, and to its chroma.
DARKEN, TINT = 0.12, 0.6
# Pixels of the reduced picture over a face's crop: blush has no detail of its own.
DETAIL = 96.0


@dataclass(frozen=True)
class Blush:
    """Tint the cheeks.

    Attributes:
        color: RGB.
        strength: 0 to 1.
    """

    color: Colour = (214, 80, 96)
    strength: float = 0.5

    def apply(self, image: Image, faces: Sequence[ParsedFace]) -> None:
        """See `Effect.apply`."""
        for face in faces if self.strength > 0.0 else ():
            spots = cheeks(face)
            if spots is None:
                continue
            plane = np.asarray(spots * face.paint_plane("skin"), np.float32)
            patch = Patch.around(image, face, plane, detail=DETAIL)
            if patch is not None:
                lab = to_lab(patch.small)
                # Chroma follows the light: on a dark side of the face the colour is fainter.
                lit = np.minimum(lab.light * (1.0 / max(lab_of(self.color)[0], 1.0)), 1.0)
                painted = to_rgb(tinted(lab, self.color, DARKEN, TINT, lit))
                add_difference(patch, painted, np.asarray(self.strength * patch.sample(plane), np.float32))
