"""Several looks at each face, averaged: in the mirror and closer.

What one look gets wrong by chance another gets right, and as each has its own grid, together they see finer
than one does; docs/model.md says how much that brings.
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
_LOOKS = ((1.0, False), (1.0, True), (0.9, False), (0.9, True), (0.8, False), (0.8, True))
MOST = len(_LOOKS)
"""Looks at a face that there are at most."""
# The mean's pixels to one of a look's, along either axis: averaged in those, edges would be smeared.
_FINER = 2


def look_again(image: Image, faces: Sequence[ParsedFace], engine: Engine, looks: int) -> list[ParsedFace]:
    """Return faces with the mean of several looks for their probabilities, (C, 2 * O, 2 * O).

    Args:
        image: (H, W, 3) uint8 RGB, what they were parsed from.
        faces: parsed once, which is the first look.
        engine: that parsed them.
        looks: how many in all, 1 to `MOST`; after 1 the faces are as they were.
    """
    if looks == 1 or not faces:
        # Untouched: copying a parsing takes as long as a fifth of making it.
        return list(faces)
    side = _FINER * faces[0].probabilities.shape[-1]
    totals = [moved(face.probabilities, face.alignment, face.alignment, side) for face in faces]
    channels = _mirrored_channels(faces[0].classes)
    for size, mirrored in _LOOKS[1:looks]:
        alignments = [replace(face.alignment, side=size * face.alignment.side) for face in faces]
        crops = np.stack([alignment.crop(image, engine.spec.input_size) for alignment in alignments])
        parsed = engine.infer(crops[:, :, ::-1] if mirrored else crops)
        if mirrored:
            parsed = np.ascontiguousarray(parsed[:, channels, :, ::-1])
        for total, planes, face, alignment in zip(totals, parsed, faces, alignments, strict=True):
            total += moved(planes, alignment, face.alignment, side)
    return [replace(face, probabilities=_mean(total)) for face, total in zip(faces, totals, strict=True)]


def _mean(total: Plane) -> Plane:
    # A closer look sees less of the crop: where it sees nothing it adds nothing, and has no say.
    return np.asarray(total / total.sum(axis=0), np.float32)


def _mirrored_channels(classes: Sequence[int]) -> list[int]:
    """Return for each class the channel of its mirror image."""
    table = mirror_ids()
    return [classes.index(int(table[class_id])) for class_id in classes]
