from __future__ import annotations

from pathlib import Path

import pytest

from realtime.app.config import RunConfig
from realtime.effects import parse_effect
from realtime.effects.hair import Hair
from realtime.effects.lips import Lips
from realtime.errors import SinkError, UsageError
from realtime.presets import PRESETS, describe_presets, load_preset, save_preset


def test_five_presets_are_shipped() -> None:
    assert PRESETS == ("copper", "evening", "meeting", "natural", "neon")


@pytest.mark.parametrize("name", PRESETS)
def test_a_shipped_preset_is_whole(name: str) -> None:
    preset = load_preset(name)
    assert preset.about
    assert len([parse_effect(text) for text in preset.effects]) >= 3
    assert f"{name} " in describe_presets()


def test_what_is_saved_is_read_back(tmp_path: Path) -> None:
    effects = (Lips((1, 2, 3), 0.25, 1.0), Hair(tips=(9, 8, 7)), parse_effect("background:fill=#0a0b0c"))
    path = tmp_path / "mine.toml"
    save_preset(path, effects)
    assert tuple(parse_effect(text) for text in load_preset(str(path)).effects) == effects
    assert [p.name for p in tmp_path.iterdir()] == ["mine.toml"]


def test_a_preset_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    with pytest.raises(SinkError, match="cannot be written"):
        save_preset(tmp_path / "none" / "mine.toml", (Lips(),))


def test_effects_come_after_the_preset() -> None:
    config = RunConfig(preset="natural", effects=("hair",))
    assert len(config.parsed_effects) == len(load_preset("natural").effects) + 1
    assert config.parsed_effects[-1] == Hair()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "unknown preset .*: one of copper, evening"),
        ("effects = [", "cannot be read"),
        ("effects = []", "needs a list"),
        ("effects = [3]", "needs a list"),
        ('effects = ["beard"]', "unknown effect 'beard'"),
        ('effects = ["lips"]\nspeed = 3', "knows only"),
    ],
)
def test_what_is_wrong_with_a_preset_is_said(content: str | None, message: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    if content is not None:
        path.write_text(content)
    with pytest.raises(UsageError, match=message):
        load_preset(str(path))
