"""The square that a face crop is cut from: turned upright, also beyond the image; and what it covers."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
import numpy.typing as npt

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
        scale = self.side / size
        x_axis = scale * np.array([np.cos(self.roll), np.sin(self.roll)])
        y_axis = np.array([-x_axis[1], x_axis[0]])
        middle = (size - 1) / 2.0
        offset = np.asarray(self.centre) - middle * (x_axis + y_axis)
        return np.stack([x_axis, y_axis, offset], axis=1)

    def crop(self, image: npt.NDArray[np.uint8], size: int) -> npt.NDArray[np.uint8]:
        """Cut the square out of an image (H, W, 3) uint8 as (size, size, 3).

        Beyond the image its border is repeated, as in training: the parser does better than on black.
        """
        rows, columns = self.region(image.shape[:2], (-2.0, -2.0, size + 1.0, size + 1.0), size)
        # Where the face is larger than the crop, plain bilinear sampling would alias: it is shrunk by whole
        # steps, which is fast, cut out at twice the size, which keeps it sharp, and halved.
        factor = self.side / size
        step, wide = max(1, round(factor / 2.0)), size if factor < 2.0 else 2 * size
        rows, columns = _seen(rows, step, len(image)), _seen(columns, step, image.shape[1])
        part = image[rows, columns]
        if step > 1:
            shrunk = (max(1, part.shape[1] // step), max(1, part.shape[0] // step))
            whole = part[: shrunk[1] * step, : shrunk[0] * step]
            part = np.asarray(cv2.resize(whole, shrunk, interpolation=cv2.INTER_AREA), np.uint8)
        matrix = self.to_image(wide)
        # Pixels' middles: a large one's is not that of its first small one.
        matrix[:, 2] += 0.5 - np.array([columns.start, rows.start])
        matrix /= step
        matrix[:, 2] -= 0.5
        # OpenCV warps four channels twice as fast as three.
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        four = cv2.cvtColor(part, cv2.COLOR_RGB2RGBA)
        crop = cv2.warpAffine(four, matrix, (wide, wide), flags=flags, borderMode=cv2.BORDER_REPLICATE)
        if wide != size:
            crop = cv2.resize(crop, (size, size), interpolation=cv2.INTER_AREA)
        return np.asarray(cv2.cvtColor(crop, cv2.COLOR_RGBA2RGB), np.uint8)

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


def _seen(found: slice, step: int, limit: int) -> slice:
    """Return a range in whole steps; of one beyond 0 to `limit`, the line of pixels nearest to it."""
    stop = max(found.stop, 1)
    return whole_steps(slice(min(found.start, stop - 1), stop), step, limit)
