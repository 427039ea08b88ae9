from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from realtime.__main__ import main
from realtime.app.gallery import COLUMNS
from realtime.effects import EFFECTS
from realtime.presets import PRESETS


def test_every_effect_and_preset_is_shown_and_differs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "sheet.png"
    assert main(["gallery", "--out", str(path)]) == 0
    assert capsys.readouterr().out == f"wrote {path}\n"
    sheet = np.asarray(cv2.imread(str(path)), np.uint8)
    side = sheet.shape[1] // COLUMNS
    height = sheet.shape[0] // -(-(len(EFFECTS) + len(PRESETS) + 2) // COLUMNS)
    tiles = [
        sheet[y + 30 : y + height, x : x + side]
        for y in range(0, sheet.shape[0], height)
        for x in range(0, sheet.shape[1], side)
    ]
    shown = tiles[1 : len(EFFECTS) + len(PRESETS) + 2]
    assert all((tile != tiles[0]).any() for tile in shown)
    assert [p.name for p in tmp_path.iterdir()] == ["sheet.png"]


def test_three_pictures_show_the_steps(tmp_path: Path) -> None:
    path = tmp_path / "steps.png"
    assert main(["gallery", "--steps", "--out", str(path)]) == 0
    before, parts, painted = np.split(np.asarray(cv2.imread(str(path)), np.int16)[30:], 3, axis=1)
    assert np.abs(parts - before).mean() > 10
    assert 1 < np.abs(painted - before).mean() < np.abs(parts - before).mean()


def test_three_pictures_show_a_look_that_was_read(tmp_path: Path) -> None:
    path = tmp_path / "like.png"
    assert main(["gallery", "--like", "--out", str(path)]) == 0
    photo, before, like = np.split(np.asarray(cv2.imread(str(path)), np.int16)[30:], 3, axis=1)
    assert np.abs(like - photo).mean() < 0.5 * np.abs(before - photo).mean()


@pytest.mark.parametrize(
    ("path", "code", "message"), [("sheet.txt", 2, "an image"), ("none/a.png", 1, "no such folder")]
)
def test_a_gallery_that_cannot_be_written_is_said(
    path: str, code: int, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["gallery", "--out", path]) == code
    assert message in capsys.readouterr().err
