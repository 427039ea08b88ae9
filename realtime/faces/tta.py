"""Test-time augmentation: each face parsed several times, mirrored and closer, and the mean taken.

What one parsing gets wrong by chance another gets right, and as each has its own grid, together they see
finer than one does; docs/experiments.md says how much that brings.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from engines import Engine
from realtime.faces.parsing import cut_pictures
from realtime.faces.warping import moved
from realtime.frames import ParsedFace, Plane
from realtime.frames.geometry import Alignment
from realtime.frames.halvings import Halvings
from stn_icnn.labels import mirror_ids
from stn_icnn.packing import Maps, Pictures

# Side of the crop in sides of the first parsing's, and whether it is mirrored; the most useful first.
_AUGMENTATIONS = ((1.0, False), (1.0, True), (0.9, False), (0.9, True), (0.8, False), (0.8, True))
MAX_TTA = len(_AUGMENTATIONS)
"""Parsings of a face that are averaged at most."""
# The mean's pixels to one of a parsing's, along either axis: averaged in those, edges would be smeared.
_FINER = 2
# Of a network that sees no more than the face crop, one more parsing takes in so many sides of the first
# one's, for what lies beyond: long hair, a hat, clothes. It knows small things worse: where another sees
# anything, its word has this weight.
WIDE, _BESIDE = 1.2, 0.01


def parse_augmented(
    seen: Halvings, faces: Sequence[ParsedFace], engine: Engine, tta: int
) -> list[ParsedFace]:
    """Return faces with the mean of several parsings for their probabilities.

    Args:
        seen: the image that they were parsed from.
        faces: parsed once, which is the first parsing.
        engine: that parsed them.
        tta: how many are averaged, 1 to `MAX_TTA`; after 1 the faces are as they were.

    Returns:
        The faces, probabilities in pixels of half the size; where no more than the face crop is seen,
        alignments widened by `WIDE`.
    """
    if tta == 1 or not faces:
        # Untouched: copying a parsing takes as long as a fifth of making it.
        return list(faces)
    width = engine.spec.packing.width
    means = [_Mean(face, width) for face in faces]
    if width == 1:
        wide = _parse(seen, [one.crop for one in means], engine)
        for mean, maps in zip(means, wide, strict=True):
            mean.add(maps, mean.crop, _BESIDE)
    for number, (size, mirrored) in enumerate(_AUGMENTATIONS[:tta]):
        crops = [face.alignment.widened(size) for face in faces]
        known = [Maps(face.probabilities, face.head) for face in faces]
        parsed = known if number == 0 else _parse(seen, crops, engine, mirrored)
        for mean, maps, alignment in zip(means, parsed, crops, strict=True):
            mean.add(maps, alignment)
    return [mean.face() for mean in means]


class _Mean:
    """The mean of one face's parsings, in finer pixels than any of them has."""

    def __init__(self, face: ParsedFace, width: int) -> None:
        self._face, self._width = face, width
        wide = WIDE if width == 1 else 1.0
        self.crop = face.alignment.widened(wide)
        self._side = round(wide * _FINER * face.probabilities.shape[-1])
        self._inner: Plane | float = 0.0
        self._outer: Plane | float = 0.0

    def add(self, maps: Maps, alignment: Alignment, weight: float = 1.0) -> None:
        """Add the maps of a face crop, and of the head around it."""
        self._inner = self._inner + weight * moved(maps.face, alignment, self.crop, self._side)
        if maps.head is not None:
            square, whole = (each.widened(self._width) for each in (alignment, self.crop))
            side = _FINER * maps.head.shape[-1]
            # Where one looked closer, the others know what lies beyond.
            self._outer = self._outer + moved(maps.head, square, whole, side)

    def face(self) -> ParsedFace:
        """Return the face with the mean."""
        inner, outer = (
            None if isinstance(total, float) else np.asarray(total / total.sum(axis=0), np.float32)
            for total in (self._inner, self._outer)
        )
        assert inner is not None
        return replace(self._face, alignment=self.crop, probabilities=inner, head=outer)


def _parse(
    seen: Halvings, alignments: Sequence[Alignment], engine: Engine, mirrored: bool = False
) -> list[Maps]:
    """Return the maps of each face crop, seen in the mirror and turned back if asked."""
    packing = engine.spec.packing
    pictures = [cut_pictures(seen, alignment, engine) for alignment in alignments]
    if mirrored:
        pictures = [
            Pictures(face[:, ::-1], None if head is None else head[:, ::-1]) for face, head in pictures
        ]
    outputs = engine.infer(np.stack([packing.pack(one) for one in pictures]))
    parsed = [packing.maps(output) for output in outputs]
    if not mirrored:
        return parsed
    table = mirror_ids()
    channels = [engine.spec.classes.index(int(table[class_id])) for class_id in engine.spec.classes]

    def turned(planes: Plane) -> Plane:
        return np.ascontiguousarray(planes[channels][..., ::-1])

    return [Maps(turned(maps.face), None if maps.head is None else turned(maps.head)) for maps in parsed]
