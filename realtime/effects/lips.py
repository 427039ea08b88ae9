"""Lipstick: both lips, never the inner mouth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from realtime.effects.effect import Colour
from realtime.effects.paint import recolour
from realtime.frames import Image, ParsedFace


@dataclass(frozen=True)
class Lips:
    """Recolour the lips.

    Attributes:
        color: RGB.
        strength: 0 to 1.
    """

    color: Colour = (179, 18, 63)
    strength: float = 0.7

    def apply(self, image: Image, faces: Sequence[ParsedFace]) -> None:
        """See `Effect.apply`."""
        for face in faces:
            recolour(image, face, ("u_lip", "l_lip"), self.color, self.strength, darken=0.85, lighten=0.25)
