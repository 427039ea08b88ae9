"""Runs a plan of TensorRT: one stream, pinned host buffers, a CUDA graph for each batch size met."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from engines.cuda import Cuda, CudaError, Graph, PinnedBuffer, Stream
from engines.engine import Crops, EngineError, Probabilities
from engines.tensorrt_library import Library

Output = npt.NDArray[Any]


class PlanError(EngineError):
    """A plan can't be run by this TensorRT on this GPU."""


class RuntimeCacheFile:
    """What TensorRT for RTX compiles just in time, kept from one start to the next.

    The file grows with each batch size met, so it lies beside the entry's checked files with a SHA-256 of its
    own in front.

    Args:
        path: of the file; need not exist.
        report: gets one line where it is damaged or can't be written.
    """

    def __init__(self, path: Path, report: Callable[[str], None]) -> None:
        self.path, self._report = path, report

    def read(self) -> bytes | None:
        """Return what was kept, or None where there is nothing that can be used."""
        try:
            data = self.path.read_bytes()
        except OSError:
            return None
        digest, blob = data[:32], data[32:]
        if hashlib.sha256(blob).digest() == digest:
            return blob
        self._report(f"{self.path}: damaged; what TensorRT compiled at the last start is compiled anew")
        return None

    def write(self, blob: bytes) -> None:
        """Keep what there is now; where it can't be written the next start takes longer, and that is told."""
        temporary = self.path.with_name(f"{self.path.name}.{os.getpid()}.tmp")
        try:
            temporary.write_bytes(hashlib.sha256(blob).digest() + blob)
            os.replace(temporary, self.path)
        except OSError as error:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)
            self._report(f"{self.path}: not written ({error.strerror}); the next start compiles again")


class PlanRunner:
    """A plan on this GPU: crops in, by name what it gives out.

    Args:
        plan: what the builder made; its one input is (1 to any, ...), its outputs have as many rows.
        library: that made it.
        cuda: CUDA's calls.
        kept: what was compiled just in time before; None to keep nothing.

    Attributes:
        most: largest batch.
        note: for the engine's description: nothing, or why it runs without CUDA graphs.

    Raises:
        PlanError: if the plan is for another card or version, or damaged.
        CudaError: if memory is short.
    """

    def __init__(
        self, plan: bytes, library: Library, cuda: Cuda, kept: RuntimeCacheFile | None = None
    ) -> None:
        self.note = ""
        self._library, self._cuda, self._kept = library, cuda, kept
        self._graphs: dict[int, Graph | None] = {}
        self._freed: list[Callable[[], None]] = []
        self._log = library.make_log()
        self._runtime = library.module.Runtime(self._log)
        self._engine = self._runtime.deserialize_cuda_engine(plan)
        if self._engine is None:
            raise PlanError(f"{library.name} {library.version} can't run it here ({self._log.reason})")
        self._cache: Any = None
        self._context = self._create_context()
        names = [self._engine.get_tensor_name(index) for index in range(self._engine.num_io_tensors)]
        inputs = library.module.TensorIOMode.INPUT
        (self._input,) = [name for name in names if self._engine.get_tensor_mode(name) == inputs]
        self.most = int(self._engine.get_tensor_profile_shape(self._input, 0)[2][0])
        try:
            self._stream = Stream(cuda)
            self._freed.append(self._stream.free)
            self._buffers = {name: self._buffer(name) for name in names}
        except CudaError:
            self.free()
            raise
        self._outputs = [name for name in names if name != self._input]

    def _create_context(self) -> Any:
        if not self._library.rtx:
            context = self._engine.create_execution_context()
        else:
            config = self._engine.create_runtime_config()
            self._cache = config.create_runtime_cache()
            blob = self._kept.read() if self._kept is not None else None
            if blob is not None:
                self._cache.deserialize(blob)
            config.set_runtime_cache(self._cache)
            # Compiled at the first run of a batch size, before its graph is captured, and not meanwhile.
            strategies = self._library.module.DynamicShapesKernelSpecializationStrategy
            config.dynamic_shapes_kernel_specialization_strategy = strategies.EAGER
            context = self._engine.create_execution_context(config)
        if context is None:
            raise PlanError(f"{self._library.name} can't start it ({self._log.reason})")
        return context

    def _buffer(self, name: str) -> PinnedBuffer:
        shape = (self.most, *tuple(self._engine.get_tensor_shape(name))[1:])
        dtype = self._library.module.nptype(self._engine.get_tensor_dtype(name))
        buffer = PinnedBuffer(self._cuda, shape, dtype)
        self._freed.append(buffer.free)
        self._context.set_tensor_address(name, buffer.device)
        return buffer

    def run(self, crops: Crops) -> dict[str, Output]:
        """Run crops (N, S, S, 3) uint8, N at most `most`; the results are the caller's own."""
        count = len(crops)
        np.copyto(self._buffers[self._input].host[:count], crops)
        if count in self._graphs:
            self._launch(count)
            self._stream.wait()
        else:
            self._graphs[count] = self._prepare(count)
        return {name: np.array(self._buffers[name].host[:count]) for name in self._outputs}

    def infer(self, crops: Crops) -> Probabilities:
        """Return the output "probabilities" of `run`."""
        return self.run(crops)["probabilities"]

    def _launch(self, count: int) -> None:
        """Start a batch size that was met before, from host buffer to host buffer, without waiting."""
        graph = self._graphs[count]
        if graph is not None:
            graph.launch(self._stream)
        else:
            self._enqueue(count)

    def device_seconds(self, count: int, repeats: int) -> float:
        """Return what a batch takes on the device alone, without copies: the mean of runs without a pause."""
        self._shape(count)
        graph = self._stream.capture(self._execute)
        begin, end = (self._cuda.call("cudaEventCreate") for _ in range(2))
        try:
            graph.launch(self._stream)
            self._cuda.call("cudaEventRecord", begin, self._stream.handle)
            for _ in range(repeats):
                graph.launch(self._stream)
            self._cuda.call("cudaEventRecord", end, self._stream.handle)
            self._stream.wait()
            return float(self._cuda.call("cudaEventElapsedTime", begin, end)) / repeats / 1e3
        finally:
            graph.free()
            for event in (begin, end):
                self._cuda.call("cudaEventDestroy", event)

    def _prepare(self, count: int) -> Graph | None:
        """Run a batch size for the first time, then capture it; None where it can't be captured."""
        # What is compiled just in time is compiled in this run.
        self._enqueue(count)
        self._stream.wait()
        if self._cache is not None and self._kept is not None:
            self._kept.write(bytes(memoryview(self._cache.serialize())))
        try:
            return self._stream.capture(lambda: self._enqueue(count))
        except EngineError as error:
            self.note = f" without CUDA graphs ({error})"
            return None

    def _enqueue(self, count: int) -> None:
        self._shape(count)
        self._buffers[self._input].upload(self._stream, count)
        self._execute()
        for name in self._outputs:
            self._buffers[name].download(self._stream, count)

    def _shape(self, count: int) -> None:
        shape = (count, *self._buffers[self._input].host.shape[1:])
        if not self._context.set_input_shape(self._input, shape):
            raise EngineError(f"{self._library.name} takes no batch of {count}: {self._log.reason}")

    def _execute(self) -> None:
        if not self._context.execute_async_v3(int(self._stream.handle)):
            raise EngineError(f"{self._library.name} failed: {self._log.reason}")

    def moved_to(self, path: Path) -> None:
        """Say where the runtime cache lies, after its entry was renamed."""
        if self._kept is not None:
            self._kept.path = path

    def free(self) -> None:
        """Give back graphs, buffers and stream; a second call does nothing."""
        graphs, self._graphs = self._graphs, {}
        for graph in graphs.values():
            if graph is not None:
                graph.free()
        while self._freed:
            self._freed.pop()()
        self._context = self._engine = self._cache = None
