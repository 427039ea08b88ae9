from __future__ import annotations

from pathlib import Path

import cv2
import pytest

from benchmarks.__main__ import main
from benchmarks.report import read_json
from realtime.likeness import READERS
from realtime.presets import PRESETS
from tests.conftest import Image


@pytest.fixture
def photos(tmp_path: Path, portrait: Image) -> Path:
    """Two photos of one face, one of them warmer and closer, and one without colours."""
    (tmp_path / "images").mkdir()
    close = cv2.resize(portrait[:300, 80:380], (512, 512), interpolation=cv2.INTER_CUBIC)
    grey = cv2.cvtColor(cv2.cvtColor(portrait, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    for name, image in (("one", portrait), ("two", close), ("grey", grey)):
        cv2.imwrite(str(tmp_path / "images" / f"{name}.jpg"), image[..., ::-1])
    (tmp_path / "val.txt").write_text("one\ntwo\ngrey\n")
    return tmp_path


def test_a_look_is_read_back_and_carried(photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    json, sheet = photos / "figures.json", photos / "sheet.png"
    command = [
        "likeness",
        "--data",
        str(photos),
        "--threads",
        "1",
        "--json",
        str(json),
        "--sheet",
        str(sheet),
    ]
    assert main(command) == 0
    assert "grey: left out: the photo is black and white" in capsys.readouterr().out
    _, (result,) = read_json(json)
    assert result.settings["photos"] == 2
    by_name = {row.name: row.figures for row in result.rows}
    plain = by_name["unpainted"]
    assert {f"{name}_left_out" for name in READERS} < set(plain)
    assert plain["hair_left_out"] == 0.0
    assert plain["blush_left_out"] == 1.0
    assert 0.0 < float(plain["parse_and_read_ms"] or 0.0) < 5000.0
    assert set(PRESETS) < set(by_name)
    assert float(by_name["evening"]["lips_de2000"] or 99.0) < 6.0
    assert "lips_left_out" not in by_name["evening"], "it has lips"
    carried = by_name["photos painted by evening"]
    assert carried["hair_pairs"] == carried["lips_pairs"] == 6
    picture = cv2.imread(str(sheet))
    assert picture is not None
    assert picture.shape == (256, 3 * 256, 3)


def test_norms_are_percentiles_of_what_is_measured(photos: Path) -> None:
    json = photos / "figures.json"
    assert main(["likeness", "--data", str(photos), "--threads", "1", "--norms", "--json", str(json)]) == 0
    _, (result,) = read_json(json)
    by_name = {row.name: row.figures for row in result.rows}
    assert by_name["skin L"]["faces"] == 2
    assert 40.0 < float(by_name["skin L"]["p50"] or 0.0) < 90.0
    low, high = (float(by_name["lips less skin a"][name] or 0.0) for name in ("p5", "p95"))
    assert low < high


def test_what_it_needs_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["likeness"]) == 2
    assert "needs photos of faces: --data DIR" in capsys.readouterr().err
    assert main(["likeness", "--data", str(tmp_path)]) == 1
    assert "val.txt" in capsys.readouterr().err
