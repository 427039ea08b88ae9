"""CUDA without PyTorch: pinned and device memory, a stream and CUDA graphs, by NVIDIA's cuda-bindings.

The only file that imports cuda.bindings. The GIL is free during every call of it.
"""

from __future__ import annotations

import ctypes
import importlib
import importlib.util
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from engines.engine import EngineError, EngineUnavailable
from engines.gpu import Gpu

# The first driver that runs each major version of CUDA: the NVIDIA driver's release notes.
DRIVERS = {12: "525", 13: "580"}


class CudaError(EngineError):
    """A call of CUDA failed."""


def require_cuda(gpu: Gpu, install: str) -> Cuda:
    """Return CUDA's calls after checking that the driver runs them.

    Args:
        gpu: of this machine.
        install: what brings cuda-bindings, for the error.

    Raises:
        EngineUnavailable: if cuda-bindings is missing or wants a newer driver.
    """
    # The parent is looked for first: find_spec imports it and would fail where it is missing.
    if importlib.util.find_spec("cuda") is None or importlib.util.find_spec("cuda.bindings") is None:
        raise EngineUnavailable(f"cuda-bindings is not installed; {install}")
    cuda = Cuda(import_runtime())
    major = cuda.version // 1000
    if gpu.cuda // 1000 < major:
        raise EngineUnavailable(
            f"the NVIDIA driver is too old: it runs CUDA {gpu.cuda_version}, and {major} is needed; "
            f"install driver {DRIVERS.get(major, 'of that version')} or newer"
        )
    return cuda


def import_runtime() -> Any:
    """Return the module of CUDA's runtime calls."""
    return importlib.import_module("cuda.bindings.runtime")


class Cuda:
    """CUDA's runtime calls with errors raised instead of returned.

    Args:
        runtime: the module cuda.bindings.runtime.
    """

    def __init__(self, runtime: Any) -> None:
        self.runtime = runtime

    @property
    def version(self) -> int:
        """Return the version of CUDA that the calls are of, 13000 for 13.0."""
        return int(self.call("cudaRuntimeGetVersion"))

    def call(self, name: str, *args: Any) -> Any:
        """Call a function of the runtime by name and return its value, a tuple where there are several.

        Raises:
            CudaError: with CUDA's own words.
        """
        status, *values = getattr(self.runtime, name)(*args)
        if int(status):
            _, text = self.runtime.cudaGetErrorString(status)
            raise CudaError(f"CUDA: {text.decode()} ({name}, error {int(status)})")
        if len(values) > 1:
            return tuple(values)
        return values[0] if values else None

    def free_memory(self) -> tuple[int, int]:
        """Return free and total bytes of the device's memory."""
        free, total = self.call("cudaMemGetInfo")
        return int(free), int(total)


class PinnedBuffer:
    """An array in pinned host memory and room for the same on the device.

    Args:
        cuda: see `Cuda`.
        shape: of the array.
        dtype: of its numbers.
    """

    def __init__(self, cuda: Cuda, shape: tuple[int, ...], dtype: npt.DTypeLike) -> None:
        self._cuda = cuda
        kind = np.dtype(dtype)
        # Bytes of one of the first axis: a batch is copied no further than it is filled.
        self.row_bytes = int(np.prod(shape[1:], dtype=np.int64)) * kind.itemsize
        size = shape[0] * self.row_bytes
        self._address = int(cuda.call("cudaMallocHost", size))
        try:
            self.device = int(cuda.call("cudaMalloc", size))
        except CudaError:
            cuda.call("cudaFreeHost", self._address)
            raise
        memory = (ctypes.c_uint8 * size).from_address(self._address)
        self.host: npt.NDArray[Any] = np.ctypeslib.as_array(memory).view(kind).reshape(shape)

    def upload(self, stream: Stream, rows: int) -> None:
        """Copy the first rows to the device, in the stream's order."""
        kind = self._cuda.runtime.cudaMemcpyKind.cudaMemcpyHostToDevice
        self._copy(self.device, self._address, rows, kind, stream)

    def download(self, stream: Stream, rows: int) -> None:
        """Copy the first rows from the device, in the stream's order."""
        kind = self._cuda.runtime.cudaMemcpyKind.cudaMemcpyDeviceToHost
        self._copy(self._address, self.device, rows, kind, stream)

    def _copy(self, to: int, source: int, rows: int, kind: Any, stream: Stream) -> None:
        self._cuda.call("cudaMemcpyAsync", to, source, rows * self.row_bytes, kind, stream.handle)

    def free(self) -> None:
        """Give both back; `host` must not be used any more."""
        self._cuda.call("cudaFree", self.device)
        self._cuda.call("cudaFreeHost", self._address)


class Stream:
    """One queue of work on the device."""

    def __init__(self, cuda: Cuda) -> None:
        self._cuda = cuda
        # Not the default stream: other libraries' work there would wait for ours, and it can't be captured.
        self.handle = cuda.call("cudaStreamCreateWithFlags", cuda.runtime.cudaStreamNonBlocking)

    def wait(self) -> None:
        """Return when everything in it is done.

        Raises:
            CudaError: if any of it failed.
        """
        self._cuda.call("cudaStreamSynchronize", self.handle)

    def capture(self, work: Callable[[], None]) -> Graph:
        """Record what `work` puts into this stream instead of running it.

        Raises:
            CudaError: if it holds something that can't be captured.
        """
        # Thread-local, so that what other threads do with CUDA meanwhile is no error.
        mode = self._cuda.runtime.cudaStreamCaptureMode.cudaStreamCaptureModeThreadLocal
        self._cuda.call("cudaStreamBeginCapture", self.handle, mode)
        try:
            work()
        except BaseException:
            # Ends the capture; that it fails too is no news.
            self._cuda.runtime.cudaStreamEndCapture(self.handle)
            raise
        graph = self._cuda.call("cudaStreamEndCapture", self.handle)
        try:
            return Graph(self._cuda, self._cuda.call("cudaGraphInstantiate", graph, 0))
        finally:
            self._cuda.call("cudaGraphDestroy", graph)

    def free(self) -> None:
        """Give it back."""
        self._cuda.call("cudaStreamDestroy", self.handle)


class Graph:
    """Captured work that one call starts."""

    def __init__(self, cuda: Cuda, handle: Any) -> None:
        self._cuda, self._handle = cuda, handle

    def launch(self, stream: Stream) -> None:
        """Run it in a stream."""
        self._cuda.call("cudaGraphLaunch", self._handle, stream.handle)

    def free(self) -> None:
        """Give it back."""
        self._cuda.call("cudaGraphExecDestroy", self._handle)
