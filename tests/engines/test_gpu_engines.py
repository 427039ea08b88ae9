"""Engines that need a GPU, against stand-ins for the libraries: is the glue right?"""

from __future__ import annotations

import importlib
import sys
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
from engines.tensorrt import unconverted
from stn_icnn.checkpoint import Checkpoint, load_network
from stn_icnn.config import NAMED
from stn_icnn.network import Parsing, STNiCNN
from tests.conftest import make_network, tiny_config

GPU = Gpu("Test GPU", "9.0")


@pytest.fixture
def with_gpu(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A machine that says it has a GPU; tensors stay where they are."""
    for module in ("tensorrt", "onnx", "loader", "eager"):
        monkeypatch.setattr(f"engines.{module}.find_gpu", lambda: GPU)
    monkeypatch.setattr("engines.cache.user_folder", lambda: tmp_path / "user")
    monkeypatch.setattr(torch.nn.Module, "cuda", lambda self: self)
    monkeypatch.setattr(torch.Tensor, "cuda", lambda self: self)


@pytest.fixture
def tensorrt(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, dict[str, Any]]]:
    """A torch_tensorrt that keeps the program as it is; returns the calls that it got."""
    calls: list[tuple[str, dict[str, Any]]] = []
    module: Any = ModuleType("torch_tensorrt")
    module.__spec__ = ModuleSpec("torch_tensorrt", None)
    module.__version__ = "2.13.0"
    module.Input = SimpleNamespace

    def compile_program(program: torch.export.ExportedProgram, **settings: Any) -> object:
        calls.append(("compile", settings))
        return program

    def save(program: torch.export.ExportedProgram, path: str, **settings: Any) -> None:
        calls.append(("save", settings))
        torch.export.save(program, path)

    module.dynamo = SimpleNamespace(compile=compile_program)
    module.save = save
    monkeypatch.setitem(sys.modules, "torch_tensorrt", module)
    return calls


@pytest.mark.usefixtures("with_gpu")
def test_tensorrt_is_compiled_whole_saved_and_found_again(
    tiny_checkpoint: Checkpoint, tensorrt: list[tuple[str, dict[str, Any]]]
) -> None:
    engine, line = load_engine("tensorrt", tiny_checkpoint.path, max_batch=4, report=lambda line: None)
    assert "TensorRT (torch-tensorrt 2.13.0) on Test GPU, fp16" in line
    settings = tensorrt[0][1]
    assert settings["require_full_compilation"] is True
    assert settings["enable_autocast"] is True
    assert settings["autocast_low_precision_type"] is torch.float16
    (crops,) = settings["arg_inputs"]
    assert crops.min_shape == (1, 64, 64, 3)
    assert crops.max_shape == (4, 64, 64, 3)
    assert crops.dtype is torch.uint8
    assert tensorrt[1][1]["output_format"] == "exported_program"
    eager, _ = load_engine("eager", tiny_checkpoint.path)
    faces = sample_crops(64, 6)
    assert np.allclose(engine.infer(faces), eager.infer(faces), atol=1e-5), "six faces in parts of four"
    engine.close()
    with pytest.raises(EngineError, match="closed"):
        engine.infer(faces)
    tensorrt.clear()
    load_engine("tensorrt", tiny_checkpoint.path, max_batch=4)[0].close()
    assert tensorrt == [], "the second start compiles nothing"
    load_engine("tensorrt", tiny_checkpoint.path, max_batch=4, precision="fp32", report=lambda line: None)
    assert tensorrt[0][1]["enable_autocast"] is False


@pytest.mark.usefixtures("with_gpu")
def test_auto_prefers_tensorrt_where_it_can_run(
    tiny_checkpoint: Checkpoint, tensorrt: list[tuple[str, dict[str, Any]]]
) -> None:
    engine, line = load_engine("auto", tiny_checkpoint.path, report=lambda line: None)
    assert "TensorRT" in engine.description
    assert "(auto; GPU: Test GPU)" in line
    assert tensorrt


@pytest.mark.usefixtures("with_gpu")
def test_a_torch_tensorrt_without_its_libraries_is_refused(
    tiny_checkpoint: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "torch_tensorrt.py").write_text("raise OSError('libnvinfer.so.10: cannot open')")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(EngineUnavailable, match=r"can't be imported \(libnvinfer.*tensorrt"):
        load_engine("tensorrt", tiny_checkpoint.path)


@pytest.mark.parametrize("name", NAMED)
def test_every_operator_is_one_that_tensorrt_converts(name: str) -> None:
    assert unconverted(STNiCNN(NAMED[name]).eval()) == []


@pytest.mark.parametrize("change", [{"part_nets": {}}, {"localizer": "prior"}, {"localizer": "conv"}])
def test_every_shape_can_be_exported_for_any_number_of_faces(change: dict[str, Any]) -> None:
    network = make_network(replace(tiny_config(), **change))
    side = network.config.input_size
    crops = torch.randint(0, 256, (3, side, side, 3), dtype=torch.uint8)
    with torch.no_grad():
        exported = export_program(network).module()(crops)
        assert torch.allclose(exported, network(crops), atol=1e-5)


def test_an_operator_that_it_does_not_convert_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    network = make_network(tiny_config())
    real: Callable[..., Parsing] = network.parse

    def strange(image: torch.Tensor) -> Parsing:
        parsing = real(image)
        return parsing._replace(logits=torch.cummax(parsing.logits, dim=1)[0])

    monkeypatch.setattr(network, "parse", strange)
    assert unconverted(network) == ["cummax.default"]


class Ort:
    """A stand-in for onnxruntime: runs nothing, but remembers how it was asked."""

    __version__ = "1.32.0"

    def __init__(self, network: STNiCNN, able: list[str], starts: bool = True) -> None:
        self.network, self.able, self.starts = network, able, starts
        self.devices: list[SimpleNamespace] = []
        self.settings: Any = None
        self.providers: Any = None

    def get_available_providers(self) -> list[str]:
        return self.able

    def SessionOptions(self) -> Any:  # noqa: N802
        def add(devices: list[Any], details: dict[str, str]) -> None:
            self.providers = [(devices[0].ep_name, details)]

        self.settings = SimpleNamespace(add_provider_for_devices=add)
        return self.settings

    def InferenceSession(self, path: str, settings: Any, providers: Any = None) -> Any:  # noqa: N802
        self.providers = providers or self.providers
        name = self.providers[0][0] if self.starts else "CPUExecutionProvider"

        def run(outputs: list[str], inputs: dict[str, Any]) -> list[Any]:
            assert outputs == ["probabilities"]
            with torch.no_grad():
                return [self.network(torch.from_numpy(inputs["crops"])).numpy()]

        return SimpleNamespace(get_providers=lambda: [name, "CPUExecutionProvider"], run=run)

    def get_ep_devices(self) -> list[SimpleNamespace]:
        return self.devices

    def register_execution_provider_library(self, name: str, path: str) -> None:
        assert path == "/plugin.so"
        self.devices = [SimpleNamespace(ep_name=name)]


def pretend(monkeypatch: pytest.MonkeyPatch, ort: Ort) -> None:
    # The stand-in reads no file, and writing a real one takes seconds.
    monkeypatch.setattr("engines.export.write_onnx", lambda network, path: path.write_bytes(b"onnx"))
    plugin = SimpleNamespace(get_library_path=lambda: "/plugin.so")
    found: dict[str, Any] = {"onnxruntime": ort, onnx.RTX_PACKAGE: plugin}
    real = importlib.import_module

    def stand_in(name: str, package: str | None = None) -> Any:
        return found[name] if name in found else real(name, package)

    monkeypatch.setattr("engines.onnx.importlib.import_module", stand_in)


@pytest.mark.usefixtures("with_gpu")
@pytest.mark.parametrize(
    ("backend", "provider", "details"),
    [
        ("onnx-cuda", onnx.CUDA, {}),
        ("onnx-tensorrt", onnx.TENSORRT, {"trt_fp16_enable": "True"}),
        ("rtx", onnx.RTX, {"nv_profile_max_shapes": "crops:4x64x64x3"}),
    ],
)
def test_gpu_providers_are_asked_for_by_name(
    backend: str,
    provider: onnx.Provider,
    details: dict[str, str],
    tiny_checkpoint: Checkpoint,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ort = Ort(load_network(tiny_checkpoint), [provider.name])
    pretend(monkeypatch, ort)
    engine, line = load_engine(backend, tiny_checkpoint.path, max_batch=4, report=lambda line: None)
    assert f"ONNX Runtime 1.32.0 ({provider.name}) on Test GPU" in line
    assert ort.providers[0][0] == provider.name
    assert details.items() <= ort.providers[0][1].items()
    assert engine.infer(sample_crops(64, 2)).shape == (2, 19, 32, 32)


@pytest.mark.usefixtures("with_gpu")
def test_a_provider_that_quietly_became_the_cpu_is_refused(
    tiny_checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend(monkeypatch, Ort(load_network(tiny_checkpoint), [onnx.CUDA.name], starts=False))
    with pytest.raises(EngineUnavailable, match="would have used the CPU"):
        load_engine("onnx-cuda", tiny_checkpoint.path, report=lambda line: None)


@pytest.mark.usefixtures("with_gpu")
def test_a_missing_provider_says_what_brings_it(
    tiny_checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engines.export.write_onnx", lambda network, path: path.write_bytes(b"onnx"))
    with pytest.raises(EngineUnavailable, match="no CUDAExecutionProvider; pip install onnxruntime-gpu"):
        load_engine("onnx-cuda", tiny_checkpoint.path, report=lambda line: None)
    with pytest.raises(EngineUnavailable, match=r"pip install '\.\[rtx\]'"):
        load_engine("rtx", tiny_checkpoint.path, report=lambda line: None)


@pytest.mark.usefixtures("with_gpu")
@pytest.mark.skipif(torch.cuda.is_available(), reason="a PyTorch with CUDA")
def test_eager_on_cuda_needs_a_pytorch_with_cuda(tiny_checkpoint: Checkpoint) -> None:
    with pytest.raises(EngineUnavailable, match="has no CUDA"):
        load_engine("eager-cuda", tiny_checkpoint.path)


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

    monkeypatch.setattr("engines.gpu.ctypes.CDLL", lambda name: Cuda())
    assert find_gpu() == Gpu("NVIDIA H200", "9.0")
    monkeypatch.setattr(Cuda, "count", 0)
    with pytest.raises(EngineUnavailable, match="shows no GPU"):
        find_gpu()


def test_options_choose_a_precision() -> None:
    assert EngineOptions().choose("x", ("fp16", "fp32")) == "fp16"
    assert EngineOptions(precision="fp32").choose("x", ("fp16", "fp32")) == "fp32"
    with pytest.raises(EngineUnavailable, match="x has no int8: fp16, fp32"):
        EngineOptions(precision="int8").choose("x", ("fp16", "fp32"))
