"""An image and its halves, of which each crop samples the one that is about as fine as itself."""

from __future__ import annotations

import math

import cv2
import numpy as np
import numpy.typing as npt

Image = npt.NDArray[np.uint8]
Matrix = npt.NDArray[np.float64]


class Halvings:
    """A part of an image, and what is left of it after each halving, made when it is first wanted.

    Plain bilinear sampling would alias where a crop is coarser than its image. Halving is what OpenCV
    averages fastest (with AVX-512 a frame of 720p in 0.2 ms, by three or four in 1.0), and crops of one place
    share it.

    Args:
        pixels: (h, w, 3) uint8 RGB, at least one pixel.
    """

    def __init__(self, pixels: Image) -> None:
        self._levels = [pixels]

    def sample(self, matrix: Matrix, size: int, sharp: bool = True) -> Image:
        """Return a crop (size, size, 3) uint8 RGB; beyond the part its border is repeated.

        Args:
            matrix: (2, 3) from pixels of the crop to pixels of the part, without shear.
            size: side of the crop in pixels.
            sharp: sample twice as finely where it is coarser than the part, and halve that.
        """
        factor = math.hypot(*matrix[:, 0])
        if sharp and factor > math.sqrt(2.0):
            fine = 0.5 * matrix
            # The middle of a large pixel lies between those of its four small ones.
            fine[:, 2] = matrix[:, 2] - 0.25 * matrix[:, :2].sum(axis=1)
            return halved(self.sample(fine, 2 * size, sharp=False))
        # What is left of the scale lies between 0.7 and 1.4.
        index = max(0, round(math.log2(factor)))
        level, there = self._level(index), matrix.copy()
        there[:, 2] += 0.5
        there /= 2**index
        there[:, 2] -= 0.5
        rows, columns = _covered(there, size, level.shape[:2])
        there[:, 2] -= (columns.start, rows.start)
        # OpenCV warps four channels twice as fast as three.
        four = cv2.cvtColor(level[rows, columns], cv2.COLOR_RGB2RGBA)
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        crop = cv2.warpAffine(four, there, (size, size), flags=flags, borderMode=cv2.BORDER_REPLICATE)
        return np.asarray(cv2.cvtColor(crop, cv2.COLOR_RGBA2RGB), np.uint8)

    def _level(self, index: int) -> Image:
        while len(self._levels) <= index:
            self._levels.append(halved(self._levels[-1]))
        return self._levels[index]


def halved(pixels: Image) -> Image:
    """Return pixels (h, w) or (h, w, c) uint8 at half the size: means of four.

    An odd last line is left out, a single one stays.
    """
    height, width = (max(1, length // 2) for length in pixels.shape[:2])
    whole = pixels[: 2 * height, : 2 * width]
    return np.asarray(cv2.resize(whole, (width, height), interpolation=cv2.INTER_AREA), np.uint8)


def halved_to(pixels: Image, width: int) -> Image:
    """Halve pixels until they are no wider than that: OpenCV averages nothing else as fast."""
    while pixels.shape[1] > width:
        pixels = halved(pixels)
    return pixels


def within(start: int, stop: int, length: int) -> slice:
    """Return a range inside 0 to `length`; of one beyond, the line of pixels nearest to it."""
    stop = min(max(stop, 1), length)
    return slice(max(0, min(start, stop - 1)), stop)


def _covered(matrix: Matrix, size: int, shape: tuple[int, int]) -> tuple[slice, slice]:
    """Return the rows and columns that a crop samples, with what bilinear sampling reads around them."""
    ends = matrix[:, :2] * (size - 1)
    low = np.floor(matrix[:, 2] + np.minimum(ends, 0.0).sum(axis=1)).astype(int) - 1
    high = np.ceil(matrix[:, 2] + np.maximum(ends, 0.0).sum(axis=1)).astype(int) + 2
    (left, top), (right, bottom), (height, width) = low, high, shape
    return within(int(top), int(bottom), height), within(int(left), int(right), width)
