"""From the faces of a frame to one label map, and from labels to colours and back."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np
import numpy.typing as npt

from realtime.frames import Image, ParsedFace, RenderedFrame
from stn_icnn.labels import CLASSES, PALETTE


def frame_labels(faces: Sequence[ParsedFace], size: tuple[int, int]) -> tuple[Image, npt.NDArray[np.uint16]]:
    """Return one label map of all faces, and whose each pixel is.

    Where faces overlap the largest, which is the nearest, lies on top, as in the overlay.

    Args:
        faces: largest first.
        size: (height, width) of the image.

    Returns:
        (H, W) uint8 class ids, and (H, W) uint16: 1 for the first face, 0 for none.
    """
    labels, owners = np.zeros(size, np.uint8), np.zeros(size, np.uint16)
    for number in range(len(faces), 0, -1):
        found = faces[number - 1].label_patch()
        if found is not None:
            patch, region = found
            seen = patch != 0
            labels[region][seen] = patch[seen]
            owners[region][seen] = number
    return labels, owners


def rendered_labels(rendered: RenderedFrame) -> tuple[Image, npt.NDArray[np.uint16]]:
    """Return `frame_labels` of a frame as it was captured, whatever is shown of it."""
    height, width = rendered.frame.image.shape[:2]
    return frame_labels(rendered.faces, (height, width))


def frame_alpha(faces: Sequence[ParsedFace], size: tuple[int, int]) -> Image:
    """Return (H, W) uint8: how opaque everything is that was parsed as part of a face's crop.

    It is the alpha that effects paint with (`ParsedFace.alpha` of all classes but the background); where
    faces overlap, the greater one.
    """
    alpha = np.zeros(size, np.uint8)
    for face in faces:
        found = face.alpha(CLASSES[1:])
        if found is not None:
            there = alpha[found.region]
            np.maximum(there, np.rint(found.alpha * 255.0).astype(np.uint8), out=there)
    return alpha


def label_ids(colours: Image) -> Image:
    """Return (H, W) uint8 class ids of a picture (H, W, 3) uint8 RGB in the palette's colours.

    Raises:
        ValueError: if it has another colour.
    """
    keys = colours.astype(np.uint32) @ np.array([65536, 256, 1], np.uint32)
    known, ids = _colour_keys()
    places = np.minimum(np.searchsorted(known, keys), len(known) - 1)
    if (known[places] != keys).any():
        raise ValueError("a colour that stands for no class")
    return np.asarray(ids[places], np.uint8)


@cache
def _colour_keys() -> tuple[npt.NDArray[np.uint32], Image]:
    keys = PALETTE.astype(np.uint32) @ np.array([65536, 256, 1], np.uint32)
    order = np.argsort(keys)
    return keys[order], order.astype(np.uint8)
