"""`--like`: the effects that a command line asks for, those of a photo among them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from realtime.errors import UsageError
from realtime.frames import Image, ParsedFace
from realtime.native_logs import hide_native_logs
from realtime.parser import FaceParser
from realtime.presets.photo import MOST_FACES, from_photo_file

# Options that the photo is parsed with, too.
_ENGINE = ("backend", "precision", "require_gpu", "weights", "threads")


def take_effects(values: dict[str, Any]) -> tuple[str, ...]:
    """Take `effect` and `like`... out of the values of a command line; return the effects as text.

    What is read in a photo comes before the effects that are written out, so that those are painted over it.

    Raises:
        UsageError, PhotoError, EngineError: see `realtime.presets.photo.from_photo`.
    """
    written = tuple(values.pop("effect"))
    photo, parts, number = (values.pop(name) for name in ("like", "like_parts", "like_face"))
    if photo is None:
        for flag, value in (("--like-parts", parts), ("--like-face", number)):
            if value is not None:
                raise UsageError(f"{flag} without --like: there is no photo")
        return written
    return _read(photo, parts, number, {name: values[name] for name in _ENGINE}) + written


def _read(photo: Path, parts: str | None, number: int | None, engine: dict[str, Any]) -> tuple[str, ...]:
    def parse(image: Image) -> list[ParsedFace]:
        with FaceParser(max_faces=MOST_FACES, **engine) as parser:
            return parser.parse(image)

    wanted = None if parts is None else parts.split(",")
    with hide_native_logs():
        look = from_photo_file(photo, wanted, number, parse)
    for line in look.left_out:
        print(f"{photo}: {line}", file=sys.stderr)
    shown = " ".join(f"--effect {text}" for text in look.texts)
    print(f"like {photo}: {shown or 'nothing is painted there'}", file=sys.stderr, flush=True)
    return look.texts
