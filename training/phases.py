"""What each training phase trains, and the loss it minimises (arXiv 2002.04831, section 3.4)."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stn_icnn.network import Parsing, Pictures, Stage, STNiCNN, middle
from training.losses import LabelTools, segmentation_loss


def trained_modules(phase: str, network: STNiCNN) -> list[nn.Module]:
    """Return the modules that a phase trains; the others stay as they are."""
    face = [network.face] if network.face is not None else []
    modules: dict[str, list[nn.Module]] = {
        "coarse": [network.coarse],
        "face": face,
        "localizer": [network.localizer],
        "parts": [network.part_nets],
        "end_to_end": [network.coarse, *face, network.localizer, network.part_nets],
    }
    return modules[phase]


def phase_loss(
    phase: str, network: STNiCNN, tools: LabelTools, fine: bool = False
) -> Callable[[Pictures, Tensor], Tensor]:
    """Return the loss of a phase: (pictures, uint8 labels of all that is seen) -> scalar.

    Args:
        phase: its name.
        network: what it trains.
        tools: of the network.
        fine: compare composed logits with labels at the face crop's own side and not at half of it. Half is
            a quarter of the memory; part parsers, which see more than two pixels for each of those, learn
            finer edges at the whole.
    """
    side, head_side = network.config.input_size, network.config.packing.head_size
    # A head is judged at the maps' own side: edges that are finer nobody sees there.
    coarse_side, judged = head_side or side // 2, side if fine else side // 2

    def stage_loss(logits: Tensor, label: Tensor, at: int) -> Tensor:
        if logits.shape[-1] != at:
            logits = F.interpolate(logits, size=(at, at), mode="bilinear")
        return segmentation_loss(logits, tools.channels(label), tools.objective)

    def of_face(label: Tensor) -> Tensor:
        return label if network.face is None else middle(label)

    def seen(pictures: Pictures) -> Stage:
        with torch.no_grad():
            return network.parse_face(pictures, network.parse_coarse(pictures))

    def coarse(pictures: Pictures, label: Tensor) -> Tensor:
        return stage_loss(network.parse_coarse(pictures).logits, label, coarse_side)

    def face(pictures: Pictures, label: Tensor) -> Tensor:
        with torch.no_grad():
            known = network.parse_coarse(pictures)
        return stage_loss(network.parse_face(pictures, known).logits, of_face(label), side // 2)

    def localizer(pictures: Pictures, label: Tensor) -> Tensor:
        theta = tools.theta(of_face(label))
        return F.smooth_l1_loss(network.localizer(seen(pictures).probabilities), theta, beta=0.05)

    def parts(pictures: Pictures, label: Tensor) -> Tensor:
        label = of_face(label)
        theta, known = tools.theta(label), seen(pictures)
        found = network.parse_parts(pictures, known, theta)
        composed = network.compose(known.logits, theta, found, judged)
        parsing = Parsing(known.logits, known.logits, theta, found, composed)
        return tools.part_loss(parsing, tools.channels(label))

    def end_to_end(pictures: Pictures, label: Tensor) -> Tensor:
        parsing = network.parse(pictures, output_size=judged)
        target = tools.channels(of_face(label))
        composed = segmentation_loss(parsing.logits, target, tools.objective)
        inner = tools.part_loss(parsing, target)
        outer = stage_loss(parsing.coarse_logits, label, coarse_side)
        if network.face is None:
            return composed + 0.5 * outer + inner
        # The head's maps are shown, so that they count like the composed ones.
        return composed + outer + 0.5 * stage_loss(parsing.face_logits, of_face(label), side // 2) + inner

    losses = (coarse, face, localizer, parts, end_to_end)
    return {loss.__name__: loss for loss in losses}[phase]
