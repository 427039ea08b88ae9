"""The parsing step: all faces of a frame, aligned and parsed in one batch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from engines import Engine
from realtime.alignment import align
from realtime.frames import Detection, Image, ParsedFace


def parse_faces(image: Image, detections: Sequence[Detection], engine: Engine) -> tuple[ParsedFace, ...]:
    """Cut out, parse and return the faces, in the order of the detections.

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
    return tuple(
        ParsedFace(detection, alignment, planes, engine.spec.classes, (height, width))
        for detection, alignment, planes in zip(detections, alignments, probabilities, strict=True)
    )
