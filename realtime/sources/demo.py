"""The demo's moving picture: one portrait seen through a hand-held camera.

The portrait is NASA's of Eileen Collins (public domain), which installs with scikit-image.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from fractions import Fraction

import cv2
import numpy as np
import numpy.typing as npt

from realtime.errors import SourceError
from realtime.frames import Frame
from realtime.media import SourceInfo

DEMO_SIZE = (1280, 720)
DEMO_FPS = 30
DEMO_FRAMES = 300

# Centre of the face in the portrait, in its pixels.
_FACE = (222.0, 130.0)


def demo_portrait() -> npt.NDArray[np.uint8]:
    """Return the portrait, (512, 512, 3) uint8 RGB.

    Raises:
        SourceError: if scikit-image is not installed.
    """
    try:
        from skimage.data import astronaut
    except ImportError:
        raise SourceError("the demo needs scikit-image: pip install '.[demo]'") from None
    return np.asarray(astronaut(), np.uint8)


def demo_frame(portrait: npt.NDArray[np.uint8], index: int) -> npt.NDArray[np.uint8]:
    """Return frame `index` (0 to 299): panned, zoomed and rolled, in changing light.

    Returns:
        (720, 1280, 3) uint8 RGB.
    """
    seconds = index / DEMO_FPS
    width, height = DEMO_SIZE
    # Periods that do not fit together, so that no second repeats another.
    zoom = 2.9 + 0.55 * math.sin(2 * math.pi * seconds / 7.3)
    roll = 9.0 * math.sin(2 * math.pi * seconds / 5.1) + 1.2 * math.sin(2 * math.pi * seconds / 0.9)
    x = 110.0 * math.sin(2 * math.pi * seconds / 6.1) + 3.0 * math.sin(2 * math.pi * seconds / 0.7)
    y = 30.0 * math.sin(2 * math.pi * seconds / 4.3) + 2.0 * math.sin(2 * math.pi * seconds / 0.5)
    matrix = np.asarray(cv2.getRotationMatrix2D(_FACE, roll, zoom), np.float64)
    matrix[:, 2] += np.array([width / 2 + x, height * 0.5 + y]) - _FACE
    moved = cv2.warpAffine(
        portrait, matrix, DEMO_SIZE, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101
    )
    gain = 1.0 + 0.22 * math.sin(2 * math.pi * seconds / 8.7)
    warmth = 0.05 * math.sin(2 * math.pi * seconds / 3.7)
    gains = gain * np.array([1.0 + warmth, 1.0, 1.0 - warmth])
    table = np.clip(np.arange(256)[:, None, None] * gains, 0, 255).astype(np.uint8)
    return np.asarray(cv2.LUT(moved, table), np.uint8)


class DemoSource:
    """A portrait moved as a hand-held camera would see it: 10 s of 1280x720 at 30 fps.

    Raises:
        SourceError: if scikit-image, which brings the portrait, is not installed.
    """

    def __init__(self) -> None:
        self._portrait = demo_portrait()
        width, height = DEMO_SIZE
        self.info = SourceInfo(
            "demo", width, height, Fraction(DEMO_FPS), Fraction(1, DEMO_FPS), frames=DEMO_FRAMES
        )

    def frames(self) -> Iterator[Frame]:
        """See `Source.frames`."""
        for index in range(DEMO_FRAMES):
            image = demo_frame(self._portrait, index)
            yield Frame(image, index, Fraction(index, DEMO_FPS), time.monotonic())

    def close(self) -> None:
        """Nothing is held."""
