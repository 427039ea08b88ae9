"""The pictures that are parsed: a clip of one's own, or the demo's portrait once or several times, in motion.

Frames are made before anything is timed, and played to and fro, so that no cut starts anything anew.
"""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from fractions import Fraction

import cv2
import numpy as np

from realtime.frames import Frame, Image
from realtime.media import SourceInfo
from realtime.sources import open_source
from realtime.sources.demo import demo_portrait

FPS = 30
# Enough for half a second's motion; at 1080p they hold 100 MB.
KEPT_FRAMES = 16
SIZES = {
    "480p": (854, 480),
    "720p": (1280, 720),
    "1080p": (1920, 1080),
    "1440p": (2560, 1440),
    "4K": (3840, 2160),
}
# The portrait's upper part, which the face fills as in a video call.
_PORTRAIT = (slice(0, 288), slice(78, 366))


def portraits(faces: int, size: tuple[int, int], frames: int = KEPT_FRAMES) -> list[Image]:
    """Make pictures of several faces side by side, each moving a little in its own way.

    Args:
        faces: 1 to 8; beyond four they stand in two rows.
        size: (width, height) of the pictures, pixels.
        frames: how many pictures.

    Returns:
        (height, width, 3) uint8 RGB each.
    """
    portrait = demo_portrait()[_PORTRAIT]
    rows = 1 if faces <= 4 else 2
    columns = -(-faces // rows)
    width, height = size
    side = min(width // max(columns, 2), height // rows)
    places = [(index % columns, index // columns) for index in range(faces)]
    pictures = []
    for index in range(frames):
        picture = np.full((height, width, 3), 96, np.uint8)
        for face, (column, row) in enumerate(places):
            x, y = (width - columns * side) // 2 + column * side, (height - rows * side) // 2 + row * side
            picture[y : y + side, x : x + side] = _moved(portrait, side, index, face)
        pictures.append(picture)
    return pictures


def clip_frames(clip: str | None, frames: int, size: tuple[int, int] | None = None) -> list[Image]:
    """Return the first frames of a video, or of the moving portrait at 720p where none is given.

    Args:
        clip: a video file, or None.
        frames: as many at most.
        size: (width, height) to scale to; None for the video's own.

    Raises:
        SourceError: if the video can't be read.
    """
    if clip is None:
        return portraits(1, size or SIZES["720p"], frames)
    with closing(open_source(clip)) as source:
        images = [frame.image for frame in itertools.islice(source.frames(), frames)]
    return [image if size is None else np.asarray(cv2.resize(image, size), np.uint8) for image in images]


def to_and_fro(images: Sequence[Image]) -> Iterator[Frame]:
    """Yield frames without end, a thirtieth of a second apart, captured at the moment of their yielding."""
    order = [*range(len(images)), *range(len(images) - 2, 0, -1)]
    for index, number in enumerate(itertools.cycle(order)):
        yield Frame(images[number], index, Fraction(index, FPS), time.monotonic())


class SteadyCamera:
    """Pictures at a camera's pace: a frame is captured when it is due, whether or not the last was taken.

    Args:
        images: played to and fro.
        frames: how many to give.
        fps: frames a second.
        live: as a camera, which drops frames; else as a file, as fast as they are taken.
    """

    def __init__(self, images: Sequence[Image], frames: int, fps: int = FPS, live: bool = True) -> None:
        height, width = images[0].shape[:2]
        self.info = SourceInfo("pictures", width, height, Fraction(fps), Fraction(1, fps), frames, live)
        self._images, self._frames, self._fps = images, frames, fps

    def frames(self) -> Iterator[Frame]:
        """See `Source.frames`."""
        begun = time.monotonic()
        for index, frame in enumerate(itertools.islice(to_and_fro(self._images), self._frames)):
            due = begun + index / self._fps
            if self.info.live:
                time.sleep(max(0.0, due - time.monotonic()))
            yield Frame(frame.image, index, Fraction(index, self._fps), time.monotonic())

    def close(self) -> None:
        """Nothing is held."""


def _moved(portrait: Image, side: int, index: int, face: int) -> Image:
    phase = 2.0 * math.pi * index / FPS + face
    scale = side / portrait.shape[0]
    matrix = np.array(
        [[scale, 0.0, 0.03 * side * math.sin(phase)], [0.0, scale, 0.02 * side * math.cos(phase)]]
    )
    moved = cv2.warpAffine(
        portrait, matrix, (side, side), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101
    )
    return np.asarray(moved, np.uint8)
