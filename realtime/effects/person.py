"""The matte of the people in a picture: the segmenter's, moved to the image's edges."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from realtime.effects.patch import local_model
from realtime.frames import Image, ParsedFace, Plane
from realtime.frames.letterbox import inside_bars
from realtime.people.segmenter import person_segmenter

# Longer side in pixels at which the matte is fitted to the image's edges, and that of the answer's grid.
FITTED_SIDE, EDGE_SIDE = 320, 640
# Radius of the search for edges in pixels of the first: as far as the segmenter's err.
EDGE_RADIUS = 3
# Confidence that is surely background and surely person.
SURE = (0.4, 0.9)
# The fitted matte that is nothing and all.
VEIL = (0.15, 0.85)
# What the parser adds is the head: of clothes the segmenter knows more.
NO_HEAD = ("background", "cloth")
# Radius of the strongest blur over the longer side.
REACH = 0.035


@dataclass(frozen=True)
class Scene:
    """A picture at the sizes that the background is worked on.

    Attributes:
        image: (H, W, 3) uint8 RGB.
        edge: the same, its longer side at most about `EDGE_SIDE`.
        fitted: the same, its longer side at most about `FITTED_SIDE`.
    """

    image: Image
    edge: Image
    fitted: Image

    @classmethod
    def of(cls, image: Image) -> Scene:
        """Return the scene of an image."""
        edge = _shrink(image, EDGE_SIDE)
        return cls(image, edge, _shrink(edge, FITTED_SIDE))


def person_matte(scene: Scene, faces: Sequence[ParsedFace]) -> Image:
    """Return (H, W) uint8: 255 on people, 0 on the background.

    Args:
        scene: the picture.
        faces: of this picture; their heads are people's, whatever the segmenter says.

    Raises:
        ModelError: if the segmenter's model can't be had.
    """
    height, width = scene.image.shape[:2]
    size = scene.fitted.shape[:2]
    matte = cv2.resize(person_segmenter().segment(scene.fitted), size[::-1])
    for face in faces:
        parsed = face.faded(np.asarray(1.0 - face.whole(NO_HEAD), np.float32))
        whole = face.sample(parsed, slice(0, height), slice(0, width), size)
        np.maximum(matte, whole, out=matte)
    low, high = SURE
    sure = np.clip((matte - low) * (1.0 / (high - low)), 0.0, 1.0).astype(np.float32)
    slope, offset = local_model(_grey(scene.fitted), sure, EDGE_RADIUS)
    fine = scene.edge.shape[1::-1]
    # Steeper about the middle: the filter leaves a veil on either side of an edge.
    steep = np.float32(255.0 / (VEIL[1] - VEIL[0]))
    matte = cv2.multiply(cv2.resize(slope * steep, fine), _grey(scene.edge), dtype=cv2.CV_32F)
    matte = cv2.add(matte, cv2.resize((offset - np.float32(VEIL[0])) * steep, fine), dtype=cv2.CV_8U)
    return _bars_kept(np.asarray(cv2.resize(matte, (width, height)), np.uint8), scene.image)


def _bars_kept(matte: Image, image: Image) -> Image:
    """Keep a film's black bars as they are: they are no background to be blurred."""
    rows, columns = inside_bars(image)
    if (rows.stop - rows.start, columns.stop - columns.start) != matte.shape:
        kept = np.full_like(matte, 255)
        kept[rows, columns] = matte[rows, columns]
        return kept
    return matte


def faded_matte(matte: Image, strength: float) -> Image:
    """Return a matte (H, W) uint8 whose background stays in part: all of it at strength 0."""
    gone = cv2.convertScaleAbs(cv2.bitwise_not(matte), alpha=strength)
    return np.asarray(cv2.bitwise_not(gone), np.uint8)


def soft_background(scene: Scene, matte: Image, strength: float) -> Image:
    """Return (H, W, 3) uint8: the background out of focus, with nothing of the people smeared into it.

    Args:
        scene: the picture.
        matte: (H, W) uint8, 255 on people.
        strength: radius of the blur, 0 to 1.
    """
    # A wide blur needs no detail.
    small = _shrink(scene.fitted, FITTED_SIDE // 2) if strength > 0.5 else scene.fitted
    size = small.shape[1::-1]
    far: Plane = 1.0 - _shrunk_to(matte, size).astype(np.float32) * (1.0 / 255.0)
    # Squared: the people's rim counts less. A trace of everything fills what lies behind them.
    far = far * far + np.float32(1e-3)
    colours = cv2.split(cv2.multiply(small, cv2.merge([far] * 3), dtype=cv2.CV_32F))
    weighted = cv2.merge([*colours, far])
    radius = max(1, round(REACH * strength * max(size)))
    for _ in range(2):
        weighted = cv2.blur(weighted, (2 * radius + 1, 2 * radius + 1))
    *channels, weight = cv2.split(weighted)
    soft = cv2.merge([cv2.divide(channel, weight, dtype=cv2.CV_8U) for channel in channels])
    return np.asarray(cv2.resize(soft, scene.image.shape[1::-1], interpolation=cv2.INTER_LINEAR), np.uint8)


def _shrink(image: Image, side: int) -> Image:
    """Halve until the longer side is at most about `side`: halving is what OpenCV does fastest."""
    while max(image.shape[:2]) >= 1.5 * side and min(image.shape[:2]) >= 2:
        image = _shrunk_to(image, (image.shape[1] // 2, image.shape[0] // 2))
    return image


def _shrunk_to(image: Image, size: tuple[int, int]) -> Image:
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)


def _grey(image: Image) -> Image:
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), np.uint8)
