"""ONNX Runtime: on the CPU, and on NVIDIA GPUs by CUDA.

The ONNX file is written once by PyTorch and kept in the user's cache; running it needs onnxruntime
alone. A provider that ONNX Runtime would quietly replace by the CPU is refused instead.
"""

from __future__ import annotations

import importlib
import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from engines.engine import (
    Crops,
    EngineOptions,
    EngineSpec,
    EngineUnavailable,
    Infer,
    LockedEngine,
    Probabilities,
)
from engines.gpu import Gpu, find_gpu
from stn_icnn.checkpoint import Checkpoint

FILE = "network.onnx"


@dataclass(frozen=True)
class Provider:
    """An execution provider of ONNX Runtime.

    Attributes:
        name: as ONNX Runtime has it.
        backend: our name of it.
        install: what brings it.
        gpu: whether it needs an NVIDIA GPU.
    """

    name: str
    backend: str
    install: str
    gpu: bool = True


CPU = Provider("CPUExecutionProvider", "onnx", "pip install '.[onnx]'", gpu=False)
CUDA = Provider("CUDAExecutionProvider", "onnx-cuda", "pip install onnxruntime-gpu")


def fp16_onnx_name(checkpoint: Checkpoint) -> str:
    """Return the name of the fp16 network that ships beside weights, for TensorRT."""
    return f"{checkpoint.path.stem}.fp16.onnx"


class OnnxEngine(LockedEngine):
    """Runs a checkpoint by one execution provider of ONNX Runtime and no other."""

    def __init__(self, checkpoint: Checkpoint, options: EngineOptions, provider: Provider = CPU) -> None:
        # The package first: it is the quicker question, and the likelier answer is no.
        if importlib.util.find_spec("onnxruntime") is None:
            raise EngineUnavailable(f"onnxruntime is not installed; {provider.install}")
        gpu = find_gpu() if provider.gpu else None
        precision = options.choose(provider.backend, ("fp32",))
        infer = _open(checkpoint, options, provider, precision, gpu)
        version = importlib.import_module("onnxruntime").__version__
        where = gpu.name if gpu else f"CPU, {options.threads} threads"
        what = f"ONNX Runtime {version} ({provider.name}) on {where}"
        super().__init__(provider.backend, EngineSpec.of(checkpoint.network), precision, what, infer)


def _open(
    checkpoint: Checkpoint,
    options: EngineOptions,
    provider: Provider,
    precision: str,
    gpu: Gpu | None,
) -> Infer:
    from engines.build import obtain
    from engines.cache import Key
    from engines.export import OPSET, write_onnx

    def run(folder: Path) -> Infer:
        return open_session(folder / FILE, provider, options.threads)

    key = Key(
        checkpoint.sha256,
        checkpoint.network,
        provider.backend,
        precision,
        device=str(gpu) if gpu else "any",
        versions={"onnxruntime": importlib.import_module("onnxruntime").__version__, "opset": str(OPSET)},
    )
    entry = obtain(checkpoint, options, key, lambda network, folder: write_onnx(network, folder / FILE), run)
    return run(entry.folder)


def open_session(path: Path, provider: Provider, threads: int) -> Infer:
    """Open an ONNX file and return a function that runs it.

    Args:
        path: of the file.
        provider: that runs it.
        threads: CPU threads; 0 for ONNX Runtime's own choice.

    Raises:
        EngineUnavailable: if onnxruntime or the provider is missing, or it would run something else.
    """
    try:
        ort: Any = importlib.import_module("onnxruntime")
    except ImportError as error:
        raise EngineUnavailable(f"onnxruntime is not installed ({error}); {provider.install}") from None
    if provider.name not in ort.get_available_providers():
        raise EngineUnavailable(f"this onnxruntime has no {provider.name}; {provider.install}")
    settings = ort.SessionOptions()
    settings.intra_op_num_threads = threads
    settings.log_severity_level = 3
    try:
        session = ort.InferenceSession(str(path), settings, providers=[provider.name])
    except Exception as error:
        # ONNX Runtime raises classes of its own for every kind of failure.
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise EngineUnavailable(f"{provider.name} could not start: {reason}") from None
    if session.get_providers()[0] != provider.name:
        raise EngineUnavailable(f"{provider.name} did not start; ONNX Runtime would have used the CPU")

    def infer(crops: Crops) -> Probabilities:
        return np.asarray(session.run(["probabilities"], {"crops": crops})[0], np.float32)

    return infer
