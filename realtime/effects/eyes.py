"""Iris tint: catch-lights, pupils and the whites stay."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from realtime.effects.effect import Colour
from realtime.effects.geometry import EYES, Eye, centroid, find_eye
from realtime.effects.paint import blend
from realtime.effects.patch import EDGE_RADIUS, Patch
from realtime.effects.tone import Lab, lab_of, ramp, to_lab, to_rgb
from realtime.frames import Image, ParsedFace, Plane

# Radius of an iris over the eye's width and over the side of the face's crop.
OVER_WIDTH, OVER_SIDE = 0.215, 0.0215
# Radius in pixels at which an iris is looked for: finer tells its place no better.
SEARCHED_RADIUS = 5.0
# In pixels of the image: a smaller iris is a few pixels of no colour.
LEAST_RADIUS = 2.0


@dataclass(frozen=True)
class Eyes:
    """Tint the irises.

    Attributes:
        color: RGB.
        strength: 0 to 1.
    """

    color: Colour = (60, 120, 170)
    strength: float = 0.6

    def apply(self, image: Image, faces: Sequence[ParsedFace]) -> None:
        """See `Effect.apply`."""
        for face in faces if self.strength > 0.0 else ():
            for name in EYES:
                self._tint(image, face, name)

    def _tint(self, image: Image, face: ParsedFace, name: str) -> None:
        found = find_iris(image, face, name)
        if found is not None:
            blend(
                found.pixels,
                found.iris * found.opening,
                to_rgb(self._painted(found.lab, found.iris)),
                self.strength * found.shown,
            )

    def _painted(self, lab: Lab, iris: Plane) -> Lab:
        light, *chroma = lab
        goal, *aims = lab_of(self.color)
        mean = float((light * iris).sum()) / max(float(iris.sum()), 1e-6)
        # Dark irises need light to show a colour; the pattern of fibres is kept on top of it.
        painted = light + 0.35 * max(0.0, goal - mean) * ramp(light, 0.4 * mean, 1.2 * mean)
        share = cv2.pow(np.minimum(painted * (1.0 / max(goal, 1.0)), 1.0), 0.7)
        return Lab(
            painted, *(0.15 * plane + 0.95 * aim * share for plane, aim in zip(chroma, aims, strict=True))
        )


@dataclass(frozen=True)
class Iris:
    """An eye's iris in the image.

    Attributes:
        pixels: (h, w, 3) uint8 RGB around the eye, a view of the image.
        lab: the same in CIELAB.
        opening: (h, w) float32, 0 to 1: the eye between its lids.
        iris: likewise, the ring of colour.
        shown: how far the eye is open, see `Eye.shown`.
    """

    pixels: Image
    lab: Lab
    opening: Plane
    iris: Plane
    shown: float


def find_iris(image: Image, face: ParsedFace, name: str) -> Iris | None:
    """Return the iris of the eye `name`, "l_eye" or "r_eye"; None where it is not seen or too small."""
    eye = find_eye(face, name)
    plane = face.paint_plane(name)
    patch = None if eye is None else Patch.around(image, face, plane, margin=EDGE_RADIUS / 2.0)
    if eye is None or patch is None:
        return None
    radius = _radius(face, eye)
    if radius < LEAST_RADIUS or min(patch.size) < 3:
        return None
    lab, opening = to_lab(patch.pixels), patch.sample(plane)
    iris = _iris(lab.light, opening, radius)
    return None if iris is None else Iris(patch.pixels, lab, opening, iris, eye.shown)


def _radius(face: ParsedFace, eye: Eye) -> float:
    pixel = face.alignment.side / face.probabilities.shape[-1]
    return 0.5 * float(OVER_WIDTH * eye.width * pixel + OVER_SIDE * face.alignment.face_side)


def _iris(light: Plane, opening: Plane, radius: float) -> Plane | None:
    """Return (h, w) float32, 0 to 1: the iris's ring, without pupil, catch-lights and the whites.

    The iris is the disc that is darkest against its surroundings, inside the eye's opening.
    """
    centre = _centre(light, opening, radius)
    if centre is None:
        return None
    down = np.arange(light.shape[0], dtype=np.float32) - centre[1]
    across = np.arange(light.shape[1], dtype=np.float32) - centre[0]
    distance = np.sqrt((down * down)[:, None] + across * across) * np.float32(1.0 / radius)
    disc = ramp(distance, 1.1, 0.85) * opening
    inside = light[disc > 0.5]
    if not inside.size:
        return None
    middle = float(np.median(inside))
    pupil = ramp(distance, 0.45, 0.2) * ramp(light, 0.9 * middle, 0.5 * middle)
    # Whites and catch-lights are much lighter than the iris.
    pale = ramp(light, middle + 12.0, middle + 28.0)
    ring = cv2.GaussianBlur(disc * (1.0 - 0.85 * pupil), (0, 0), max(0.3, 0.12 * radius))
    return np.asarray(ring * (1.0 - pale), np.float32)


def _centre(light: Plane, opening: Plane, radius: float) -> tuple[float, float] | None:
    """Return the iris's middle (x, y); None where nothing is darker than the rest."""
    height, width = light.shape
    step = max(1, int(radius / SEARCHED_RADIUS))
    size = (-(-width // step), -(-height // step))
    if step > 1:
        light = np.asarray(cv2.resize(light, size, interpolation=cv2.INTER_AREA), np.float32)
        opening = np.asarray(cv2.resize(opening, size, interpolation=cv2.INTER_AREA), np.float32)
    score = _darkness(light, opening, radius / step)
    best = float(score.max())
    # The centre of mass of the best places moves smoothly from frame to frame; a single best one jumps.
    found = centroid(np.maximum(score - 0.85 * best, 0.0), least=0.0) if best > 0.0 else None
    if found is None:
        return None
    return (found[0] + 0.5) * width / size[0] - 0.5, (found[1] + 0.5) * height / size[1] - 0.5


def _darkness(light: Plane, opening: Plane, radius: float) -> Plane:
    """Return, for a disc around each pixel, how much darker than the eye's mean the opening in it is."""
    mean = float((light * opening).sum() / max(float(opening.sum()), 1e-6))
    dark = (mean - light) * opening
    line = np.arange(-int(np.ceil(radius)), int(np.ceil(radius)) + 1, dtype=np.float32) ** 2
    disc = (line[:, None] + line <= radius * radius).astype(np.float32)
    summed = cv2.filter2D(dark, -1, disc / disc.sum(), borderType=cv2.BORDER_CONSTANT)
    return np.asarray(summed * (opening > 0.5), np.float32)
