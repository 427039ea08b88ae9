"""Which TensorRT is installed, and its builder: an ONNX network in, a plan out. Needs no GPU."""

from __future__ import annotations

import importlib
import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engines.engine import EngineError, EngineUnavailable

INSTALL = "pip install '.[tensorrt]'"
TARGETS = ("sm75", "sm80", "sm86", "sm89", "sm120", "sm121", "current")
"""What TensorRT for RTX builds for, "current" being the GPU of this machine."""


@dataclass(frozen=True)
class Library:
    """A TensorRT that is installed.

    Attributes:
        module: tensorrt_rtx or tensorrt.
        name: for people.
        version: of it.
        rtx: TensorRT for RTX, whose plans run on every card of a compute capability.
    """

    module: Any
    name: str
    version: str
    rtx: bool

    def make_log(self) -> Any:
        """Return a logger that prints nothing and keeps TensorRT's last error as `reason`."""
        trt = self.module

        class Log(trt.ILogger):  # type: ignore[misc, name-defined]
            def __init__(self) -> None:
                trt.ILogger.__init__(self)
                self.reason = "no reason given"

            def log(self, severity: Any, text: str) -> None:
                if severity in (trt.ILogger.Severity.ERROR, trt.ILogger.Severity.INTERNAL_ERROR):
                    self.reason = text.splitlines()[0] if text else "no reason given"

        return Log()


def find_library() -> Library:
    """Return TensorRT for RTX or, where it is missing, the classic TensorRT.

    Raises:
        EngineUnavailable: if neither is installed, or its libraries can't be loaded.
    """
    for module, name in (("tensorrt_rtx", "TensorRT for RTX"), ("tensorrt", "TensorRT")):
        if importlib.util.find_spec(module) is None:
            continue
        try:
            found: Any = importlib.import_module(module)
            return Library(found, name, str(found.__version__), module == "tensorrt_rtx")
        except Exception as error:
            # Without its shared libraries the import fails in many ways: OSError, AttributeError ...
            raise EngineUnavailable(f"{module} can't be imported ({error}); {INSTALL}") from None
    raise EngineUnavailable(f"TensorRT is not installed; {INSTALL}")


def read_network(library: Library, network: Path) -> Any:
    """Return an ONNX file as TensorRT's builder, network and parser: each needs the others to live.

    Raises:
        EngineError: if TensorRT can't read it.
    """
    trt = library.module
    log = library.make_log()
    builder = trt.Builder(log)
    flags = trt.NetworkDefinitionCreationFlag
    # Later versions of the classic TensorRT know no other networks and no flag any more.
    strict = 1 << int(flags.STRONGLY_TYPED) if hasattr(flags, "STRONGLY_TYPED") else 0
    definition = builder.create_network(strict)
    parser = trt.OnnxParser(definition, log)
    if not parser.parse(network.read_bytes()):
        reasons = [parser.get_error(index).desc() for index in range(parser.num_errors)]
        raise EngineError(f"{library.name} can't read {network.name}: {'; '.join(reasons) or log.reason}")
    return log, builder, definition, parser


def build_plan(library: Library, network: Path, most: int, target: str) -> bytes:
    """Compile an ONNX network for batches of 1 to `most`.

    Args:
        library: that builds.
        network: the ONNX file; one input, "crops".
        most: largest batch.
        target: of `TARGETS`.

    Raises:
        EngineError: if TensorRT refuses it.
    """
    trt = library.module
    log, builder, definition, _parser = read_network(library, network)
    config = builder.create_builder_config()
    # It rounds the inputs of fp32 convolutions to ten bits, which nobody asked for.
    config.clear_flag(trt.BuilderFlag.TF32)
    if library.rtx:
        config.num_compute_capabilities = 1
        config.set_compute_capability(getattr(trt.ComputeCapability, target.upper()), 0)
    profile = builder.create_optimization_profile()
    crop = tuple(definition.get_input(0).shape)[1:]
    profile.set_shape("crops", (1, *crop), (1, *crop), (most, *crop))
    config.add_optimization_profile(profile)
    plan = builder.build_serialized_network(definition, config)
    if plan is None:
        raise EngineError(f"{library.name} can't build {network.name} for {target}: {log.reason}")
    return bytes(memoryview(plan))
