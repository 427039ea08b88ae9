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
)
from engines.gpu import Gpu, find_gpu
from stn_icnn.checkpoint import Checkpoint

if TYPE_CHECKING:
    from stn_icnn.network import STNiCNN

FILE = "network.ep"
INSTALL = "pip install '.[tensorrt]' and TensorRT's libraries"

# fmt: off
CONVERTED = frozenset(
    {
        "_adaptive_avg_pool2d.default", "_native_batch_norm_legit_no_training.default", "_softmax.default",
        "_to_copy.default", "abs.default", "add.Tensor", "arange.start_step", "avg_pool2d.default",
        "cat.default", "clamp.default", "clone.default", "convolution.default", "div.Tensor", "exp.default",
        "expand.default", "flip.default", "grid_sampler_2d.default", "index.Tensor", "leaky_relu.default",
        "log.default", "lt.Scalar", "max_pool2d.default", "mean.dim", "mul.Tensor", "neg.default",
        "permute.default", "reciprocal.default", "relu.default", "select.int", "slice.Tensor",
        "sqrt.default", "squeeze.dims", "sub.Tensor", "sum.dim_IntList", "sym_size.int", "tanh.default",
        "unsqueeze.default", "upsample_bilinear2d.vec", "upsample_nearest2d.vec", "view.default",
        "where.self"
    }
)
# fmt: on
"""ATen operators with a converter in torch-tensorrt 2.13 (dynamo/conversion/aten_ops_converters.py), of
those that our networks use."""

LOWERED = frozenset(
    {
        "_assert_tensor_metadata.default",
        "alias.default",
        "full_like.default",
        "max_pool2d_with_indices.default",
    }
)
"""Operators that it decomposes, replaces or drops before conversion (dynamo/lowering)."""


class TensorRtEngine(LockedEngine):
    """Runs a checkpoint compiled by torch-tensorrt for this GPU, in fp16 or fp32."""

    def __init__(self, checkpoint: Checkpoint, options: EngineOptions) -> None:
        # Asked before anything is imported: torch alone takes seconds.
        if importlib.util.find_spec("torch_tensorrt") is None:
            raise EngineUnavailable(f"torch-tensorrt is not installed; {INSTALL}")
        gpu = find_gpu()
        precision = options.choose("tensorrt", ("fp16", "fp32"))
        tensorrt = _import()
        compiled, most = _open(checkpoint, options, precision, gpu, tensorrt), options.max_batch

        def infer(crops: Crops) -> Probabilities:
            # Batches above the compiled range run in parts.
            starts = range(0, len(crops), most)
            return np.concatenate([compiled(crops[start : start + most]) for start in starts])

        what = f"TensorRT (torch-tensorrt {tensorrt.__version__}) on {gpu.name}"
        super().__init__("tensorrt", EngineSpec.of(checkpoint.network), precision, what, infer)


def _import() -> Any:
    try:
        return importlib.import_module("torch_tensorrt")
    except Exception as error:
        # Without TensorRT's libraries the import fails in many ways, OSError and AttributeError among them.
        raise EngineUnavailable(f"torch_tensorrt can't be imported ({error}); {INSTALL}") from None


def _open(checkpoint: Checkpoint, options: EngineOptions, precision: str, gpu: Gpu, tensorrt: Any) -> Infer:
    import torch

    from engines.cache import Key
    from engines.export import obtain

    key = Key(
        checkpoint.sha256,
        checkpoint.network,
        "tensorrt",
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


def compile_network(network: STNiCNN, path: Path, precision: str, most: int) -> None:
    """Compile a network whole for this GPU and batches of 1 to `most`, and save it.

    Args:
        network: on any device.
        path: of the saved program.
        precision: "fp16" (convolutions; what needs range stays fp32) or "fp32".
        most: largest batch.
    """
    import torch

    from engines.export import export_program

    tensorrt = _import()
    side = network.config.input_size
    program = export_program(network.cuda(), most)
    shapes = [(count, side, side, 3) for count in (1, 1, most)]
    inputs = [
        tensorrt.Input(min_shape=shapes[0], opt_shape=shapes[1], max_shape=shapes[2], dtype=torch.uint8)
    ]
    compiled = tensorrt.dynamo.compile(
        program,
        arg_inputs=inputs,
        # A part left to PyTorch would cost more than it is worth, and silently.
        require_full_compilation=True,
        use_explicit_typing=True,
        enable_autocast=precision == "fp16",
        autocast_low_precision_type=torch.float16 if precision == "fp16" else None,
    )
    tensorrt.save(compiled, str(path), output_format="exported_program", arg_inputs=inputs, retrace=False)


def load_compiled(path: Path) -> Infer:
    """Load a saved program and return a function that runs it; our Python network is not needed."""
    import torch

    _import()  # registers the operator that runs engines
    module = torch.export.load(str(path)).module()

    def infer(crops: Crops) -> Probabilities:
        with torch.inference_mode():
            output = module(torch.from_numpy(crops).cuda())
            return np.asarray(output.cpu().numpy(), np.float32)

    return infer


def unconverted(network: STNiCNN) -> list[str]:
    """Return the operators of the exported network that are not known to be converted, sorted.

    Needs no TensorRT: so a change of the network that would break it is noticed on any machine.
    """
    from engines.export import export_program

    program = export_program(network, most=8).run_decompositions()
    used = {str(node.target) for node in program.graph.nodes if node.op == "call_function"}
    names = {name.removeprefix("aten.") for name in used if name.startswith("aten.")}
    return sorted(names - CONVERTED - LOWERED)
