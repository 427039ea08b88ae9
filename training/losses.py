"""Losses on label maps: what each training phase minimises."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from stn_icnn.config import PARTS
from stn_icnn.labels import CLASSES, IGNORE
from stn_icnn.network import Parsing, STNiCNN
from stn_icnn.sampler import crop


def segmentation_loss(logits: Tensor, target: Tensor) -> Tensor:
    """Cross-entropy plus soft Dice over the classes that the batch shows.

    Dice weighs a class by its presence and not by its area, which is what a mean of per-class F1
    asks for; cross-entropy keeps the probabilities calibrated.

    Args:
        logits: (N, C, H, W) float.
        target: (N, H, W) int64 channel indices, IGNORE where unknown.

    Returns:
        A scalar.
    """
    known = (target != IGNORE).unsqueeze(1)
    # A sum over what is known, as a mean over nothing would not be a number.
    entropy = F.cross_entropy(logits, target, ignore_index=IGNORE, reduction="sum")
    entropy = entropy / known.sum().clamp(min=1)
    one_hot = F.one_hot(target.masked_fill(target == IGNORE, 0), logits.shape[1])
    truth = one_hot.movedim(-1, 1) * known
    guess = torch.softmax(logits, dim=1) * known
    overlap = (guess * truth).sum(dim=(0, 2, 3))
    total = guess.sum(dim=(0, 2, 3)) + truth.sum(dim=(0, 2, 3))
    present = truth.sum(dim=(0, 2, 3)) > 0
    dice = 1.0 - (2.0 * overlap + 1.0) / (total + 1.0)
    return entropy + (dice * present).sum() / present.sum().clamp(min=1)


class LabelTools:
    """Turns label maps of the 19 classes into what a network's own channels are compared with."""

    def __init__(self, network: STNiCNN) -> None:
        table = torch.zeros(256, dtype=torch.int64)
        for class_id in range(len(CLASSES)):
            table[class_id] = network.channel.get(class_id, 0)
        table[IGNORE] = IGNORE
        self.table = table
        self.network = network
        self.residual = network.residual

    def channels(self, label: Tensor, side: int | None = None) -> Tensor:
        """Map labels (N, S, S) uint8 to channel indices (N, side, side) int64."""
        mapped = self.table.to(label.device)[label.long()]
        if side is None or side == mapped.shape[-1]:
            return mapped
        return F.interpolate(mapped[:, None].float(), size=(side, side), mode="nearest-exact")[:, 0].long()

    def part_loss(self, parsing: Parsing, target: Tensor) -> Tensor:
        """Segmentation loss inside the six crops, against the labels sampled by the same thetas.

        "replace" is judged as in the paper, in the coordinates of its crops. "residual" is judged
        where it is pasted: there the loss knows what moving a crop does. In crop coordinates the
        labels seem to stay while the picture moves, and that false gradient through theta was seen
        to take the coarse stage apart within an epoch.

        Args:
            parsing: from the network.
            target: (N, S, S) channel indices from `channels`, at the input's resolution.

        Returns:
            A scalar, the mean over the parts.
        """
        # One is added so that the sampler's zeros outside the face crop can be told from class 0.
        shifted = target[:, None].float() + 1.0
        losses = []
        for index, name in enumerate(PARTS):
            logits = parsing.part_logits[name]
            theta = parsing.theta[:, index].detach()
            size = (logits.shape[-2], logits.shape[-1])
            sampled = crop(shifted, theta, size, mode="nearest")[:, 0].round().long() - 1
            truth = sampled.masked_fill(sampled < 0, IGNORE)
            if self.residual:
                logits = crop(parsing.logits, theta, size)
            else:
                local = torch.zeros_like(truth)
                for position, channel in enumerate(self.network.part_channels[name]):
                    local[truth == channel] = position + 1
                truth = local.masked_fill(truth == IGNORE, IGNORE)
            losses.append(segmentation_loss(logits, truth))
        return torch.stack(losses).mean()
