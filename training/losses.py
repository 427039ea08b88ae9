"""Losses on label maps: what each training phase minimises."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import cast

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from stn_icnn.config import PARTS
from stn_icnn.labels import CLASS_ID, CLASSES, IGNORE
from stn_icnn.localizer import MomentLocalizer
from stn_icnn.network import Parsing, STNiCNN, seen_theta
from stn_icnn.sampler import crop
from training.data import NOT_HAIR


@dataclass(frozen=True)
class Objective:
    """What a segmentation loss is made of.

    Attributes:
        weights: (C,) of each channel in the cross-entropy; None for 1.
        dice: share of the soft Dice loss.
        hair: the channel of hair, which `NOT_HAIR` pixels speak of; None where there is none.
    """

    weights: Tensor | None = None
    dice: float = 1.0
    hair: int | None = None


def segmentation_loss(logits: Tensor, target: Tensor, objective: Objective = Objective()) -> Tensor:
    """Cross-entropy plus soft Dice over the classes that the batch shows.

    Dice weighs a class by its presence and not by its area, which is what a mean of per-class F1
    asks for; cross-entropy keeps the probabilities calibrated. A pixel known only not to be hair
    costs the likelihood of just that: -log(1 - p(hair)).

    Labels may be finer than logits: a pixel then answers to all that lie in it, as shares. One of them
    taken for all would move every edge, as none lies in the middle.

    Args:
        logits: (N, C, H, W) float.
        target: (N, k * H, k * W) int64 channel indices, k = 1, 2 ...; IGNORE where unknown, NOT_HAIR where
            just that is known.
        objective: see `Objective`.

    Returns:
        A scalar.
    """
    classes = logits.shape[1]
    # (N, k * k, H, W): all labels of a pixel.
    target = F.pixel_unshuffle(target[:, None], target.shape[-1] // logits.shape[-1])
    full = target < classes
    index = target.masked_fill(~full, 0)
    log_guess = F.log_softmax(logits, dim=1)
    costs = -log_guess.gather(1, index)
    if objective.weights is None:
        weights = full.to(costs.dtype)
    else:
        weights = objective.weights.to(costs.device)[index] * full
    costs, total = costs * weights, weights.sum()
    guess = log_guess.exp()
    if objective.hair is not None:
        partly = (target == NOT_HAIR).to(costs.dtype)
        # Clamped: the slope of -log(1 - p) at 1 is without bound.
        hair = guess[:, objective.hair, None].clamp(max=1.0 - 1e-3)
        costs = costs - partly * torch.log1p(-hair)
        total = total + partly.sum()
    # A sum over what is known, as a mean over nothing would not be a number.
    entropy = costs.sum() / total.clamp(min=1)
    if not objective.dice:
        return entropy
    shares = full.to(guess.dtype) / full.shape[1]
    truth = torch.zeros_like(guess).scatter_add_(1, index, shares)
    guess = guess * shares.sum(dim=1, keepdim=True)
    overlap = (guess * truth).sum(dim=(0, 2, 3))
    areas = guess.sum(dim=(0, 2, 3)) + truth.sum(dim=(0, 2, 3))
    present = truth.sum(dim=(0, 2, 3)) > 0
    dice = 1.0 - (2.0 * overlap + 1.0) / (areas + 1.0)
    return entropy + objective.dice * (dice * present).sum() / present.sum().clamp(min=1)


def class_weights(
    frequency: npt.NDArray[np.float64], power: float, boost: Mapping[str, float] = MappingProxyType({})
) -> npt.NDArray[np.float64]:
    """Return (C,) weights: inverse class frequencies to a power, 0.5 to 5, 1 for one pixel in 20.

    Args:
        frequency: (C,) shares of the pixels, by class id.
        power: 0 for the weight 1.
        boost: factors by class name, over that.
    """
    weights = np.clip((0.05 / np.maximum(frequency, 1e-9)) ** power, 0.5, 5.0)
    for name, factor in boost.items():
        weights[CLASS_ID[name]] *= factor
    return weights


class LabelTools:
    """Turns label maps of the 19 classes into what a network's own channels are compared with."""

    def __init__(
        self,
        network: STNiCNN,
        weights: npt.NDArray[np.float64] | None = None,
        dice: float = 1.0,
    ) -> None:
        """Take the (19,) class weights of `class_weights` and the share of Dice."""
        table = torch.zeros(256, dtype=torch.int64)
        for class_id in range(len(CLASSES)):
            table[class_id] = network.channel.get(class_id, 0)
        hair = network.channel.get(CLASS_ID["hair"])
        table[NOT_HAIR] = IGNORE if hair is None else NOT_HAIR
        table[IGNORE] = IGNORE
        by_channel = None
        if weights is not None:
            by_channel = torch.tensor([weights[i] for i in network.config.classes], dtype=torch.float32)
        self.objective = Objective(by_channel, dice, hair)
        # A part net that classifies for itself ("replace") has channels of its own.
        self.part_objective = self.objective if network.residual else Objective(dice=dice)
        self.table = table
        self.network = network
        self.residual = network.residual
        priors = [part.prior for part in PARTS.values()]
        self.by_label = MomentLocalizer(list(network.part_channels.values()), priors)

    def channels(self, label: Tensor) -> Tensor:
        """Map labels (N, S, S) uint8 to channel indices (N, S, S) int64."""
        return self.table.to(label.device)[label.long()]

    def theta(self, label: Tensor) -> Tensor:
        """Return the true thetas (N, 6, 2, 3) of labels (N, S, S) uint8: each part's own moments."""
        target = self.channels(label)
        channels = len(self.network.config.classes)
        one_hot = F.one_hot(target.masked_fill(target >= channels, 0), channels)
        return cast(Tensor, self.by_label.to(label.device)(one_hot.movedim(-1, 1).float()))

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
        for name in PARTS:
            logits = parsing.part_logits[name]
            theta = seen_theta(parsing.theta, name).detach()
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
            losses.append(segmentation_loss(logits, truth, self.part_objective))
        return torch.stack(losses).mean()
