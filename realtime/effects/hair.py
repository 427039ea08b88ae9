"""Hair dye: strands and highlights stay."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from realtime.effects.effect import Colour
from realtime.effects.paint import recolour
from realtime.frames import Image, ParsedFace


@dataclass(frozen=True)
class Hair:
    """Recolour the hair.

    Attributes:
        color: RGB.
        strength: 0 to 1.
    """

    color: Colour = (106, 44, 112)
    strength: float = 0.7

    def apply(self, image: Image, faces: Sequence[ParsedFace]) -> None:
        """See `Effect.apply`."""
        for face in faces:
            recolour(image, face, ("hair",), self.color, self.strength, darken=0.5, lighten=0.5)
