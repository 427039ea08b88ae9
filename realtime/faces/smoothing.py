"""A parsing that is steady over time, without lag: an average along the motion, or carried on by it alone.

The past is brought to where the picture shows it now. Where that explains nothing, or the parser is sure of a
change, the newest parsing counts in full; where it explains all, the face need not be parsed in every frame.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import NamedTuple

import cv2
import numpy as np

from realtime.faces.motion import LEAST_SIDE, Motion, MotionFinder, ramp, sample, small_grey
from realtime.faces.parsing import Glimpse
from realtime.faces.propagation import PROPAGATION, explains_face, explains_head
from realtime.faces.warping import brought, places_in
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
        motion: Motion | None = None,
    ) -> Plane:
        """Return the steadied probabilities of the newest crop.

        Args:
            probabilities: (C, O, O) float32 of the newest crop.
            crop: (S, S, 3) uint8 RGB, that crop.
            alignment: where it lies.
            seconds: that the past has aged by.
            classes: class id of each channel.
            motion: from `find_motion` for that crop, where it is known.
        """
        newest = _Steadied(probabilities, small_grey(crop), alignment)
        if self._last is not None and self.strength:
            motion = motion or self._motion(self._last, newest.grey, alignment)
            kept = self.strength ** (30.0 * seconds)
            newest = newest._replace(mean=self._mixed(self._last, newest, motion, kept, _weights(classes)))
        self._last = newest
        return newest.mean

    def find_motion(self, crop: Image, alignment: Alignment) -> Motion:
        """Return what became of the last crop's picture in a newer one; there must be a last one.

        Args:
            crop: (S, S, 3) uint8 RGB, the newer crop.
            alignment: where it lies.
        """
        assert self._last is not None
        return self._motion(self._last, small_grey(crop), alignment, least=0)

    def propagate(self, motion: Motion, alignment: Alignment, classes: tuple[int, ...]) -> Plane:
        """Return the last probabilities brought to a newer crop.

        Args:
            motion: from `find_motion` for that crop.
            alignment: where it lies.
            classes: class id of each channel.
        """
        assert self._last is not None
        planes, known = brought(self._last.mean, self._last.alignment, alignment, motion)
        if isinstance(known, np.ndarray):
            # Nobody knows what lies where the past did not see: nothing is painted there.
            planes[classes.index(0)] += 1.0 - known
        return planes

    def _motion(self, last: _Steadied, grey: Image, alignment: Alignment, least: int = LEAST_SIDE) -> Motion:
        """Return the motion from the last crop to one of these grey levels; see `MotionFinder`."""
        past = last.grey
        if alignment != last.alignment:
            places = places_in(len(past), last.alignment, alignment, len(grey))
            past = sample(past, places, cv2.BORDER_REPLICATE)
        return self._find_motion(past, grey, least)

    def _mixed(
        self, last: _Steadied, newest: _Steadied, motion: Motion, kept: float, weights: Plane
    ) -> Plane:
        """Return new probabilities mixed with what the past says of the same places: `kept` of it at most."""
        new = newest.mean
        if self._scratch is None or self._scratch.shape != new.shape:
            self._scratch = np.empty_like(new)
        # Where the past knows less it counts for less.
        past, known = brought(last.mean, last.alignment, newest.alignment, motion, self._scratch)
        difference = past - new
        share = 0.5 * (weights @ np.abs(difference, out=self._scratch).reshape(len(new), -1))
        size = new.shape[1:]
        unexplained = np.asarray(cv2.resize(motion.unexplained, size), np.float32)
        changed = np.maximum(unexplained, ramp(share.reshape(size), *_CHANGE))
        difference *= kept * known * (1.0 - changed)
        difference += new
        return difference


class _Parsed(NamedTuple):
    """The last parsing of a face, steadied, and the time of its frame in seconds."""

    face: ParsedFace
    time: float


class _Found(NamedTuple):
    """The motion of a face crop up to a frame, whose time is in seconds."""

    time: float
    alignment: Alignment
    motion: Motion


class FaceSmoother:
    """Steadies the parsing of one face: of its crop and, where it was seen, of its head.

    Args:
        strength: see `ParsingSmoother`.
        propagation: see `realtime.faces.propagation`, seconds.
    """

    def __init__(self, strength: float, propagation: float = PROPAGATION) -> None:
        self.strength, self.propagation = strength, propagation
        self._face, self._head = ParsingSmoother(strength), ParsingSmoother(strength)
        self._parsed: _Parsed | None = None
        # Time of the frame that it was last shown in, parsed or not.
        self._shown = 0.0
        self._found: _Found | None = None

    def fresh(self) -> FaceSmoother:
        """Return one that has seen nothing yet."""
        return FaceSmoother(self.strength, self.propagation)

    def __call__(self, face: ParsedFace, pictures: Pictures, now: float) -> ParsedFace:
        """Return the newest parsing, steadied.

        Args:
            face: the newest parsing.
            pictures: that it is of.
            now: time of its frame, seconds.
        """
        if not self.strength and not self.propagation:
            return face
        # The past ages by the frames that show what is newer: one that it was carried on to doesn't.
        seconds = 0.0 if self._parsed is None else now - self._shown
        found = self._found
        motion = found.motion if found is not None and found[:2] == (now, face.alignment) else None
        planes = self._face(face.probabilities, pictures.face, face.alignment, seconds, face.classes, motion)
        head = face.head
        if head is not None and pictures.head is not None:
            head = self._head(head, pictures.head, face.square, seconds, face.classes)
        steady = replace(face, probabilities=planes, head=head)
        self._parsed, self._shown, self._found = _Parsed(steady, now), now, None
        return steady

    def propagate(self, glimpse: Glimpse, alignment: Alignment, now: float) -> ParsedFace | None:
        """Return the last parsing carried on to a newer frame; None where the face must be parsed.

        Args:
            glimpse: of the face in that frame.
            alignment: of its face crop.
            now: time of the frame, seconds.
        """
        if self._parsed is None or now - self._parsed.time >= self.propagation:
            return None
        face = self._parsed.face
        motion = self._face.find_motion(glimpse.face, alignment)
        # If that doesn't explain all, the same crop is parsed next.
        self._found = _Found(now, alignment, motion)
        if not explains_face(motion, face):
            return None
        newer = replace(face, alignment=alignment, propagated=True)
        if face.head is not None and glimpse.head is not None:
            around = self._head.find_motion(glimpse.head, newer.square)
            if not explains_head(around, newer.square, glimpse.content):
                return None
            newer = replace(newer, head=self._head.propagate(around, newer.square, face.classes))
        self._shown = now
        return replace(newer, probabilities=self._face.propagate(motion, alignment, face.classes))


@cache
def _weights(classes: tuple[int, ...]) -> Plane:
    """Return how much a change of each channel counts: (C,) float32."""
    return np.array([_WEIGHTS.get(each, 1.0) for each in classes], np.float32)
