"""Turning pictures upright by the display matrix that phones store beside them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from realtime.frames import Image


def upright(image: Image, matrix: Sequence[int]) -> Image:
    """Turn and mirror a picture as its display matrix asks.

    Args:
        image: (H, W, 3) uint8.
        matrix: FFmpeg's nine 16.16 numbers, row by row; x' = m[0] x + m[3] y, y' = m[1] x + m[4] y.

    Returns:
        the upright picture, contiguous; turns that are no multiple of 90 degrees go to the nearest.
    """
    if abs(matrix[0]) >= abs(matrix[1]):
        x_sign, y_sign = matrix[0], matrix[4]
    else:
        image = image.transpose(1, 0, 2)
        x_sign, y_sign = matrix[3], matrix[1]
    return np.ascontiguousarray(image[:: -1 if y_sign < 0 else 1, :: -1 if x_sign < 0 else 1])


def lies_on_its_side(matrix: Sequence[int]) -> bool:
    """Say whether width and height change places."""
    return abs(matrix[0]) < abs(matrix[1])
