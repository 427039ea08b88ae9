"""Cuts between scenes: what was known of the last frame is worth nothing after one."""

from __future__ import annotations

import cv2
import numpy as np

from realtime.frames import Image, Plane

_SIZE = (32, 18)
# A cut changes grey levels by more than this on average ...
_LEVELS = 16.0
# ... and leaves less than this correlation: a flash or a quick pan leaves more.
_LIKENESS = 0.6


class CutDetector:
    """Compares each frame's thumbnail with the last one's."""

    def __init__(self) -> None:
        self._past: Plane | None = None

    def __call__(self, image: Image) -> bool:
        """Say whether a frame (H, W, 3) uint8 RGB begins a new scene; the first one doesn't."""
        # Sixteen pixels of each: a mean over all of them would take a millisecond and tell no more.
        some = cv2.resize(image, (4 * _SIZE[0], 4 * _SIZE[1]), interpolation=cv2.INTER_NEAREST)
        small = cv2.resize(some, _SIZE, interpolation=cv2.INTER_AREA)
        grey = np.asarray(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), np.float32)
        past, self._past = self._past, grey
        if past is None or float(np.abs(grey - past).mean()) < _LEVELS:
            return False
        return _likeness(grey, past) < _LIKENESS


def _likeness(one: Plane, other: Plane) -> float:
    """Return the correlation of two pictures, -1 to 1."""
    a, b = one - one.mean(), other - other.mean()
    return float((a * b).sum() / max(1e-6, np.sqrt((a * a).sum() * (b * b).sum())))
