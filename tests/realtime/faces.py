"""Parsed faces made by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from realtime.frames import Detection, ParsedFace
from realtime.frames.geometry import Alignment
from stn_icnn.labels import CLASS_ID


def parsed_face(
    parts: dict[str, tuple[int, int, int, int]],
    image_size: tuple[int, int] = (120, 160),
    alignment: Alignment | None = None,
    side: int = 64,
) -> ParsedFace:
    """A face whose parts are boxes x0, y0, x1, y1 of its crop, with probability 1."""
    probabilities = np.zeros((19, side, side), np.float32)
    probabilities[0] = 1.0
    for name, (x0, y0, x1, y1) in parts.items():
        probabilities[:, y0:y1, x0:x1] = 0.0
        probabilities[CLASS_ID[name], y0:y1, x0:x1] = 1.0
    height, width = image_size
    place = alignment or Alignment(((width - 1) / 2, (height - 1) / 2), float(side), 0.0)
    detection = Detection((50.0, 30.0, 110.0, 90.0), 0.9, (70.0, 50.0), (90.0, 50.0), (80.0, 75.0))
    return ParsedFace(detection, place, probabilities, tuple(range(19)), image_size)


def with_head(face: ParsedFace, parts: dict[str, tuple[int, int, int, int]], side: int = 32) -> ParsedFace:
    """A face with what is around it: boxes x0, y0, x1, y1 of the square twice as wide."""
    return replace(face, head=parsed_face(parts, side=side).probabilities)


# A head in a crop of 128 pixels, part by part; what comes later lies on top.
HEAD: dict[str, tuple[int, int, int, int]] = {
    "hair": (24, 8, 104, 50),
    "skin": (30, 34, 98, 108),
    "r_brow": (34, 46, 54, 50),
    "l_brow": (74, 46, 94, 50),
    "r_eye": (36, 54, 51, 60),
    "l_eye": (77, 54, 92, 60),
    "nose": (57, 54, 71, 76),
    "u_lip": (50, 84, 78, 88),
    "mouth": (54, 88, 74, 91),
    "l_lip": (50, 91, 78, 96),
}
