"""Choosing an engine: by name, which never falls back, or `auto`, which says what it chose and why."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from engines import onnx
from engines.eager import EagerEngine
from engines.engine import Engine, EngineError, EngineOptions, EngineUnavailable
from engines.gpu import find_gpu
from engines.onnx import OnnxEngine
from engines.openvino import OpenVinoEngine
from engines.tensorrt import TensorRtEngine
from engines.torch_tensorrt import TorchTensorRtEngine
from stn_icnn.checkpoint import Checkpoint, CheckpointError, read_checkpoint

Factory = Callable[[Checkpoint, EngineOptions], Engine]

GPU_BACKENDS: Mapping[str, Factory] = {
    "tensorrt": TensorRtEngine,
    "torch-tensorrt": TorchTensorRtEngine,
    "onnx-cuda": partial(OnnxEngine, provider=onnx.CUDA),
    "eager-cuda": partial(EagerEngine, device="cuda"),
}
CPU_BACKENDS: Mapping[str, Factory] = {"openvino": OpenVinoEngine, "onnx": OnnxEngine, "eager": EagerEngine}

BACKENDS: Mapping[str, Factory] = {**GPU_BACKENDS, **CPU_BACKENDS}
"""Back-ends by name, in the order in which `auto` tries them."""


def load_engine(
    backend: str = "auto",
    weights: Path | None = None,
    threads: int | None = None,
    precision: str = "auto",
    require_gpu: bool = False,
    max_batch: int = 8,
    build: bool = True,
    report: Callable[[str], None] | None = None,
) -> tuple[Engine, str]:
    """Load an engine.

    Args:
        backend: "auto" or a name of `BACKENDS`.
        weights: a .safetensors file with its manifest; None for the shipped weights.
        threads: CPU threads; None for one a core.
        precision: "auto", "fp32", "fp16" or "int8".
        require_gpu: whether anything that runs on the CPU is refused.
        max_batch: largest batch, for engines that are compiled for a range.
        build: whether what is not compiled yet may be compiled now.
        report: gets one line for what takes long; None prints to stderr.

    Returns:
        The engine, and one line that says what runs and why it was chosen.

    Raises:
        EngineError: if the back-end is unknown, the weights are damaged, or nothing can run.
    """
    if backend != "auto" and backend not in BACKENDS:
        raise EngineError(f"unknown back-end {backend!r}: one of auto, {', '.join(BACKENDS)}")
    if require_gpu and backend in CPU_BACKENDS:
        raise EngineError(f"{backend} runs on the CPU, and a GPU is required")
    options = EngineOptions(threads or available_cores(), precision, max_batch, build, report)
    try:
        checkpoint = read_checkpoint(weights)
        if backend != "auto":
            engine = BACKENDS[backend](checkpoint, options)
            return engine, _line(checkpoint, engine, "asked for")
        return _first_that_runs(checkpoint, options, require_gpu)
    except CheckpointError as error:
        raise EngineError(str(error)) from None


def _first_that_runs(checkpoint: Checkpoint, options: EngineOptions, require_gpu: bool) -> tuple[Engine, str]:
    refusals: list[str] = []
    candidates = dict(GPU_BACKENDS if require_gpu else BACKENDS)
    try:
        gpu = find_gpu().name
    except EngineUnavailable as error:
        # One reason for all of them is easier to read than five.
        refusals.append(f"no GPU: {error}")
        candidates = {name: factory for name, factory in candidates.items() if name not in GPU_BACKENDS}
    else:
        refusals.append(f"GPU: {gpu}")
    for name, factory in candidates.items():
        try:
            engine = factory(checkpoint, options)
        except EngineError as error:
            # Also one that was built and differs, or fails at its start: what follows may do better.
            refusals.append(f"{name}: {error}")
            continue
        return engine, _line(checkpoint, engine, "auto; " + "; ".join(refusals))
    what = "a GPU is required, and no engine can use one here" if require_gpu else "no engine can run here"
    raise EngineUnavailable(f"{what}: {'; '.join(refusals)}")


def _line(checkpoint: Checkpoint, engine: Engine, why: str) -> str:
    name = checkpoint.network["name"]
    return f"engine: {name} {checkpoint.sha256[:8]}, {engine.description} ({why})"


def available_cores() -> int:
    """Return how many cores this process may use, which a container can hold below the machine's count."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
