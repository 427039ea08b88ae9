"""Image files: the one frame of a still source, or evenly spaced frames of a video."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import cast

import cv2
import numpy as np

from realtime.errors import SinkError, UsageError
from realtime.frames import Image, RenderedFrame
from realtime.sinks.sink import check_writable, one_of, temporary_name

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp")
# Those that keep transparency.
CLEAR_SUFFIXES = (".png", ".webp")


class ImageFileSink:
    """Writes the one frame of a still source."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._temporary = temporary_name(path)

    def write(self, rendered: RenderedFrame) -> bool:
        """Write the picture under the temporary name; a cut-out one with its transparency."""
        clear = rendered.cutout if self._path.suffix.lower() in CLEAR_SUFFIXES else None
        write_image(self._temporary, rendered.image if clear is None else clear)
        return True

    def close(self, whole: bool = True) -> None:
        """Give the file its name."""
        if self._temporary.exists():
            os.replace(self._temporary, self._path)

    def abort(self) -> None:
        """Remove the temporary file."""
        self._temporary.unlink(missing_ok=True)


class ContactSheetSink:
    """Keeps evenly spaced frames and writes them as one picture.

    Args:
        path: a .png or .jpg.
        columns, rows: how many pictures.
        width: of the whole sheet in pixels.
    """

    def __init__(self, path: Path, columns: int = 2, rows: int = 6, width: int = 1600) -> None:
        if path.suffix.lower() not in IMAGE_SUFFIXES:
            raise UsageError(f"{path}: a contact sheet is an image: one of {one_of(IMAGE_SUFFIXES)}")
        check_writable(path)
        self._path, self._columns, self._rows, self._width = path, columns, rows, width
        self._kept: list[Image] = []
        self._step, self._count = 1, 0

    def write(self, rendered: RenderedFrame) -> bool:
        """Keep every n-th frame; n doubles when too many are kept."""
        if self._count % self._step == 0:
            image = rendered.image
            width = self._width // self._columns
            height = max(1, round(image.shape[0] * width / image.shape[1]))
            self._kept.append(cast(Image, cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)))
            if len(self._kept) >= 4 * self._columns * self._rows:
                self._kept = self._kept[::2]
                self._step *= 2
        self._count += 1
        return True

    def close(self, whole: bool = True) -> None:
        """Write the sheet."""
        if not self._kept:
            return
        tiles = self._columns * self._rows
        count = min(tiles, len(self._kept))
        spots = np.linspace(0, len(self._kept) - 1, count).round().astype(int)
        chosen = [self._kept[spot] for spot in spots]
        blank = np.zeros_like(chosen[0])
        chosen += [blank] * (math.ceil(count / self._columns) * self._columns - count)
        lines = [np.hstack(chosen[i : i + self._columns]) for i in range(0, len(chosen), self._columns)]
        save_image(self._path, np.vstack(lines))

    def abort(self) -> None:
        """Forget the frames; nothing was written yet."""
        self._kept.clear()


def save_image(path: Path, image: Image) -> None:
    """Write an image as `write_image` does, under a temporary name first."""
    temporary = temporary_name(path)
    write_image(temporary, image)
    os.replace(temporary, path)


def write_image(path: Path, image: Image) -> None:
    """Write an image (H, W, 3) uint8 RGB or (H, W, 4) with opacity; the format follows the ending.

    Raises:
        SinkError: if it can't be written.
    """
    try:
        way = cv2.COLOR_RGB2BGR if image.shape[2] == 3 else cv2.COLOR_RGBA2BGRA
        good = cv2.imwrite(str(path), cv2.cvtColor(image, way))
    except cv2.error:
        good = False
    if not good:
        raise SinkError(f"{path}: cannot be written")
