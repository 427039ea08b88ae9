"""Views of a frame in which faces are searched that the whole frame hides: small ones, turned ones.

The detector's model sees any picture at 192 pixels. In a whole 720p frame it loses faces below about 84
pixels; in a tile of 480 it finds them from about 40. It knows upright faces only: a head that lies on its
side or hangs upside down is found in the frame turned.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np

from realtime.frames import Detection, Image

# Least side of a tile in pixels, and in shares of the frame's shorter side.
_TILE, _TILE_SHARE = 480, 2.0 / 3.0
# Tiles overlap by this share, so that a face lies whole in one of them.
_OVERLAP = 0.2
# By quarters, counter-clockwise. numpy's turns take ten times as long as OpenCV's.
_TURNS = (None, cv2.ROTATE_90_COUNTERCLOCKWISE, cv2.ROTATE_180, cv2.ROTATE_90_CLOCKWISE)


@dataclass(frozen=True, slots=True)
class View:
    """A part of a frame, turned by quarters.

    Attributes:
        x, y, width, height: the part, in pixels.
        quarters: how often it is turned by 90 degrees, counter-clockwise.
    """

    x: int
    y: int
    width: int
    height: int
    quarters: int = 0

    def cut(self, image: Image) -> Image:
        """Return the view of an image (H, W, 3) uint8, contiguous."""
        part = image[self.y : self.y + self.height, self.x : self.x + self.width]
        turn = _TURNS[self.quarters % 4]
        return np.ascontiguousarray(part) if turn is None else np.asarray(cv2.rotate(part, turn), np.uint8)

    def back(self, face: Detection) -> Detection:
        """Return a face found in the view in the image's pixels."""
        x0, y0, x1, y1 = face.box
        corners = [self._point(x0, y0), self._point(x1, y1)]
        xs, ys = sorted(x for x, _ in corners), sorted(y for _, y in corners)
        points = (self._point(*point) for point in (face.right_eye, face.left_eye, face.mouth))
        return Detection((xs[0], ys[0], xs[1], ys[1]), face.score, *points)

    def _point(self, x: float, y: float) -> tuple[float, float]:
        for turn in range(self.quarters, 0, -1):
            # Of the picture as it was before this turn.
            width = self.width if turn % 2 else self.height
            x, y = width - 1 - y, x
        return x + self.x, y + self.y

    def holds(self, face: Detection) -> bool:
        """Say whether a face, in the image's pixels, lies whole inside the view."""
        x0, y0, x1, y1 = face.box
        return self.x <= x0 and self.y <= y0 and x1 <= self.x + self.width and y1 <= self.y + self.height


@cache
def further_views(height: int, width: int) -> tuple[tuple[View, ...], ...]:
    """Return groups of views beyond the whole frame, to be searched together: the frame turned, each tile.

    Turned either way at once, as the detector sees a lying face in both: the surer view is tried first.
    """
    side = max(_TILE, int(_TILE_SHARE * min(height, width)))
    tiles = [
        View(x, y, min(side, width), min(side, height))
        for y in _starts(height, side)
        for x in _starts(width, side)
    ]
    lying = tuple(View(0, 0, width, height, quarters) for quarters in (1, 3))
    upside_down = (View(0, 0, width, height, 2),)
    return (lying, upside_down, *((tile,) for tile in tiles if len(tiles) > 1))


def _starts(length: int, side: int) -> list[int]:
    if length <= side:
        return [0]
    count = 1 + math.ceil((length - side) / (side * (1.0 - _OVERLAP)))
    return [round(index * (length - side) / (count - 1)) for index in range(count)]
