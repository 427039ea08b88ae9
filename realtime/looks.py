"""Several looks at each face, averaged: in the mirror, closer and from farther away.

What one look gets wrong by chance another gets right; docs/model.md says how much that brings.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from engines import Engine
from realtime.frames import Image, ParsedFace, Plane
from realtime.smoothing import moved
from stn_icnn.labels import mirror_ids

# Side of the crop in sides of the first look's, and whether it is mirrored; the most useful first.
_LOOKS = ((1.0, False), (1.0, True), (0.9, False), (0.9, True), (1.1, False), (1.1, True))
MOST = len(_LOOKS)
"""Looks at a face that there are at most."""


def look_again(image: Image, faces: Sequence[ParsedFace], engine: Engine, looks: int) -> list[ParsedFace]:
    """Return faces with the mean of several looks for their probabilities.

    Args:
        image: (H, W, 3) uint8 RGB, what they were parsed from.
        faces: parsed once, which is the first look.
        engine: that parsed them.
        looks: how many in all, 1 to `MOST`.
    """
    if looks == 1 or not faces:
        # Untouched: copying a parsing takes as long as a fifth of making it.
        return list(faces)
    totals = [face.probabilities.copy() for face in faces]
    channels = _mirrored_channels(faces[0].classes)
    for size, mirrored in _LOOKS[1:looks]:
        alignments = [replace(face.alignment, side=size * face.alignment.side) for face in faces]
        crops = np.stack([alignment.crop(image, engine.spec.input_size) for alignment in alignments])
        parsed = engine.infer(crops[:, :, ::-1] if mirrored else crops)
        if mirrored:
            parsed = np.ascontiguousarray(parsed[:, channels, :, ::-1])
        for total, planes, face, alignment in zip(totals, parsed, faces, alignments, strict=True):
            total += planes if size == 1.0 else moved(planes, alignment, face.alignment)
    return [replace(face, probabilities=_mean(total)) for face, total in zip(faces, totals, strict=True)]


def _mean(total: Plane) -> Plane:
    # A closer look sees less of the crop: where it sees nothing it adds nothing, and has no say.
    return np.asarray(total / total.sum(axis=0), np.float32)


def _mirrored_channels(classes: Sequence[int]) -> list[int]:
    """Return for each class the channel of its mirror image."""
    table = mirror_ids()
    return [classes.index(int(table[class_id])) for class_id in classes]
