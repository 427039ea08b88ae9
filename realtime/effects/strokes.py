"""Areas drawn around an eye, as soft alphas in the image."""

from __future__ import annotations

import cv2
import numpy as np

from realtime.effects.geometry import Points
from realtime.frames import Plane

# Bits after the point that OpenCV draws polygons with.
FINE = 4


def filled(outline: Points, rows: slice, columns: slice) -> Plane:
    """Return (h, w) float32, 0 to 1: a polygon with smooth edges.

    Args:
        outline: (n, 2) points x, y in pixels of the image.
        rows: of the image, that the answer covers.
        columns: likewise.
    """
    mask = np.zeros((rows.stop - rows.start, columns.stop - columns.start), np.uint8)
    local = (outline - (columns.start, rows.start)) * (1 << FINE)
    cv2.fillPoly(mask, [np.round(local).astype(np.int32)], 255, cv2.LINE_AA, FINE)
    return np.asarray(mask.astype(np.float32) * (1.0 / 255.0), np.float32)


def around(points: Points, margin: float, image_size: tuple[int, int]) -> tuple[slice, slice] | None:
    """Return the rows and columns of the image around points, or None where they are outside."""
    low = np.floor(points.min(axis=0) - margin).astype(int)
    high = np.ceil(points.max(axis=0) + margin).astype(int) + 1
    rows = slice(max(0, int(low[1])), min(image_size[0], int(high[1])))
    columns = slice(max(0, int(low[0])), min(image_size[1], int(high[0])))
    return None if rows.stop <= rows.start or columns.stop <= columns.start else (rows, columns)
