"""What is behind the people: out of focus, a colour or a picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np

from realtime.effects.effect import Colour, parse_colour
from realtime.effects.paint import composite
from realtime.effects.person import Scene, faded_matte, person_matte, soft_background
from realtime.errors import UsageError
from realtime.frames import Image, ParsedFace
from realtime.people.segmenter import person_segmenter


@dataclass(frozen=True)
class Background:
    """Replace or blur the background of the whole picture, also where no face is found.

    Attributes:
        fill: "blur", a colour as #rrggbb, or an image file.
        strength: of the blur its radius, else the opacity; 0 to 1.

    Raises:
        UsageError: if `fill` is none of these.
    """

    fill: str = "blur"
    strength: float = 0.6

    def __post_init__(self) -> None:
        if self.fill.startswith("#"):
            parse_colour(self.fill)
        elif self.fill != "blur":
            _read(self.fill)

    def prepare(self) -> None:
        """Load the segmenter, so that what is missing is told before the first frame."""
        person_segmenter()

    def apply(self, image: Image, faces: Sequence[ParsedFace]) -> None:
        """See `Effect.apply`."""
        if self.strength <= 0.0:
            return
        scene = Scene.of(image)
        matte = person_matte(scene, faces)
        if self.fill == "blur":
            composite(image, soft_background(scene, matte, self.strength), matte)
            return
        composite(image, self._behind(image.shape[1], image.shape[0]), faded_matte(matte, self.strength))

    def _behind(self, width: int, height: int) -> Image | Colour:
        if self.fill.startswith("#"):
            return parse_colour(self.fill)
        return _covering(self.fill, width, height)


@cache
def _read(path: str) -> Image:
    picture = cv2.imread(path, cv2.IMREAD_COLOR)
    if picture is None:
        raise UsageError(
            f"background: fill={path!r}: neither blur, nor a colour as #rrggbb, nor an image file"
        )
    return np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), np.uint8)


@cache
def _covering(path: str, width: int, height: int) -> Image:
    """Return the picture enlarged and cut to fill a size: (height, width, 3) uint8."""
    picture = _read(path)
    scale = max(width / picture.shape[1], height / picture.shape[0])
    wide = (max(width, round(picture.shape[1] * scale)), max(height, round(picture.shape[0] * scale)))
    way = cv2.INTER_AREA if scale < 1.0 else cv2.INTER_LINEAR
    large = cv2.resize(picture, wide, interpolation=way)
    x, y = (wide[0] - width) // 2, (wide[1] - height) // 2
    return np.ascontiguousarray(large[y : y + height, x : x + width], np.uint8)
