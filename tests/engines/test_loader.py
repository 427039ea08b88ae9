from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from engines import EngineError, EngineUnavailable, load_engine
from engines.__main__ import main
from stn_icnn.checkpoint import Checkpoint

WITHOUT_TORCH = """
import sys
sys.modules["torch"] = None  # any import of it fails
import numpy as np
from engines import load_engine
engine, line = load_engine("auto", threads=1)
assert engine.infer(np.zeros((1, 256, 256, 3), np.uint8)).shape[1] == 19
print(line)
"""


def test_auto_takes_openvino_without_torch_and_says_so() -> None:
    done = subprocess.run([sys.executable, "-c", WITHOUT_TORCH], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("engine: realtime ")
    assert "OpenVINO" in done.stdout
    assert len(done.stdout.splitlines()) == 1


def test_auto_falls_to_eager_and_tells_why(tiny_checkpoint: Checkpoint) -> None:
    engine, line = load_engine("auto", tiny_checkpoint.path, threads=1)
    assert "PyTorch" in engine.description
    assert "openvino: no OpenVINO network beside tiny.safetensors" in line


def test_a_named_backend_never_falls_back(tiny_checkpoint: Checkpoint) -> None:
    with pytest.raises(EngineUnavailable, match="python -m engines build"):
        load_engine("openvino", tiny_checkpoint.path)


def test_unknown_backends_are_listed() -> None:
    with pytest.raises(EngineError, match="one of auto, openvino, eager"):
        load_engine("cuda")


def test_damaged_weights_are_refused_before_anything_runs(tiny_checkpoint: Checkpoint) -> None:
    tiny_checkpoint.path.write_bytes(b"not weights")
    with pytest.raises(EngineError, match="damaged"):
        load_engine("auto", tiny_checkpoint.path)


def test_build_writes_a_network_that_openvino_runs(
    tiny_checkpoint: Checkpoint, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    args = ["build", "--weights", str(tiny_checkpoint.path), "--out", str(out), "--half"]
    assert main(args) == 0
    assert "largest difference" in capsys.readouterr().out
    assert sorted(p.name for p in out.iterdir()) == [
        "tiny.bin",
        "tiny.json",
        "tiny.safetensors",
        "tiny.xml",
    ]
    assert (out / "tiny.safetensors").stat().st_size < tiny_checkpoint.path.stat().st_size
    engine, line = load_engine("auto", out / "tiny.safetensors", threads=1)
    assert "OpenVINO" in line
    engine.close()
    (out / "tiny.bin").write_bytes(b"x")
    with pytest.raises(EngineError, match=r"tiny\.bin: damaged"):
        load_engine("auto", out / "tiny.safetensors")


def test_list_names_every_backend(capsys: pytest.CaptureFixture[str], tiny_checkpoint: Checkpoint) -> None:
    assert main(["list", "--weights", str(tiny_checkpoint.path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("openvino   no: no OpenVINO network")
    assert lines[1].startswith("eager      PyTorch")


def test_errors_exit_with_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["build", "--weights", str(tmp_path / "none.safetensors")]) == 1
    assert capsys.readouterr().err.startswith("error: ")
