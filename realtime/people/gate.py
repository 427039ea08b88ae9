"""A mask belongs to a person: hair, hat, neck and clothes far from any person are taken for background.

The person segmenter says roughly where people are, the parser where each part ends; so what lies close to a
person stays exactly as parsed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple

import cv2
import numpy as np

from realtime.frames import Image, ParsedFace, Plane
from realtime.frames.geometry import Alignment
from realtime.frames.halvings import Halvings, halved_to
from realtime.people.segmenter import MODEL_SIZE, PersonSegmenter, person_segmenter
from stn_icnn.labels import CLASS_ID

# What may reach far from the face, and what a parser invents there.
_FAR_PARTS = tuple(CLASS_ID[name] for name in ("hair", "hat", "ear_r", "neck", "neck_l", "cloth"))
# The segmenter's probability from which somebody may be there.
_PERSON = 0.3
# Distances from a person, in sides of the square that frames the face: up to the first all stays, from the
# second on nothing does. Hair that stands off is what the segmenter misses.
_NEAR, _FAR = 0.08, 0.22
# Where it sees less than this share of the face it has missed the person, and has no say.
_SEEN = 0.5
# Asked again after so many seconds, or when the picture has changed by so many grey levels in the mean.
_PERIOD, _CHANGE = 0.25, 1.5
# They are compared at this width or less.
_WIDTH = 128


class _Look(NamedTuple):
    """What the segmenter said of a picture.

    Attributes:
        person: its probabilities, (144, 256).
        distance: from the nearest person, (144, 256), pixels of the image.
        grey: the picture, small.
        time: of the frame, seconds.
    """

    person: Plane
    distance: Plane
    grey: Image
    time: float


class PersonGate:
    """Takes what is far from any person out of the parsings of a sequence of frames.

    Args:
        wanted: says whether anything needs it now; where not, it costs nothing.
        segmenter: None for the one that all share, loaded when it is first wanted.
    """

    def __init__(
        self, wanted: Callable[[], bool] = lambda: True, segmenter: PersonSegmenter | None = None
    ) -> None:
        self._wanted, self._segmenter = wanted, segmenter
        self.reset()

    def reset(self) -> None:
        """Forget the frames before."""
        self._last: _Look | None = None

    def prepare(self) -> None:
        """Load the segmenter now if it is wanted, so that no frame waits for it.

        Raises:
            ModelError: if the segmenter's model can't be had.
        """
        if self._wanted():
            self._segmenter = self._segmenter or person_segmenter()

    def __call__(self, seen: Halvings, faces: Sequence[ParsedFace], now: float) -> list[ParsedFace]:
        """Return the faces of an image of a time in seconds.

        Raises:
            ModelError: if the segmenter's model can't be had.
        """
        if not faces or not self._wanted():
            return list(faces)
        self._last = look = self._look(seen, now)
        return [_gated(face, look) for face in faces]

    def _look(self, seen: Halvings, now: float) -> _Look:
        """Ask the segmenter, if the picture has changed or it is long ago."""
        # As coarse as the model sees: its answer is not finer, so no more is given to it.
        image = seen.at_least(*MODEL_SIZE)
        # Of all pixels: every so many are too noisy.
        grey = np.asarray(cv2.cvtColor(halved_to(image, _WIDTH), cv2.COLOR_RGB2GRAY), np.uint8)
        last = self._last
        if last is not None and 0.0 <= now - last.time < _PERIOD and _change(grey, last.grey) < _CHANGE:
            return last
        self._segmenter = self._segmenter or person_segmenter()
        person = self._segmenter.segment(image)
        nobody = (person < _PERSON).astype(np.uint8)
        distance = np.asarray(cv2.distanceTransform(nobody, cv2.DIST_L2, 3), np.float32)
        # Without anybody it is boundless.
        distance = np.minimum(distance, np.float32(max(person.shape)))
        # In pixels of the image; where it isn't 16:9 the grid's cells aren't square, and this is rough.
        height, width = seen.image.shape[:2]
        distance *= float(np.sqrt(width * height / person.size))
        return _Look(person, distance, grey, now)


def _change(one: Image, other: Image) -> float:
    """Return the mean difference of two pictures, grey levels."""
    return float(cv2.absdiff(one, other).mean())


def _gated(face: ParsedFace, look: _Look) -> ParsedFace:
    if _sampled(look.person, face.alignment.widened(0.5), face.image_size, 16).mean() < _SEEN:
        return face
    side = face.alignment.face_side
    near = np.clip((_FAR * side - look.distance) / ((_FAR - _NEAR) * side), 0.0, 1.0).astype(np.float32)
    head = None if face.head is None else _kept(face.head, near, face.square, face)
    return replace(face, probabilities=_kept(face.probabilities, near, face.alignment, face), head=head)


def _kept(planes: Plane, near: Plane, alignment: Alignment, face: ParsedFace) -> Plane:
    """Return probabilities (C, O, O) without what is far from a person: the same array where nothing is."""
    gate = _sampled(near, alignment, face.image_size, planes.shape[-1])
    if gate.min() >= 1.0:
        return planes
    channels = [face.classes.index(part) for part in _FAR_PARTS if part in face.classes]
    kept = planes.copy()
    lost = (1.0 - gate) * planes[channels].sum(axis=0)
    kept[channels] *= gate
    kept[face.classes.index(0)] += lost
    return kept


def _sampled(grid: Plane, alignment: Alignment, image_size: tuple[int, int], side: int) -> Plane:
    """Bring a grid over the whole image into a crop, (side, side); beyond the image its border goes on."""
    height, width = image_size
    scale = np.array([grid.shape[1] / width, grid.shape[0] / height])
    matrix = alignment.to_image(side)
    matrix[:, 2] += 0.5
    matrix *= scale[:, None]
    matrix[:, 2] -= 0.5
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    warped = cv2.warpAffine(grid, matrix, (side, side), flags=flags, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(warped, np.float32)
