"""ONNX Runtime: on the CPU, and on NVIDIA GPUs by CUDA, TensorRT or TensorRT for RTX.

The ONNX file is written once by PyTorch and kept in the user's cache; running it needs onnxruntime
alone. A provider that ONNX Runtime would quietly replace by the CPU is refused instead.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
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
RTX_PACKAGE = "onnxruntime_ep_nv_tensorrt_rtx"


@dataclass(frozen=True)
class Provider:
    """An execution provider of ONNX Runtime.

    Attributes:
        name: as ONNX Runtime has it.
        backend: our name of it.
        install: what brings it.
        precisions: what it computes in, its default first.
        gpu: whether it needs an NVIDIA GPU.
        options: for its session, given the options of the engine and the folder of the network.
    """

    name: str
    backend: str
    install: str
    precisions: tuple[str, ...] = ("fp32",)
    gpu: bool = True
    options: Callable[[str, EngineOptions, EngineSpec, Path], Mapping[str, str]] = field(
        default=lambda precision, options, spec, folder: {}
    )


def _shapes(spec: EngineSpec, count: int) -> str:
    return f"crops:{count}x{spec.input_size}x{spec.input_size}x3"


def _tensorrt_options(
    precision: str, options: EngineOptions, spec: EngineSpec, folder: Path
) -> Mapping[str, str]:
    return {
        "trt_fp16_enable": str(precision == "fp16"),
        "trt_engine_cache_enable": "True",
        "trt_engine_cache_path": str(folder / "tensorrt"),
        "trt_profile_min_shapes": _shapes(spec, 1),
        "trt_profile_opt_shapes": _shapes(spec, 1),
        "trt_profile_max_shapes": _shapes(spec, options.max_batch),
    }


def _rtx_options(precision: str, options: EngineOptions, spec: EngineSpec, folder: Path) -> Mapping[str, str]:
    return {
        "nv_runtime_cache_path": str(folder / "rtx"),
        "nv_profile_min_shapes": _shapes(spec, 1),
        "nv_profile_opt_shapes": _shapes(spec, 1),
        "nv_profile_max_shapes": _shapes(spec, options.max_batch),
    }


CPU = Provider("CPUExecutionProvider", "onnx", "pip install '.[onnx]'", gpu=False)
CUDA = Provider("CUDAExecutionProvider", "onnx-cuda", "pip install onnxruntime-gpu")
TENSORRT = Provider(
    "TensorrtExecutionProvider",
    "onnx-tensorrt",
    "pip install onnxruntime-gpu, and TensorRT's libraries on the library path",
    ("fp16", "fp32"),
    options=_tensorrt_options,
)
RTX = Provider("NvTensorRTRTXExecutionProvider", "rtx", "pip install '.[rtx]'", options=_rtx_options)


class OnnxEngine(LockedEngine):
    """Runs a checkpoint by one execution provider of ONNX Runtime and no other."""

    def __init__(self, checkpoint: Checkpoint, options: EngineOptions, provider: Provider = CPU) -> None:
        # The package first: it is the quicker question, and the likelier answer is no.
        if importlib.util.find_spec("onnxruntime") is None:
            raise EngineUnavailable(f"onnxruntime is not installed; {provider.install}")
        gpu = find_gpu() if provider.gpu else None
        precision = options.choose(provider.backend, provider.precisions)
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
    from engines.cache import Key
    from engines.export import obtain, write_onnx

    spec = EngineSpec.of(checkpoint.network)

    def run(folder: Path) -> Infer:
        details = provider.options(precision, options, spec, folder)
        return open_session(folder / FILE, provider, details, options.threads)

    key = Key(
        checkpoint.sha256,
        checkpoint.network,
        provider.backend,
        precision,
        max_batch=options.max_batch if provider.gpu else 0,
        device=str(gpu) if gpu else "any",
        versions={"onnxruntime": importlib.import_module("onnxruntime").__version__},
    )
    entry = obtain(checkpoint, options, key, lambda network, folder: write_onnx(network, folder / FILE), run)
    return run(entry.folder)


def open_session(path: Path, provider: Provider, details: Mapping[str, str], threads: int) -> Infer:
    """Open an ONNX file and return a function that runs it.

    Raises:
        EngineUnavailable: if the provider is missing, or ONNX Runtime would run something else.
    """
    ort: Any = importlib.import_module("onnxruntime")
    settings = ort.SessionOptions()
    settings.intra_op_num_threads = threads
    settings.log_severity_level = 3
    try:
        if provider is RTX:
            settings.add_provider_for_devices(_rtx_devices(ort), dict(details))
            session = ort.InferenceSession(str(path), settings)
        else:
            if provider.name not in ort.get_available_providers():
                raise EngineUnavailable(f"this onnxruntime has no {provider.name}; {provider.install}")
            session = ort.InferenceSession(str(path), settings, providers=[(provider.name, dict(details))])
    except EngineUnavailable:
        raise
    except Exception as error:
        # ONNX Runtime raises classes of its own for every kind of failure.
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise EngineUnavailable(f"{provider.name} could not start: {reason}") from None
    if session.get_providers()[0] != provider.name:
        raise EngineUnavailable(f"{provider.name} did not start; ONNX Runtime would have used the CPU")

    def infer(crops: Crops) -> Probabilities:
        return np.asarray(session.run(["probabilities"], {"crops": crops})[0], np.float32)

    return infer


def _rtx_devices(ort: Any) -> list[Any]:
    """Register the TensorRT-RTX plug-in and return the devices that it offers."""
    try:
        plugin: Any = importlib.import_module(RTX_PACKAGE)
    except ImportError as error:
        raise EngineUnavailable(f"TensorRT for RTX is not installed ({error}); {RTX.install}") from None
    devices = [device for device in ort.get_ep_devices() if device.ep_name == RTX.name]
    if not devices:
        # A library can be registered once a process.
        ort.register_execution_provider_library(RTX.name, plugin.get_library_path())
        devices = [device for device in ort.get_ep_devices() if device.ep_name == RTX.name]
    if not devices:
        raise EngineUnavailable("TensorRT for RTX supports no device of this machine")
    return devices[:1]
