"""What every effect is, and how its options are declared."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Protocol, cast, runtime_checkable

from realtime.errors import UsageError
from realtime.frames import Image, ParsedFace

Colour = tuple[int, int, int]
Shades = tuple[Colour, ...]
"""Colours from dark to light, at even steps of a part's pixels from its darkest tenth to its lightest."""

MOST_SHADES = 9


class Effect(Protocol):
    """Paints on an image by what was parsed; a frozen dataclass whose fields are its options."""

    @property
    def strength(self) -> float:
        """How much of it is seen, 0 (nothing) to 1; every effect has it."""
        ...

    def apply(self, image: Image, faces: Sequence[ParsedFace]) -> None:
        """Paint in place.

        Args:
            image: (H, W, 3) uint8 RGB, contiguous, the caller's own.
            faces: of this very image.
        """
        ...


def with_strength(effect: Effect, strength: float) -> Effect:
    """Return the same effect at another strength, 0 to 1; the given one stays as it is."""
    # Every effect is a frozen dataclass, which a protocol can't say.
    changed: Effect = replace(cast(Any, effect), strength=strength)
    return changed


@runtime_checkable
class Prepared(Protocol):
    """An effect that needs more than the faces."""

    def prepare(self) -> None:
        """Load it now, before the first frame.

        Raises:
            ModelError: if it can't be had.
        """
        ...


@runtime_checkable
class Cutting(Protocol):
    """An effect that cuts the background away."""

    color: Colour

    def matte(self, image: Image, faces: Sequence[ParsedFace]) -> Image:
        """Return (H, W) uint8: how opaque each pixel is."""
        ...


def parse_colour(text: str) -> Colour:
    """Read #rrggbb as (red, green, blue), each 0 to 255.

    Raises:
        UsageError: if it is not such a colour.
    """
    if not re.fullmatch(r"#[0-9a-fA-F]{6}", text):
        raise UsageError(f"bad colour {text!r}: write it as #rrggbb, for example #b3123f")
    return int(text[1:3], 16), int(text[3:5], 16), int(text[5:7], 16)


def parse_shades(text: str) -> Shades:
    """Read #rrggbb/#rrggbb/..., two to nine colours.

    Raises:
        UsageError: if it is anything else.
    """
    shades = tuple(parse_colour(part) for part in text.split("/")[: MOST_SHADES + 1])
    if not 2 <= len(shades) <= MOST_SHADES:
        raise UsageError(
            f"bad shades {text!r}: 2 to {MOST_SHADES} colours from dark to light, as #rrggbb/#rrggbb"
        )
    return shades


def parse_share(text: str) -> float:
    """Read a number from 0 to 1.

    Raises:
        UsageError: if it is none.
    """
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0.0 <= value <= 1.0:
        raise UsageError(f"bad number {text!r}: give one from 0 to 1")
    return value


def parse_switch(text: str) -> bool:
    """Read yes or no.

    Raises:
        UsageError: if it is neither.
    """
    if text not in ("yes", "no"):
        raise UsageError(f"bad value {text!r}: yes or no")
    return text == "yes"
