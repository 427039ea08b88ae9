"""PyTorch as it is: the reference that the other engines are checked against."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import numpy as np

from engines.engine import (
    Crops,
    EngineError,
    EngineOptions,
    EngineSpec,
    EngineUnavailable,
    Probabilities,
)
from engines.gpu import find_gpu
from stn_icnn.checkpoint import Checkpoint, load_network

if TYPE_CHECKING:
    from stn_icnn.network import STNiCNN


class EagerEngine:
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
        self.spec = EngineSpec.of(checkpoint.network)
        if device == "cuda" and not torch.cuda.is_available():
            raise EngineUnavailable(f"this PyTorch ({torch.__version__}) has no CUDA")
        self._device = device
        torch.set_num_threads(options.threads)
        network = place(load_network(checkpoint), self._device)
        self._network: STNiCNN | None = network
        where = torch.cuda.get_device_name() if self._device == "cuda" else f"CPU, {options.threads} threads"
        self.description = f"PyTorch {torch.__version__} eager on {where}, fp32"
        self._lock = threading.Lock()

    def infer(self, crops: Crops) -> Probabilities:
        """See `engines.engine.Engine.infer`."""
        import torch

        checked = self.spec.check(crops)
        with self._lock, torch.inference_mode():
            if self._network is None:
                raise EngineError("the eager engine is closed")
            output = self._network(torch.from_numpy(checked).to(self._device))
            return np.asarray(output.cpu().numpy(), np.float32)

    def close(self) -> None:
        """Free the network."""
        with self._lock:
            self._network = None
