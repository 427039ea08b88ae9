"""Painting through a soft alpha, shared by the effects."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from realtime.effects.effect import Colour
from realtime.frames import Image, ParsedFace, PartAlpha, Plane

# Below it a part is too faint for a mean colour of its own to mean anything.
SURE = 0.5
# Of a and b in OpenCV's 8-bit CIELAB.
GREY = 128.0
# Lightness, 0 to 255, from which a pixel takes the whole colour: what gives back no light shows no dye, and
# the black bars of a film are not hair.
LIT = 12
_LIGHT = np.minimum(np.arange(256, dtype=np.float32) / LIT, 1.0)


def recolour(
    image: Image,
    face: ParsedFace,
    classes: Sequence[str],
    colour: Colour,
    strength: float,
    darken: float,
    lighten: float,
) -> None:
    """Move the mean colour of parts to another one, in place; their texture and highlights stay.

    In CIELAB every pixel of the parts is shifted by the same amount, so that differences between its
    pixels (strands, creases, gloss) are kept.

    Args:
        image: (H, W, 3) uint8 RGB.
        face: of this very image.
        classes: names of the parts' classes.
        colour: RGB.
        strength: 0 (nothing) to 1.
        darken: share of the way to a darker colour's lightness, 0 to 1.
        lighten: likewise to a lighter one's; small, or paint glows in a dim room.
    """
    part = face.alpha(classes)
    if part is None or strength <= 0.0:
        return
    sure = (part.alpha > SURE).astype(np.uint8)
    if not sure.any():
        return
    region = image[part.region]
    lab = cv2.cvtColor(region, cv2.COLOR_RGB2LAB)
    mean = np.array(cv2.mean(lab, sure)[:3])
    target = cv2.cvtColor(np.array([[colour]], np.uint8), cv2.COLOR_RGB2LAB)[0, 0].astype(float)
    reached = mean[0] + (darken if target[0] < mean[0] else lighten) * (target[0] - mean[0])
    # A colour that is not given all its light isn't given all its chroma either, or it would glow.
    dim = min(1.0, reached / max(target[0], 1.0))
    goal = np.array([reached, *(GREY + dim * (target[1:] - GREY))])
    shift = goal - mean
    table = np.clip(np.arange(256)[:, None, None] + shift, 0, 255).round().astype(np.uint8)
    moved = cv2.cvtColor(cv2.LUT(lab, table), cv2.COLOR_LAB2RGB)
    lit = PartAlpha(part.alpha * _LIGHT[lab[..., 0]], part.x, part.y)
    blend(image, lit, np.asarray(moved, np.uint8), strength)


def blend(image: Image, part: PartAlpha, painted: Image, strength: float) -> None:
    """Blend a painted region over an image in place.

    Args:
        image: (H, W, 3) uint8 RGB.
        part: where, and how much.
        painted: (h, w, 3) uint8 RGB, of the part's region.
        strength: multiplies alpha, 0 to 1.
    """
    alpha: Plane = np.clip(part.alpha * strength, 0.0, 1.0).astype(np.float32)
    region = image[part.region]
    # Pixels that are hardly part of it stay bit-identical.
    alpha[alpha < 1.0 / 255.0] = 0.0
    mixed = cv2.blendLinear(painted, region, alpha, 1.0 - alpha)
    cv2.copyTo(mixed, (alpha > 0.0).view(np.uint8), region)
