"""The people alone: a transparent background in PNG, WebP and VP9, a plain colour elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from realtime.effects.effect import Colour
from realtime.effects.paint import composite
from realtime.effects.person import Scene, faded_matte, person_matte
from realtime.frames import Image, ParsedFace
from realtime.people.segmenter import person_segmenter


@dataclass(frozen=True)
class Cutout:
    """Cut the people out.

    Attributes:
        color: RGB of the background wherever transparency can't be shown.
        strength: how much of the background goes, 0 to 1.
    """

    color: Colour = (0, 177, 64)
    strength: float = 1.0

    def prepare(self) -> None:
        """Load the segmenter, so that what is missing is told before the first frame."""
        person_segmenter()

    def matte(self, image: Image, faces: Sequence[ParsedFace]) -> Image:
        """Return (H, W) uint8: how opaque each pixel is."""
        if self.strength <= 0.0:
            return np.full(image.shape[:2], 255, np.uint8)
        return faded_matte(person_matte(Scene.of(image), faces), self.strength)

    def apply(self, image: Image, faces: Sequence[ParsedFace]) -> None:
        """See `Effect.apply`."""
        if self.strength > 0.0:
            composite(image, self.color, self.matte(image, faces))
