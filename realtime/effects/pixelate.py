"""Anonymous faces: a mosaic over everything that the parser or the detector takes for the face."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from realtime.effects.geometry import FACE
from realtime.frames import Image, ParsedFace

# Blocks across the face at full strength: too few to know a person by.
BLOCKS = 8.0
# Where the parser sees a face with this probability, it is covered, and so much around it (of the crop).
SEEN, MARGIN = 0.2, 0.03


@dataclass(frozen=True)
class Pixelate:
    """Hide the face under a mosaic.

    Attributes:
        strength: size of the blocks, 0 to 1; under 0.6 a face can still be known.
    """

    strength: float = 1.0

    def apply(self, image: Image, faces: Sequence[ParsedFace]) -> None:
        """See `Effect.apply`."""
        for face in faces if self.strength > 0.0 else ():
            x0, y0, x1, y1 = face.box
            block = max(2, round(self.strength * max(x1 - x0, y1 - y0) / BLOCKS))
            _cover(image, _mask(face), block)


def _mask(face: ParsedFace) -> Image:
    """Return (H, W) uint8, 255 on the face: its parts, widened, and the oval in the detector's box."""
    height, width = face.image_size
    mask = np.zeros((height, width), np.uint8)
    parts = np.asarray(face.plane(FACE) > SEEN, np.uint8) * 255
    reach = max(1, round(MARGIN * parts.shape[0]))
    parts = np.asarray(cv2.dilate(parts, np.ones((2 * reach + 1, 2 * reach + 1), np.uint8)), np.uint8)
    found = face.region(parts.astype(np.float32))
    if found is not None:
        mask[found] = face.sample(parts, *found)
    x0, y0, x1, y1 = face.box
    middle, axes = ((x0 + x1) / 2.0, (y0 + y1) / 2.0), (max(x1 - x0, 1.0), max(y1 - y0, 1.0))
    cv2.ellipse(mask, (middle, axes, 0.0), 255, -1)
    return mask


def _cover(image: Image, mask: Image, block: int) -> None:
    x, y, width, height = cv2.boundingRect(mask)
    if not width or not height:
        return
    # On a grid of the image, not of the face: blocks that stand still tell less.
    rows = slice(y // block * block, min(-(-(y + height) // block) * block, image.shape[0]))
    columns = slice(x // block * block, min(-(-(x + width) // block) * block, image.shape[1]))
    region, covered = image[rows, columns], mask[rows, columns]
    below, beside = -region.shape[0] % block, -region.shape[1] % block
    whole = cv2.copyMakeBorder(region, 0, below, 0, beside, cv2.BORDER_REPLICATE)
    blocks = (whole.shape[1] // block, whole.shape[0] // block)
    mosaic = cv2.resize(whole, blocks, interpolation=cv2.INTER_AREA)
    framed = cv2.copyMakeBorder(covered, 0, below, 0, beside, cv2.BORDER_CONSTANT)
    taken = np.asarray(cv2.resize(framed, blocks, interpolation=cv2.INTER_AREA) > 12, np.uint8)
    full = whole.shape[1::-1]
    large = cv2.resize(mosaic, full, interpolation=cv2.INTER_NEAREST)
    shown = cv2.resize(taken, full, interpolation=cv2.INTER_NEAREST)
    height, width = region.shape[:2]
    cv2.copyTo(large[:height, :width], shown[:height, :width], region)
