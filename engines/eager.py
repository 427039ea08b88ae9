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
)
from engines.gpu import find_gpu
from stn_icnn.checkpoint import Checkpoint, load_network

if TYPE_CHECKING:
    from stn_icnn.network import STNiCNN


class EagerEngine(LockedEngine):
    """Runs a checkpoint in PyTorch, on the CPU or on CUDA."""

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
        infer = eager(place(load_network(checkpoint), device))
        where = torch.cuda.get_device_name() if device == "cuda" else f"CPU, {options.threads} threads"
        what = f"PyTorch {torch.__version__} eager on {where}"
        super().__init__("eager", EngineSpec.of(checkpoint.network), "fp32", what, infer)


def eager(network: STNiCNN) -> Infer:
    """Return a function that runs a network as it is, on its own device."""
    import torch

    device = next(network.parameters()).device

    def infer(crops: Crops) -> Probabilities:
        with torch.inference_mode():
            return np.asarray(network(torch.from_numpy(crops).to(device)).cpu().numpy(), np.float32)

    return infer
