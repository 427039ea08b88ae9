"""Steady over time, without lag: One-Euro for the crop's geometry, gated averages for the parsing.

Nothing here delays: a crop that is a little off its face is still parsed from the newest frame, and where the
picture moves or the parser is sure of a change, the newest parsing counts in full.
"""

from __future__ import annotations

import math
from dataclasses import replace

import cv2
import numpy as np
import numpy.typing as npt

from realtime.frames import Image, ParsedFace, Plane
from realtime.frames.geometry import Alignment
from realtime.frames.halvings import halved_to
from stn_icnn.packing import Pictures

# Weight of the past where nothing moves, a thirtieth of a second ago, unless asked otherwise.
STRENGTH = 0.75
# Crops are halved until their side is no more than this before they are compared: a face's motion is seen,
# grain is not.
_MOTION_SIDE = 64
# In standard deviations of the picture's noise: motion starts to count, and counts in full.
_MOTION = (2.5, 6.0)
# Grey levels that a difference has at least to be taken for motion in full.
_MOTION_LEVELS = 2.5
# More noise than this, in grey levels, is motion too.
_NOISE = 1.5
# Share of probability that moved to other classes: a change starts to count, and counts in full.
_CHANGE = (0.2, 0.4)
# Pixels' worth of probability that a class has at least where it is present.
_PRESENT = 0.5
# Largest move of a crop's corner, in sides, for which the crop stays where it was.
_HOLD = 0.008


class OneEuro:
    """The One-Euro filter: steady at rest, quick in motion.

    Source: Casiez, Roussel, Vogel, "1 euro filter", CHI 2012.

    Args:
        min_cutoff: cut-off frequency at rest in Hz; lower is steadier.
        beta: by how many Hz the cut-off rises for each unit of speed.
        derivative_cutoff: of the speed's own low-pass, Hz.
    """

    def __init__(self, min_cutoff: float = 0.8, beta: float = 12.0, derivative_cutoff: float = 2.0) -> None:
        self.min_cutoff, self.beta, self.derivative_cutoff = min_cutoff, beta, derivative_cutoff
        self._value: npt.NDArray[np.float64] | None = None
        self._speed = np.zeros(1)

    def __call__(
        self, value: npt.NDArray[np.float64], seconds: float, unit: float = 1.0
    ) -> npt.NDArray[np.float64]:
        """Return the filtered value.

        Args:
            value: (n,) any unit.
            seconds: since the last value.
            unit: what one unit of speed is measured in, in units of `value` a second.
        """
        if self._value is None or seconds <= 0.0:
            self._value, self._speed = value.copy(), np.zeros_like(value)
            return value
        speed = (value - self._value) / seconds
        self._speed = self._speed + _share(self.derivative_cutoff, seconds) * (speed - self._speed)
        cutoff = self.min_cutoff + self.beta * float(np.abs(self._speed).max()) / unit
        self._value = self._value + _share(cutoff, seconds) * (value - self._value)
        return self._value


def _share(cutoff: float, seconds: float) -> float:
    """Return the weight of the new value in a low-pass of first order."""
    return 1.0 / (1.0 + 1.0 / (2.0 * math.pi * cutoff * seconds))


class CropSmoother:
    """Steadies one face's crop; a face at rest keeps its very crop, so that nothing is resampled."""

    def __init__(self) -> None:
        self._filter = OneEuro()
        self._crop: Alignment | None = None

    def __call__(self, wanted: Alignment, seconds: float) -> Alignment:
        """Return the crop to use for a frame, `seconds` after the last one."""
        roll = wanted.roll
        if self._crop is not None:
            # Turns are followed the short way round.
            turns = round((roll - self._crop.roll) / math.tau)
            roll -= turns * math.tau
        value = np.array([*wanted.centre, wanted.side, roll * wanted.side])
        x, y, side, arc = self._filter(value, seconds, wanted.side).tolist()
        smooth = Alignment((x, y), max(side, 1.0), arc / max(side, 1.0))
        if self._crop is None or distance(smooth, self._crop) > _HOLD:
            self._crop = smooth
        return self._crop


def distance(one: Alignment, other: Alignment) -> float:
    """Return the largest distance between two crops' corners, in sides of the first."""
    corners = np.array([[-0.5, -0.5, 1], [1.5, -0.5, 1], [-0.5, 1.5, 1], [1.5, 1.5, 1]])
    moved = corners @ (one.to_image(2) - other.to_image(2)).T
    return float(np.hypot(*moved.T).max()) / one.side


class ParsingSmoother:
    """Averages one face's probabilities over time, in the coordinates of its newest crop.

    Args:
        strength: weight of the past where nothing moves, a thirtieth of a second ago, 0 (none) to below 1.
    """

    def __init__(self, strength: float) -> None:
        self.strength = strength
        self._mean: Plane | None = None
        self._grey: Plane | None = None
        self._alignment: Alignment | None = None
        self._scratch: Plane | None = None

    def __call__(self, probabilities: Plane, crop: Image, alignment: Alignment, seconds: float) -> Plane:
        """Return the steadied probabilities of the newest crop.

        Args:
            probabilities: (C, O, O) float32 of the newest crop.
            crop: (S, S, 3) uint8 RGB, that crop.
            alignment: where it lies.
            seconds: since the last crop.
        """
        if not self.strength:
            return probabilities
        grey = _small_grey(crop)
        if self._mean is None or self._grey is None or self._alignment is None:
            mean = probabilities
        else:
            past, past_grey = self._mean, self._grey
            strength: float | Plane = self.strength ** (30.0 * seconds)
            if alignment != self._alignment:
                past = moved(past, self._alignment, alignment)
                past_grey = moved(past_grey[None], self._alignment, alignment)[0]
                # Where the past knows nothing (outside its crop) it sums to less than 1 and counts for less.
                strength = np.asarray(strength * past.sum(axis=0), np.float32)
            if self._scratch is None or self._scratch.shape != probabilities.shape:
                self._scratch = np.empty_like(probabilities)
            mean = _mixed(probabilities, past, _motion(grey, past_grey), strength, self._scratch)
        self._mean, self._grey, self._alignment = mean, grey, alignment
        return mean


class FaceSmoother:
    """Steadies the parsing of one face: of its crop and, where it was seen, of its head.

    Args:
        strength: see `ParsingSmoother`.
    """

    def __init__(self, strength: float) -> None:
        self.strength = strength
        self._face, self._head = ParsingSmoother(strength), ParsingSmoother(strength)

    def __call__(self, face: ParsedFace, pictures: Pictures, seconds: float) -> ParsedFace:
        """Return the newest parsing, steadied.

        Args:
            face: the newest parsing.
            pictures: that it is of.
            seconds: since the last parsing.
        """
        planes, head = self._face(face.probabilities, pictures.face, face.alignment, seconds), face.head
        if head is not None and pictures.head is not None:
            head = self._head(head, pictures.head, face.square, seconds)
        return replace(face, probabilities=planes, head=head)


def _small_grey(crop: Image) -> Plane:
    """Return a crop (S, S, 3) uint8 RGB as (s, s) float32 grey levels, of `_MOTION_SIDE` at most."""
    grey = np.asarray(cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY), np.uint8)
    return halved_to(grey, _MOTION_SIDE).astype(np.float32)


def _mixed(new: Plane, past: Plane, motion: Plane, strength: float | Plane, scratch: Plane) -> Plane:
    """Return new probabilities (C, O, O) mixed with past ones where nothing moved or surely changed.

    In place as far as it goes, and in memory that is there already (`scratch`, of the same shape): that takes
    0.2 ms, and 1.5 where each step has the system find 1.6 MB anew.
    """
    side = new.shape[-1]
    motion = np.asarray(cv2.resize(motion, (side, side), interpolation=cv2.INTER_LINEAR), np.float32)
    difference = past - new
    changed = 0.5 * np.abs(difference, out=scratch).sum(axis=0)
    fresh = np.maximum(motion, _ramp(changed, *_CHANGE))
    difference *= strength * (1.0 - fresh)
    difference += new
    return difference


def _motion(grey: Plane, past: Plane) -> Plane:
    """Return how surely each place moved, 0 to 1, from two grey crops (s, s)."""
    difference = np.abs(cv2.GaussianBlur(grey - past, (0, 0), 1.0)).astype(np.float32)
    # The quarter of the crop that changed least shows the noise, unless nearly all of it moves.
    quarter = difference.size // 4
    noise = min(float(np.partition(difference, quarter, axis=None)[quarter]) / 0.3186, _NOISE)
    low, high = _MOTION[0] * noise, max(_MOTION[1] * noise, _MOTION_LEVELS)
    # Spread: an edge that moved is late on both of its sides.
    return np.asarray(cv2.dilate(_ramp(difference, low, high), np.ones((3, 3), np.uint8)), np.float32)


def _ramp(values: Plane, low: float, high: float) -> Plane:
    return np.asarray(np.clip((values - low) / (high - low), 0.0, 1.0), np.float32)


def moved(planes: Plane, past: Alignment, now: Alignment, side: int | None = None) -> Plane:
    """Bring planes (C, O, O) from one crop's coordinates into another's; zero where it did not see.

    Args:
        planes: float32.
        past: the crop that they are of.
        now: the crop that they are brought into.
        side: of the answer's planes; None for O.
    """
    own = planes.shape[-1]
    side = side or own
    matrix = past.to_crop(own) @ np.vstack([now.to_image(side), [0.0, 0.0, 1.0]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    warped = np.zeros((len(planes), side, side), np.float32)
    # A class that isn't there stays so; of 19 a face has about 13.
    (present,) = np.nonzero(planes.reshape(len(planes), -1) @ np.ones(own * own, np.float32) > _PRESENT)
    for start in range(0, len(present), 4):
        # Four at once: OpenCV warps them in little more time than one.
        group = present[start : start + 4]
        four = cv2.merge([planes[index] for index in group])
        cv2.split(cv2.warpAffine(four, matrix, (side, side), flags=flags), [warped[index] for index in group])
    return warped
