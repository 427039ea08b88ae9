"""How light the scene around a face is: what paint must not outshine."""

from __future__ import annotations

import cv2
import numpy as np

from realtime.effects.tone import grey_lightness
from realtime.frames import Image, ParsedFace

# L* of the lightest tenth of a well lit face crop: colours are dimmed as the scene is.
WELL_LIT = 70.0
LEAST_LIGHT = 0.3


def brightness(face: ParsedFace, image: Image) -> float:
    """Return what share of its lightness a colour has in the light on a face, `LEAST_LIGHT` to 1.

    Args:
        face: whose surroundings are looked at.
        image: (H, W, 3) uint8 RGB.
    """
    rows, columns = face.alignment.region(face.image_size)
    step = max(1, round(face.alignment.side / 32.0))
    few = np.ascontiguousarray(image[rows, columns][::step, ::step])
    lightest = float(np.percentile(grey_lightness()[cv2.cvtColor(few, cv2.COLOR_RGB2GRAY)], 90))
    return min(1.0, max(LEAST_LIGHT, lightest / WELL_LIT))
