from __future__ import annotations

import contextlib
import io
import os
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import openvino
import pytest

from engines import BACKENDS, Engine, EngineError, EngineUnavailable, load_engine
from engines.__main__ import main
from engines.engine import EngineOptions, Probabilities
from engines.gpu import Gpu
from engines.loader import GPU_BACKENDS, Factory
from engines.parity import LEAST_AGREEMENT, sample_crops
from engines.quantize import kept_as_floats, release_int8
from stn_icnn.checkpoint import Checkpoint, read_checkpoint, save_checkpoint
from stn_icnn.packing import Packing
from tests.conftest import make_network, mouth_alone

WITHOUT_TORCH = """
import sys
sys.modules["torch"] = None  # any import of it fails
import numpy as np
from engines import load_engine
engine, line = load_engine("auto", threads=1)
assert engine.infer(np.zeros((1, *engine.spec.input_shape), np.uint8)).shape[1] == 19
print(line)
"""


def test_auto_takes_openvino_without_torch_and_says_so() -> None:
    done = subprocess.run([sys.executable, "-c", WITHOUT_TORCH], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("engine: realtime ")
    assert "OpenVINO" in done.stdout
    assert len(done.stdout.splitlines()) == 1


def refusing(*names: str) -> dict[str, Factory]:
    """All back-ends, of which some can't run."""

    def refuse(checkpoint: Checkpoint, options: EngineOptions, name: str) -> Engine:
        raise EngineUnavailable(f"{name} is missing; pip install {name}")

    return {name: partial(refuse, name=name) if name in names else BACKENDS[name] for name in BACKENDS}


def test_auto_falls_on_and_tells_every_reason(
    mouth_checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engines.loader.BACKENDS", refusing("openvino", "onnx"))
    engine, line = load_engine("auto", mouth_checkpoint.path, threads=1)
    assert "PyTorch" in engine.description
    assert "(auto; no GPU: " in line
    assert "openvino: openvino is missing; pip install openvino; onnx: onnx is missing" in line
    assert len(line.splitlines()) == 1


def test_a_named_backend_never_falls_back(
    mouth_checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engines.loader.BACKENDS", refusing("openvino"))
    with pytest.raises(EngineUnavailable, match="openvino is missing; pip install openvino"):
        load_engine("openvino", mouth_checkpoint.path)


def test_with_a_gpu_its_backends_come_first(
    released: tuple[Path, int, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engines.loader.find_gpu", lambda: Gpu("Test GPU", "9.0", 13000))
    monkeypatch.setattr("engines.loader.BACKENDS", refusing(*GPU_BACKENDS))
    _, line = load_engine("auto", released[0] / "tiny.safetensors", threads=1)
    reasons = line[line.index("(auto") :].split("; ")
    assert reasons[1] == "GPU: Test GPU"
    assert [reason.split(":")[0] for reason in reasons if "is missing" in reason] == list(GPU_BACKENDS)
    assert "OpenVINO" in line


def test_a_gpu_may_be_required(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_gpu() -> Gpu:
        raise EngineUnavailable("no NVIDIA driver")

    monkeypatch.setattr("engines.loader.find_gpu", no_gpu)
    with pytest.raises(EngineUnavailable, match="no engine can use one here: no GPU: no NVIDIA driver"):
        load_engine("auto", require_gpu=True)
    with pytest.raises(EngineError, match="openvino runs on the CPU, and a GPU is required"):
        load_engine("openvino", require_gpu=True)


def test_a_precision_that_a_backend_lacks_is_refused(mouth_checkpoint: Checkpoint) -> None:
    for backend, precision in (("eager", "int8"), ("onnx", "fp16"), ("openvino", "int8")):
        with pytest.raises(EngineUnavailable, match=f"has no {precision}"):
            load_engine(backend, mouth_checkpoint.path, precision=precision)


def test_unknown_backends_are_listed() -> None:
    with pytest.raises(EngineError, match=r"one of auto, tensorrt, .*openvino, onnx, eager"):
        load_engine("cuda")


def test_damaged_weights_are_refused_before_anything_runs(mouth_checkpoint: Checkpoint) -> None:
    mouth_checkpoint.path.write_bytes(b"not weights")
    with pytest.raises(EngineError, match="damaged"):
        load_engine("auto", mouth_checkpoint.path)


def photos(folder: Path, count: int) -> Path:
    folder.mkdir()
    for index, crop in enumerate(sample_crops(Packing(96, 32), count)):
        cv2.imwrite(str(folder / f"{index:03d}.png"), crop[..., ::-1])
    return folder


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, int, list[str]]:
    """Of a network with one part: the release, the size of what it was made of, and what was said."""
    folder = tmp_path_factory.mktemp("release")
    network, out, said = make_network(mouth_alone()), folder / "out", io.StringIO()
    trained = save_checkpoint(network, network.state_dict(), folder / "tiny.safetensors").path
    args = ["release", "--weights", str(trained), "--out", str(out), "--half"]
    with contextlib.redirect_stdout(said):
        assert main([*args, "--calibration", str(photos(folder / "faces", 12))]) == 0
    return out, trained.stat().st_size, said.getvalue().splitlines()


def test_a_release_has_both_networks_and_says_how_good_they_are(
    released: tuple[Path, int, list[str]], tmp_path: Path
) -> None:
    made, size, said = released
    lines = [line for line in said if str(made) in line]
    out = shutil.copytree(made, tmp_path / "out")
    assert "tiny.xml: 100.00% of labels as eager" in lines[0]
    assert "tiny.int8.xml: " in lines[2]
    assert lines[2].endswith("4 faces"), "a third is kept back from the calibration"
    assert "tiny.fp16.onnx: " in lines[1]
    endings = ["bin", "fp16.onnx", "int8.bin", "int8.xml", "json", "safetensors", "xml"]
    assert sorted(p.name for p in out.iterdir()) == [f"tiny.{ending}" for ending in endings]
    assert (out / "tiny.safetensors").stat().st_size < size
    weights = out / "tiny.safetensors"
    assert read_checkpoint(weights).parity["tiny.int8.xml"]["agreement"] >= 0.99
    quantized = openvino.Core().read_model(weights.with_suffix(".int8.xml"))
    rounded = {each.get_friendly_name() for each in quantized.get_ops() if "Fake" in each.get_type_name()}
    assert rounded
    assert not rounded & set(kept_as_floats(quantized)), "nor anything up to logits and places to sample at"
    for precision in ("int8", "fp32"):
        engine, line = load_engine("auto", weights, threads=1, precision=precision)
        assert f"1 threads), {precision}" in line
        engine.close()
    (out / "tiny.int8.bin").write_bytes(b"x")
    with pytest.raises(EngineError, match=r"tiny\.int8\.bin: damaged"):
        load_engine("auto", weights)


def test_a_release_of_weights_only_has_nothing_compiled(mouth_checkpoint: Checkpoint, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert (
        main(["release", "--weights", str(mouth_checkpoint.path), "--out", str(out), "--weights-only"]) == 0
    )
    released = sorted(path.name for path in out.iterdir())
    assert released == ["tiny.json", "tiny.safetensors"]
    assert read_checkpoint(out / "tiny.safetensors").files.keys() == {"tiny.safetensors"}


def test_a_network_that_quantisation_spoils_is_not_released(
    released: tuple[Path, int, list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(LEAST_AGREEMENT, "int8", 1.1)
    out = shutil.copytree(released[0], tmp_path / "out", ignore=shutil.ignore_patterns("*.int8.*"))
    before = (out / "tiny.json").read_text()
    with pytest.raises(EngineError, match="not the same"):
        release_int8(read_checkpoint(out / "tiny.safetensors"), sample_crops(Packing(64, 32), 3))
    left = sorted(path.suffix for path in out.iterdir())
    assert left == [".bin", ".json", ".onnx", ".safetensors", ".xml"]
    assert (out / "tiny.json").read_text() == before


def test_calibration_needs_photos(
    mouth_checkpoint: Checkpoint, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    args = ["release", "--weights", str(mouth_checkpoint.path), "--out", str(tmp_path / "out")]
    assert main([*args, "--calibration", str(tmp_path)]) == 1
    assert "at least two" in capsys.readouterr().err
    for name in "ab":
        (tmp_path / f"{name}.jpg").write_bytes(b"no photo")
    assert main([*args, "--calibration", str(tmp_path)]) == 1
    assert "a.jpg: unreadable" in capsys.readouterr().err


@pytest.mark.parametrize("backend", ["openvino", "onnx"])
def test_own_weights_are_compiled_once_into_the_cache(
    backend: str, mouth_checkpoint: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engines.cache.user_folder", lambda: tmp_path / "user")
    said: list[str] = []
    for _ in range(2):
        engine, _ = load_engine(backend, mouth_checkpoint.path, threads=1, report=said.append)
        engine.close()
    assert sum(line.startswith("built in ") for line in said) == 1
    assert said[0].startswith(f"building the {backend} fp32 engine of tiny")
    blocked = """
import sys
from pathlib import Path
sys.modules["torch"] = None
from engines import load_engine
engine, _ = load_engine(sys.argv[1], Path(sys.argv[2]), threads=1)
print(engine.description)
"""
    environment = {**os.environ, "STN_ICNN_CACHE": str(tmp_path / "user")}
    args = [sys.executable, "-c", blocked, backend, str(mouth_checkpoint.path)]
    done = subprocess.run(args, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    assert ", fp32" in done.stdout, "what is in the cache runs without PyTorch"
    shutil.rmtree(tmp_path / "user")
    done = subprocess.run(args, capture_output=True, text=True, env=environment)
    assert "building one needs PyTorch" in done.stderr


def test_the_commands_build_list_check_and_clear(
    mouth_checkpoint: Checkpoint,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("engines.cache.user_folder", lambda: tmp_path / "user")
    weights = ["--weights", str(mouth_checkpoint.path)]
    assert main(["build", *weights, "--backend", "openvino", "--precision", "fp32", "--max-batch", "4"]) == 0
    assert "OpenVINO" in capsys.readouterr().out
    assert main(["list", *weights]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[: len(BACKENDS)]] == list(BACKENDS)
    by_name = {line.split()[0]: line for line in lines[: len(BACKENDS)]}
    assert "OpenVINO" in by_name["openvino"]
    assert "no: not compiled yet; python -m engines build --backend onnx" in by_name["onnx"]
    assert "1 compiled networks" in lines[len(BACKENDS)]
    assert lines[-1].startswith("  tiny-openvino-fp32-")
    assert "100.00% of labels" in lines[-1]
    faces = photos(tmp_path / "faces", 3)
    assert main(["check", *weights, "--backend", "openvino", "--faces", str(faces)]) == 0
    assert "3 faces: 100.00% of labels as eager" in capsys.readouterr().out
    assert main(["clear"]) == 0
    assert "compiled networks deleted" in capsys.readouterr().out
    assert not list((tmp_path / "user" / "engines").iterdir())


def test_errors_exit_with_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["build", "--weights", str(tmp_path / "none.safetensors")]) == 1
    assert capsys.readouterr().err.startswith("error: ")


def test_a_shipped_network_is_kept_as_it_was_compiled_and_a_damaged_one_is_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engines.cache.user_folder", lambda: tmp_path)
    # A face alone and two at once.
    crops = sample_crops(Packing.of(read_checkpoint().network), 3)
    said: list[str] = []

    def once() -> Probabilities:
        engine, _ = load_engine("openvino", threads=2, precision="int8", report=said.append)
        try:
            return engine.infer(crops)
        finally:
            engine.close()

    first = once()
    _, kept = sorted((tmp_path / "engines").glob("*/at-once-*.blob"))
    made = kept.stat().st_mtime_ns
    assert np.array_equal(once(), first)
    assert kept.stat().st_mtime_ns == made, "read back, not compiled anew"
    assert said == []
    data = bytearray(kept.read_bytes())
    data[len(data) // 2] ^= 255
    kept.write_bytes(data)
    assert np.array_equal(once(), first)
    assert len(said) == 1
    assert "at-once-2.blob is damaged; building it anew" in said[0]
