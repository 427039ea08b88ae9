"""PyTorch as it is: the reference that the other engines are checked against."""

from __future__ import annotations

from typing import TYPE_CHECKING

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
from engines.gpu import find_gpu
from stn_icnn.checkpoint import Checkpoint, load_network

if TYPE_CHECKING:
    from stn_icnn.network import STNiCNN


class EagerEngine(LockedEngine):
    """Runs a checkpoint in PyTorch: as it is on the CPU, by CUDA graphs on a GPU."""

    def __init__(self, checkpoint: Checkpoint, options: EngineOptions, device: str = "cpu") -> None:
        options.choose("eager", ("fp32",))
        if device == "cuda":
            find_gpu()
        try:
            import torch

            from stn_icnn.network import place
        except ImportError as error:
            raise EngineUnavailable(
                f"eager needs PyTorch ({error}); install it: pip install '.[train]'"
            ) from None
        if device == "cuda" and not torch.cuda.is_available():
            raise EngineUnavailable(f"this PyTorch ({torch.__version__}) has no CUDA")
        torch.set_num_threads(options.threads)
        network = place(load_network(checkpoint), device)
        name, spec = f"PyTorch {torch.__version__}", EngineSpec.of(checkpoint.network)
        if device == "cuda":
            from engines.torch_graphs import GraphedNetwork

            graphed = GraphedNetwork(network)
            infer, free = in_parts(graphed, options.max_batch), graphed.free
            what = f"{name} on {torch.cuda.get_device_name()}, CUDA graphs"
            super().__init__("eager-cuda", spec, "fp32", what, infer, free)
        else:
            what = f"{name} eager on CPU, {options.threads} threads"
            super().__init__("eager", spec, "fp32", what, eager(network))


def eager(network: STNiCNN) -> Infer:
    """Return a function that runs a network as it is, on its own device."""
    import torch

    device = next(network.parameters()).device

    def infer(crops: Crops) -> Probabilities:
        with torch.inference_mode():
            return np.asarray(network(torch.from_numpy(crops).to(device)).cpu().numpy(), np.float32)

    return infer
