"""Steady over time, without lag: One-Euro for the crop's geometry, averages along the motion for the parsing.

Nothing here delays: a crop that is a little off its face is still parsed from the newest frame. The past is
brought to where the picture shows it now; where that explains nothing, or the parser is sure of a change, the
newest parsing counts in full.
"""

from __future__ import annotations

import math
from dataclasses import replace
from functools import cache
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from realtime.faces.motion import Motion, MotionFinder, grid, ramp, sample, small_grey
from realtime.frames import Image, ParsedFace, Plane
from realtime.frames.geometry import Alignment
from stn_icnn.labels import CLASS_ID
from stn_icnn.packing import Pictures

# Weight of the past where nothing changes, a thirtieth of a second ago, unless asked otherwise.
STRENGTH = 0.88
# Share of probability that moved to other classes: a change starts to count, and counts in full ...
_CHANGE = (0.4, 0.8)
# ... where it is of what opens and shuts, twice as much, and of what is worn not at all: that neither comes
# nor goes of itself, and the parser often doubts it.
_WEIGHTS = {CLASS_ID[name]: 2.0 for name in ("l_eye", "r_eye", "mouth", "u_lip", "l_lip")}
_WEIGHTS |= {CLASS_ID[name]: 0.0 for name in ("eye_g", "hat", "ear_r", "neck_l")}
# Share of the crop that moves below which only that is sampled anew.
_FEW = 0.3
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


class _Steadied(NamedTuple):
    """What is kept of the last crop."""

    mean: Plane
    grey: Image
    alignment: Alignment


class ParsingSmoother:
    """Averages one face's probabilities over time, in the coordinates of its newest crop.

    Args:
        strength: weight of the past where nothing changes, a thirtieth of a second ago, 0 (none) to below 1.
    """

    def __init__(self, strength: float) -> None:
        self.strength = strength
        self._find_motion = MotionFinder()
        self._last: _Steadied | None = None
        # Memory that is there already: the system takes long to find it anew.
        self._scratch: Plane | None = None

    def __call__(
        self,
        probabilities: Plane,
        crop: Image,
        alignment: Alignment,
        seconds: float,
        classes: tuple[int, ...],
    ) -> Plane:
        """Return the steadied probabilities of the newest crop.

        Args:
            probabilities: (C, O, O) float32 of the newest crop.
            crop: (S, S, 3) uint8 RGB, that crop.
            alignment: where it lies.
            seconds: since the last crop.
            classes: class id of each channel.
        """
        if not self.strength:
            return probabilities
        newest = _Steadied(probabilities, small_grey(crop), alignment)
        if self._last is not None:
            newest = newest._replace(mean=self._mixed(self._last, newest, seconds, _weights(classes)))
        self._last = newest
        return newest.mean

    def _mixed(self, last: _Steadied, newest: _Steadied, seconds: float, weights: Plane) -> Plane:
        """Return new probabilities mixed with what the past says of the same places."""
        new, past_grey = newest.mean, last.grey
        if self._scratch is None or self._scratch.shape != new.shape:
            self._scratch = np.empty_like(new)
        if newest.alignment != last.alignment:
            places = _places_in(len(past_grey), last.alignment, newest.alignment, len(newest.grey))
            past_grey = sample(past_grey, places, cv2.BORDER_REPLICATE)
        motion = self._find_motion(past_grey, newest.grey)
        difference, known = _to_past(last, newest, motion, self._scratch)
        share = 0.5 * (weights @ np.abs(difference, out=self._scratch).reshape(len(new), -1))
        size = new.shape[1:]
        unexplained = np.asarray(cv2.resize(motion.unexplained, size), np.float32)
        kept = self.strength ** (30.0 * seconds) * known
        difference *= kept * (1.0 - np.maximum(unexplained, ramp(share.reshape(size), *_CHANGE)))
        difference += new
        return difference


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
        planes, head = face.probabilities, face.head
        planes = self._face(planes, pictures.face, face.alignment, seconds, face.classes)
        if head is not None and pictures.head is not None:
            head = self._head(head, pictures.head, face.square, seconds, face.classes)
        return replace(face, probabilities=planes, head=head)


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
    return _sampled(planes, _places_in(own, past, now, side))


def _places_in(own: int, past: Alignment, now: Alignment, side: int, flow: Plane | None = None) -> Plane:
    """Return where in a past crop the pixels of another lie: (side, side, 2) float32, x and y.

    Args:
        own: side of the past crop's planes in pixels.
        past: where that lies.
        now: where the other lies.
        side: of its planes in pixels.
        flow: (s, s, 2) float32: how far from each place of it, in pixels of s, what it shows was before.
    """
    places = grid(side)
    if flow is not None:
        places = places + cv2.resize(flow, (side, side)) * np.float32(side / len(flow))
    if past == now and own == side:
        return places
    return np.asarray(cv2.transform(places, past.to_crop(own) @ np.vstack([now.to_image(side), [0, 0, 1]])))


def _to_past(
    last: _Steadied, newest: _Steadied, motion: Motion, scratch: Plane
) -> tuple[Plane, Plane | np.float32]:
    """Return what leads from the newest probabilities to what the past says of the same places.

    Returns:
        (C, O, O) float32, and how much the past knows of each place: (O, O) float32, 0 to 1, or 1 of all.
    """
    new, past, side = newest.mean, last.mean, newest.mean.shape[-1]
    if newest.alignment == last.alignment:
        if motion.moving is None:
            return past - new, np.float32(1.0)
        if motion.moving.mean() < _FEW:
            difference = past - new
            moving = cv2.resize(motion.moving.view(np.uint8), (side, side), interpolation=cv2.INTER_NEAREST)
            indices = np.flatnonzero(moving)
            places = _places_in(side, last.alignment, newest.alignment, side, motion.flow)
            followed = _looked_up(past, places.reshape(-1, 2)[indices])
            difference.reshape(len(new), -1)[:, indices] = followed - new.reshape(len(new), -1)[:, indices]
            return difference, np.float32(1.0)
    places = _places_in(past.shape[-1], last.alignment, newest.alignment, side, motion.flow)
    past = _sampled(past, places, scratch)
    # Where the past knows nothing (outside its crop) it sums to less than 1 and counts for less.
    known = np.ones(len(past), np.float32) @ past.reshape(len(past), -1)
    return past - new, known.reshape(side, side)


def _looked_up(planes: Plane, places: Plane) -> Plane:
    """Return planes (C, O, O) at places (n, 2), as (C, n)."""
    count, side = planes.shape[:2]
    # All planes below each other are one image, sampled in one call.
    below = np.repeat(np.clip(places, 0.0, side - 1.0)[None], count, axis=0)
    below[..., 1] += side * np.arange(count, dtype=np.float32)[:, None]
    return sample(planes.reshape(-1, side), below)


def _sampled(planes: Plane, places: Plane, out: Plane | None = None) -> Plane:
    """Return planes (C, O, O) at places (h, w, 2), as (C, h, w); a class that isn't there stays so."""
    if out is None:
        out = np.empty((len(planes), *places.shape[:2]), np.float32)
    present = planes.reshape(len(planes), -1) @ np.ones(planes[0].size, np.float32) > _PRESENT
    out[~present] = 0.0
    (indices,) = np.nonzero(present)
    for start in range(0, len(indices), 4):
        # Four at once: OpenCV samples them in little more time than one.
        group = indices[start : start + 4]
        four = cv2.merge([planes[index] for index in group])
        cv2.split(sample(four, places), [out[index] for index in group])
    return out


@cache
def _weights(classes: tuple[int, ...]) -> Plane:
    """Return how much a change of each channel counts: (C,) float32."""
    return np.array([_WEIGHTS.get(each, 1.0) for each in classes], np.float32)
