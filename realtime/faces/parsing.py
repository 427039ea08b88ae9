"""The parsing step: face crops of a frame, parsed in one batch."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from engines import Engine
from realtime.frames import Detection, Image, ParsedFace
from realtime.frames.geometry import Alignment

# A detection below this score must also parse as a face ...
SURE_SCORE = 0.7
# ... which shows a nose: false ones (a logo, a microphone) held under 0.007 of the crop as nose, true ones
# over 0.011.
NOSE_SHARE = 0.009
# ... and eyes, or glasses that hide them: dark ones take 0.04 and more of the crop.
GLASSES_SHARE = 0.02


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


def share_of(face: ParsedFace, part: str | Iterable[str]) -> float:
    """Return the share of a face's crop, 0 to 1, that is parsed as a class, or as one of several."""
    return float(face.plane(part).mean())
