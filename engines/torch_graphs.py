"""CUDA graphs for networks that PyTorch runs: one for each batch size met, from and to pinned memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from engines.engine import Crops, Probabilities

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class _Captured:
    graph: torch.cuda.CUDAGraph
    crops: torch.Tensor
    probabilities: torch.Tensor


class GraphedNetwork:
    """Runs a network on CUDA by replaying what its first run of each batch size launched.

    Eager PyTorch spends nearly all of its time launching some hundred small kernels; a graph launches once.
    What the network computes must stay on the device: a tensor made on the host can't be captured.

    Args:
        network: (N, S, S, 3) uint8 -> (N, classes, O, O) float32, on CUDA, in evaluation mode.
    """

    # Runs before the capture, in which libraries choose their kernels and allocate.
    WARM = 3

    def __init__(self, network: torch.nn.Module) -> None:
        import torch

        self._torch: Any = torch
        self._network = network
        self._stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        self._captured: dict[int, _Captured] = {}

    def __call__(self, crops: Crops) -> Probabilities:
        """Run crops (N, S, S, 3) uint8; the result is the caller's own."""
        captured = self._captured.get(len(crops))
        if captured is None:
            captured = self._captured[len(crops)] = self._capture(crops.shape)
        captured.crops.numpy()[:] = crops
        with self._torch.cuda.stream(self._stream):
            captured.graph.replay()
        self._stream.synchronize()
        return np.array(captured.probabilities.numpy())

    def _capture(self, shape: tuple[int, ...]) -> _Captured:
        torch = self._torch
        host = torch.zeros(shape, dtype=torch.uint8).pin_memory()
        with torch.inference_mode(), torch.cuda.stream(self._stream):
            for _ in range(self.WARM):
                result = self._network(host.cuda(non_blocking=True))
            out = torch.empty(result.shape, dtype=torch.float32).pin_memory()
            self._stream.synchronize()
            graph = torch.cuda.CUDAGraph()
            # Thread-local, so that what other threads do with CUDA meanwhile is no error.
            with torch.cuda.graph(graph, stream=self._stream, capture_error_mode="thread_local"):
                device = torch.empty(shape, dtype=torch.uint8, device="cuda")
                device.copy_(host, non_blocking=True)
                out.copy_(self._network(device), non_blocking=True)
        return _Captured(graph, host, out)

    def free(self) -> None:
        """Give the graphs and their memory back."""
        self._captured.clear()
