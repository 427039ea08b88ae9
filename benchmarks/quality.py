"""How good the parsing of a frame is where nothing is labelled: what must be wrong is counted.

Counts can be pooled over many frames and faces: a pixel weighs the same in all of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from realtime.frames import Image, Plane
from realtime.frames.geometry import Alignment, transformed
from stn_icnn.labels import CLASS_ID

# What the person segmenter says less of is no person; effects take the same for background.
PERSON_CONFIDENCE = 0.4
# The segmenter's edge errs by so many cells of its 256 x 144 grid, and hair is where it errs most.
PERSON_MARGIN = 3
# Where it sees less than this share of a face it has missed the person, and can't judge the hair.
PERSON_SEEN = 0.5
_NO_FACE = tuple(CLASS_ID[name] for name in ("background", "hair", "hat", "neck_l", "cloth"))
# The outer ring of what is parsed, in sides of it.
BORDER_RING = 0.03
# What grows beyond the frame of a face, and must not end with it.
_HEADWEAR = (CLASS_ID["hair"], CLASS_ID["hat"])

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Tally:
    """How many of how many: faulty pixels or frames, and all that were looked at.

    Attributes:
        faults: 0 to `total`.
        total: 0 where there was nothing to look at.
    """

    faults: int = 0
    total: int = 0

    def __add__(self, other: Tally) -> Tally:
        """Pool two of them."""
        return Tally(self.faults + other.faults, self.total + other.total)

    @property
    def share(self) -> float | None:
        """Return the faults' share, 0 to 1; None where there was nothing to look at."""
        return self.faults / self.total if self.total else None


def face_count_errors(found: Sequence[int], known: Sequence[int | None]) -> tuple[Tally, Tally]:
    """Count the frames with too many and with too few faces.

    Args:
        found: faces parsed in each frame.
        known: true number of faces of each frame, as many; None where that is not known.

    Returns:
        Frames with too many, and with too few, both of the frames whose number is known.
    """
    pairs = [(one, true) for one, true in zip(found, known, strict=True) if true is not None]
    many = sum(one > true for one, true in pairs)
    few = sum(one < true for one, true in pairs)
    return Tally(many, len(pairs)), Tally(few, len(pairs))


def hair_outside_person(labels: Image, person: Plane) -> Tally:
    """Count the pixels of hair that lie where no person is.

    Args:
        labels: (H, W) uint8 class ids of a whole frame.
        person: (h, w) float32, 0 to 1, over the same frame: see `PersonSegmenter.segment`.

    Returns:
        Pixels of hair outside the person and its margin, of all pixels of hair; nothing where the segmenter
        has missed the person.
    """
    hair, face = labels == CLASS_ID["hair"], ~np.isin(labels, _NO_FACE)
    near = _near_person(person, labels.shape)
    if np.count_nonzero(face & near) < PERSON_SEEN * np.count_nonzero(face):
        return Tally()
    return Tally(int(np.count_nonzero(hair & ~near)), int(np.count_nonzero(hair)))


def _near_person(person: Plane, size: tuple[int, ...]) -> Mask:
    """Return (H, W): where a person is, or not further from one than the segmenter errs."""
    sure = (person >= PERSON_CONFIDENCE).astype(np.uint8)
    side = 2 * PERSON_MARGIN + 1
    wide = cv2.dilate(sure, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side)))
    return np.asarray(cv2.resize(wide, size[::-1], interpolation=cv2.INTER_NEAREST) > 0)


def border_share(labels: Image, alignment: Alignment, image_size: tuple[int, int]) -> Tally:
    """Count the pixels of a face crop's border that are hair or hat: there the head is cut off.

    Left out is what lies beyond the image, and where the image ends with the crop: nothing is cut off there.

    Args:
        labels: (O, O) uint8 class ids in crop coordinates.
        alignment: where the crop lies in the image.
        image_size: (height, width) of the image, pixels.

    Returns:
        Pixels of hair or hat, of all pixels of the outer ring (`BORDER_RING`) that count.
    """
    ring = _ring_inside(alignment, labels.shape[0], image_size)
    cut = np.isin(labels, _HEADWEAR) & ring
    return Tally(int(np.count_nonzero(cut)), int(np.count_nonzero(ring)))


def _ring_inside(alignment: Alignment, side: int, image_size: tuple[int, int]) -> Mask:
    """Return (O, O): the outer ring where the picture goes on beyond the crop."""
    middle = (side - 1) / 2.0
    columns, rows = np.meshgrid(np.arange(side), np.arange(side))
    points = np.stack([columns.ravel(), rows.ravel()], axis=1).astype(np.float64)
    ring = np.abs(points - middle).max(axis=1) > side * (0.5 - BORDER_RING)
    # A ring's width further out the crop has ended.
    beyond = middle + (points - middle) * (1.0 + 2.0 * BORDER_RING)
    matrix, (height, width) = alignment.to_image(side), image_size
    for places in (points, beyond):
        seen = transformed(places, matrix)
        ring &= (seen >= 0.0).all(axis=1) & (seen <= (width - 1, height - 1)).all(axis=1)
    return np.asarray(ring.reshape(side, side))
