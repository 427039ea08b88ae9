"""The look of a photograph as a list of effects."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

from realtime.errors import RealtimeError, SourceError
from realtime.frames import Image, ParsedFace
from realtime.likeness import Look, PhotoError, check_parts, read_look
from realtime.parser import FaceParser
from realtime.sources.image import ImageSource

Parse = Callable[[Image], Sequence[ParsedFace]]

# Faces of a photo among which one may be chosen.
MOST_FACES = 8


def from_photo(
    image: Image, parts: Sequence[str] | None = None, face: int | None = None, parse: Parse | None = None
) -> Look:
    """Read the look of a face in a photograph as effects.

    Args:
        image: (H, W, 3) uint8 RGB.
        parts: names of the effects to read, such as ("lips", "hair"); None for all.
        face: which one, from 1 (the largest); None where there is one.
        parse: finds and parses the faces of an image, largest first; None for a `FaceParser` of its own.

    Returns:
        Effects in the order they are painted, and a line for each part that could not be judged.

    Raises:
        PhotoError: if there is no face, a small one, or one without colours.
        UsageError: on an unknown part, several faces of which none was named, or a number that none has.
        EngineError, ModelError: if no parser was given and none can be loaded.
    """
    check_parts(parts)
    with ExitStack() as stack:
        if parse is None:
            parse = stack.enter_context(FaceParser(max_faces=MOST_FACES)).parse
        return read_look(image, parse(image), parts, face)


def from_photo_file(
    path: Path, parts: Sequence[str] | None = None, face: int | None = None, parse: Parse | None = None
) -> Look:
    """Read the look of a face in an image file, see `from_photo`; errors name the file.

    Raises:
        PhotoError: also where the file is none, or no image.
    """
    check_parts(parts)
    if path.is_dir():
        raise PhotoError(f"{path}: is a folder; give one photo")
    if not path.is_file():
        raise PhotoError(f"{path}: no such file")
    try:
        frame = next(iter(ImageSource(path).frames()))
    except SourceError:
        raise PhotoError(f"{path}: cannot be read as an image") from None
    try:
        return from_photo(frame.image, parts, face, parse)
    except RealtimeError as error:
        raise type(error)(f"{path}: {error}") from None
