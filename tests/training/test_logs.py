from __future__ import annotations

from pathlib import Path

import cv2
import pytest

from training.__main__ import main
from training.logs import Log


def write_run(folder: Path, epochs: int) -> Path:
    folder.mkdir()
    with Log(folder) as log:
        for epoch in range(1, epochs + 1):
            row: dict[str, float | str] = {"phase": "coarse" if epoch < 3 else "end_to_end", "epoch": epoch}
            row |= {"loss": 1.0 / epoch, "seconds": 1.0}
            if epoch % 2 == 0:
                row |= {"mean_f1_19": 0.1 * epoch, "paper_overall_f1": 0.2, "mean_iou_19": 0.1}
            log.write(epoch, row)
    return folder


def test_a_run_is_logged_for_people_and_for_tensorboard(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", 3)
    events = list((folder / "tensorboard").iterdir())
    assert b"coarse/mean_f1_19" in events[0].read_bytes()
    with Log(folder) as log:
        log.write(4, {"phase": "end_to_end", "epoch": 2, "loss": 0.1, "seconds": 1.0})
    lines = (folder / "log.csv").read_text().splitlines()
    assert len(lines) == 5, "one head line, rows appended on resuming"
    assert lines[2] == "coarse,2,1.0,0.5,0.2,0.2,0.1"


def test_curves_are_drawn_as_png(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs = [str(write_run(tmp_path / name, 4)) for name in ("one", "two")]
    out = tmp_path / "curves.png"
    assert main(["plot", *runs, "--out", str(out)]) == 0
    assert f"drawn: {out}" in capsys.readouterr().out
    picture = cv2.imread(str(out))
    assert picture is not None
    assert picture.shape[1] > 2 * picture.shape[0]
    assert len({tuple(p) for p in picture.reshape(-1, 3).tolist()}) > 20, "more than an empty page"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "cannot be read"),
        ("phase,epoch\ncoarse,1\n", "no training log"),
        ("phase,epoch,seconds,loss,mean_f1_19\ncoarse,1,2,much,0.5\n", "no training log"),
        ("phase,epoch,seconds,loss,mean_f1_19\ncoarse,1,2,0.5,\n", "no epoch with a validation"),
    ],
)
def test_what_is_no_log_is_said(
    text: str | None, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if text is not None:
        (tmp_path / "log.csv").write_text(text)
    assert main(["plot", str(tmp_path), "--out", str(tmp_path / "c.png")]) == 1
    assert message in capsys.readouterr().err
    assert not (tmp_path / "c.png").exists()
