"""A photograph's look: which face, what is read of it, what is left out and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from realtime.effects import Effect, format_effect, with_strength
from realtime.effects.light import brightness
from realtime.effects.tone import to_lab
from realtime.errors import RealtimeError, UsageError
from realtime.frames import Image, ParsedFace
from realtime.likeness import norms
from realtime.likeness.measures import Measures, measure
from realtime.likeness.reading import LEAST_STRENGTH, READERS, Light

# Width of a face, pixels: below it lips and lids are a few pixels of no sure colour.
LEAST_WIDTH = 80.0


class PhotoError(RealtimeError):
    """No look can be read in a photograph."""


@dataclass(frozen=True)
class Look:
    """What a face in a photograph looks like.

    Attributes:
        effects: in the order they are painted.
        left_out: one line for each part that could not be judged: what, and why.
    """

    effects: tuple[Effect, ...]
    left_out: tuple[str, ...] = ()

    @property
    def texts(self) -> tuple[str, ...]:
        """Return the effects as `parse_effect` reads them."""
        return tuple(format_effect(effect) for effect in self.effects)


def check_parts(parts: Sequence[str] | None) -> tuple[str, ...]:
    """Return the parts whose look is read: all of them, or those named.

    Raises:
        UsageError: on one that is none.
    """
    unknown = [part for part in parts or () if part not in READERS]
    if unknown or (parts is not None and not parts):
        wrong = f"unknown part {unknown[0]!r}" if unknown else "no part"
        raise UsageError(f"{wrong}: one or more of {','.join(READERS)}")
    return tuple(name for name in READERS if parts is None or name in parts)


def read_look(
    image: Image, faces: Sequence[ParsedFace], parts: Sequence[str] | None = None, number: int | None = None
) -> Look:
    """Read the look of a face.

    Args:
        image: (H, W, 3) uint8 RGB.
        faces: found in it, largest first.
        parts: names of effects to read, see `READERS`; None for all.
        number: which face, from 1; None where there is one.

    Raises:
        PhotoError: without a face, or where its colours can't be read.
        UsageError: if the face is not named where there are several, or there is none of that number.
    """
    wanted = check_parts(parts)
    face = _choose(faces, number)
    width = face.box[2] - face.box[0]
    if width < LEAST_WIDTH:
        raise PhotoError(f"the face is {width:.0f} pixels wide: at least {LEAST_WIDTH:.0f} are needed")
    region = face.alignment.region(face.image_size)
    lab = to_lab(np.ascontiguousarray(image[region]))
    if max(float(np.abs(lab.a).mean()), float(np.abs(lab.b).mean())) < norms.GREY:
        raise PhotoError("the photo is black and white: it has no colours to read")
    found = measure(image, face)
    if found is None:
        raise PhotoError("too little of the face's skin is seen to judge colours by")
    light = Light.of(found, brightness(face, image))
    effects: list[Effect] = []
    for name in wanted:
        effect = READERS[name](found, light)
        if effect is not None and effect.strength >= LEAST_STRENGTH:
            effects.append(with_strength(effect, round(effect.strength, 2)))
    return Look(tuple(effects), tuple(_left_out(found, face, wanted)))


def _choose(faces: Sequence[ParsedFace], number: int | None) -> ParsedFace:
    if not faces:
        raise PhotoError("no face is found in it")
    if number is None and len(faces) > 1:
        raise UsageError(f"{len(faces)} faces are found: name one, 1 (the largest) to {len(faces)}")
    if number is not None and not 1 <= number <= len(faces):
        raise UsageError(f"there is no face {number}: found {len(faces)}")
    return faces[(number or 1) - 1]


def _left_out(found: Measures, face: ParsedFace, wanted: Sequence[str]) -> list[str]:
    """Return why parts were not judged."""
    glasses = float(face.plane("eye_g").sum()) > float(face.plane(("l_eye", "r_eye")).sum())
    hidden = "the eyes are behind dark glasses" if glasses else "the eyes are shut or not seen"
    reasons = [
        (found.eyes is None, ("eyeshadow", "eyeliner", "eyes"), hidden),
        (found.lips is None, ("lips",), "the lips are not seen"),
        (found.beard > norms.BEARD, ("skin", "blush"), "a beard covers the cheeks"),
        (found.hair is None or found.hair.area < norms.LEAST_HAIR, ("hair",), "too little hair is seen"),
    ]
    lines = []
    for there, parts, why in reasons:
        missing = [part for part in parts if part in wanted]
        if there and missing:
            lines.append(f"{', '.join(missing)}: left out, {why}")
    return lines
