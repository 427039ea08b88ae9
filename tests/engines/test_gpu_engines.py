"""Engines that need a GPU: what they hand to their libraries, and how these are asked, on stand-ins."""

from __future__ import annotations

import importlib
import sys
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from engines import EngineError, EngineUnavailable, load_engine, onnx
from engines.engine import EngineOptions
from engines.export import export_program
from engines.gpu import Gpu, find_gpu
from engines.parity import sample_crops
from engines.torch_tensorrt import export_floats
from stn_icnn.checkpoint import Checkpoint, load_network
from stn_icnn.network import STNiCNN
from stn_icnn.packing import Packing
from stn_icnn.precision import with_precision
from tests.conftest import make_network, tiny_config

GPU = Gpu("Test GPU", "9.0", 13000)


@pytest.fixture
def with_gpu(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A machine that says it has a GPU; tensors stay where they are."""
    for module in ("tensorrt", "torch_tensorrt", "onnx", "loader", "eager"):
        monkeypatch.setattr(f"engines.{module}.find_gpu", lambda: GPU)
    monkeypatch.setattr("engines.cache.user_folder", lambda: tmp_path / "user")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.nn.Module, "cuda", lambda self: self)
    monkeypatch.setattr(torch.Tensor, "cuda", lambda self: self)


@pytest.fixture
def tensorrt(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, dict[str, Any]]]:
    """A torch_tensorrt that keeps the program as it is; returns the calls that it got.

    It shows how it is asked, nothing of what it makes of the network: without CUDA it can't be imported.
    """
    calls: list[tuple[str, dict[str, Any]]] = []
    module: Any = ModuleType("torch_tensorrt")
    module.__spec__ = ModuleSpec("torch_tensorrt", None)
    module.__version__ = "2.13.0"
    module.Input = SimpleNamespace

    def compile_program(program: torch.export.ExportedProgram, **settings: Any) -> object:
        calls.append(("compile", settings | {"program": program}))
        return program

    def save(program: torch.export.ExportedProgram, path: str, **settings: Any) -> None:
        calls.append(("save", settings))
        torch.export.save(program, path)

    module.dynamo = SimpleNamespace(compile=compile_program)
    module.save = save
    module.runtime = SimpleNamespace(
        set_cudagraphs_mode=lambda mode: calls.append(("cudagraphs", {"mode": mode}))
    )
    monkeypatch.setitem(sys.modules, "torch_tensorrt", module)
    return calls


@pytest.mark.usefixtures("with_gpu")
def test_torch_tensorrt_compiles_whole_and_saves_and_is_found_again(
    mouth_checkpoint: Checkpoint, tensorrt: list[tuple[str, dict[str, Any]]]
) -> None:
    engine, line = load_engine("torch-tensorrt", mouth_checkpoint.path, max_batch=4, report=lambda line: None)
    assert "TensorRT (torch-tensorrt 2.13.0) on Test GPU, fp16" in line
    (_, settings), (_, saved), *others = tensorrt
    assert settings["require_full_compilation"] is True
    assert settings["use_explicit_typing"] is True
    assert "enable_autocast" not in settings, "the types are the graph's own"
    (crops,) = settings["arg_inputs"]
    assert crops.min_shape == (1, 64, 64, 3)
    assert crops.max_shape == (4, 64, 64, 3)
    assert crops.dtype is torch.float32, "its runtime takes no uint8"
    assert saved["output_format"] == "exported_program"
    assert set(others[0][1].values()) == {True}, "CUDA graphs are on"
    eager, _ = load_engine("eager", mouth_checkpoint.path)
    faces = sample_crops(Packing(64, 32), 6)
    assert np.allclose(engine.infer(faces), eager.infer(faces), atol=0.02), "six faces in parts of four"
    engine.close()
    with pytest.raises(EngineError, match="closed"):
        engine.infer(faces)
    tensorrt.clear()
    load_engine("torch-tensorrt", mouth_checkpoint.path, max_batch=4)[0].close()
    assert [call for call, _ in tensorrt] == ["cudagraphs"], "the second start compiles nothing"
    tensorrt.clear()
    load_engine(
        "torch-tensorrt", mouth_checkpoint.path, max_batch=4, precision="fp32", report=lambda line: None
    )
    program = tensorrt[0][1]["program"]
    assert {value.dtype for value in program.state_dict.values() if value.is_floating_point()} == {
        torch.float32
    }


@pytest.mark.usefixtures("with_gpu")
def test_a_torch_tensorrt_without_its_libraries_is_refused(
    mouth_checkpoint: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "torch_tensorrt.py").write_text("raise OSError('libnvinfer.so.10: cannot open')")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(EngineUnavailable, match=r"can't be imported \(libnvinfer.*torch-tensorrt"):
        load_engine("torch-tensorrt", mouth_checkpoint.path)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(EngineUnavailable, match="has no CUDA, which torch-tensorrt needs"):
        load_engine("torch-tensorrt", mouth_checkpoint.path)


def computed_types(program: torch.export.ExportedProgram) -> dict[str, set[torch.dtype]]:
    """The types of what each operator of a program gives, by its name."""
    found: dict[str, set[torch.dtype]] = defaultdict(set)
    for node in program.graph.nodes:
        value = node.meta.get("val")
        if node.op == "call_function" and isinstance(value, torch.Tensor):
            found[str(node.target).removeprefix("aten.")].add(value.dtype)
    return found


def test_torch_tensorrt_gets_halves_where_the_policy_has_them_and_no_bytes() -> None:
    program = export_floats(make_network(tiny_config()), "fp16", 4)
    types = computed_types(program)
    assert types["conv2d.default"] == {torch.float16}
    for operator in ("grid_sampler.default", "softmax.int", "sqrt.default", "reciprocal.default"):
        assert types[operator] == {torch.float32}, operator
    inputs = [node.meta["val"] for node in program.graph.nodes if node.op == "placeholder"]
    assert inputs[-1].dtype is torch.float32


def tensors_made_on_the_host(network: STNiCNN) -> list[str]:
    """What a forward of a network makes on the host, wherever the network is: no CUDA graph captures it."""
    side = network.config.input_size
    crops = torch.zeros(2, side, side, 3, dtype=torch.uint8, device="meta")
    batch = torch.export.Dim("batch", min=1, max=8)
    with torch.no_grad():
        program = torch.export.export(network.to("meta"), (crops,), dynamic_shapes=({0: batch},))
    made = list(program.graph_signature.lifted_tensor_constants)
    for node in program.graph.nodes:
        value = node.meta.get("val")
        if node.op == "call_function" and isinstance(value, torch.Tensor) and value.device.type != "meta":
            made.append(str(node.target))
    return made


@pytest.mark.parametrize(
    "change", [{}, {"composition": "replace"}, {"localizer": "prior"}, {"localizer": "conv"}]
)
@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_the_network_makes_no_tensor_on_the_host(change: dict[str, Any], precision: str) -> None:
    network = STNiCNN(replace(tiny_config(), **change)).eval()
    assert tensors_made_on_the_host(with_precision(network, precision)) == []


class Hosted(STNiCNN):
    """A network that does what can't be captured."""

    def __init__(self, fault: Callable[[torch.Tensor], torch.Tensor]) -> None:
        super().__init__(replace(tiny_config(), part_nets={}))
        self.fault = fault

    def forward(self, crops: torch.Tensor) -> torch.Tensor:
        return self.fault(super().forward(crops))


@pytest.mark.parametrize(
    "fault",
    [
        lambda x: x * x.new_tensor([2.0]),
        lambda x: x[:, [0, 2]],
        lambda x: x + torch.linspace(0.0, 1.0, 32).to(x.device),
        lambda x: x * torch.tensor(2.0, device=x.device),
    ],
    ids=["numbers", "list as index", "made on the host", "one number"],
)
def test_a_tensor_made_on_the_host_is_noticed(fault: Callable[[torch.Tensor], torch.Tensor]) -> None:
    assert tensors_made_on_the_host(Hosted(fault).eval())


@pytest.mark.parametrize("change", [{"part_nets": {}}, {"localizer": "prior"}, {"localizer": "conv"}])
def test_every_shape_can_be_exported_for_any_number_of_faces(change: dict[str, Any]) -> None:
    network = make_network(replace(tiny_config(), **change))
    side = network.config.input_size
    crops = torch.randint(0, 256, (3, side, side, 3), dtype=torch.uint8)
    with torch.no_grad():
        exported = export_program(network).module()(crops)
        assert torch.allclose(exported, network(crops), atol=1e-5)


class Ort:
    """A stand-in for onnxruntime: runs nothing, but remembers how it was asked."""

    __version__ = "1.32.0"

    def __init__(self, network: STNiCNN, able: list[str], starts: bool = True) -> None:
        self.network, self.able, self.starts = network, able, starts
        self.providers: Any = None

    def get_available_providers(self) -> list[str]:
        return self.able

    def SessionOptions(self) -> Any:  # noqa: N802
        return SimpleNamespace()

    def InferenceSession(self, path: str, settings: Any, providers: list[str]) -> Any:  # noqa: N802
        self.providers = providers
        name = providers[0] if self.starts else "CPUExecutionProvider"

        def run(outputs: list[str], inputs: dict[str, Any]) -> list[Any]:
            assert outputs == ["probabilities"]
            with torch.no_grad():
                return [self.network(torch.from_numpy(inputs["crops"])).numpy()]

        return SimpleNamespace(get_providers=lambda: [name, "CPUExecutionProvider"], run=run)


def pretend(monkeypatch: pytest.MonkeyPatch, ort: Ort) -> None:
    # The stand-in reads no file, and writing a real one takes seconds.
    monkeypatch.setattr("engines.export.write_onnx", lambda network, path: path.write_bytes(b"onnx"))
    real = importlib.import_module

    def stand_in(name: str, package: str | None = None) -> Any:
        return ort if name == "onnxruntime" else real(name, package)

    monkeypatch.setattr("engines.onnx.importlib.import_module", stand_in)


@pytest.mark.usefixtures("with_gpu")
def test_cuda_is_asked_for_by_name(mouth_checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    ort = Ort(load_network(mouth_checkpoint), [onnx.CUDA.name])
    pretend(monkeypatch, ort)
    engine, line = load_engine("onnx-cuda", mouth_checkpoint.path, max_batch=4, report=lambda line: None)
    assert "ONNX Runtime 1.32.0 (CUDAExecutionProvider) on Test GPU" in line
    assert ort.providers == [onnx.CUDA.name]
    assert engine.infer(sample_crops(Packing(64, 32), 2)).shape == (2, 19, 32, 32)


@pytest.mark.usefixtures("with_gpu")
def test_a_provider_that_quietly_became_the_cpu_is_refused(
    mouth_checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend(monkeypatch, Ort(load_network(mouth_checkpoint), [onnx.CUDA.name], starts=False))
    with pytest.raises(EngineUnavailable, match="would have used the CPU"):
        load_engine("onnx-cuda", mouth_checkpoint.path, report=lambda line: None)


@pytest.mark.usefixtures("with_gpu")
def test_a_missing_provider_says_what_brings_it(
    mouth_checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engines.export.write_onnx", lambda network, path: path.write_bytes(b"onnx"))
    with pytest.raises(EngineUnavailable, match="no CUDAExecutionProvider; pip install onnxruntime-gpu"):
        load_engine("onnx-cuda", mouth_checkpoint.path, report=lambda line: None)


@pytest.mark.usefixtures("with_gpu")
@pytest.mark.skipif(torch.cuda.is_available(), reason="a PyTorch with CUDA")
def test_eager_on_cuda_needs_a_pytorch_with_cuda(
    mouth_checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(EngineUnavailable, match="has no CUDA"):
        load_engine("eager-cuda", mouth_checkpoint.path)


def test_without_a_driver_there_is_no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_library(name: str) -> None:
        raise OSError(name)

    monkeypatch.setattr("engines.gpu.ctypes.CDLL", no_library)
    with pytest.raises(EngineUnavailable, match="no NVIDIA driver"):
        find_gpu()


def test_the_driver_is_asked_for_name_and_capability(monkeypatch: pytest.MonkeyPatch) -> None:
    class Cuda:
        count = 1

        def cuInit(self, flags: int) -> int:  # noqa: N802
            return 0

        def cuDeviceGetCount(self, out: Any) -> int:  # noqa: N802
            out._obj.value = self.count
            return 0

        def cuDeviceGet(self, out: Any, index: int) -> int:  # noqa: N802
            return 0

        def cuDeviceGetName(self, buffer: Any, size: int, device: Any) -> int:  # noqa: N802
            buffer.value = b"NVIDIA H200"
            return 0

        def cuDeviceGetAttribute(self, out: Any, attribute: int, device: Any) -> int:  # noqa: N802
            out._obj.value = {75: 9, 76: 0}[attribute]
            return 0

        def cuDriverGetVersion(self, out: Any) -> int:  # noqa: N802
            out._obj.value = 13010
            return 0

    monkeypatch.setattr("engines.gpu.ctypes.CDLL", lambda name: Cuda())
    assert find_gpu() == Gpu("NVIDIA H200", "9.0", 13010)
    assert find_gpu().target == "sm90"
    assert find_gpu().cuda_version == "13.1"
    monkeypatch.setattr(Cuda, "count", 0)
    with pytest.raises(EngineUnavailable, match="shows no GPU"):
        find_gpu()


def test_options_choose_a_precision() -> None:
    assert EngineOptions().choose("x", ("fp16", "fp32")) == "fp16"
    assert EngineOptions(precision="fp32").choose("x", ("fp16", "fp32")) == "fp32"
    with pytest.raises(EngineUnavailable, match="x has no int8: fp16, fp32"):
        EngineOptions(precision="int8").choose("x", ("fp16", "fp32"))
