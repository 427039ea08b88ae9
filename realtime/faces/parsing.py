"""The parsing step: face crops of a frame, parsed in one batch."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property

import numpy as np

from engines import Engine
from realtime.faces.motion import small_side
from realtime.frames import Detection, Image, ParsedFace
from realtime.frames.geometry import Alignment, Square
from realtime.frames.halvings import Halvings
from realtime.frames.letterbox import Region
from stn_icnn.packing import Pictures

# A detection below this score must also parse as a face ...
SURE_SCORE = 0.7
# ... which shows a nose: false ones (a logo, a microphone) held under 0.007 of the crop as nose, true ones
# over 0.011.
NOSE_SHARE = 0.009
# ... and eyes, or glasses that hide them: dark ones take 0.04 and more of the crop.
GLASSES_SHARE = 0.02


class Glimpse:
    """What `cut_pictures` cuts out, but only as fine as motion is looked for, and only when it is wanted.

    Args:
        seen: the frame.
        alignment: of the face crop.
        engine: see `engines.Engine`.
    """

    def __init__(self, seen: Halvings, alignment: Alignment, engine: Engine) -> None:
        self._seen, self._alignment, self._packing = seen, alignment, engine.spec.packing

    @property
    def content(self) -> Region:
        """Return the rows and columns of the frame beyond which nothing is seen."""
        return self._seen.content

    @cached_property
    def face(self) -> Image:
        """Return the face crop, (s, s, 3) uint8 RGB."""
        return Square(self._alignment, small_side(self._packing.input_size), sharp=False).cut(self._seen)

    @cached_property
    def head(self) -> Image | None:
        """Return the head's square as it is parsed, (K, K, 3) uint8 RGB; None where the network sees none."""
        packing = self._packing
        if not packing.head_input:
            return None
        # As small as motion wants it at once, fine textures would lie in it differently, and seem to change.
        square = Square(self._alignment.widened(packing.width), packing.head_input, sharp=False)
        return square.cut(self._seen)


def cut_pictures(seen: Halvings, alignment: Alignment, engine: Engine, sharp: bool = True) -> Pictures:
    """Return what an engine reads for a face crop.

    Args:
        seen: the image.
        alignment: of the face crop.
        engine: see `engines.Engine`.
        sharp: take as much care with the head as with the face; without it takes a quarter less time.
    """
    packing, head = engine.spec.packing, None
    if packing.head_input:
        head = Square(alignment.widened(packing.width), packing.head_input, sharp).cut(seen)
    return Pictures(Square(alignment, packing.input_size).cut(seen), head)


def parse_crops(
    seen: Halvings,
    detections: Sequence[Detection],
    alignments: Sequence[Alignment],
    engine: Engine,
) -> tuple[list[ParsedFace], list[Pictures]]:
    """Parse given crops of an image.

    Args:
        seen: the image.
        detections: whose faces they are.
        alignments: where their face crops lie, as many.
        engine: see `engines.Engine`.

    Returns:
        The faces in the same order, and what was read of each.
    """
    if not alignments:
        return [], []
    packing, (height, width) = engine.spec.packing, seen.image.shape[:2]
    # A video's hair is found as well without the care that eyes and lips want.
    pictures = [cut_pictures(seen, alignment, engine, sharp=False) for alignment in alignments]
    outputs = engine.infer(np.stack([packing.pack(each) for each in pictures]))
    faces = []
    for detection, alignment, output in zip(detections, alignments, outputs, strict=True):
        planes, head = packing.maps(output)
        what = detection, alignment, planes, engine.spec.classes, (height, width)
        faces.append(ParsedFace(*what, head=head, content=seen.content))
    return faces, pictures


def share_of(face: ParsedFace, part: str | Iterable[str]) -> float:
    """Return the share of a face's crop, 0 to 1, that is parsed as a class, or as one of several."""
    return float(face.plane(part).mean())
