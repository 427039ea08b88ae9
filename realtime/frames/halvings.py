"""An image and its halves, of which each crop samples the one that is about as fine as itself."""

from __future__ import annotations

import math
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from realtime.frames.letterbox import Region, whole

Image = npt.NDArray[np.uint8]
Matrix = npt.NDArray[np.float64]

# A part of the image that takes more than this share of it is halved with all of it: what else is cut out,
# and who wants all of it, finds it done.
_LARGE = 0.25
# Parts begin at multiples of this, so that a face that moves by a pixel is halved as it was before.
_GRID = 16


class Halvings:
    """An image, and what is left of its parts after each halving, made when it is first wanted.

    Plain bilinear sampling would alias where a crop is coarser than its image. Halving is what OpenCV
    averages fastest (with AVX-512 a frame of 720p in 0.2 ms, by three or four in 1.0). All that looks at one
    frame shares one of these: reading a new frame is most of the work.

    Args:
        image: (H, W, 3) uint8 RGB, at least one pixel.
        content: its rows and columns beyond which nothing is seen, as of a film with bars; None for all.
    """

    def __init__(self, image: Image, content: Region | None = None) -> None:
        self.image, self.content = image, content or whole(image)
        self._parts: list[_Part] = []

    def sample(self, matrix: Matrix, size: int, sharp: bool = True) -> Image:
        """Return a crop (size, size, 3) uint8 RGB; beyond the content its border is repeated.

        Args:
            matrix: (2, 3) from pixels of the crop to pixels of the image, without shear.
            size: side of the crop in pixels.
            sharp: sample twice as finely where it is coarser than the image, and halve that.
        """
        factor = math.hypot(*matrix[:, 0])
        if sharp and factor > math.sqrt(2.0):
            fine = 0.5 * matrix
            # The middle of a large pixel lies between those of its four small ones.
            fine[:, 2] = matrix[:, 2] - 0.25 * matrix[:, :2].sum(axis=1)
            return halved(self.sample(fine, 2 * size, sharp=False))
        # What is left of the scale lies between 0.7 and 1.4.
        index = max(0, round(math.log2(factor)))
        step = 2**index
        wanted = _covered(matrix, size, self.content, 2 * step) if index else self.content
        part = self._around(wanted)
        level, there = part.level(index), matrix.copy()
        there[:, 2] += (0.5 - part.columns.start, 0.5 - part.rows.start)
        there /= step
        there[:, 2] -= 0.5
        rows, columns = _covered(there, size, whole(level), 1)
        there[:, 2] -= (columns.start, rows.start)
        # OpenCV warps four channels twice as fast as three.
        four = cv2.cvtColor(level[rows, columns], cv2.COLOR_RGB2RGBA)
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        crop = cv2.warpAffine(four, there, (size, size), flags=flags, borderMode=cv2.BORDER_REPLICATE)
        return np.asarray(cv2.cvtColor(crop, cv2.COLOR_RGBA2RGB), np.uint8)

    def at_least(self, width: int, height: int) -> Image:
        """Return the whole image, with any bars, halved as often as it stays no smaller than that."""
        index = 0
        while self.image.shape[1] >> (index + 1) >= width and self.image.shape[0] >> (index + 1) >= height:
            index += 1
        return self._all(whole(self.image)).level(index)

    def _around(self, region: Region) -> _Part:
        """Return a part of the content that some of its rows and columns lie in, one there is if possible."""
        for part in self._parts:
            # One with the bars in it serves others.
            if _holds(self.content, part.region) and _holds(part.region, region):
                return part
        if _area(region) > _LARGE * _area(self.content):
            return self._all(self.content)
        starts = (
            each.start - (each.start - limits.start) % _GRID
            for each, limits in zip(region, self.content, strict=True)
        )
        rows, columns = (slice(start, each.stop) for start, each in zip(starts, region, strict=True))
        return self._new(rows, columns)

    def _all(self, region: Region) -> _Part:
        """Return just these rows and columns as a part."""
        known = (part for part in self._parts if part.region == region)
        return next(known, None) or self._new(*region)

    def _new(self, rows: slice, columns: slice) -> _Part:
        self._parts.append(_Part(rows, columns, [self.image[rows, columns]]))
        return self._parts[-1]


class _Part(NamedTuple):
    """A part of an image.

    Attributes:
        rows, columns: where it lies.
        levels: it, halved 0, 1, 2 ... times, as far as that was wanted.
    """

    rows: slice
    columns: slice
    levels: list[Image]

    @property
    def region(self) -> Region:
        """Return both."""
        return self.rows, self.columns

    def level(self, index: int) -> Image:
        """Return it halved so often."""
        while len(self.levels) <= index:
            self.levels.append(halved(self.levels[-1]))
        return self.levels[index]


def halved(pixels: Image) -> Image:
    """Return pixels (h, w) or (h, w, c) uint8 at half the size: means of four.

    An odd last line is left out, a single one stays.
    """
    height, width = (max(1, length // 2) for length in pixels.shape[:2])
    inner = pixels[: 2 * height, : 2 * width]
    return np.asarray(cv2.resize(inner, (width, height), interpolation=cv2.INTER_AREA), np.uint8)


def halved_to(pixels: Image, width: int) -> Image:
    """Halve pixels until they are no wider than that: OpenCV averages nothing else as fast."""
    while pixels.shape[1] > width:
        pixels = halved(pixels)
    return pixels


def _within(start: int, stop: int, limits: slice) -> slice:
    """Return a range inside its limits; of one beyond, the line of pixels nearest to it."""
    stop = min(max(stop, limits.start + 1), limits.stop)
    return slice(max(limits.start, min(start, stop - 1)), stop)


def _holds(outer: Region, inner: Region) -> bool:
    return all(a.start <= b.start and b.stop <= a.stop for a, b in zip(outer, inner, strict=True))


def _area(region: Region) -> int:
    rows, columns = region
    return int((rows.stop - rows.start) * (columns.stop - columns.start))


def _covered(matrix: Matrix, size: int, limits: Region, margin: int) -> Region:
    """Return the rows and columns that a crop samples, with what is read around them.

    Args:
        matrix: (2, 3) from pixels of the crop to those that are sampled.
        size: side of the crop in pixels.
        limits: rows and columns that there are.
        margin: pixels around what is sampled, besides those of bilinear sampling.
    """
    ends = matrix[:, :2] * (size - 1)
    low = np.floor(matrix[:, 2] + np.minimum(ends, 0.0).sum(axis=1)).astype(int) - margin
    high = np.ceil(matrix[:, 2] + np.maximum(ends, 0.0).sum(axis=1)).astype(int) + margin + 1
    (left, top), (right, bottom), (rows, columns) = low.tolist(), high.tolist(), limits
    return _within(top, bottom, rows), _within(left, right, columns)
