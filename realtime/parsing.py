"""The parsing step: faces of a frame, aligned and parsed in one batch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from engines import Engine
from realtime.alignment import Alignment, align
from realtime.frames import Detection, Image, ParsedFace
from stn_icnn.labels import CLASS_ID

# A detection below this score must also parse as a face ...
SURE_SCORE = 0.7
# ... which shows a nose: false ones (a logo, a microphone) held under 0.007 of the crop as nose, true ones
# over 0.011.
NOSE_SHARE = 0.009


def parse_faces(image: Image, detections: Sequence[Detection], engine: Engine) -> tuple[ParsedFace, ...]:
    """Cut out, parse and return the faces, in the order of the detections.

    A detection of low score whose parsing shows no nose is taken for a false one and left out.

    Args:
        image: (H, W, 3) uint8 RGB.
        detections: found in this very image.
        engine: see `engines.Engine`.
    """
    alignments = [align(face.right_eye, face.left_eye, face.mouth) for face in detections]
    faces, _ = parse_crops(image, detections, alignments, engine)
    return tuple(face for face in faces if face.score >= SURE_SCORE or nose_share(face) > NOSE_SHARE)


def parse_crops(
    image: Image, detections: Sequence[Detection], alignments: Sequence[Alignment], engine: Engine
) -> tuple[list[ParsedFace], Sequence[Image]]:
    """Parse given crops of an image.

    Args:
        image: (H, W, 3) uint8 RGB.
        detections: whose faces they are.
        alignments: where they lie, as many.
        engine: see `engines.Engine`.

    Returns:
        The faces in the same order, and their crops (S, S, 3) uint8 RGB.
    """
    if not alignments:
        return [], []
    crops = np.stack([alignment.crop(image, engine.spec.input_size) for alignment in alignments])
    probabilities = engine.infer(crops)
    height, width = image.shape[:2]
    faces = [
        ParsedFace(detection, alignment, planes, engine.spec.classes, (height, width))
        for detection, alignment, planes in zip(detections, alignments, probabilities, strict=True)
    ]
    return faces, list(crops)


def nose_share(face: ParsedFace) -> float:
    """Return the share of a face's crop that is parsed as nose, which every true face has."""
    nose = face.probabilities[face.classes.index(CLASS_ID["nose"])]
    return float(nose.mean())
