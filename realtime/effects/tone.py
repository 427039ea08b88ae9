"""Colour arithmetic shared by the effects: CIELAB and tables of 256 entries."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from realtime.effects.effect import Colour
from realtime.frames import Image, Plane


class Lab(NamedTuple):
    """A picture in CIELAB, plane by plane: arithmetic on interleaved channels takes twice the time.

    Attributes:
        light: (h, w) float32 L*, 0 to 100.
        a: (h, w) float32 a*, about -128 to 127.
        b: (h, w) float32 b*, likewise.
    """

    light: Plane
    a: Plane
    b: Plane


def to_lab(image: Image) -> Lab:
    """Return the CIELAB of a picture (h, w, 3) uint8 RGB."""
    # Through 8 bits: a third of the time of the float conversion, and finer than anyone sees.
    light, a, b = (plane.astype(np.float32) for plane in cv2.split(cv2.cvtColor(image, cv2.COLOR_RGB2LAB)))
    light *= np.float32(100.0 / 255.0)
    a -= np.float32(128.0)
    b -= np.float32(128.0)
    return Lab(light, a, b)


def to_rgb(lab: Lab) -> Image:
    """Return (h, w, 3) uint8 RGB of CIELAB; what RGB can't show is clipped."""
    light = np.multiply(lab.light, np.float32(255.0 / 100.0))
    half = np.float32(128.5)
    planes = [light + np.float32(0.5), lab.a + half, lab.b + half]
    eight = [np.clip(plane, 0.0, 255.0, out=plane).astype(np.uint8) for plane in planes]
    return np.asarray(cv2.cvtColor(cv2.merge(eight), cv2.COLOR_LAB2RGB), np.uint8)


def tinted(lab: Lab, colour: Colour, darken: float, tint: float, lit: Plane | float = 1.0) -> Lab:
    """Return a picture brought towards a colour; nothing gets lighter.

    Args:
        lab: the picture.
        colour: RGB.
        darken: share of the way to the colour's lightness, where that is darker.
        tint: share of the way to its chroma.
        lit: how much of its chroma the colour has here.
    """
    light, *chroma = lab
    goal, *aims = lab_of(colour)
    planes = (plane + tint * (lit * aim - plane) for plane, aim in zip(chroma, aims, strict=True))
    return Lab(light + darken * np.minimum(goal - light, 0.0), *planes)


@cache
def prepare_colours() -> None:
    """Have OpenCV make its tables of CIELAB, which the first frame would wait a tenth of a second for."""
    cv2.cvtColor(np.zeros((1, 1, 3), np.uint8), cv2.COLOR_RGB2LAB)


@cache
def lab_of(colour: Colour) -> tuple[float, float, float]:
    """Return the CIELAB of an RGB colour."""
    lab = cv2.cvtColor(np.array([[colour]], np.float32) / 255.0, cv2.COLOR_RGB2LAB)
    light, a, b = (float(value) for value in lab[0, 0])
    return light, a, b


@cache
def grey_lightness() -> Plane:
    """Return (256,) float32, not to be written to: L* of each grey level."""
    grey = np.repeat(np.arange(256, dtype=np.float32)[None, :, None] / 255.0, 3, axis=2)
    light = np.ascontiguousarray(cv2.cvtColor(grey, cv2.COLOR_RGB2LAB)[0, :, 0], np.float32)
    light.setflags(write=False)
    return light


def rgb_table(lab: npt.NDArray[np.float32]) -> Image:
    """Return (256, 1, 3) uint8 RGB, for `cv2.applyColorMap`, of (256, 3) float32 CIELAB."""
    rgb = cv2.cvtColor(lab[:, None].astype(np.float32), cv2.COLOR_LAB2RGB)
    return np.asarray(np.clip(rgb * 255.0 + 0.5, 0.0, 255.0), np.uint8)


def ramp(values: npt.NDArray[np.float32], low: float, high: float) -> npt.NDArray[np.float32]:
    """Return 0 below `low`, 1 above `high` and a smooth step between; falls where high < low."""
    # Of a grey picture's lips both bounds are 0: a step, and not a division by nothing.
    span = high - low if abs(high - low) > 1e-6 else 1e-6
    t = np.clip((values - low) / span, 0.0, 1.0)
    return np.asarray(t * t * (3.0 - 2.0 * t), np.float32)


def statistics(values: Plane, weight: Plane) -> tuple[float, float]:
    """Return the weighted mean and standard deviation; weights must not sum to 0."""
    total = float(weight.sum())
    mean = float((values * weight).sum()) / total
    return mean, float(np.sqrt(max(0.0, float((values * values * weight).sum()) / total - mean * mean)))
