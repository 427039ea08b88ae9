"""The gallery: every effect and preset on the demo's portrait, as one labelled picture."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import cv2
import numpy as np

from realtime.effects.registry import EFFECTS, parse_effect
from realtime.frames import Image, ParsedFace
from realtime.parser import FaceParser
from realtime.presets import PRESETS, from_photo, load_preset
from realtime.sources.demo import demo_portrait

# What an effect is shown with where its defaults would hardly be seen at this size.
SHOWN = {
    "skin": "skin:strength=1,even=0.6",
    "blush": "blush:strength=0.7",
    "eyes": "eyes:strength=0.8",
    "eyeshadow": "eyeshadow:strength=0.8",
    "teeth": "teeth:strength=1",
    "brows": "brows:strength=0.8",
    "background": "background:strength=1",
    "overlay": "overlay:legend=no",
}
# The part of the portrait that is shown, x0, y0, x1, y1, and how much it is enlarged.
WINDOW, ZOOM = (112, 0, 332, 220), 2
COLUMNS, TILE, CAPTION = 5, 300, 30


PAINTED = ("lips:color=#b3123f", "hair:color=#6a2c70", "skin", "eyeshadow")
STEPS: tuple[tuple[str, Sequence[str]], ...] = (
    ("before", []),
    ("parts", ["overlay:strength=0.8,legend=no"]),
    ("painted", [*PAINTED]),
)
"""What the three pictures of `--steps` are captioned and painted with."""


PHOTO = [*load_preset("evening").effects, "hair:color=#8a3f1e,strength=0.85,highlights=0.5"]
"""What the portrait is painted with to stand for the photo of `--like`."""


def gallery(shown: str = "effects") -> Image:
    """Return the contact sheet, (H, W, 3) uint8 RGB.

    Args:
        shown: "effects" and presets; "steps": before, its parts, painted; or "like": a photo, before, painted
            with the look of the photo.

    Raises:
        SourceError: if the portrait is not installed.
        ModelError: if a model can't be had.
    """
    size = (demo_portrait().shape[1] * ZOOM, demo_portrait().shape[0] * ZOOM)
    portrait = np.asarray(cv2.resize(demo_portrait(), size, interpolation=cv2.INTER_CUBIC), np.uint8)
    with FaceParser(max_faces=1) as parser:
        faces = parser.parse(portrait)
        if shown == "like":
            wanted = _like(portrait, faces, parser)
        else:
            wanted = iter(STEPS) if shown == "steps" else _wanted()
        tiles = [_tile(caption, effects, portrait, faces) for caption, effects in wanted]
    if shown != "effects":
        return np.hstack(tiles)
    blank = np.zeros_like(tiles[0])
    tiles += [blank] * (math.ceil(len(tiles) / COLUMNS) * COLUMNS - len(tiles))
    return np.vstack([np.hstack(tiles[i : i + COLUMNS]) for i in range(0, len(tiles), COLUMNS)])


def _wanted() -> Iterator[tuple[str, Sequence[str]]]:
    yield "as it is", []
    for name in EFFECTS:
        yield name, [SHOWN.get(name, name)]
    yield "hair, blonde", ["hair:color=#d8b890,strength=1"]
    for name in PRESETS:
        yield f"preset {name}", list(load_preset(name).effects)


def _like(
    portrait: Image, faces: Sequence[ParsedFace], parser: FaceParser
) -> Iterator[tuple[str, Sequence[str]]]:
    yield "a photo", PHOTO
    yield "before", []
    yield "like the photo", from_photo(_painted(portrait, faces, PHOTO), parse=parser.parse).texts


def _painted(portrait: Image, faces: Sequence[ParsedFace], effects: Sequence[str]) -> Image:
    image = portrait.copy()
    for text in effects:
        parse_effect(text).apply(image, faces)
    return image


def _tile(caption: str, effects: Sequence[str], portrait: Image, faces: Sequence[ParsedFace]) -> Image:
    image = _painted(portrait, faces, effects)
    x0, y0, x1, y1 = (ZOOM * value for value in WINDOW)
    tile = cv2.resize(image[y0:y1, x0:x1], (TILE, TILE), interpolation=cv2.INTER_AREA)
    framed = cv2.copyMakeBorder(tile, CAPTION, 4, 4, 4, cv2.BORDER_CONSTANT, value=(24, 24, 24))
    place = (10, CAPTION - 10)
    cv2.putText(framed, caption, place, cv2.FONT_HERSHEY_SIMPLEX, 0.6, (235, 235, 235), 1, cv2.LINE_AA)
    return np.asarray(framed, np.uint8)
