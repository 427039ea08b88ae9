"""Test-time augmentation: each face parsed several times, mirrored and closer, and the mean taken.

What one parsing gets wrong by chance another gets right, and as each has its own grid, together they see
finer than one does; docs/experiments.md says how much that brings.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from engines import Engine
from realtime.faces.smoothing import moved
from realtime.frames import Image, ParsedFace, Plane
from realtime.frames.geometry import Alignment
from stn_icnn.labels import mirror_ids

# Side of the crop in sides of the first parsing's, and whether it is mirrored; the most useful first.
_AUGMENTATIONS = ((1.0, False), (1.0, True), (0.9, False), (0.9, True), (0.8, False), (0.8, True))
MAX_TTA = len(_AUGMENTATIONS)
"""Parsings of a face that are averaged at most."""
# The mean's pixels to one of a parsing's, along either axis: averaged in those, edges would be smeared.
_FINER = 2
# One more parsing takes in so many sides of the first one's crop, for what lies beyond: long hair, a hat,
# clothes. It knows small things worse: where another sees anything, its word has this weight.
WIDE, _BESIDE = 1.2, 0.01


def parse_augmented(image: Image, faces: Sequence[ParsedFace], engine: Engine, tta: int) -> list[ParsedFace]:
    """Return faces with the mean of several parsings for their probabilities, of a wider crop.

    Args:
        image: (H, W, 3) uint8 RGB, what they were parsed from.
        faces: parsed once, which is the first parsing.
        engine: that parsed them.
        tta: how many are averaged, 1 to `MAX_TTA`; after 1 the faces are as they were.

    Returns:
        The faces, alignments widened by `WIDE`, probabilities in pixels of half the size.
    """
    if tta == 1 or not faces:
        # Untouched: copying a parsing takes as long as a fifth of making it.
        return list(faces)
    side = round(WIDE * _FINER * faces[0].probabilities.shape[-1])
    canvases = [face.alignment.widened(WIDE) for face in faces]
    parsed = _parse(image, canvases, engine)
    totals = [
        _BESIDE * moved(planes, canvas, canvas, side) for planes, canvas in zip(parsed, canvases, strict=True)
    ]
    for number, (size, mirrored) in enumerate(_AUGMENTATIONS[:tta]):
        seen = [face.alignment.widened(size) for face in faces]
        first = number == 0
        parsed = [face.probabilities for face in faces] if first else _parse(image, seen, engine, mirrored)
        for total, planes, alignment, canvas in zip(totals, parsed, seen, canvases, strict=True):
            total += moved(planes, alignment, canvas, side)
    return [
        replace(face, alignment=canvas, probabilities=np.asarray(total / total.sum(axis=0), np.float32))
        for face, canvas, total in zip(faces, canvases, totals, strict=True)
    ]


def _parse(
    image: Image, alignments: Sequence[Alignment], engine: Engine, mirrored: bool = False
) -> Sequence[Plane]:
    """Return the probabilities (C, O, O) of each crop, seen in the mirror and turned back if asked."""
    crops = np.stack([alignment.crop(image, engine.spec.input_size) for alignment in alignments])
    if not mirrored:
        return list(engine.infer(crops))
    table = mirror_ids()
    channels = [engine.spec.classes.index(int(table[class_id])) for class_id in engine.spec.classes]
    return list(np.ascontiguousarray(engine.infer(crops[:, :, ::-1])[:, channels, :, ::-1]))
