"""Still images, by OpenCV."""

from __future__ import annotations

import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import cast

import cv2

from realtime.errors import SourceError
from realtime.frames import Frame, Image
from realtime.media import SourceInfo


class ImageSource:
    """A still image, one frame; turned upright by its EXIF orientation.

    Raises:
        SourceError: if it can't be decoded.
    """

    def __init__(self, path: Path) -> None:
        picture = cv2.imread(str(path), cv2.IMREAD_COLOR)
        if picture is None:
            raise SourceError(f"{path}: the image is damaged")
        self._image = cast(Image, cv2.cvtColor(picture, cv2.COLOR_BGR2RGB))
        height, width = self._image.shape[:2]
        self.info = SourceInfo(
            str(path), width, height, Fraction(1), Fraction(1), frames=1, path=path, still=True
        )

    def frames(self) -> Iterator[Frame]:
        """See `Source.frames`."""
        yield Frame(self._image, 0, Fraction(0), time.monotonic())

    def close(self) -> None:
        """Nothing is held."""
