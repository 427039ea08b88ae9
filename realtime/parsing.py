"""The parsing step: all faces of a frame, aligned and parsed in one batch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from engines import Engine
from realtime.alignment import align
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
    if not detections:
        return ()
    size = engine.spec.input_size
    alignments = [align(face.right_eye, face.left_eye, face.mouth) for face in detections]
    crops = np.stack([alignment.crop(image, size) for alignment in alignments])
    probabilities = engine.infer(crops)
    height, width = image.shape[:2]
    faces = (
        ParsedFace(detection, alignment, planes, engine.spec.classes, (height, width))
        for detection, alignment, planes in zip(detections, alignments, probabilities, strict=True)
    )
    return tuple(face for face in faces if _is_face(face))


def _is_face(face: ParsedFace) -> bool:
    if face.score >= SURE_SCORE:
        return True
    nose = face.probabilities[face.classes.index(CLASS_ID["nose"])]
    return float(nose.mean()) > NOSE_SHARE
