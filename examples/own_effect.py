"""An effect of your own, on the demo's portrait: python examples/own_effect.py [OUTPUT]."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from realtime import FaceParser, ParsedFace
from realtime.frames import Image
from realtime.sources.demo import demo_portrait


@dataclass(frozen=True)
class Greyscale:
    """Takes the colour out of some parts; its fields are its options, and one is `strength`."""

    strength: float = 1.0
    parts: tuple[str, ...] = ("hair", "skin", "neck")

    def apply(self, image: Image, faces: Sequence[ParsedFace]) -> None:
        """Paint in place on an image (H, W, 3) uint8 RGB."""
        for face in faces:
            found = face.alpha(self.parts)  # soft, and only where it isn't zero
            if found is None:
                continue
            region = image[found.region]
            grey = cv2.cvtColor(region, cv2.COLOR_RGB2GRAY)[..., None]
            alpha = self.strength * found.alpha[..., None]
            region[:] = np.rint(region + alpha * (grey - region.astype(np.float32)))


image = demo_portrait().copy()
with FaceParser(precision="fp32") as parser:
    Greyscale().apply(image, parser.parse(image))

changed = (image != demo_portrait()).any(axis=2).mean()
print(f"{changed:.0%} of the picture was changed")
if len(sys.argv) > 1:
    cv2.imwrite(sys.argv[1], cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    print(f"wrote {sys.argv[1]}")

# Prints:
# 7% of the picture was changed
