"""`benchmarks gpu`: each step on stand-ins for CUDA and TensorRT, and how they are run and told."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import gpu, gpu_steps
from benchmarks.__main__ import main
from engines import EngineError, EngineUnavailable
from engines.gpu import Gpu
from engines.parity import sample_crops
from engines.tensorrt_library import Library, build_plan, find_library
from stn_icnn.checkpoint import Checkpoint, save_checkpoint
from stn_icnn.packing import Packing
from tests.conftest import make_network, mouth_alone, tiny_config
from tests.engines.gpu_standin import GPU, Machine
from tests.engines.test_tensorrt import needs_builder


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Machine:
    machine = Machine(monkeypatch, tmp_path / "cache")
    monkeypatch.setattr(gpu_steps, "find_gpu", lambda: GPU)
    monkeypatch.setattr(gpu_steps, "find_library", lambda: machine.trt.library)
    monkeypatch.setattr(gpu_steps, "build_plan", machine.trt.build_plan)
    monkeypatch.setattr(gpu, "find_gpu", lambda: GPU)
    return machine


@pytest.fixture
def own(tmp_path: Path) -> Checkpoint:
    network = make_network(mouth_alone())
    return save_checkpoint(network, network.state_dict(), tmp_path / "own" / "own.safetensors")


# The contract has a check that measures time.
@pytest.mark.alone
def test_the_steps_of_tensorrt_find_what_they_are_for(machine: Machine, own: Checkpoint) -> None:
    job = gpu_steps.Job(own.path, sample_crops(Packing(64, 32), 3))
    found = gpu_steps.contract(job, "tensorrt")
    assert found["held"], found
    found = gpu_steps.soak(job, "0.001")
    assert found["faces"] > 0
    assert found["device_mb_grown"] == 0
    monkey = machine.monkeypatch
    monkey.setattr(gpu_steps, "timed", lambda call, count: {"p50_ms": call() is None})
    assert set(gpu_steps.speed(job, "tensorrt")) == {"batch 1", "batch 4", "batch 8"}


def test_every_stage_is_compared_and_one_that_differs_is_named(
    machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = make_network(tiny_config())
    weights = save_checkpoint(network, network.state_dict(), tmp_path / "all" / "all.safetensors").path
    job = gpu_steps.Job(weights, sample_crops(Packing(64, 32), 3))
    written: list[bytes] = []
    real = machine.trt.build_plan

    def build(library: Library, network: Path, most: int, target: str) -> bytes:
        written.append(network.read_bytes())
        return real(library, network, most, target)

    monkeypatch.setattr(gpu_steps, "build_plan", build)
    found = gpu_steps.parity(job, "fp16")
    names = ["probabilities", "coarse_logits", "theta", "l_brow", "r_brow", "l_eye", "r_eye", "nose", "mouth"]
    assert list(found) == [*names, "faces", "labels", "held"]
    assert found["held"], found
    assert all(0 < found[name]["most"] <= found[name]["bound"] for name in names)
    assert found["labels"] >= 0.999

    # Writing ONNX takes most of the time: the second run gets the first one's file.
    def write(module: Any, path: Path, *of: Any) -> None:
        path.write_bytes(written[0])

    monkeypatch.setattr("engines.export.write_onnx_of", write)
    monkeypatch.setitem(gpu_steps.MOST, "fp16", gpu_steps.MOST["fp16"] | {"theta": 0.0})
    found = gpu_steps.parity(job, "fp16")
    assert found["held"] is False


@needs_builder
def test_tensorrt_builds_the_network_that_ours_is_compared_with(tmp_path: Path) -> None:
    gpu_steps.write_bisenet(tmp_path / "bisenet.onnx")
    assert len(build_plan(find_library(), tmp_path / "bisenet.onnx", 1, "sm89")) > 20_000_000


def test_faces_are_read_from_a_file_or_a_folder_or_drawn(tmp_path: Path) -> None:
    crops = sample_crops(Packing(64, 32), 2)
    np.save(tmp_path / "crops.npy", crops)
    assert np.array_equal(gpu_steps.read_faces(tmp_path / "crops.npy", Packing(64, 32)), crops)
    assert gpu_steps.read_faces(None, Packing(64, 32)).shape == (16, 64, 64, 3)
    np.save(tmp_path / "small.npy", crops[:, ::2])
    with pytest.raises(EngineError, match=r"small\.npy: uint8 \(2, 32, 64, 3\), not uint8 \(N, 64"):
        gpu_steps.read_faces(tmp_path / "small.npy", Packing(64, 32))
    np.save(tmp_path / "objects.npy", np.array([object()]), allow_pickle=True)
    (tmp_path / "text.npy").write_text("no array")
    for name in ("objects", "text"):
        with pytest.raises(EngineError, match=f"{name}.npy: not a .npy file"):
            gpu_steps.read_faces(tmp_path / f"{name}.npy", Packing(64, 32))


def test_the_command_runs_every_step_and_keeps_what_it_found(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(gpu, "find_gpu", lambda: Gpu("Test GPU", "9.0", 13000))
    ran: list[str] = []

    def step(
        words: Sequence[str], weights: Path | None, crops: Path | None, limit: float
    ) -> Mapping[str, Any]:
        ran.append(" ".join(words))
        assert limit == (30.0 + 120.0 if words[0] == "soak" else 30.0)
        return {"batch 1": {"p50_ms": 1.0, "p95_ms": 2.0}} if words[0] == "speed" else {"held": True}

    monkeypatch.setattr(gpu, "run_step", step)
    words = ["gpu", "--engines", "tensorrt", "eager-cuda", "--minutes", "2", "--limit", "30"]
    assert main([*words, "--json", str(tmp_path / "gpu.json")]) == 0
    assert ran == [
        "parity fp16",
        "parity fp32",
        "contract tensorrt",
        "speed tensorrt",
        "contract eager-cuda",
        "speed eager-cuda",
        "eager",
        "bisenet",
        "start tensorrt",
        "soak 2.0",
    ]
    assert "speed tensorrt: batch 1: p50_ms 1.0, p95_ms 2.0" in capsys.readouterr().out
    written = json.loads((tmp_path / "gpu.json").read_text())
    assert list(written["steps"]) == ran
    assert written["machine"]["driver_cuda"] == "13.0"
    for bad in ({"error": "killed"}, {"held": False}):
        monkeypatch.setattr(gpu, "run_step", lambda *args, bad=bad: bad)
        assert main(["gpu", "--engines", "eager-cuda"]) == 1


def test_a_step_that_fails_or_hangs_is_told() -> None:
    assert "no NVIDIA driver" in str(gpu.run_step(["contract", "tensorrt"], None, None, 60.0)["error"])
    assert gpu.run_step(["bisenet"], None, None, 0.05) == {"error": "took longer than 0.05 s"}
    assert "exit code 2" in str(gpu.run_step(["nothing"], None, None, 60.0)["error"])


def test_without_a_gpu_it_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def missing() -> Gpu:
        raise EngineUnavailable("no NVIDIA driver")

    monkeypatch.setattr(gpu, "find_gpu", missing)
    assert main(["gpu"]) == 1
    assert capsys.readouterr().err == "error: no NVIDIA driver\n"
    with pytest.raises(SystemExit) as stop:
        main(["gpu", "--crops", "nowhere.npy"])
    assert stop.value.code == 2


def test_it_imports_nothing_of_the_pipeline() -> None:
    program = """
import sys
for name in ("realtime", "mediapipe", "av", "openvino"):
    sys.modules[name] = None  # any import of it fails
from benchmarks import gpu_steps
from benchmarks.__main__ import main
sys.exit(main(["gpu"]))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert "ModuleNotFoundError" not in done.stderr
    assert done.returncode in (0, 1)
