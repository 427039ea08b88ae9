"""The square that a face crop is cut from: turned upright, also beyond the image; and what it covers."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from realtime.frames.halvings import Halvings
from realtime.frames.letterbox import Region

# Share of the crop's side over which painted effects fade out at its border.
BORDER_FADE = 0.04
# The same where the whole head was seen: what goes on beyond ends less abruptly.
HEAD_FADE = 0.1

Matrix = npt.NDArray[np.float64]
Points = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Alignment:
    """A square in the image that may be turned and reach beyond the image.

    Attributes:
        centre: x, y in pixels.
        side: in pixels.
        roll: radians from the image's x axis to the square's, clockwise as seen.
        wide: its side in sides of the square that frames the face: more than 1 where more is seen.
    """

    centre: tuple[float, float]
    side: float
    roll: float
    wide: float = 1.0

    @property
    def face_side(self) -> float:
        """Return the side in pixels of the square that frames the face: lengths on a face go by it."""
        return self.side / self.wide

    def widened(self, factor: float) -> Alignment:
        """Return a square about the same centre, of a side larger by a factor."""
        return replace(self, side=factor * self.side, wide=factor * self.wide)

    def to_crop(self, size: int) -> Matrix:
        """Return the (2, 3) affine map from image pixels to pixels of a size x size crop."""
        matrix = cv2.invertAffineTransform(self.to_image(size))
        return np.asarray(matrix, np.float64)

    def to_image(self, size: int) -> Matrix:
        """Return the (2, 3) affine map from pixels of a size x size crop to image pixels."""
        # Plain numbers: it is asked for a dozen times a frame, and arrays of two take five times as long.
        scale, middle = self.side / size, (size - 1) / 2.0
        cos, sin = scale * math.cos(self.roll), scale * math.sin(self.roll)
        x, y = self.centre
        return np.array([[cos, -sin, x - middle * (cos - sin)], [sin, cos, y - middle * (sin + cos)]])

    def crop(self, image: npt.NDArray[np.uint8], size: int) -> npt.NDArray[np.uint8]:
        """Cut the square out of an image (H, W, 3) uint8 as (size, size, 3).

        Beyond the image its border is repeated, as in training: the parser does better than on black.
        """
        return Square(self, size).cut(Halvings(image))

    def shows(self, size: int, content: Region) -> npt.NDArray[np.bool_]:
        """Return which pixels of a crop, (size, size), lie in some rows and columns of the image."""
        line = np.arange(size)
        (ax, bx, cx), (ay, by, cy) = self.to_image(size)
        x, y = (a * line + b * line[:, None] + c for a, b, c in ((ax, bx, cx), (ay, by, cy)))
        rows, columns = content
        inside = (y >= rows.start) & (y < rows.stop) & (x >= columns.start) & (x < columns.stop)
        return np.asarray(inside, np.bool_)

    def region(
        self,
        image_size: tuple[int, int],
        box: tuple[float, float, float, float] | None = None,
        size: int = 2,
    ) -> tuple[slice, slice]:
        """Return the rows and columns of the image that the crop, or a box of it, covers.

        Args:
            image_size: (height, width) in pixels.
            box: x0, y0, x1, y1 in pixels of a size x size crop; None for the whole crop.
            size: side of the crop that `box` refers to.
        """
        x0, y0, x1, y1 = box or (-0.5, -0.5, size - 0.5, size - 0.5)
        corners = np.array([[x0, y0, 1], [x1, y0, 1], [x0, y1, 1], [x1, y1, 1]], np.float64)
        return region_around(corners @ self.to_image(size).T, image_size)


class Square(NamedTuple):
    """What is cut out of an image.

    Attributes:
        alignment: where it lies.
        size: side of the crop in pixels.
        sharp: see `Halvings.sample`.
    """

    alignment: Alignment
    size: int
    sharp: bool = True

    def cut(self, seen: Halvings) -> npt.NDArray[np.uint8]:
        """Cut it out of an image as `Alignment.crop` does: (size, size, 3) uint8 RGB."""
        return seen.sample(self.alignment.to_image(self.size), self.size, self.sharp)


def transformed(points: Points, matrix: Matrix) -> Points:
    """Return points (n, 2) moved by a (2, 3) affine map."""
    return np.asarray(points @ matrix[:, :2].T + matrix[:, 2], np.float64)


def region_around(points: Points, image_size: tuple[int, int], margin: float = 0.0) -> tuple[slice, slice]:
    """Return the rows and columns of an image that points (n, 2) cover, with a margin in pixels.

    Args:
        points: x, y in pixels.
        image_size: (height, width) in pixels.
        margin: in pixels.

    Returns:
        Slices inside the image; where nothing of it is covered one of them ends before it begins.
    """
    low = np.floor(points.min(axis=0) - margin).astype(int)
    high = np.ceil(points.max(axis=0) + margin).astype(int) + 1
    height, width = image_size
    rows = slice(max(0, int(low[1])), min(height, int(high[1])))
    columns = slice(max(0, int(low[0])), min(width, int(high[0])))
    return rows, columns


def seen_from(region: tuple[slice, slice], outer: tuple[slice, slice]) -> tuple[slice, slice]:
    """Return a rectangle of the image in the coordinates of another one around it."""
    rows, columns = (slice(a.start - b.start, a.stop - b.start) for a, b in zip(region, outer, strict=True))
    return rows, columns


def whole_steps(found: slice, step: int, limit: int) -> slice:
    """Make a range a whole number of steps long, inside 0 to `limit` where it has room for them."""
    length = min(-(-(found.stop - found.start) // step) * step, limit)
    start = min(found.start, limit - length)
    return slice(start, start + length)
