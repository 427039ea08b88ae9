"""When a face's parsing is carried on to the next frame along the motion, and when the face is parsed anew.

Only in key frames does the network run. What comes between takes the key frame's parsing to where optical
flow says that everything went, which is a quarter of the work. A key frame is due when the picture shows what
that motion does not explain, an eye that shuts, a hand, and after a while in any case.

Key frames and propagation: Zhu, Xiong, Dai, Yuan, Wei, "Deep Feature Flow for Video Recognition", CVPR 2017.
That the picture decides: Li, Shi, Lin, "Low-Latency Video Semantic Segmentation", CVPR 2018.
"""

from __future__ import annotations

import cv2
import numpy as np

from realtime.faces.motion import Motion
from realtime.frames import ParsedFace
from realtime.frames.geometry import Alignment
from realtime.frames.letterbox import Region

PROPAGATION = 0.07
"""A parsing is carried on for less than so many seconds: two frames of 30 a second, four of 60."""
MAX_PROPAGATION = 0.5
"""Longer than this nobody may ask for."""
# What opens and shuts. Where so much of it changed by more than motion, in the mean over it ...
_PARTS = (("l_eye", "r_eye"), ("mouth", "u_lip", "l_lip"))
_MOST_OF_A_PART = 0.25
# ... or of the whole face crop, or of what lies around it, the face is parsed.
_MOST_OF_THE_FACE, _MOST_AROUND = 0.08, 0.04


def explains_face(motion: Motion, face: ParsedFace) -> bool:
    """Say whether motion explains what became of a face crop.

    Args:
        motion: since the last parsing.
        face: that parsing.
    """
    changed = motion.unexplained
    if changed.mean() > _MOST_OF_THE_FACE:
        return False
    for part in _PARTS:
        small = cv2.resize(face.plane(part), changed.shape, interpolation=cv2.INTER_LINEAR)
        # With what lies just beside it, where it opens to.
        place = cv2.dilate(small, np.ones((3, 3), np.uint8))
        if float((changed * place).sum()) > _MOST_OF_A_PART * float(place.sum()):
            return False
    return True


def explains_head(motion: Motion, square: Alignment, content: Region) -> bool:
    """Say whether motion explains what became of a head's square, beyond the face crop in its middle.

    Args:
        motion: since the last parsing.
        square: where it lies.
        content: rows and columns of the image beyond which nothing is seen.
    """
    around = motion.unexplained * square.shows(len(motion.unexplained), content)
    quarter = len(around) // 4
    around[quarter:-quarter, quarter:-quarter] = 0.0
    return bool(around.mean() <= _MOST_AROUND)
