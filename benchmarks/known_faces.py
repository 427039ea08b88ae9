"""The known number of faces of clips: a TOML file of the user's own, see docs/benchmarks.md.

    "talk.mp4" = [[0.0, 2.5, 1], [2.5, 4.0, 2]]

Each clip's file name has ranges: seconds from, seconds to (not included), and the number of faces.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from realtime.errors import UsageError


@dataclass(frozen=True)
class FaceRange:
    """How many faces a clip shows for a while.

    Attributes:
        start: seconds since the clip's first frame.
        stop: likewise; not included.
        faces: how many are shown, from 0.
    """

    start: float
    stop: float
    faces: int


KnownFaces = Mapping[str, tuple[FaceRange, ...]]
"""Ranges by the clip's file name, in order of time."""


def read_known_faces(path: Path) -> KnownFaces:
    """Read the known numbers of faces.

    Raises:
        UsageError: if the file can't be read or says something else; the message says what.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}") from None
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"{path}: is no TOML: {error}") from None
    return {clip: _ranges(f"{path}: {clip}", value) for clip, value in content.items()}


def faces_at(ranges: tuple[FaceRange, ...], seconds: float) -> int | None:
    """Return the known number of faces at a time of the clip; None where it is not known."""
    for each in ranges:
        if each.start <= seconds < each.stop:
            return each.faces
    return None


def _ranges(where: str, value: Any) -> tuple[FaceRange, ...]:
    if not isinstance(value, list):
        raise UsageError(f"{where}: needs ranges such as [[0.0, 2.5, 1]]: seconds from, seconds to, faces")
    ranges = sorted((_range(where, entry) for entry in value), key=lambda each: each.start)
    for one, following in pairwise(ranges):
        if following.start < one.stop:
            raise UsageError(f"{where}: two ranges overlap at {following.start:g} seconds")
    return tuple(ranges)


def _range(where: str, entry: Any) -> FaceRange:
    if not isinstance(entry, list) or len(entry) != 3 or not all(map(_is_number, entry)):
        raise UsageError(f"{where}: {entry!r} is no range: seconds from, seconds to, faces")
    start, stop, faces = entry
    if not 0.0 <= start < stop:
        raise UsageError(f"{where}: {entry!r}: a range ends after it starts, and starts at 0 or later")
    if not isinstance(faces, int) or faces < 0:
        raise UsageError(f"{where}: {entry!r}: the number of faces is a whole one, from 0")
    return FaceRange(float(start), float(stop), faces)


def _is_number(value: Any) -> bool:
    # TOML's true is a number to Python, and so is its nan.
    return isinstance(value, int | float) and not isinstance(value, bool) and not math.isnan(value)
