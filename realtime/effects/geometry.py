"""Where things are on a face, from its parts: lids, irises' sockets, cheeks. All in crop coordinates."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from realtime.effects.tone import ramp
from realtime.frames import ParsedFace, Plane
from realtime.frames.geometry import Points, transformed
from realtime.frames.halvings import halved

EYES = ("r_eye", "l_eye")
# An eye narrower than this, in sides of the crop, is turned away; a mouth no farther below the eyes is none.
LEAST = 0.025
# Openness at which an effect on the eye starts and is full.
OPEN = (0.12, 0.24)
# Share of the largest piece's area at which a piece of hair apart from it starts to count, and counts fully.
SPECK = (0.08, 0.2)
# Places along a lid, and their powers 2, 1 and 0.
_ALONG = np.linspace(-1.0, 1.0, 17)
_POWERS = np.vander(_ALONG, 3)
FACE = ("skin", "nose", "l_eye", "r_eye", "l_brow", "r_brow", "mouth", "u_lip", "l_lip", "eye_g")


@dataclass(frozen=True)
class Eye:
    """One eye's opening.

    Attributes:
        inner, outer: corners (x, y) in pixels of the parser's output.
        upper, lower: (n, 2) points x, y of the lids, from the inner to the outer corner.
    """

    inner: tuple[float, float]
    outer: tuple[float, float]
    upper: Points
    lower: Points

    @property
    def width(self) -> float:
        """Return the distance between the corners."""
        return float(np.hypot(self.outer[0] - self.inner[0], self.outer[1] - self.inner[1]))

    @property
    def openness(self) -> float:
        """Return the largest height over the width: about 0.35 where open, under 0.15 where shut."""
        return float((self.lower[:, 1] - self.upper[:, 1]).max()) / max(self.width, 1e-6)

    @property
    def shown(self) -> float:
        """Return how much of an effect on the open eye is shown, 0 to 1: a blink must not flash."""
        low, high = OPEN
        return min(1.0, max(0.0, (self.openness - low) / (high - low)))

    @property
    def outwards(self) -> float:
        """Return 1 where the outer corner is on the right of the crop, else -1."""
        return 1.0 if self.outer[0] > self.inner[0] else -1.0


def find_eye(face: ParsedFace, name: str) -> Eye | None:
    """Return the eye `name` ("l_eye" or "r_eye"), or None where it is not seen."""
    plane = face.plane(name)
    columns = np.flatnonzero(plane.max(axis=0) > 0.5)
    if len(columns) < LEAST * len(plane):
        return None
    opening = plane[:, columns]
    tops, bottoms = _crossings(opening), plane.shape[0] - 1 - _crossings(opening[::-1])
    # Lids are smooth curves: a fit is steadier than single columns, and finer than the parser's pixels.
    middle, half = (columns[0] + columns[-1]) / 2.0, (columns[-1] - columns[0] + 1) / 2.0
    curves = np.linalg.lstsq(np.vander((columns - middle) / half, 3), np.stack([tops, bottoms], axis=1))[0]
    x, lids = middle + half * _ALONG, _POWERS @ curves
    upper, lower = np.stack([x, lids[:, 0]], axis=1), np.stack([x, lids[:, 1]], axis=1)
    if _nose_x(face) > middle:
        upper, lower = upper[::-1], lower[::-1]
    return _eye(upper, lower)


def _eye(upper: Points, lower: Points) -> Eye:
    ends = (upper + lower) / 2.0
    inner, outer = ends[0], ends[-1]
    return Eye((float(inner[0]), float(inner[1])), (float(outer[0]), float(outer[1])), upper, lower)


def _crossings(lines: Plane) -> Points:
    """Return where each column of (O, n) probabilities first reaches a half, between pixels: (n,)."""
    first, every = np.argmax(lines > 0.5, axis=0), np.arange(lines.shape[1])
    before, after = lines[np.maximum(first - 1, 0), every], lines[first, every]
    between = first - (after - 0.5) / np.maximum(after - before, 1e-6)
    return np.where(first == 0, 0.0, between)


def _nose_x(face: ParsedFace) -> float:
    centre = centroid(face.plane("nose"))
    return (face.probabilities.shape[-1] - 1) / 2.0 if centre is None else centre[0]


def centroid(plane: Plane, least: float = 1.0) -> tuple[float, float] | None:
    """Return (x, y) of the centre of mass of a plane (h, w); None where its sum is below `least`."""
    total = float(plane.sum())
    if total < least:
        return None
    rows, columns = (np.arange(size, dtype=np.float32) for size in plane.shape)
    x, y = float((plane.sum(axis=0) * columns).sum()), float((plane.sum(axis=1) * rows).sum())
    return x / total, y / total


def without_specks(plane: Plane) -> Plane:
    """Return a plane (O, O) without what lies apart and is small: most likely a mistake of the parser.

    What is one pixel apart is not apart: pieces are told from each other at half the size.
    """
    # With OpenCV's statistics it takes three times as long.
    count, found = cv2.connectedComponents(halved(np.uint8(255) * (plane > 0.0)), None, 8, cv2.CV_16U)
    if count <= 2:
        return plane
    labels = np.asarray(found, np.uint16)
    areas = np.bincount(labels.ravel())[1:].astype(np.float32)
    # Gradually, so that what grows or shrinks from frame to frame doesn't flash.
    kept = ramp(areas / areas.max(), *SPECK)
    shares: Plane = np.concatenate([[1.0], kept]).astype(np.float32)
    share = cv2.resize(shares.take(labels), plane.shape[::-1], interpolation=cv2.INTER_NEAREST)
    return np.asarray(plane * share, np.float32)


def to_image(face: ParsedFace, points: Points) -> Points:
    """Return (n, 2) points of the parser's output in pixels of the image."""
    return transformed(points, face.alignment.to_image(face.probabilities.shape[-1]))


def cheeks(face: ParsedFace) -> Plane | None:
    """Return (O, O) float32, 0 to 1: soft spots on the apples of the cheeks; None where they can't be placed.

    Each lies between the nose's wing and the face's edge at its own height, so that it moves and narrows
    with the cheek when the head turns.
    """
    nose, lips = centroid(face.plane("nose")), centroid(face.plane(("u_lip", "l_lip", "mouth")))
    eyes = [centroid(face.plane(name)) for name in EYES]
    seen = [eye for eye in eyes if eye is not None]
    if nose is None or lips is None or not seen:
        return None
    drop = lips[1] - float(np.mean([eye[1] for eye in seen]))
    whole = face.plane(FACE)
    if drop < LEAST * len(whole):
        return None
    row = lips[1] - 0.48 * drop
    mask = whole[int(row)] > 0.5
    side = np.arange(len(mask))
    size = len(mask)
    spots = np.zeros((size, size), np.float32)
    for out in (-1.0, 1.0):
        there = side[mask & ((side - nose[0]) * out > 0)]
        reach = float(np.abs(there - nose[0]).max()) if len(there) else 0.0
        spots += _spot(size, nose[0] + out * 0.62 * reach, row, 0.26 * reach, 0.2 * drop, out)
    return np.minimum(spots, 1.0)


def _spot(side: int, x: float, y: float, wide: float, high: float, out: float) -> Plane:
    """Return an oval that falls off softly and rises towards the ear; a cheek turned away has none."""
    if wide < 0.3 * high:
        return np.zeros((side, side), np.float32)
    line = np.arange(side, dtype=np.float32)
    across, down = (line - x) * out, line - y
    tilted = (down / high)[:, None] + 0.35 / high * across
    tilted *= tilted
    tilted += (across / wide) ** 2
    tilted *= -0.5
    return np.asarray(cv2.exp(tilted), np.float32)
