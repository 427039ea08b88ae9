"""Areas drawn around an eye, as soft alphas in the image."""

from __future__ import annotations

import cv2
import numpy as np

from realtime.frames import Plane
from realtime.frames.geometry import Points, region_around

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
    rows, columns = region_around(points, image_size, margin)
    return None if rows.stop <= rows.start or columns.stop <= columns.start else (rows, columns)
