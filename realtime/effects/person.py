"""The matte of the people in a picture: the segmenter's, moved to the image's edges."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from realtime.effects.patch import local_model
from realtime.frames import Image, ParsedFace, Plane
from realtime.segmentation import person_segmenter

# Longer side in pixels at which the matte is fitted to the image's edges, and that of the answer's grid.
FITTED_SIDE, EDGE_SIDE = 320, 640
# Radius of the search for edges in pixels of the first: as far as the segmenter's err.
EDGE_RADIUS = 3
# Confidence that is surely background and surely person.
SURE = (0.2, 0.8)


def person_matte(image: Image, faces: Sequence[ParsedFace]) -> Image:
    """Return (H, W) uint8: 255 on people, 0 on the background.

    Args:
        image: (H, W, 3) uint8 RGB.
        faces: of this image; what the parser takes for a person is one, whatever the segmenter says.

    Raises:
        ModelError: if the segmenter's model can't be had.
    """
    height, width = image.shape[:2]
    edge = _shrink(image, EDGE_SIDE)
    fitted = _shrink(edge, FITTED_SIDE)
    matte = cv2.resize(person_segmenter().segment(image), fitted.shape[1::-1])
    for face in faces:
        parsed = 1.0 - face.plane("background") if 0 in face.classes else face.plane("skin")
        faded = face.faded(np.asarray(parsed, np.float32))
        whole = face.sample(faded, slice(0, height), slice(0, width), fitted.shape[:2])
        np.maximum(matte, whole, out=matte)
    low, high = SURE
    matte = np.clip((matte - low) * (1.0 / (high - low)), 0.0, 1.0).astype(np.float32)
    slope, offset = local_model(_grey(fitted), matte, EDGE_RADIUS)
    size = edge.shape[1::-1]
    fine = cv2.resize(slope, size) * _grey(edge) + cv2.resize(offset, size)
    # Steeper about the middle: the filter leaves a veil on either side of an edge.
    steep = np.clip((fine - 0.15) * (255.0 / 0.7), 0.0, 255.0).astype(np.uint8)
    return np.asarray(cv2.resize(steep, (width, height)), np.uint8)


def composite(image: Image, behind: Image, matte: Image) -> None:
    """Put a picture behind the people, in place.

    Args:
        image, behind: (H, W, 3) uint8 RGB.
        matte: (H, W) uint8, 255 where the image stays.
    """
    near = cv2.cvtColor(matte, cv2.COLOR_GRAY2RGB)
    cv2.multiply(image, near, dst=image, scale=1.0 / 255.0)
    far = cv2.multiply(behind, cv2.bitwise_not(near), scale=1.0 / 255.0)
    cv2.add(image, far, dst=image)


def _shrink(image: Image, side: int) -> Image:
    """Halve until the longer side is at most about `side`: halving is what OpenCV does fastest."""
    while max(image.shape[:2]) >= 1.5 * side and min(image.shape[:2]) >= 2:
        half = (max(1, image.shape[1] // 2), max(1, image.shape[0] // 2))
        image = np.asarray(cv2.resize(image, half, interpolation=cv2.INTER_AREA), np.uint8)
    return image


def _grey(image: Image) -> Image:
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), np.uint8)


def soft_background(image: Image, matte: Image, strength: float) -> Image:
    """Return (H, W, 3) uint8: the background out of focus, with nothing of the people smeared into it.

    Args:
        image: (H, W, 3) uint8 RGB.
        matte: (H, W) uint8, 255 on people.
        strength: radius of the blur, 0 to 1.
    """
    small = _shrink(image, FITTED_SIDE)
    size = small.shape[1::-1]
    far: Plane = 1.0 - cv2.resize(matte, size, interpolation=cv2.INTER_AREA).astype(np.float32) / 255.0
    # Squared: the people's rim counts less. A trace of everything fills what lies behind them.
    far = far * far + 1e-3
    weighted = cv2.merge([*cv2.split(small.astype(np.float32) * far[..., None]), far])
    radius = max(1, round(0.035 * strength * max(size)))
    for _ in range(2):
        weighted = cv2.blur(weighted, (2 * radius + 1, 2 * radius + 1))
    blurred = weighted[..., :3] / weighted[..., 3:]
    soft = np.clip(blurred + 0.5, 0.0, 255.0).astype(np.uint8)
    return np.asarray(cv2.resize(soft, image.shape[1::-1], interpolation=cv2.INTER_LINEAR), np.uint8)
