"""Drawn faces in flat colours, an engine that parses them by colour, and a detector that is told of them."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import cv2
import numpy as np

from engines.engine import Crops, EngineSpec, Probabilities
from realtime.frames import Detection, Frame, Image
from stn_icnn.labels import CLASS_ID
from stn_icnn.packing import Packing

COLOURS = {
    "nose": (255, 255, 0),
    "r_eye": (255, 0, 0),
    "l_eye": (0, 255, 0),
    "mouth": (0, 0, 255),
    "eye_g": (0, 255, 255),
}
# Middle and half axes of each part, in units of the distance between the eyes, from between them.
PARTS = {
    "r_eye": ((-0.5, 0.0), (0.2, 0.1)),
    "l_eye": ((0.5, 0.0), (0.2, 0.1)),
    "nose": ((0.0, 0.55), (0.25, 0.38)),
    "mouth": ((0.0, 1.1), (0.4, 0.15)),
}
GLASSES = ((0.0, 0.0), (0.9, 0.3))
FAIR, DARK = (230, 190, 170), (120, 80, 60)


@dataclass(frozen=True)
class DrawnFace:
    """A face: between its eyes, the distance between them, roll in degrees, its skin, dark glasses."""

    x: float
    y: float
    eyes: float = 40.0
    roll: float = 0.0
    skin: tuple[int, int, int] = FAIR
    glasses: bool = False

    def point(self, x: float, y: float) -> tuple[float, float]:
        turn = np.deg2rad(self.roll)
        right, down = self.eyes * np.array([x, y])
        across = right * np.cos(turn) - down * np.sin(turn)
        return float(self.x + across), float(self.y + right * np.sin(turn) + down * np.cos(turn))

    def draw(self, image: Image, hidden: tuple[str, ...] = ()) -> None:
        self._ellipse(image, (0.0, 0.5), (1.2, 1.6), self.skin)
        for name, (middle, axes) in PARTS.items():
            if name not in hidden:
                self._ellipse(image, middle, axes, COLOURS[name])
        if self.glasses:
            self._ellipse(image, *GLASSES, COLOURS["eye_g"])

    def _ellipse(
        self, image: Image, at: tuple[float, float], axes: tuple[float, float], colour: tuple[int, int, int]
    ) -> None:
        x, y = self.point(*at)
        half = (round(self.eyes * axes[0] * 16), round(self.eyes * axes[1] * 16))
        cv2.ellipse(image, (round(x * 16), round(y * 16)), half, self.roll, 0, 360, colour, -1, shift=4)

    def detection(self, score: float = 0.9) -> Detection:
        x, y = self.point(0.0, 0.5)
        box = (x - 1.2 * self.eyes, y - 1.2 * self.eyes, x + 1.2 * self.eyes, y + 1.2 * self.eyes)
        return Detection(box, score, self.point(-0.5, 0.0), self.point(0.5, 0.0), self.point(0.0, 1.1))


def scene(
    faces: list[DrawnFace],
    index: int = 0,
    size: tuple[int, int] = (360, 640),
    rate: int = 30,
    hidden: tuple[str, ...] = (),
) -> Frame:
    """A frame of faces, the last one in front; so many frames a second; some parts are hidden."""
    image = np.full((*size, 3), 90, np.uint8)
    for face in faces:
        face.draw(image, hidden)
    return Frame(image, index, Fraction(index, rate), 0.0)


class ColourEngine:
    """Knows each part by its colour, and skin by being neither grey nor black."""

    def __init__(self) -> None:
        self.spec = EngineSpec(Packing(128, 64), tuple(range(19)))
        self.precision, self.description = "fp32", "colours"
        self.calls = 0

    def infer(self, crops: Crops) -> Probabilities:
        self.calls += 1
        small = np.stack([cv2.resize(crop, (64, 64), interpolation=cv2.INTER_AREA) for crop in crops])
        output = np.zeros((len(crops), 19, 64, 64), np.float32)
        pixels = small.astype(np.float32)
        output[:, CLASS_ID["skin"]] = (np.ptp(pixels, axis=-1) > 30).astype(np.float32)
        for name, colour in COLOURS.items():
            near = np.clip(1.5 - np.abs(pixels - colour).sum(axis=-1) / 150.0, 0.0, 1.0)
            output[:, CLASS_ID["skin"]] *= 1.0 - near
            output[:, CLASS_ID[name]] = near
        output[:, 0] = np.clip(1.0 - output.sum(axis=1), 0.0, 1.0)
        return output

    def close(self) -> None:
        pass


class ToldDetector:
    """Finds what it is told, and counts how often it is asked."""

    def __init__(self, max_faces: int = 4) -> None:
        self.max_faces = max_faces
        self.faces: list[Detection] = []
        self.turned: list[Detection] = []
        self.asked = self.searched = 0

    def detect(self, image: Image) -> tuple[Detection, ...]:
        self.asked += 1
        return tuple(self.faces)

    def search(self, image: Image) -> list[Detection]:
        self.searched += 1
        return list(self.turned)
