"""Smoother and more even skin; pores, hair, moles and edges stay."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from realtime.effects.paint import add_difference
from realtime.effects.patch import Patch
from realtime.effects.tone import Lab, statistics, to_lab, to_rgb
from realtime.frames import Image, ParsedFace, Plane

SKIN = ("skin", "nose")
# Pixels of the reduced picture over a face's crop: what is finer (pores, hairs) is never touched.
DETAIL = 150.0
# Radius of the smoothing over the side of the crop, and the levels from which a step is an edge.
RADIUS = 0.024
EDGE = 11.0
LEAST_AREA = 16.0


@dataclass(frozen=True)
class Skin:
    """Smooth the skin between its pores and its shape.

    Attributes:
        strength: 0 to 1.
        even: how much of the blotches' redness and yellowness goes, 0 to 1.
    """

    strength: float = 0.6
    even: float = 0.4

    def apply(self, image: Image, faces: Sequence[ParsedFace]) -> None:
        """See `Effect.apply`."""
        for face in faces if self.strength > 0.0 else ():
            found = find_skin(image, face)
            if found is not None:
                patch, weight, smooth = found
                painted = self._even(smooth, weight)
                add_difference(patch, painted, np.asarray(self.strength * weight, np.float32))

    def _even(self, smooth: Image, weight: Plane) -> Image:
        light, *chroma = to_lab(smooth)
        for plane in chroma:
            mean, _ = statistics(plane, weight + np.float32(1e-6))
            plane += np.float32(0.45 * self.even) * (np.float32(mean) - plane)
        return to_rgb(Lab(light, *chroma))


def find_skin(image: Image, face: ParsedFace) -> tuple[Patch, Plane, Image] | None:
    """Return the patch of a face's skin, its weight (sh, sw) and the smoothed picture; None without any."""
    plane = face.paint_plane(SKIN)
    patch = Patch.around(image, face, plane, detail=DETAIL)
    if patch is None:
        return None
    alpha = patch.sample(plane)
    if float(alpha.sum()) <= LEAST_AREA:
        return None
    # Half a pixel inside: no smoothing over the rim of lips and eyes.
    weight = cv2.blur(cv2.erode(alpha, np.ones((3, 3), np.uint8)), (3, 3))
    radius = max(1, round(RADIUS * face.alignment.face_side / patch.step))
    return patch, np.asarray(weight, np.float32), _smooth(patch.small, radius)


def _smooth(image: Image, radius: int) -> Image:
    """Smooth without crossing edges: a self-guided filter, channel by channel."""
    side = (2 * radius + 1, 2 * radius + 1)
    middle = image.astype(np.float32) - 128.0
    mean = cv2.blur(middle, side)
    variance = cv2.blur(middle * middle, side) - mean * mean
    slope = variance / (variance + EDGE * EDGE)
    offset = mean * (1.0 - slope)
    smooth = cv2.blur(slope, side) * middle + cv2.blur(offset, side) + 128.5
    return np.asarray(np.clip(smooth, 0.0, 255.0), np.uint8)
