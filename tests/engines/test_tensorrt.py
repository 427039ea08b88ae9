"""TensorRT's own builder on the network, which needs no GPU; and what surrounds its runtime, on stand-ins."""

from __future__ import annotations

import errno
import json
import os
import platform
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import onnx
import pytest
import torch
from torch import nn

from engines import EngineError, EngineUnavailable
from engines.__main__ import main
from engines.contract import CONTRACT
from engines.cuda import Cuda, CudaError
from engines.eager import eager
from engines.export import write_onnx, write_onnx_of
from engines.onnx import CPU, open_session
from engines.parity import compare, sample_crops
from engines.tensorrt_library import Library, build_plan, find_library, read_network
from stn_icnn.checkpoint import Checkpoint, load_network, read_checkpoint, save_checkpoint
from stn_icnn.network import Pictures, STNiCNN
from stn_icnn.packing import Packing
from stn_icnn.precision import with_precision
from tests.conftest import make_network, mouth_alone, tiny_config
from tests.engines import gpu_standin
from tests.engines.gpu_standin import GPU, Machine

Crops = npt.NDArray[np.uint8]

# Where the wheels exist they must be installed: a skip here would hide what this file is for.
HAS_WHEELS = sys.platform == "linux" and platform.machine() == "x86_64"
needs_builder = pytest.mark.skipif(not HAS_WHEELS, reason="TensorRT for RTX has no wheel for this system")

HALF_LAYERS = {"CONVOLUTION", "ACTIVATION", "POOLING", "RESIZE", "CONCATENATION", "ELEMENTWISE", "CAST"}
"""What an iCNN body consists of; anything else in half is geometry, composition or softmax."""


@pytest.fixture(scope="module")
def library() -> Library:
    return find_library()


@pytest.fixture(scope="module")
def shipped() -> Path:
    return read_checkpoint().verified("realtime.fp16.onnx")


def faults(library: Library, network: Path) -> list[str]:
    """Say what TensorRT reads otherwise than the fp16 policy and the samplers have it."""
    trt = library.module
    *kept, definition, _parser = read_network(library, network)
    layers = [definition.get_layer(index) for index in range(definition.num_layers)]
    found: list[str] = []
    kinds: Counter[str] = Counter()
    for layer in layers:
        kind = layer.type.name
        kinds[kind] += 1
        made = layer.get_output(0).dtype
        if kind == "CONVOLUTION" and made != trt.float16:
            found.append(f"convolution {layer.name} computes in {made.name}")
        if made == trt.float16 and kind not in HALF_LAYERS:
            found.append(f"{kind} {layer.name} is half")
        if kind == "GRID_SAMPLE":
            layer.__class__ = trt.IGridSampleLayer
            how = (layer.interpolation_mode.name, layer.align_corners, layer.sample_mode.name)
            if how != ("LINEAR", False, "FILL"):
                found.append(f"sampler {layer.name} is {how}")
            if layer.get_input(1).dtype != trt.float32:
                found.append(f"the grid of {layer.name} is {layer.get_input(1).dtype.name}")
        if kind == "SOFTMAX" and made != trt.float32:
            found.append(f"softmax {layer.name} is {made.name}")
    (crops,), (probabilities,) = (
        [get(index) for index in range(count)]
        for get, count in (
            (definition.get_input, definition.num_inputs),
            (definition.get_output, definition.num_outputs),
        )
    )
    if crops.dtype != trt.uint8 or probabilities.dtype != trt.float32:
        found.append(f"{crops.dtype.name} in, {probabilities.dtype.name} out")
    if crops.shape[0] != -1 or probabilities.shape[0] != -1:
        found.append("the batch is fixed")
    written = Counter(node.op_type for node in onnx.load(network).graph.node)
    same = {"Conv": "CONVOLUTION", "GridSample": "GRID_SAMPLE", "Resize": "RESIZE", "Softmax": "SOFTMAX"}
    found += [
        f"{written[name]} {name} in the file, {kinds[kind]} read"
        for name, kind in same.items()
        if written[name] != kinds[kind]
    ]
    del kept
    return found


@needs_builder
def test_tensorrt_reads_the_shipped_network_as_it_is_meant(library: Library, shipped: Path) -> None:
    assert faults(library, shipped) == []
    assert shipped.stat().st_size <= 4_000_000


@needs_builder
@pytest.mark.parametrize("target", ["sm75", "sm89"])
def test_tensorrt_builds_the_shipped_network(library: Library, shipped: Path, target: str) -> None:
    assert len(build_plan(library, shipped, 8, target)) > 1_000_000


def edited(source: Path, path: Path, operator: str, change: Callable[[Any], None]) -> Path:
    model = onnx.load(source)
    nodes = [node for node in model.graph.node if node.op_type == operator]
    assert nodes
    for node in nodes:
        change(node)
    onnx.save(model, path)
    return path


def set_attribute(name: str, value: Any) -> Callable[[Any], None]:
    def change(node: Any) -> None:
        others = [attribute for attribute in node.attribute if attribute.name != name]
        del node.attribute[:]
        node.attribute.extend([*others, onnx.helper.make_attribute(name, value)])

    return change


@needs_builder
@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("mode", "nearest", "('NEAREST', False, 'FILL')"),
        ("align_corners", 1, "('LINEAR', True, 'FILL')"),
        ("padding_mode", "border", "('LINEAR', False, 'CLAMP')"),
    ],
)
def test_a_sampler_that_is_read_otherwise_is_noticed(
    name: str, value: Any, told: str, library: Library, shipped: Path, tmp_path: Path
) -> None:
    path = edited(shipped, tmp_path / "network.onnx", "GridSample", set_attribute(name, value))
    found = faults(library, path)
    assert len(found) == 24
    assert all(told in fault for fault in found)


class HalfTheta(nn.Module):
    """A localizer that computes in half."""

    def __init__(self, localizer: nn.Module) -> None:
        super().__init__()
        self.localizer = localizer.half()

    def forward(self, probabilities: torch.Tensor) -> Any:
        return self.localizer(probabilities.half()).float()


class TransposedFirst(STNiCNN):
    """The network as it was when TensorRT refused it."""

    def normalise(self, crops: torch.Tensor) -> Pictures:
        image = crops.permute(0, 3, 1, 2).float() * (4.0 / 255.0) - 2.0
        return Pictures(image, nn.functional.avg_pool2d(image, 2))


@needs_builder
def test_types_that_differ_from_the_policy_are_noticed(library: Library, tmp_path: Path) -> None:
    network = make_network(mouth_alone())
    write_onnx(network, tmp_path / "float.onnx")
    assert any("computes in FLOAT" in fault for fault in faults(library, tmp_path / "float.onnx"))
    network = with_precision(network, "fp16")
    network.localizer = HalfTheta(network.localizer)
    write_onnx(network, tmp_path / "theta.onnx")
    assert any("is half" in fault for fault in faults(library, tmp_path / "theta.onnx"))


@needs_builder
def test_tensorrt_refuses_to_transpose_bytes(library: Library, tmp_path: Path) -> None:
    """Why the network casts first; should this test fail one day, it need not any more."""
    network = TransposedFirst(replace(tiny_config(), part_nets={})).eval()
    write_onnx(network, tmp_path / "network.onnx")
    with pytest.raises(EngineError, match="TensorRT for RTX can't"):
        build_plan(library, tmp_path / "network.onnx", 4, "sm89")


@needs_builder
def test_what_is_no_network_is_refused_in_one_line(library: Library, tmp_path: Path) -> None:
    (tmp_path / "network.onnx").write_bytes(b"no network")
    with pytest.raises(EngineError, match=r"can't read network\.onnx") as refusal:
        read_network(library, tmp_path / "network.onnx")
    assert len(str(refusal.value).splitlines()) == 1


def test_the_file_that_tensorrt_gets_parses_as_eager(shipped: Path, portrait: Crops) -> None:
    shifts = [(-6, 0), (0, 0), (6, 0), (0, 6)]
    views = [portrait[30 + y : 230 + y, 122 + x : 322 + x] for x, y in shifts]
    packing = Packing.of(read_checkpoint().network)
    size = (packing.input_size, packing.input_size)
    faces = np.stack([packing.pack_crop(np.asarray(cv2.resize(view, size), np.uint8)) for view in views])
    run, reference = open_session(shipped, CPU, threads=1), eager(load_network(read_checkpoint()))
    for crops in (faces, sample_crops(packing)):
        parity = compare(run, reference, crops)
        assert parity.agreement >= 0.999
        assert parity.difference <= 0.02


BUILD_WITHOUT_TORCH = """
import sys
sys.modules["torch"] = None  # any import of it fails
from engines.__main__ import main
sys.exit(main(sys.argv[1:]))
"""


@needs_builder
def test_engines_are_built_ahead_without_a_gpu_and_without_pytorch(tmp_path: Path) -> None:
    words = ["build", "--backend", "tensorrt", "--target", "sm86", "sm120", "--out", str(tmp_path / "out")]
    command = [sys.executable, "-c", BUILD_WITHOUT_TORCH, *words]
    environment = os.environ | {"STN_ICNN_CACHE": str(tmp_path / "cache")}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=60)
    assert done.returncode == 0, done.stderr
    for target, line in zip(("sm86", "sm120"), done.stdout.splitlines(), strict=True):
        folder, rest = line.split(": ")
        assert rest == f"{target}, fp16"
        assert (Path(folder) / "network.plan").stat().st_size > 1_000_000
        manifest = json.loads((Path(folder) / "manifest.json").read_text())
        assert manifest["parity"] is None
        assert manifest["key"]["device"] == target


@needs_builder
@pytest.mark.skipif(Path("/dev/nvidia0").exists(), reason="a GPU, where current can be built for")
def test_building_for_this_machine_needs_its_gpu(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["build", "--backend", "tensorrt", "--out", str(tmp_path)]) == 1
    error = capsys.readouterr().err
    assert "no NVIDIA driver" in error
    assert "--target" in error


@pytest.mark.parametrize(
    "words",
    [
        ["build", "--target", "sm89"],
        ["build", "--backend", "onnx", "--out", "x"],
        ["build", "--backend", "tensorrt", "--target", "sm70"],
        ["build", "--max-batch", "0"],
    ],
)
def test_wrong_use_of_build_exits_with_2(words: list[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(words)
    assert stop.value.code == 2


# From here on: what surrounds TensorRT's runtime, on stand-ins.


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Machine:
    return Machine(monkeypatch, tmp_path / "cache")


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a small network with all that a release has."""
    folder = tmp_path_factory.mktemp("tiny")
    network = make_network(mouth_alone())
    save_checkpoint(network, network.state_dict(), folder / "tiny.safetensors")
    assert main(["release", "--weights", str(folder / "tiny.safetensors"), "--out", str(folder / "out")]) == 0
    return folder / "out"


@pytest.fixture
def tiny(released: Path, tmp_path: Path) -> Checkpoint:
    shutil.copytree(released, tmp_path / "released")
    return read_checkpoint(tmp_path / "released" / "tiny.safetensors")


def test_an_engine_is_built_once_and_replays_a_graph_for_each_batch_size(
    machine: Machine, tiny: Checkpoint
) -> None:
    engine, line = machine.load(tiny)
    assert "TensorRT for RTX 1.7.1 on Test GPU, fp16" in line
    assert machine.trt.built == ["current"]
    assert machine.trt.compiled == [1], "only what the first face needs"
    assert [said.split(" ")[0] for said in machine.said] == ["building", "built"]
    crops = sample_crops(Packing(64, 32), 11)
    expected = eager(load_network(tiny))(crops)
    launched = machine.runtime.launched
    for count in (3, 3, 1, 11, 11):
        found = engine.infer(crops[:count])
        assert np.abs(found - expected[:count]).max() < 0.02
    assert machine.trt.compiled == [1, 3, 8], "eleven run as eight and three"
    assert machine.runtime.launched - launched == 1 + 1 + 1 + 2
    engine.close()
    engine.close()
    assert machine.runtime.memory == {}
    assert machine.runtime.open == set()
    with pytest.raises(EngineError, match="closed"):
        engine.infer(crops)
    machine.said.clear()
    again, _ = machine.load(tiny)
    again.infer(crops[:3])
    assert machine.trt.built == ["current"], "the second start builds nothing"
    assert machine.trt.compiled == [1, 3, 8], "and compiles nothing just in time"
    assert machine.said == []
    again.close()


@pytest.mark.alone  # it asks whether a Python thread goes on meanwhile
@pytest.mark.parametrize("check", CONTRACT)
def test_what_surrounds_it_holds_the_contract(check: str, machine: Machine, tiny: Checkpoint) -> None:
    engine, _ = machine.load(tiny)
    CONTRACT[check](engine)
    engine.close()


def test_where_no_graph_can_be_captured_it_says_so_and_runs(machine: Machine, tiny: Checkpoint) -> None:
    machine.runtime.captures = False
    engine, line = machine.load(tiny)
    assert "without CUDA graphs (CUDA: operation not permitted" in line
    crops = sample_crops(Packing(64, 32), 3)
    for count in (3, 1, 3):
        assert np.abs(engine.infer(crops[:count]) - eager(load_network(tiny))(crops[:count])).max() < 0.02
    assert machine.runtime.launched == 0
    engine.close()


def test_a_damaged_runtime_cache_is_told_and_made_anew(machine: Machine, tiny: Checkpoint) -> None:
    machine.load(tiny)[0].close()
    kept = machine.entry() / "runtime.cache"
    whole = kept.read_bytes()
    kept.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    machine.said.clear()
    machine.load(tiny)[0].close()
    assert machine.said == [f"{kept}: damaged; what TensorRT compiled at the last start is compiled anew"]
    assert kept.read_bytes() == whole
    assert machine.trt.built == ["current"], "the plan is none of its business"


def test_a_plan_that_this_card_refuses_is_told_and_built_anew(machine: Machine, tiny: Checkpoint) -> None:
    machine.load(tiny)[0].close()
    plan = machine.entry() / "network.plan"
    good = plan.read_bytes()
    machine.said.clear()
    machine.trt.refused = good[:64]
    with pytest.raises(EngineError, match="can't run it here"):
        machine.load(tiny)
    assert "can't run it here (The plan was made for another card); building it anew" in machine.said[0]
    machine.trt.refused = b"\xff never"
    machine.load(tiny)[0].close()
    assert machine.trt.built == ["current"] * 3


def test_an_engine_built_ahead_is_found_compared_and_used(
    machine: Machine, tiny: Checkpoint, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["build", "--weights", str(tiny.path), "--backend", "tensorrt", "--target", "sm89", "sm75"]
    assert main([*words, "--out", str(tmp_path / "out")]) == 0
    assert [line.split(": ")[1] for line in capsys.readouterr().out.splitlines()] == [
        "sm89, fp16",
        "sm75, fp16",
    ]
    shutil.copytree(tmp_path / "out", machine.cache)
    engine, _ = machine.load(tiny)
    assert machine.trt.built == ["sm89", "sm75"], "none was built here"
    assert machine.said == []
    of = {
        data["key"]["device"]: data["parity"]
        for data in (json.loads(path.read_text()) for path in machine.cache.glob("*/manifest.json"))
    }
    assert of["sm89"]["agreement"] >= 0.999, "compared at its first run"
    assert of["sm75"] is None
    assert np.array_equal(
        engine.infer(sample_crops(Packing(64, 32), 1)),
        machine.load(tiny)[0].infer(sample_crops(Packing(64, 32), 1)),
    )


def test_an_engine_for_another_card_or_version_is_refused_by_name(
    machine: Machine, tiny: Checkpoint, tmp_path: Path
) -> None:
    words = ["build", "--weights", str(tiny.path), "--backend", "tensorrt", "--target", "sm75"]
    assert main([*words, "--out", str(tmp_path / "out")]) == 0
    shutil.copytree(tmp_path / "out", machine.cache)
    (name,) = [path.name for path in machine.cache.glob("*/")]
    machine.load(tiny)[0].close()
    assert machine.said[0] == f"engine cache {name}: for sm75 by TensorRT for RTX 1.7.1; not for this machine"
    assert machine.trt.built == ["sm75", "current"]


def test_a_network_that_tensorrt_reads_otherwise_is_not_kept(
    machine: Machine, tiny: Checkpoint, tmp_path: Path
) -> None:
    real = machine.trt.build_plan

    def misread(library: Library, network: Path, most: int, target: str) -> bytes:
        real(library, network, most, target)
        rows = set_attribute("axis", 2)
        return edited(network, tmp_path / "misread.onnx", "Softmax", rows).read_bytes()

    machine.monkeypatch.setattr("engines.tensorrt.build_plan", misread)
    with pytest.raises(EngineError, match="the compiled network is not the same"):
        machine.load(tiny)
    assert not list(machine.cache.glob("*-tensorrt-fp16-*/"))
    assert machine.runtime.memory == {}
    _, line = machine.load(tiny, "auto")
    assert "tensorrt: the compiled network is not the same" in line, "auto goes on"


def test_own_weights_get_their_network_from_pytorch_once(machine: Machine, tmp_path: Path) -> None:
    network = make_network(mouth_alone())
    own = save_checkpoint(network, network.state_dict(), tmp_path / "own" / "own.safetensors")
    for precision, most in (("fp16", 0.05), ("fp32", 1e-4)):
        engine, line = machine.load(own, precision=precision)
        crops = sample_crops(Packing(64, 32), 2)
        assert f", {precision} (" in line
        expected = eager(network)(crops)
        assert np.abs(engine.infer(crops) - expected).max() < most
        engine.close()
    assert sum(line.startswith("built in") for line in machine.said) == 4, "a network and a plan, twice"


def test_a_full_disk_is_told_and_auto_goes_on(
    machine: Machine, tiny: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Path.write_bytes

    def full(path: Path, data: Any) -> int:
        if path.name == "network.plan":
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(path, data)

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(EngineUnavailable, match=r"no place to build .*No space left.*; free some space"):
        machine.load(tiny)
    engine, line = machine.load(tiny, "auto")
    assert "tensorrt: no place to build an engine in" in line
    engine.close()


def test_a_driver_that_is_too_old_is_told(machine: Machine, tiny: Checkpoint) -> None:
    machine.become(replace(GPU, cuda=12020))
    told = r"the NVIDIA driver is too old: it runs CUDA 12\.2, and 13 is needed; install driver 580 or newer"
    with pytest.raises(EngineUnavailable, match=told):
        machine.load(tiny)
    engine, line = machine.load(tiny, "auto")
    assert "tensorrt: the NVIDIA driver is too old" in line
    engine.close()


def test_a_gpu_without_the_wheels_is_told(machine: Machine, tiny: Checkpoint) -> None:
    real = __import__("importlib").util.find_spec
    missing = {"tensorrt_rtx", "tensorrt"}

    def find_spec(name: str) -> Any:
        return None if name in missing else real(name)

    machine.monkeypatch.setattr("engines.tensorrt.find_library", find_library)
    machine.monkeypatch.setattr("importlib.util.find_spec", find_spec)
    with pytest.raises(EngineUnavailable, match=r"TensorRT is not installed; pip install '\.\[tensorrt\]'"):
        machine.load(tiny)
    machine.monkeypatch.setattr("engines.tensorrt.find_library", lambda: machine.trt.library)
    missing.update({"cuda", "cuda.bindings"})
    with pytest.raises(EngineUnavailable, match=r"cuda-bindings is not installed; pip install '\.\[tens"):
        machine.load(tiny)


def test_memory_that_runs_short_is_told_and_given_back(machine: Machine, tiny: Checkpoint) -> None:
    real = machine.runtime.cudaMalloc
    taken: list[int] = []

    def short(size: int) -> tuple[int, int]:
        taken.append(size)
        return real(size) if len(taken) < 2 else (2, 0)

    machine.monkeypatch.setattr(machine.runtime, "cudaMalloc", short, raising=False)
    with pytest.raises(CudaError, match=r"CUDA: out of memory \(cudaMalloc, error 2\)"):
        machine.load(tiny)
    assert machine.runtime.memory == {}
    assert machine.runtime.open == set()


@needs_builder
def test_the_stand_ins_have_no_call_that_the_real_ones_lack(library: Library) -> None:
    trt = library.module
    for ours, theirs in (
        (gpu_standin.Plan, trt.ICudaEngine),
        (gpu_standin.Context, trt.IExecutionContext),
        (gpu_standin.Cache, trt.IRuntimeCache),
    ):
        calls = {name for name in vars(ours) if not name.startswith("_") and name.islower()}
        assert calls <= set(dir(theirs)), ours
    assert {"create_runtime_cache", "set_runtime_cache"} <= set(dir(trt.IRuntimeConfig))
    assert hasattr(trt.IRuntimeConfig, "dynamic_shapes_kernel_specialization_strategy")
    assert hasattr(trt.DynamicShapesKernelSpecializationStrategy, "EAGER")
    assert hasattr(trt.Runtime, "deserialize_cuda_engine")
    assert trt.nptype(trt.uint8) is np.uint8
    assert trt.nptype(trt.float32) is np.float32
    import cuda.bindings.runtime as real

    calls = {name for name in vars(gpu_standin.Runtime) if name.startswith("cuda")}
    assert calls <= set(dir(real))


@needs_builder
@pytest.mark.skipif(Path("/dev/nvidia0").exists(), reason="a GPU, where these calls would do something")
def test_cuda_takes_every_call_and_says_what_is_missing() -> None:
    """The arguments are those that the real library wants; without a driver each call ends the same way."""
    import cuda.bindings.runtime as real

    cuda = Cuda(real)
    stream, mode = real.cudaStream_t(0), real.cudaStreamCaptureMode.cudaStreamCaptureModeThreadLocal
    kind = real.cudaMemcpyKind.cudaMemcpyHostToDevice
    assert cuda.version >= 12000
    for name, *args in (
        ("cudaMalloc", 16),
        ("cudaMallocHost", 16),
        ("cudaFree", 4096),
        ("cudaFreeHost", 4096),
        ("cudaStreamCreateWithFlags", real.cudaStreamNonBlocking),
        ("cudaStreamDestroy", stream),
        ("cudaStreamSynchronize", stream),
        ("cudaMemcpyAsync", 4096, 4096, 16, kind, stream),
        ("cudaStreamBeginCapture", stream, mode),
        ("cudaStreamEndCapture", stream),
        ("cudaGraphLaunch", real.cudaGraphExec_t(0), stream),
        ("cudaEventCreate",),
        ("cudaEventRecord", real.cudaEvent_t(0), stream),
        ("cudaMemGetInfo",),
    ):
        with pytest.raises(CudaError, match=r"CUDA driver|invalid") as refusal:
            cuda.call(name, *args)
        assert f"({name}, error " in str(refusal.value)


class Stages(nn.Module):
    """A module with several outputs."""

    def forward(self, crops: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        values = crops.float()
        return values.mean(dim=(1, 2, 3)), values * 2.0


def test_any_module_of_crops_is_written_with_named_outputs(tmp_path: Path) -> None:
    write_onnx_of(Stages().eval(), tmp_path / "stages.onnx", (8, 8, 3), ["mean", "double"])
    assert [output.name for output in onnx.load(tmp_path / "stages.onnx").graph.output] == ["mean", "double"]
