"""The worst frames of clips as one picture: each beside its labels, with what is wrong written above it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from realtime.frames import Image, ParsedFace
from stn_icnn.labels import PALETTE

# Pixels: the width of one picture, of which a tile has two, and the height of the line above them.
PICTURE_WIDTH, CAPTION = 400, 26
COLUMNS = 2
_STRENGTH = 0.6
_GREY, _WHITE = (24, 24, 24), (235, 235, 235)


@dataclass(frozen=True)
class Fault:
    """What is wrong with a frame.

    Attributes:
        kind: one frame is kept of each.
        severity: by which frames of a kind are compared.
        text: for people.
    """

    kind: str
    severity: float
    text: str


class WorstFrames:
    """Keeps the worst frame of each kind of fault of a clip, as tiles of the contact sheet.

    Args:
        title: written on each tile: the clip, and what parsed it.
    """

    def __init__(self, title: str) -> None:
        self._title = title
        self._kept: dict[str, tuple[float, Image]] = {}

    def add(self, faults: Iterable[Fault], seconds: float, draw: Callable[[], Image]) -> None:
        """Look at a frame; keep it for each kind of fault in which it is the worst so far.

        Args:
            faults: what is wrong with it.
            seconds: its time in the clip.
            draw: returns its picture, see `draw_labels`; called only where it is kept.
        """
        for fault in faults:
            if fault.kind not in self._kept or fault.severity > self._kept[fault.kind][0]:
                caption = f"{self._title}, {seconds:.2f} s: {fault.text}"
                self._kept[fault.kind] = (fault.severity, _write_above(draw(), caption))

    def tiles(self) -> list[Image]:
        """Return the tiles, (h, 800, 3) uint8 RGB each, by kind of fault."""
        return [tile for _, (_, tile) in sorted(self._kept.items())]


def draw_labels(image: Image, labels: Image, faces: Sequence[ParsedFace]) -> Image:
    """Draw a frame beside its labels, with the squares that were parsed.

    Args:
        image: (H, W, 3) uint8 RGB.
        labels: (H, W) uint8 class ids of the whole frame.
        faces: as parsed.

    Returns:
        (h, 800, 3) uint8 RGB.
    """
    painted = image.copy()
    seen = labels != 0
    mix = (1.0 - _STRENGTH) * image[seen] + _STRENGTH * PALETTE[labels[seen]]
    painted[seen] = mix.astype(np.uint8)
    corners = np.array([[-0.5, -0.5, 1.0], [1.5, -0.5, 1.0], [1.5, 1.5, 1.0], [-0.5, 1.5, 1.0]])
    squares = [np.rint(corners @ face.square.to_image(2).T).astype(np.int32) for face in faces]
    cv2.polylines(painted, squares, True, _WHITE, max(1, image.shape[1] // PICTURE_WIDTH))
    size = (PICTURE_WIDTH, max(1, round(image.shape[0] * PICTURE_WIDTH / image.shape[1])))
    return np.hstack([cv2.resize(each, size, interpolation=cv2.INTER_AREA) for each in (image, painted)])


def assemble_sheet(tiles: Sequence[Image]) -> Image:
    """Return the contact sheet of at least one tile, (H, 1600, 3) uint8 RGB."""
    lines = []
    for index in range(math.ceil(len(tiles) / COLUMNS)):
        line = tiles[COLUMNS * index : COLUMNS * (index + 1)]
        height = max(len(tile) for tile in line)
        lines.append(np.hstack([_fill(tile, height) for tile in _padded(line)]))
    return np.vstack(lines)


def _padded(line: Sequence[Image]) -> list[Image]:
    return [*line, *[np.zeros_like(line[0])] * (COLUMNS - len(line))]


def _fill(tile: Image, height: int) -> Image:
    """Make a tile as high as its neighbour."""
    filled = cv2.copyMakeBorder(
        tile, 0, height - len(tile), 0, 0, borderType=cv2.BORDER_CONSTANT, value=_GREY
    )
    return np.asarray(filled, np.uint8)


def _write_above(picture: Image, caption: str) -> Image:
    tile = cv2.copyMakeBorder(picture, CAPTION, 0, 0, 0, borderType=cv2.BORDER_CONSTANT, value=_GREY)
    place = (8, CAPTION - 8)
    cv2.putText(tile, caption, place, cv2.FONT_HERSHEY_SIMPLEX, 0.5, _WHITE, 1, cv2.LINE_AA)
    return np.asarray(tile, np.uint8)
