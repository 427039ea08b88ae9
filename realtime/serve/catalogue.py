"""What the page can offer: effects with their options and presets, as JSON-ready data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import MISSING, fields
from typing import Any

from realtime.effects import EFFECTS, Effect, format_effect
from realtime.presets import PRESETS, load_preset

# What a control of the page is, by the option's declared type.
_KINDS = {
    "Colour": "colour",
    "Colour | None": "colour or none",
    "Shades | None": "shades or none",
    "float": "share",
    "float | None": "share or none",
    "bool": "switch",
    # Of the texts an effect takes the page offers all but files.
    "str": "fill",
}


def catalogue(effects: Sequence[Effect]) -> dict[str, Any]:
    """Return everything that the page offers.

    Args:
        effects: what is on at first.

    Returns:
        "effects": name and "options" of each, an option being its name, kind and default as text;
        "presets": name, a line about it and its effects; "start": the first effects as text.
    """
    presets = {name: load_preset(name) for name in PRESETS}
    return {
        "effects": [{"name": name, "options": _options(name)} for name in EFFECTS],
        "presets": [
            {"name": name, "about": preset.about, "effects": preset.effects}
            for name, preset in presets.items()
        ],
        "start": [format_effect(effect) for effect in effects],
    }


def _options(name: str) -> list[dict[str, str]]:
    kind = EFFECTS[name]
    assert all(field.default is not MISSING for field in fields(kind)), "every option has a default"
    values = format_effect(kind()).partition(":")[2].split(",")
    return [
        {"name": field.name, "kind": _KINDS[str(field.type)], "default": value.partition("=")[2]}
        for field, value in zip(fields(kind), values, strict=True)
    ]
