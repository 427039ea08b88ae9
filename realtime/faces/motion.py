"""How a crop's picture moved since the one before it, and where that motion does not explain what changed.

DIS: Kroeger, Timofte, Dai, Van Gool, "Fast Optical Flow using Dense Inverse Search", ECCV 2016.
"""

from __future__ import annotations

import math
from functools import cache
from typing import NamedTuple, TypeVar

import cv2
import numpy as np
import numpy.typing as npt

from realtime.frames import Image, Plane
from realtime.frames.halvings import halved, halved_to

# Crops are halved until their side is no more than this. What changed is judged at half of it: grain is not
# seen any more.
_SIDE = 128
# DIS halves crops until their side is no more than this: a lip's motion is seen still.
_FLOW_SIDE = 64
# In what is smaller, as a head's crop, nothing but the head itself moves by a pixel: flow brings nothing.
LEAST_SIDE = 100
# Flow in pixels at most by which nothing moves: sampled anew it would only be blurred.
_REST = 0.25
# Of what changed, all that is as wide as this, in pixels, is light and no motion.
_LIGHT = 25
# In standard deviations of the picture's noise: a change starts to count, and counts in full.
_STARTS, _FULL = 3.5, 9.0
# Grey levels that a change has at least to count in full.
_FULL_LEVELS = 5.0
# More noise than this, in grey levels, is change too.
_NOISE = 2.0

Value = TypeVar("Value", np.uint8, np.float32)


class Motion(NamedTuple):
    """What became of a picture.

    Attributes:
        flow: (s, s, 2) float32, x and y in pixels of so small a picture from each place to where it was;
            None where nothing moved.
        moving: (u, u) bool, where it says anything; None with no flow.
        unexplained: (u, u) float32, 0 to 1: how surely each place changed by more than flow and light.
    """

    flow: Plane | None
    moving: npt.NDArray[np.bool_] | None
    unexplained: Plane


class MotionFinder:
    """Finds motion between small grey crops by DIS; for one thread, as it keeps its memory."""

    def __init__(self) -> None:
        self._flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST)
        # Fewer patches than the preset's: half the time, and nearly as good.
        self._flow.setPatchStride(6)

    def __call__(self, past: Image, now: Image, least: int = LEAST_SIDE) -> Motion:
        """Return what became of the past.

        Args:
            past: (s, s) uint8 from `small_grey`, in the newest crop's coordinates.
            now: (s, s) uint8, the newest.
            least: side from which flow is looked for.
        """
        side, small = len(now), halved(now)
        changes = _changes(halved(past), small)
        if side < least or not changes.any():
            return Motion(None, None, changes)
        self._flow.setFinestScale(max(0, math.ceil(math.log2(side / _FLOW_SIDE))))
        flow = np.asarray(self._flow.calc(now, past, np.zeros((side, side, 2), np.float32)), np.float32)
        x, y = cv2.split(cv2.resize(flow, changes.shape, interpolation=cv2.INTER_AREA))
        moving = np.maximum(np.abs(x), np.abs(y)) > _REST
        if not moving.any():
            return Motion(None, None, changes)
        explained = sample(past, grid(side) + flow, cv2.BORDER_REPLICATE)
        return Motion(flow, moving, _changes(halved(explained), small))


def small_grey(crop: Image) -> Image:
    """Return a crop (S, S, 3) uint8 RGB as (s, s) uint8 grey levels, halved as far as motion may be."""
    return halved_to(np.asarray(cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY), np.uint8), _SIDE)


def small_side(side: int) -> int:
    """Return the side that `small_grey` leaves of a crop's."""
    while side > _SIDE:
        side //= 2
    return side


@cache
def grid(side: int) -> Plane:
    """Return (side, side, 2) float32, not to be written to: x and y of each pixel."""
    x = np.arange(side, dtype=np.float32)
    places = np.stack(np.broadcast_arrays(x, x[:, None]), axis=2)
    places.setflags(write=False)
    return places


def sample(
    values: npt.NDArray[Value], places: Plane, border: int = cv2.BORDER_CONSTANT
) -> npt.NDArray[Value]:
    """Return values (H, W) or (H, W, C) at places (h, w, 2) float32, x and y; linearly, 0 beyond them."""
    found = cv2.remap(values, places, None, cv2.INTER_LINEAR, borderMode=border)  # type: ignore[call-overload]
    return np.asarray(found, values.dtype)


def ramp(values: Plane, low: float, high: float) -> Plane:
    """Return 0 where values are low and less, 1 where they are high and more, linear between."""
    return np.asarray(np.clip((values - low) / (high - low), 0.0, 1.0), np.float32)


def _changes(past: Image, now: Image) -> Plane:
    """Return how surely each place of grey crops (u, u) uint8 changed, but for light.

    Returns:
        (u, u) float32, 0 to 1.
    """
    difference = np.asarray(cv2.subtract(now, past, dtype=cv2.CV_32F), np.float32)
    # A flash or a shadow changes wide parts alike, where what moved differs from place to place.
    difference -= cv2.blur(difference, (_LIGHT, _LIGHT), borderType=cv2.BORDER_REFLECT)
    difference = np.asarray(np.abs(cv2.GaussianBlur(difference, (0, 0), 1.0)), np.float32)
    # The quarter of the crop that changed least shows the noise, unless nearly all of it moves; every fourth
    # pixel tells it as well.
    some = difference[::2, ::2]
    quarter = some.size // 4
    noise = min(float(np.partition(some, quarter, axis=None)[quarter]) / 0.3186, _NOISE)
    changed = ramp(difference, _STARTS * noise, max(_FULL * noise, _FULL_LEVELS))
    # Spread: an edge that moved is late on both of its sides.
    return np.asarray(cv2.dilate(changed, np.ones((3, 3), np.uint8)), np.float32)
