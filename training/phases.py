"""What each training phase trains, and the loss it minimises (arXiv 2002.04831, section 3.4)."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stn_icnn.network import Parsing, STNiCNN
from training.losses import LabelTools, segmentation_loss


def trained_modules(phase: str, network: STNiCNN) -> list[nn.Module]:
    """Return the modules that a phase trains; the others stay as they are."""
    modules: dict[str, list[nn.Module]] = {
        "coarse": [network.coarse],
        "localizer": [network.localizer],
        "parts": [network.part_nets],
        "end_to_end": [network.coarse, network.localizer, network.part_nets],
    }
    return modules[phase]


def phase_loss(
    phase: str, network: STNiCNN, tools: LabelTools, fine: bool = False
) -> Callable[[Tensor, Tensor], Tensor]:
    """Return the loss of a phase: (normalised images, uint8 labels) -> scalar.

    Args:
        phase: its name.
        network: what it trains.
        tools: of the network.
        fine: compare composed logits with labels at the crop's own side and not at half of it. Half is a
            quarter of the memory; part parsers, which see more than two pixels for each of those, learn
            finer edges at the whole.
    """
    side = network.config.input_size
    coarse_side, judged = side // 2, side if fine else side // 2

    def coarse_loss(logits: Tensor, label: Tensor) -> Tensor:
        if logits.shape[-1] != coarse_side:
            logits = F.interpolate(logits, size=(coarse_side, coarse_side), mode="bilinear")
        return segmentation_loss(logits, tools.channels(label), tools.objective)

    def coarse(image: Tensor, label: Tensor) -> Tensor:
        return coarse_loss(network.parse_coarse(image).logits, label)

    def localizer(image: Tensor, label: Tensor) -> Tensor:
        with torch.no_grad():
            probabilities = network.parse_coarse(image).probabilities
        return F.smooth_l1_loss(network.localizer(probabilities), tools.theta(label), beta=0.05)

    def parts(image: Tensor, label: Tensor) -> Tensor:
        theta = tools.theta(label)
        with torch.no_grad():
            coarse = network.parse_coarse(image)
        found = network.parse_parts(image, coarse, theta)
        composed = network.compose(coarse.logits, theta, found, judged)
        parsing = Parsing(coarse.logits, theta, found, composed)
        return tools.part_loss(parsing, tools.channels(label))

    def end_to_end(image: Tensor, label: Tensor) -> Tensor:
        parsing = network.parse(image, output_size=judged)
        target = tools.channels(label)
        composed = segmentation_loss(parsing.logits, target, tools.objective)
        inner = tools.part_loss(parsing, target)
        return composed + 0.5 * coarse_loss(parsing.coarse_logits, label) + inner

    return {"coarse": coarse, "localizer": localizer, "parts": parts, "end_to_end": end_to_end}[phase]
