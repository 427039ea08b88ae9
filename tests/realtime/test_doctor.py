"""`--doctor`: every line, and the exit code that scripts go by."""

from __future__ import annotations

from pathlib import Path

import pytest

import realtime.app.doctor as doctor
from engines import EngineError
from realtime.errors import ModelError, SinkError
from run_webcam import main


class FakeSpec:
    input_shape = (64, 64, 3)


class FakeEngine:
    spec = FakeSpec()
    description = "a stand-in"

    def infer(self, crops: object) -> None:
        pass

    def close(self) -> None:
        pass


@pytest.fixture(autouse=True)
def _no_hardware(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "load_engine", lambda *_, **__: (FakeEngine(), "engine: a stand-in (auto)"))
    monkeypatch.setattr(doctor, "usable_encoders", lambda _: ["libx264"])
    monkeypatch.setattr(doctor, "FaceDetector", lambda: FakeEngine())
    monkeypatch.setattr(doctor, "is_whole", lambda _: True)
    monkeypatch.setattr(doctor, "find_cameras", list)
    monkeypatch.setattr(doctor, "has_display", lambda: False)


def lines(capsys: pytest.CaptureFixture[str]) -> dict[str, tuple[str, str]]:
    """What was printed: by what was looked at, the mark and the text."""
    out = capsys.readouterr().out.splitlines()
    return {line[4:19].strip(): (line[:2].strip(), line[20:]) for line in out[:-1]}


def test_a_healthy_machine(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--doctor"]) == 0
    found = lines(capsys)
    assert found["engine"][0] == "ok"
    assert "a stand-in (auto); first face" in found["engine"][1]
    assert found["video files"] == ("ok", "written and read back, libx264 in .mp4")
    assert found["models"][0] == "ok"
    assert found["encoders"] == ("ok", found["encoders"][1])
    assert found["camera"][0] == "-", "the main job needs none"
    assert "--no-display" in found["display"][1]
    assert found["extra train"][0] == "ok", "the tests have it"
    assert "openvino" in found


@pytest.mark.parametrize("broken", ["engine", "models", "detector", "files"])
def test_what_the_main_job_needs_decides_the_exit_code(
    broken: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails(error: Exception) -> object:
        def fail(*_: object, **__: object) -> object:
            raise error

        return fail

    if broken == "engine":
        monkeypatch.setattr(doctor, "load_engine", fails(EngineError("nothing runs")))
    elif broken == "models":
        monkeypatch.setattr(doctor, "is_whole", lambda _: False)
    elif broken == "detector":
        monkeypatch.setattr(doctor, "FaceDetector", fails(ModelError("cannot be read")))
    else:
        monkeypatch.setattr(doctor, "VideoFileSink", fails(SinkError("no space")))
    assert main(["--doctor"]) == 1
    found = lines(capsys)
    row, text = {
        "engine": ("engine", "nothing runs"),
        "models": ("models", "python -m realtime setup"),
        "detector": ("models", "cannot be read"),
        "files": ("video files", "no space"),
    }[broken]
    assert found[row][0] == "NO"
    assert text in found[row][1]
    assert len([mark for mark, _ in found.values() if mark == "NO"]) == 1
    assert len(found) > 20, "the other checks go on"


def test_a_damaged_picture_is_noticed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Nothing:
        def frames(self) -> list[object]:
            return []

        def close(self) -> None:
            pass

    monkeypatch.setattr(doctor, "open_source", lambda _: Nothing())
    assert main(["--doctor"]) == 1
    assert "came back as levels []" in lines(capsys)["video files"][1]


def test_a_cache_that_cannot_be_written_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setattr(doctor, "user_folder", lambda: tmp_path / "file" / "cache")
    assert main(["--doctor"]) == 0
    mark, text = lines(capsys)["cache"]
    assert mark == "-"
    assert "set STN_ICNN_CACHE" in text
