"""The effects by name, and the reading of `NAME:key=value,key=value`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from typing import Any

from realtime.effects.background import Background
from realtime.effects.blush import Blush
from realtime.effects.brows import Brows
from realtime.effects.cutout import Cutout
from realtime.effects.effect import Effect, parse_colour, parse_shades, parse_share, parse_switch
from realtime.effects.eyeliner import Eyeliner
from realtime.effects.eyes import Eyes
from realtime.effects.eyeshadow import Eyeshadow
from realtime.effects.hair import Hair
from realtime.effects.lips import Lips
from realtime.effects.overlay import Overlay
from realtime.effects.pixelate import Pixelate
from realtime.effects.skin import Skin
from realtime.effects.teeth import Teeth
from realtime.errors import UsageError

EFFECTS: Mapping[str, type[Any]] = {
    "skin": Skin,
    "blush": Blush,
    "eyeshadow": Eyeshadow,
    "eyeliner": Eyeliner,
    "eyes": Eyes,
    "brows": Brows,
    "lips": Lips,
    "teeth": Teeth,
    "hair": Hair,
    "background": Background,
    "cutout": Cutout,
    "pixelate": Pixelate,
    "overlay": Overlay,
}

# What paints more than the inner face: hair, clothes, all there is of a person.
_WHOLE_HEAD = (Hair, Background, Cutout, Overlay)


def _or_none(read: Callable[[str], Any]) -> Callable[[str], Any]:
    return lambda text: None if text == "none" else read(text)


# By the option's declared type, as written.
_READERS: Mapping[str, Callable[[str], Any]] = {
    "Colour": parse_colour,
    "Colour | None": _or_none(parse_colour),
    "Shades | None": _or_none(parse_shades),
    "float": parse_share,
    "float | None": _or_none(parse_share),
    "bool": parse_switch,
    "str": str,
}


def parse_effect(text: str, files: bool = True) -> Effect:
    """Make an effect of what a user writes, for example "lips:color=#b3123f,strength=0.8".

    Args:
        text: as written.
        files: whether an option may name a file of this machine; not where the text comes from elsewhere.

    Raises:
        UsageError: on an unknown effect or option or a bad value; the message lists the good ones.
    """
    name, _, rest = text.partition(":")
    kind = EFFECTS.get(name)
    if kind is None:
        raise UsageError(f"unknown effect {name!r}: one of {', '.join(EFFECTS)}")
    readers = _options(kind)
    values: dict[str, Any] = {}
    for item in filter(None, rest.split(",")):
        key, equals, value = item.partition("=")
        if key not in readers or not equals:
            raise UsageError(f"effect {name}: bad option {item!r}: one of {', '.join(readers)}, as key=value")
        reader = readers[key] if files or readers[key] is not str else _blur_or_colour
        values[key] = reader(value)
    effect: Effect = kind(**values)
    return effect


def effect_name(effect: Effect) -> str:
    """Return what users call an effect, such as "lips"."""
    return next(name for name, kind in EFFECTS.items() if type(effect) is kind)


def format_effect(effect: Effect) -> str:
    """Return what `parse_effect` makes the same effect of, with every option."""
    name = effect_name(effect)
    options = (f"{field.name}={_show(getattr(effect, field.name))}" for field in fields(EFFECTS[name]))
    return f"{name}:{','.join(options)}"


def describe_effects() -> str:
    """Return one line an effect with its options and their defaults, for the help text."""
    lines = []
    for name, kind in EFFECTS.items():
        options = ",".join(f"{option.name}={_show(option.default)}" for option in fields(kind))
        lines.append(f"  {name}:{options}")
    return "\n".join(lines)


def _blur_or_colour(text: str) -> str:
    if text != "blur":
        parse_colour(text)
    return text


def _options(kind: type[Any]) -> dict[str, Callable[[str], Any]]:
    return {option.name: _READERS[str(option.type)] for option in fields(kind)}


def _show(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None:
        return "none"
    if isinstance(value, str):
        return value
    if isinstance(value, tuple) and isinstance(value[0], tuple):
        return "/".join(map(_show, value))
    if isinstance(value, tuple):
        return "#" + "".join(f"{part:02x}" for part in value)
    return f"{value:g}"


def need_the_whole_head(effects: Sequence[Effect]) -> bool:
    """Say whether any of the effects paints more of a person than the inner face."""
    return any(isinstance(effect, _WHOLE_HEAD) for effect in effects)
