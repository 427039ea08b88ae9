"""Lists of effects: presets in TOML files, shipped or the user's own, and the look of a photograph."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from realtime.effects import Effect, format_effect, parse_effect
from realtime.errors import UsageError
from realtime.presets.photo import from_photo, from_photo_file
from realtime.sinks.sink import write_text

__all__ = [
    "PRESETS",
    "Preset",
    "describe_presets",
    "from_photo",
    "from_photo_file",
    "load_preset",
    "save_preset",
]

_FOLDER = Path(__file__).parent
PRESETS: tuple[str, ...] = tuple(sorted(path.stem for path in _FOLDER.glob("*.toml")))
"""Names of the shipped presets."""

_KEYS = {"about", "effects"}


@dataclass(frozen=True)
class Preset:
    """A list of effects.

    Attributes:
        about: one line for people.
        effects: in the order they are painted, as `parse_effect` reads them.
    """

    about: str
    effects: tuple[str, ...]


def load_preset(name: str) -> Preset:
    """Read a shipped preset by its name, or a user's by its file.

    Raises:
        UsageError: if there is none, or it can't be read; the message says what is wrong with it.
    """
    path = _FOLDER / f"{name}.toml" if name in PRESETS else Path(name)
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UsageError(
            f"unknown preset {name!r}: one of {', '.join(PRESETS)}, or a TOML file of your own"
        ) from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"preset {name}: cannot be read: {error}") from None
    return _checked(name, content)


def _checked(name: str, content: dict[str, Any]) -> Preset:
    effects, about = content.get("effects"), content.get("about", "")
    if not isinstance(effects, list) or not all(isinstance(text, str) for text in effects) or not effects:
        raise UsageError(f'preset {name}: needs a list such as effects = ["lips:strength=0.5"]')
    if set(content) - _KEYS or not isinstance(about, str):
        raise UsageError(f"preset {name}: knows only `effects` and a line `about` it")
    try:
        for text in effects:
            parse_effect(text)
    except UsageError as error:
        raise UsageError(f"preset {name}: {error}") from None
    return Preset(about, tuple(effects))


def save_preset(path: Path, effects: Sequence[Effect]) -> None:
    """Write effects as a preset, under a temporary name first.

    Raises:
        SinkError: if it can't be written.
    """
    lines = "".join(f"    {_quoted(format_effect(effect))},\n" for effect in effects)
    write_text(path, f'about = "saved from a run"\neffects = [\n{lines}]\n')


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def describe_presets() -> str:
    """Return one line a shipped preset, for the help text."""
    return "\n".join(f"  {name:9s} {load_preset(name).about}" for name in PRESETS)
