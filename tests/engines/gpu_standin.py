"""Stand-ins for CUDA and for TensorRT's runtime on a machine without a GPU.

They show that memory, streams, graphs and files are handled rightly; the plans they run are ONNX files,
by ONNX Runtime. What TensorRT makes of the network is tested with its own builder, in test_tensorrt.py.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnxruntime
import pytest

from engines import BACKENDS, Engine, load_engine
from engines.gpu import Gpu
from engines.tensorrt_library import Library
from stn_icnn.checkpoint import Checkpoint


class Runtime:
    """What of cuda.bindings.runtime is called: memory is the host's, a captured graph a list of calls."""

    cudaMemcpyKind = SimpleNamespace(cudaMemcpyHostToDevice=1, cudaMemcpyDeviceToHost=2)  # noqa: N815
    cudaStreamCaptureMode = SimpleNamespace(cudaStreamCaptureModeThreadLocal=1)  # noqa: N815
    cudaStreamNonBlocking = 1  # noqa: N815

    def __init__(self, version: int = 13000, captures: bool = True) -> None:
        self.version, self.captures = version, captures
        self.memory: dict[int, Any] = {}
        self.open: set[str] = set()
        self.recording: list[Callable[[], None]] | None = None
        self.launched = 0

    def submit(self, work: Callable[[], None]) -> None:
        if self.recording is None:
            work()
        else:
            self.recording.append(work)

    def cudaRuntimeGetVersion(self) -> tuple[int, int]:  # noqa: N802
        return 0, self.version

    def cudaGetErrorString(self, status: int) -> tuple[int, bytes]:  # noqa: N802
        return 0, {2: b"out of memory", 900: b"operation not permitted when stream is capturing"}[status]

    def cudaMalloc(self, size: int) -> tuple[int, int]:  # noqa: N802
        block = (ctypes.c_uint8 * size)()
        self.memory[ctypes.addressof(block)] = block
        return 0, ctypes.addressof(block)

    cudaMallocHost = cudaMalloc  # noqa: N815

    def cudaFree(self, address: int) -> tuple[int]:  # noqa: N802
        del self.memory[address]
        return (0,)

    cudaFreeHost = cudaFree  # noqa: N815

    def cudaStreamCreateWithFlags(self, flags: int) -> tuple[int, int]:  # noqa: N802
        self.open.add("stream")
        return 0, 7

    def cudaStreamDestroy(self, stream: int) -> tuple[int]:  # noqa: N802
        self.open.remove("stream")
        return (0,)

    def cudaStreamSynchronize(self, stream: int) -> tuple[int]:  # noqa: N802
        assert self.recording is None, "waiting is no part of a graph"
        return (0,)

    def cudaMemcpyAsync(self, to: int, source: int, size: int, kind: int, stream: int) -> tuple[int]:  # noqa: N802
        def copy() -> None:
            ctypes.memmove(to, source, size)

        self.submit(copy)
        return (0,)

    def cudaStreamBeginCapture(self, stream: int, mode: int) -> tuple[int]:  # noqa: N802
        if not self.captures:
            return (900,)
        self.recording = []
        return (0,)

    def cudaStreamEndCapture(self, stream: int) -> tuple[int, Any]:  # noqa: N802
        graph, self.recording = self.recording, None
        return 0, graph

    def cudaGraphInstantiate(self, graph: Any, flags: int) -> tuple[int, Any]:  # noqa: N802
        self.open.add(f"graph {id(graph)}")
        return 0, graph

    def cudaGraphDestroy(self, graph: Any) -> tuple[int]:  # noqa: N802
        return (0,)

    def cudaGraphLaunch(self, graph: Any, stream: int) -> tuple[int]:  # noqa: N802
        self.launched += 1
        for work in graph:
            work()
        return (0,)

    def cudaEventCreate(self) -> tuple[int, int]:  # noqa: N802
        return 0, 9

    def cudaEventRecord(self, event: int, stream: int) -> tuple[int]:  # noqa: N802
        return (0,)

    def cudaEventElapsedTime(self, begin: int, end: int) -> tuple[int, float]:  # noqa: N802
        return 0, 1000.0

    def cudaEventDestroy(self, event: int) -> tuple[int]:  # noqa: N802
        return (0,)

    def cudaMemGetInfo(self) -> tuple[int, int, int]:  # noqa: N802
        return 0, 2**30, 2**31

    def cudaGraphExecDestroy(self, graph: Any) -> tuple[int]:  # noqa: N802
        self.open.remove(f"graph {id(graph)}")
        return (0,)


class Plan:
    """A plan that is an ONNX file, with the calls that are made of TensorRT's ICudaEngine."""

    TYPES: dict[str, type] = {"tensor(uint8)": np.uint8, "tensor(float)": np.float32}  # noqa: RUF012

    def __init__(self, trt: Trt, network: bytes) -> None:
        self.trt, self.session = trt, onnxruntime.InferenceSession(network)
        (self.input,), self.outputs = self.session.get_inputs(), self.session.get_outputs()
        self.tensors = {tensor.name: tensor for tensor in (self.input, *self.outputs)}
        self.num_io_tensors = len(self.tensors)

    def get_tensor_name(self, index: int) -> str:
        return str(list(self.tensors)[index])

    def get_tensor_mode(self, name: str) -> str:
        return "input" if name == self.input.name else "output"

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        return (-1, *self.tensors[name].shape[1:])

    def get_tensor_dtype(self, name: str) -> str:
        return str(self.tensors[name].type)

    def get_tensor_profile_shape(self, name: str, profile: int) -> list[tuple[int, ...]]:
        return [(count, *self.tensors[name].shape[1:]) for count in (1, 1, self.trt.most)]

    def create_runtime_config(self) -> Any:
        def set_cache(cache: Cache) -> None:
            config.cache = cache

        config = SimpleNamespace(create_runtime_cache=lambda: Cache(), set_runtime_cache=set_cache)
        return config

    def create_execution_context(self, config: Any) -> Context:
        assert config.dynamic_shapes_kernel_specialization_strategy == "eager"
        return Context(self, config.cache)


class Cache:
    """What was compiled just in time: a byte for each batch size."""

    def __init__(self) -> None:
        self.sizes: set[int] = set()

    def deserialize(self, blob: bytes) -> None:
        self.sizes = set(blob)

    def serialize(self) -> bytes:
        return bytes(sorted(self.sizes))


class Context:
    """Runs a Plan on addresses."""

    def __init__(self, engine: Plan, cache: Cache) -> None:
        self.engine, self.cache = engine, cache
        self.addresses: dict[str, int] = {}
        self.count = 0

    def set_tensor_address(self, name: str, address: int) -> None:
        self.addresses[name] = address

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool:
        assert shape[1:] == tuple(self.engine.input.shape[1:])
        self.count = shape[0]
        return bool(1 <= self.count <= self.engine.trt.most)

    def execute_async_v3(self, stream: int) -> bool:
        count, addresses = self.count, dict(self.addresses)
        if count not in self.cache.sizes:
            assert self.engine.trt.runtime.recording is None, "compiled while a graph was captured"
            self.engine.trt.compiled.append(count)
            self.cache.sizes.add(count)

        def view(tensor: Any) -> Any:
            shape, dtype = (count, *tensor.shape[1:]), np.dtype(Plan.TYPES[tensor.type])
            size = int(np.prod(shape)) * dtype.itemsize
            memory = (ctypes.c_uint8 * size).from_address(addresses[tensor.name])
            return np.ctypeslib.as_array(memory).view(dtype).reshape(shape)

        def work() -> None:
            found = self.engine.session.run(None, {self.engine.input.name: view(self.engine.input)})
            for tensor, values in zip(self.engine.outputs, found, strict=True):
                view(tensor)[:] = values

        self.engine.trt.runtime.submit(work)
        return True


class Trt:
    """A TensorRT whose plans are ONNX files.

    Attributes:
        built: targets that plans were built for, in order.
        compiled: batch sizes that were compiled just in time, in order.
        refused: what plans must not hold to be run here.
    """

    TensorIOMode = SimpleNamespace(INPUT="input", OUTPUT="output")
    DynamicShapesKernelSpecializationStrategy = SimpleNamespace(EAGER="eager")

    class ILogger:
        """Keeps nothing."""

        Severity = SimpleNamespace(ERROR=1, INTERNAL_ERROR=0)

    def __init__(self, runtime: Runtime) -> None:
        self.runtime, self.most = runtime, 0
        self.built: list[str] = []
        self.compiled: list[int] = []
        self.refused = b"\xff never"

    @property
    def library(self) -> Library:
        return Library(self, "TensorRT for RTX", "1.7.1", True)

    def nptype(self, kind: str) -> type:
        return Plan.TYPES[kind]

    def build_plan(self, library: Library, network: Any, most: int, target: str) -> bytes:
        self.built.append(target)
        self.most = most
        return bytes(network.read_bytes())

    def Runtime(self, log: Any) -> Any:  # noqa: N802
        def deserialize(plan: bytes) -> Plan | None:
            if self.refused in plan:
                log.log(1, "The plan was made for another card\nand more")
                return None
            return Plan(self, plan)

        return SimpleNamespace(deserialize_cuda_engine=deserialize)


GPU = Gpu("Test GPU", "8.9", 13000)


class Machine:
    """A machine that says it has a GPU.

    Attributes:
        trt: its TensorRT.
        said: the lines that were reported.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, cache: Path) -> None:
        self.monkeypatch, self.cache = monkeypatch, cache / "engines"
        self.runtime = Runtime()
        self.trt = Trt(self.runtime)
        self.said: list[str] = []
        monkeypatch.setattr("engines.cache.user_folder", lambda: cache)
        monkeypatch.setattr("engines.tensorrt.find_library", lambda: self.trt.library)
        monkeypatch.setattr("engines.tensorrt.build_plan", self.trt.build_plan)
        monkeypatch.setattr("engines.cuda.import_runtime", lambda: self.runtime)
        # Those in between would be written anew for each test, or need their libraries.
        few = {name: BACKENDS[name] for name in ("tensorrt", "openvino")}
        monkeypatch.setattr("engines.loader.BACKENDS", few)
        self.become(GPU)

    def become(self, gpu: Gpu) -> None:
        for module in ("tensorrt", "torch_tensorrt", "onnx", "eager", "loader"):
            self.monkeypatch.setattr(f"engines.{module}.find_gpu", lambda: gpu)

    def load(self, checkpoint: Checkpoint, backend: str = "tensorrt", **options: Any) -> tuple[Engine, str]:
        return load_engine(backend, checkpoint.path, threads=1, report=self.said.append, **options)

    def entry(self) -> Path:
        (folder,) = self.cache.glob("*-tensorrt-fp16-*/")
        return folder
