"""A film's black bars, above and below its picture or on either side: nobody is there."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Image = npt.NDArray[np.uint8]
Region = tuple[slice, slice]

# A line of the picture that is nowhere lighter is a black bar's ...
_BAR = 8
# ... or this, for the line between bar and picture is smeared by compression.
_SMEARED = 24
# Bars lie on both sides: one that is so much narrower than the other is a dark picture's.
_ALIKE = 0.5
# Columns that tell whether a known bar is still black: every so many.
_STEP = 4


class Letterbox:
    """Knows a scene's bars, which do not grow: what was ever lit is picture."""

    def __init__(self) -> None:
        self._content: Region | None = None
        self._size: tuple[int, ...] = ()

    def __call__(self, image: Image) -> Region | None:
        """Return the rows and columns of the picture in a frame (H, W, 3) uint8; None for all of it."""
        if image.shape != self._size:
            self._content, self._size = None, image.shape
        if self._content is None or not _dark_beyond(image, self._content):
            rows, columns = inside_bars(image, _SMEARED)
            if rows.start == rows.stop:
                # A black frame, between two scenes, tells nothing.
                return None
            found = _even(rows, image.shape[0]), _even(columns, image.shape[1])
            self._content = found if self._content is None else _around(self._content, found)
        return None if self._content == whole(image) else self._content


def whole(image: Image) -> Region:
    """Return all rows and columns of an image (H, W, 3)."""
    return slice(0, image.shape[0]), slice(0, image.shape[1])


def inside_bars(image: Image, level: int = _BAR) -> Region:
    """Return the rows and columns of a picture (H, W, 3) uint8 without black bars; none of an all black one.

    Args:
        image: the picture.
        level: lines that are nowhere as light as this are black, 0 to 255.
    """
    rows = _lit(image, 0, level)
    return rows, _lit(image[rows], 1, level)


def _lit(image: Image, axis: int, level: int) -> slice:
    length = image.shape[axis]
    first, last = 0, length
    while first < last and int(image.take(first, axis).max(initial=0)) < level:
        first += 1
    while last > first and int(image.take(last - 1, axis).max(initial=0)) < level:
        last -= 1
    return slice(first, last)


def _even(lit: slice, length: int) -> slice:
    """Return a range without the bars on both sides of it; without any where they are no pair."""
    before, after = lit.start, length - lit.stop
    return lit if min(before, after) >= _ALIKE * max(before, after) else slice(0, length)


def _around(one: Region, other: Region) -> Region:
    rows, columns = (
        slice(min(a.start, b.start), max(a.stop, b.stop)) for a, b in zip(one, other, strict=True)
    )
    return rows, columns


def _dark_beyond(image: Image, content: Region) -> bool:
    rows, columns = content
    bars = (
        image[: rows.start, ::_STEP],
        image[rows.stop :, ::_STEP],
        image[::_STEP, : columns.start],
        image[::_STEP, columns.stop :],
    )
    return all(int(bar.max(initial=0)) < _SMEARED for bar in bars)
