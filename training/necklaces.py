"""Drawn necklaces: the class of which 800 labelled faces show 21, most of them in part only."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from stn_icnn.labels import CLASS_ID

Image = npt.NDArray[np.uint8]
Points = npt.NDArray[np.float64]

# Metals, pearls, stones and cords, RGB.
_COLOURS = (
    (214, 172, 92),
    (170, 124, 54),
    (198, 200, 205),
    (238, 230, 218),
    (40, 36, 38),
    (150, 30, 34),
    (40, 130, 140),
    (96, 62, 40),
)
_FINE = 8
_WHERE = (CLASS_ID["neck"], CLASS_ID["cloth"])


class _Canvas(NamedTuple):
    """What is drawn, (H, W, 3) uint8, and where, (H, W) uint8 from 0 to 255."""

    paint: Image
    mask: Image

    def disc(self, centre: Points, radius: float, colour: Points) -> None:
        """Draw a disc, to an eighth of a pixel."""
        at = (round(centre[0] * _FINE), round(centre[1] * _FINE))
        tone = tuple(int(value) for value in np.clip(colour, 0, 255))
        # Wider than the mask: what is mixed in at its edge has the colour too.
        cv2.circle(self.paint, at, round((radius + 1.0) * _FINE), tone, -1, cv2.LINE_AA, 3)
        cv2.circle(self.mask, at, round(radius * _FINE), (255,), -1, cv2.LINE_AA, 3)


def draw_necklace(image: Image, label: Image, rng: np.random.Generator) -> tuple[Image, Image]:
    """Hang one to three drawn chains, strings of beads or cords around the neck of a labelled face.

    They lie on neck and clothes alone, behind hair and chin; where too little neck is seen, nothing is drawn.

    Args:
        image: (H, W, 3) uint8 RGB.
        label: (H, W) uint8 class ids, 255 = ignore.
        rng: draws the look.

    Returns:
        The image and the label map, changed copies.
    """
    rows, columns = np.nonzero(label == CLASS_ID["neck"])
    side = label.shape[0]
    if len(rows) < 0.008 * label.size:
        return image, label
    left, right = np.percentile(columns, (2.0, 98.0))
    top, bottom = np.percentile(rows, (5.0, 98.0))
    canvas = _Canvas(np.zeros_like(image), np.zeros_like(label))
    for _ in range(1 if rng.random() < 0.7 else int(rng.integers(2, 4))):
        high = rng.uniform(top + 0.25 * (bottom - top), bottom)
        width = (right - left) * rng.uniform(0.85, 1.2)
        sag = rng.uniform(0.1, 0.75) * width
        middle = (left + right) / 2 + rng.normal(0.0, 0.04) * width
        _chain(canvas, _hanging(middle, high, width, sag), side, rng)
    free = np.isin(label, _WHERE)
    alpha = canvas.mask * free / 255.0
    # Drawn brighter in light, darker in shadow: by what it covers, softened.
    light = cv2.GaussianBlur(image, (0, 0), side / 40).mean(axis=2, keepdims=True) / 150.0
    paint = np.clip(canvas.paint * np.clip(light, 0.35, 1.3), 0, 255)
    mixed = image + alpha[..., None] * (paint - image)
    changed = np.where(alpha > 0.5, CLASS_ID["neck_l"], label)
    return mixed.astype(np.uint8), changed.astype(np.uint8)


def _hanging(middle: float, high: float, width: float, sag: float) -> Points:
    """Return points (n, 2) a pixel apart on a curve that hangs between two points of one height."""
    across = np.linspace(-1.0, 1.0, 200)
    # Between a parabola and the U of a long chain.
    curve = np.stack([middle + across * width / 2, high + sag * (1.0 - across**2) ** 0.8], axis=1)
    lengths = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(curve, axis=0), axis=1))])
    steps = np.arange(0.0, lengths[-1])
    return np.stack([np.interp(steps, lengths, curve[:, axis]) for axis in (0, 1)], axis=1)


def _chain(canvas: _Canvas, curve: Points, side: int, rng: np.random.Generator) -> None:
    colour = np.array(_COLOURS[rng.integers(len(_COLOURS))], np.float64) + rng.normal(0.0, 14.0, 3)
    kind = rng.random()
    # Radii in shares of the crop's side: fine chains, beads, collars.
    radius = side * (
        rng.uniform(0.0018, 0.004)
        if kind < 0.4
        else rng.uniform(0.005, 0.013)
        if kind < 0.8
        else rng.uniform(0.013, 0.026)
    )
    spacing = max(1, round(radius * rng.uniform(1.2, 2.4)))
    rough, growth = rng.uniform(0.05, 0.45), rng.uniform(0.0, 0.8)
    second = np.array(_COLOURS[rng.integers(len(_COLOURS))]) if rng.random() < 0.3 else colour
    for number, centre in enumerate(curve[::spacing]):
        # Many have larger beads in front.
        place = 1.0 - abs(2.0 * number * spacing / len(curve) - 1.0)
        own = radius * (1.0 + growth * place)
        tone = (second if number % 3 == 2 else colour) * rng.uniform(1.0 - rough, 1.0 + rough)
        canvas.disc(centre, own, tone)
        if own > 1.5:
            canvas.disc(centre + own * np.array([-0.15, 0.25]), 0.6 * own, 0.75 * tone)
            canvas.disc(centre - 0.3 * own, 0.35 * own, tone + rng.uniform(20, 110))
    if rng.random() < 0.35:
        pendant = side * rng.uniform(0.008, 0.028)
        lowest = curve[np.argmax(curve[:, 1])] + np.array([0.0, pendant])
        canvas.disc(lowest, pendant, colour * rng.uniform(0.6, 1.2))
        canvas.disc(lowest - 0.3 * pendant, 0.5 * pendant, colour + rng.uniform(-60, 90))
