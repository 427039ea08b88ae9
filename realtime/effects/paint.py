"""Painting through a soft alpha, shared by the effects."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from realtime.effects.effect import Colour
from realtime.effects.patch import Patch
from realtime.frames import Image, Plane

# Pixels that are blended at once.
BAND = 1 << 15
# A line of the picture that is nowhere lighter is a film's black bar.
BAR = 8


def blend(region: Image, alpha: Plane, painted: Image, strength: float) -> None:
    """Blend a painted region over an image in place.

    Args:
        region: (h, w, 3) uint8 RGB, a view of the image.
        alpha: (h, w) float32, 0 to 1: where, and how much.
        painted: (h, w, 3) uint8 RGB.
        strength: multiplies alpha, 0 to 1.
    """
    share = cv2.convertScaleAbs(alpha, alpha=255.0 * strength)
    composite(region, painted, np.asarray(cv2.bitwise_not(share), np.uint8))


def composite(region: Image, behind: Image | Colour, matte: Image) -> None:
    """Put another picture, or a colour, behind an image, in place.

    Args:
        region: (h, w, 3) uint8 RGB, a view of the image.
        behind: (h, w, 3) uint8 RGB, or one colour.
        matte: (h, w) uint8: 255 leaves the image bit-identical, 0 replaces it.
    """
    # In bands that stay in the processor's cache: twice as fast as whole pictures.
    lines = max(1, BAND // max(1, region.shape[1]))
    if isinstance(behind, tuple):
        line = np.full((1, region.shape[1], 3), behind, np.uint8)
        # Every line is the same one in memory.
        behind = np.broadcast_to(line, region.shape)
    for top in range(0, region.shape[0], lines):
        band = region[top : top + lines]
        near = cv2.cvtColor(matte[top : top + lines], cv2.COLOR_GRAY2RGB)
        cv2.multiply(band, near, dst=band, scale=1.0 / 255.0)
        cv2.bitwise_not(near, dst=near)
        cv2.multiply(behind[top : top + lines], near, dst=near, scale=1.0 / 255.0)
        cv2.add(band, near, dst=band)


def lay_over(region: Image, layer: Image) -> None:
    """Lay a translucent layer over an image, in place.

    Args:
        region: (h, w, 3) uint8 RGB, a view of the image.
        layer: (h, w, 4) uint8: RGB times opacity, and opacity; where all are 0 the image stays bit-identical.
    """
    lines = max(1, BAND // max(1, region.shape[1]))
    for top in range(0, region.shape[0], lines):
        band, over = region[top : top + lines], layer[top : top + lines]
        share = cv2.bitwise_not(cv2.extractChannel(over, 3))
        cv2.multiply(band, cv2.cvtColor(share, cv2.COLOR_GRAY2RGB), dst=band, scale=1.0 / 255.0)
        cv2.add(band, cv2.cvtColor(over, cv2.COLOR_RGBA2RGB), dst=band)


def add_difference(patch: Patch, difference: npt.NDArray[np.float32]) -> None:
    """Add to the pixels, in place, a difference that was computed on the reduced picture.

    The texture finer than the reduced picture is kept as it is.

    Args:
        patch: what is painted.
        difference: (sh, sw, 3) float32, in levels of 0 to 255.
    """
    up = cv2.convertScaleAbs(np.maximum(difference, 0.0))
    down = cv2.convertScaleAbs(np.minimum(difference, 0.0))
    for change, apply in ((up, cv2.add), (down, cv2.subtract)):
        if change.any():
            size = patch.size[::-1]
            full = change if patch.step == 1 else cv2.resize(change, size, interpolation=cv2.INTER_LINEAR)
            apply(patch.pixels, full, dst=patch.pixels)


def inside_bars(image: Image) -> tuple[slice, slice]:
    """Return the rows and columns of a film's picture without its black bars: they are no hair."""
    rows = _lit(image, axis=0)
    return rows, _lit(image[rows], axis=1)


def _lit(image: Image, axis: int) -> slice:
    length = image.shape[axis]
    first, last = 0, length
    while first < last and int(image.take(first, axis).max(initial=0)) < BAR:
        first += 1
    while last > first and int(image.take(last - 1, axis).max(initial=0)) < BAR:
        last -= 1
    return slice(first, last)
