"""Colour on the upper lid that fades towards the brow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from realtime.effects.effect import Colour
from realtime.effects.geometry import EYES, Eye, find_eye, to_image
from realtime.effects.paint import blend
from realtime.effects.strokes import around, filled
from realtime.effects.tone import tinted, to_lab, to_rgb
from realtime.frames import Image, ParsedFace, Plane
from realtime.frames.geometry import Points

# Heights over the eye's width of the layers whose mean fades towards the brow.
LAYERS = (0.22, 0.38, 0.56)
WHERE = ("skin", "eye_g", "l_eye", "r_eye")
# Share of the way to a darker colour's lightness, and to its chroma.
REACH = (0.6, 0.85)


@dataclass(frozen=True)
class Eyeshadow:
    """Tint the upper lids.

    Attributes:
        color: RGB.
        strength: 0 to 1.
        upper: RGB towards the brow, to which the colour runs; None for one colour.
    """

    color: Colour = (122, 74, 108)
    strength: float = 0.5
    upper: Colour | None = None

    def apply(self, image: Image, faces: Sequence[ParsedFace]) -> None:
        """See `Effect.apply`."""
        for face in faces if self.strength > 0.0 else ():
            for name in EYES:
                eye = find_eye(face, name)
                if eye is not None:
                    self._paint(image, face, eye)

    def _paint(self, image: Image, face: ParsedFace, eye: Eye) -> None:
        found = find_lid(face, eye)
        if found is None:
            return
        where, alpha, low = found
        region = image[where]
        lab = to_lab(region)
        painted = to_rgb(tinted(lab, self.color, *REACH))
        if self.upper is not None:
            above = to_rgb(tinted(lab, self.upper, *REACH))
            painted = np.asarray(cv2.blendLinear(painted, above, low, 1.0 - low), np.uint8)
        blend(region, alpha, painted, self.strength)


def find_lid(face: ParsedFace, eye: Eye) -> tuple[tuple[slice, slice], Plane, Plane] | None:
    """Return where an upper lid's shadow lies.

    Returns:
        Rows and columns of the image; (h, w) float32 in them, 0 to 1: how much of the colour there is; and
        likewise which part of that is the lower one, at the lid's edge. None where it is outside the image.
    """
    outlines = [to_image(face, _lid(eye, height)) for height in LAYERS]
    soft = max(0.6, 0.07 * eye.width * face.alignment.side / face.probabilities.shape[-1])
    found = around(np.concatenate(outlines), 3.0 * soft + 1.0, face.image_size)
    if found is None:
        return None
    low, *others = (filled(outline, *found) for outline in outlines)
    layers = sum(others, low)
    alpha = np.asarray(cv2.GaussianBlur(layers * (1.0 / len(outlines)), (0, 0), soft), np.float32)
    opening = filled(to_image(face, np.concatenate([eye.upper, eye.lower[::-1]])), *found)
    alpha *= (1.0 - opening) * face.sample(face.paint_plane(WHERE), *found)
    return found, alpha, np.asarray(cv2.GaussianBlur(low, (0, 0), soft), np.float32)


def _lid(eye: Eye, height: float) -> Points:
    """Return the outline from the lid's edge up to a height, higher towards the outer corner."""
    share = np.linspace(0.0, 1.0, len(eye.upper))
    arch = np.sin(np.pi * (0.12 + 0.8 * share)) * (0.75 + 0.35 * share)
    top = eye.upper - np.stack([np.zeros_like(arch), height * eye.width * arch], axis=1)
    top[:, 0] += eye.outwards * 0.12 * eye.width * share**2
    return np.concatenate([top, eye.upper[::-1]])
