"""TensorRT by torch-tensorrt, compiled ahead of time; the only file that imports torch_tensorrt."""

from __future__ import annotations

import importlib
import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from engines.engine import (
    Crops,
    EngineOptions,
    EngineSpec,
    EngineUnavailable,
    Infer,
    LockedEngine,
    Probabilities,
    in_parts,
)
from engines.gpu import Gpu, find_gpu
from stn_icnn.checkpoint import Checkpoint

if TYPE_CHECKING:
    import torch

    from stn_icnn.network import STNiCNN

FILE = "network.ep"
INSTALL = "pip install '.[torch-tensorrt]'"


class TorchTensorRtEngine(LockedEngine):
    """Runs a checkpoint compiled by torch-tensorrt for this GPU, in fp16 or fp32."""

    def __init__(self, checkpoint: Checkpoint, options: EngineOptions) -> None:
        # Asked before anything is imported: torch alone takes seconds.
        if importlib.util.find_spec("torch_tensorrt") is None:
            raise EngineUnavailable(f"torch-tensorrt is not installed; {INSTALL}")
        precision = options.choose("torch-tensorrt", ("fp16", "fp32"))
        gpu = find_gpu()
        tensorrt = _import()
        compiled = in_parts(_open(checkpoint, options, precision, gpu, tensorrt), options.max_batch)
        what = f"TensorRT (torch-tensorrt {tensorrt.__version__}) on {gpu.name}"
        super().__init__("torch-tensorrt", EngineSpec.of(checkpoint.network), precision, what, compiled)


def _import() -> Any:
    import torch

    if not torch.cuda.is_available():
        raise EngineUnavailable(f"this PyTorch ({torch.__version__}) has no CUDA, which torch-tensorrt needs")
    try:
        return importlib.import_module("torch_tensorrt")
    except Exception as error:
        # Without TensorRT's libraries the import fails in many ways, OSError and AttributeError among them.
        raise EngineUnavailable(f"torch_tensorrt can't be imported ({error}); {INSTALL}") from None


def _open(checkpoint: Checkpoint, options: EngineOptions, precision: str, gpu: Gpu, tensorrt: Any) -> Infer:
    import torch

    from engines.build import obtain
    from engines.cache import Key

    key = Key(
        checkpoint.sha256,
        checkpoint.network,
        "torch-tensorrt",
        precision,
        max_batch=options.max_batch,
        device=str(gpu),
        versions={"torch": torch.__version__, "torch_tensorrt": tensorrt.__version__},
    )
    entry = obtain(
        checkpoint,
        options,
        key,
        write=lambda network, folder: compile_network(network, folder / FILE, precision, options.max_batch),
        run=lambda folder: load_compiled(folder / FILE),
    )
    return load_compiled(entry.folder / FILE)


def export_floats(network: STNiCNN, precision: str, most: int) -> torch.export.ExportedProgram:
    """Return a network as a graph of crops (N, S, S, 3) float32 in 0 to 255 for batches of 1 to `most`.

    torch-tensorrt's runtime takes no uint8: its callers cast on the GPU.

    Args:
        network: on the device that it is compiled for.
        precision: "fp16" or "fp32", see `stn_icnn.precision`.
        most: largest batch.
    """
    from engines.export import export_program
    from stn_icnn.precision import with_precision

    return export_program(with_precision(network, precision), most, floats=True)


def compile_network(network: STNiCNN, path: Path, precision: str, most: int) -> None:
    """Compile a network whole for this GPU and batches of 1 to `most`, and save it.

    Args:
        network: on any device.
        path: of the saved program.
        precision: "fp16" or "fp32", see `stn_icnn.precision`.
        most: largest batch.
    """
    import torch

    tensorrt = _import()
    shape = network.config.packing.input_shape
    program = export_floats(network.cuda(), precision, most)
    shapes = [(count, *shape) for count in (1, 1, most)]
    inputs = [
        tensorrt.Input(min_shape=shapes[0], opt_shape=shapes[1], max_shape=shapes[2], dtype=torch.float32)
    ]
    compiled = tensorrt.dynamo.compile(
        program,
        arg_inputs=inputs,
        # A part left to PyTorch would cost more than it is worth, and silently.
        require_full_compilation=True,
        # Every type is in the graph; torch-tensorrt's own autocast fails on operators that return lists.
        use_explicit_typing=True,
        disable_tf32=True,
    )
    tensorrt.save(compiled, str(path), output_format="exported_program", arg_inputs=inputs, retrace=False)
    network.cpu()


def load_compiled(path: Path) -> Infer:
    """Load a saved program and return a function that runs it; our Python network is not needed."""
    import torch

    tensorrt = _import()  # registers the operator that runs engines
    # Of the whole process: a graph for each shape that an engine meets.
    tensorrt.runtime.set_cudagraphs_mode(True)
    module = torch.export.load(str(path)).module()

    def infer(crops: Crops) -> Probabilities:
        with torch.inference_mode():
            output = module(torch.from_numpy(crops).cuda().float())
            return np.asarray(output.cpu().numpy(), np.float32)

    return infer
