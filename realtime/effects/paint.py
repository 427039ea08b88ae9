"""Painting through a soft alpha, shared by the effects."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

import cv2
import numpy as np

from realtime.effects.effect import Colour
from realtime.effects.patch import Patch
from realtime.frames import Image, Plane

# Pixels that are blended at once, and columns that are looked at together.
BAND = 1 << 15
RUN = 64


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
    for rows, columns, kind in _pieces(matte, lines):
        if kind == 0:
            region[rows, columns] = behind[rows, columns]
        elif kind < 0:
            _mix(region[rows, columns], behind[rows, columns], matte[rows, columns])


def _mix(band: Image, behind: Image, matte: Image) -> None:
    near = cv2.cvtColor(matte, cv2.COLOR_GRAY2RGB)
    cv2.multiply(band, near, dst=band, scale=1.0 / 255.0)
    cv2.bitwise_not(near, dst=near)
    cv2.multiply(behind, near, dst=near, scale=1.0 / 255.0)
    cv2.add(band, near, dst=band)


def _pieces(matte: Image, lines: int) -> Iterator[tuple[slice, slice, int]]:
    """Split a matte (h, w) into pieces of rows and columns that are all 0, all 255, or mixed (-1).

    Most of a picture is either: a copy, or nothing, costs a fraction of a mix.
    """
    height, width = matte.shape
    tops, lefts = range(0, height, lines), np.arange(0, width, RUN)
    highest = np.maximum.reduceat([matte[top : top + lines].max(axis=0) for top in tops], lefts, axis=1)
    lowest = np.minimum.reduceat([matte[top : top + lines].min(axis=0) for top in tops], lefts, axis=1)
    kinds = np.where(highest == 0, 0, np.where(lowest == 255, 255, -1)).tolist()
    for top, line in zip(tops, kinds, strict=True):
        rows, first = slice(top, top + lines), 0
        for kind, run in groupby(line):
            end = first + len(list(run))
            yield rows, slice(first * RUN, end * RUN), kind
            first = end


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


def add_difference(patch: Patch, painted: Image, weight: Plane) -> None:
    """Bring what was painted on the reduced picture into the pixels, in place.

    Only its difference to the reduced picture is added: finer texture is kept as it is.

    Args:
        patch: whose pixels are painted.
        painted: (sh, sw, 3) uint8 RGB, from `patch.small`.
        weight: (sh, sw) float32, 0 to 1.
    """
    difference = cv2.subtract(painted, patch.small, dtype=cv2.CV_32F)
    weighted = cv2.multiply(difference, cv2.merge([weight] * 3))
    # About 128, so that one pass adds what is lighter and what is darker.
    about = cv2.convertScaleAbs(np.maximum(weighted, -128.0), beta=128.0)
    if patch.step > 1:
        about = cv2.resize(about, patch.size[::-1], interpolation=cv2.INTER_LINEAR)
    cv2.addWeighted(patch.pixels, 1.0, about, 1.0, -128.0, dst=patch.pixels)
