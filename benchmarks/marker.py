"""A frame's number drawn into the frame itself, to be read back from a picture of the screen.

A strip of cells over the picture's top: green is 0, magenta is 1, colours that cameras and rooms hardly show.
Two cells that never change, sixteen of the number, one of parity.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Image = npt.NDArray[np.uint8]

BITS = 16
CELLS = BITS + 3
CELL = 32
_ONE, _ZERO = np.array([255, 0, 255], np.uint8), np.array([0, 255, 0], np.uint8)
# Farthest that a channel of a shown cell may be from the drawn one.
_NEAR = 64


def draw_marker(image: Image, number: int) -> None:
    """Draw a number, modulo 65536, into an image (H, W, 3) uint8 RGB at least 608 pixels wide, in place."""
    number %= 1 << BITS
    bits = [(number >> place) & 1 for place in range(BITS)]
    for index, bit in enumerate([1, 0, *bits, sum(bits) % 2]):
        image[:CELL, index * CELL : (index + 1) * CELL] = _ONE if bit else _ZERO


def find_marker(screen: Image) -> tuple[int, int, int, int] | None:
    """Return x, y, width and height of the strip in a picture of the screen, or None where it isn't shown."""
    alike = _is(screen, _ONE) | _is(screen, _ZERO)
    counts = alike.sum(axis=1)
    if counts.max() < CELLS:
        return None
    # Where most of a row and of a column is of the strip's colours: single pixels elsewhere may be, too.
    rows = np.nonzero(counts > 0.8 * counts.max())[0]
    columns = np.nonzero(alike[rows].mean(axis=0) > 0.8)[0]
    if not len(columns):
        return None
    x, y = int(columns[0]), int(rows[0])
    place = x, y, int(columns[-1]) + 1 - x, int(rows[-1]) + 1 - y
    return place if read_marker(screen, place) is not None else None


def read_marker(screen: Image, place: tuple[int, int, int, int]) -> int | None:
    """Return the number that is shown, or None where it is torn, covered or of wrong parity.

    Args:
        screen: (H, W, 3) uint8 RGB.
        place: x, y, width and height of the strip.
    """
    x, y, width, height = place
    columns = x + ((np.arange(CELLS) + 0.5) * width / CELLS).astype(int)
    # A frame that is only half on the screen differs from top to bottom.
    read = [_cells(screen[row, columns]) for row in (y + height // 4, y + 3 * height // 4)]
    if read[0] is None or read[0] != read[1]:
        return None
    first, second, *bits, parity = read[0]
    if (first, second) != (1, 0) or sum(bits) % 2 != parity:
        return None
    return sum(bit << place for place, bit in enumerate(bits))


def _cells(pixels: Image) -> list[int] | None:
    ones, zeros = _is(pixels, _ONE), _is(pixels, _ZERO)
    return [int(one) for one in ones] if (ones | zeros).all() else None


def _is(pixels: Image, colour: Image) -> npt.NDArray[np.bool_]:
    return np.asarray((np.abs(pixels.astype(np.int16) - colour) <= _NEAR).all(axis=-1))
