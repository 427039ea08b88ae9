from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import pytest

from realtime.frames import Image
from realtime.pipeline.threads import engine_threads, hold_opencv
from run_webcam import main
from tests.conftest import VideoMaker


@pytest.mark.parametrize(("cores", "throughput"), [(1, 1), (2, 1), (4, 2), (16, 8)])
def test_a_files_engine_leaves_half_of_the_cores_to_the_other_stages(
    cores: int, throughput: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("realtime.pipeline.threads.available_cores", lambda: cores)
    assert engine_threads(throughput=True) == throughput
    assert engine_threads(throughput=False) == cores


def test_opencv_computes_in_the_thread_that_calls_it() -> None:
    cv2.setNumThreads(3)
    hold_opencv()
    assert cv2.getNumThreads() == 1


@pytest.mark.parametrize(
    ("flags", "threads"),
    [((), 2), (("--threads", "3"), 3), (("--tta", "2"), 4)],
    ids=["file", "asked", "tta"],
)
def test_what_a_video_file_takes(
    flags: Sequence[str],
    threads: int,
    make_video: VideoMaker,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("realtime.pipeline.threads.available_cores", lambda: 4)
    assert main(["--source", str(make_video(frames=2)), "--no-display", "--effect", "lips", *flags]) == 0
    assert f", {threads} threads)" in capsys.readouterr().err


def test_an_image_has_every_core(
    portrait: Image, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("realtime.pipeline.threads.available_cores", lambda: 4)
    photo = tmp_path / "photo.png"
    cv2.imwrite(str(photo), portrait[..., ::-1])
    assert main(["--source", str(photo), "--effect", "lips", "--output", str(tmp_path / "out.png")]) == 0
    assert ", 4 threads)" in capsys.readouterr().err
