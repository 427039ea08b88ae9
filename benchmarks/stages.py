"""A network that gives out every stage, to find where a compiled one begins to differ."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from stn_icnn.network import STNiCNN


class Stages(nn.Module):
    """Crops as an engine takes them -> probabilities, coarse logits, theta, and the logits of each part.

    Args:
        network: in evaluation mode, with part nets.
    """

    def __init__(self, network: STNiCNN) -> None:
        super().__init__()
        self.network = network
        self.eval()

    @staticmethod
    def names(network: STNiCNN) -> list[str]:
        """Return the names of the outputs, in order."""
        return ["probabilities", "coarse_logits", "theta", *network.part_channels]

    def forward(self, crops: Tensor) -> tuple[Tensor, ...]:
        """Return all of them, float32."""
        parsing = self.network.parse(self.network.normalise(crops))
        parts = [parsing.part_logits[name] for name in self.network.part_channels]
        probabilities = torch.softmax(parsing.logits, dim=1)
        return (probabilities, parsing.coarse_logits, parsing.theta, *parts)
