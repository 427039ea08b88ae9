"""STN-iCNN: coarse parser -> localizer -> part crops -> part parsers -> one composed parsing.

Source: Yin, Yiu, Hu, Tang, "End-to-end face parsing via interlinked convolutional neural networks",
Cognitive Neurodynamics 15, 2021 (arXiv 2002.04831). The sampler passes gradients from the parts
through theta into localizer and coarse stage: that is what makes the training end to end.
"""

from __future__ import annotations

from typing import NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stn_icnn.config import PARTS, NetworkConfig
from stn_icnn.icnn import ICNN
from stn_icnn.localizer import ConvLocalizer, MomentLocalizer, PriorLocalizer
from stn_icnn.sampler import channels, crop, paste


class Coarse(NamedTuple):
    """What the coarse stage tells the later ones.

    Attributes:
        logits: (N, classes, h, w), at its own resolution.
        probabilities: (N, classes, h, w) that localizer and part nets see; of half the size where
            the logits are fine: where a part lies is known well enough from a quarter of them.
        features: see `ICNNOutput`.
    """

    logits: Tensor
    probabilities: Tensor
    features: Tensor


class Parsing(NamedTuple):
    """All that one pass computes; training supervises each of them.

    Attributes:
        coarse_logits: (N, classes, h, w), at the coarse stage's own resolution.
        theta: (N, 6, 2, 3), parts in the order of `PARTS`.
        part_logits: by part, in the crop of `seen_theta`: "replace" (N, 1 + its classes, ch, cw) with
            "other" first, in a softmax of their own; "residual" (N, its classes, ch, cw), added to the
            coarse logits.
        logits: (N, classes, output_size, output_size); their softmax is the parsing.
    """

    coarse_logits: Tensor
    theta: Tensor
    part_logits: dict[str, Tensor]
    logits: Tensor


class STNiCNN(nn.Module):
    """Face crops (N, S, S, 3) uint8 RGB -> class probabilities (N, classes, O, O) float32.

    The subject's left parts lie on the right of the crop; the nets see left parts as they are and
    right parts mirrored.
    """

    plane_of_class: Tensor

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        self.residual = config.composition == "residual"
        self.channel = {class_id: index for index, class_id in enumerate(config.classes)}
        # What computes in halves takes its place: see `stn_icnn.precision`.
        self.coarse: nn.Module = ICNN(config.coarse, len(config.classes))
        self.part_channels = {name: [self.channel[i] for i in part.class_ids] for name, part in PARTS.items()}
        priors = [part.prior for part in PARTS.values()]
        self.localizer: nn.Module
        if config.localizer == "moments":
            self.localizer = MomentLocalizer(list(self.part_channels.values()), priors)
        elif config.localizer == "prior":
            self.localizer = PriorLocalizer(priors)
        else:
            self.localizer = ConvLocalizer(len(config.classes), priors)
        # Where each class finds its plane among the pasted ones; one of zeros follows for the others.
        order = [name for net in config.part_nets for name, part in PARTS.items() if part.net == net]
        planes = [channel for name in order for channel in self.part_channels[name]]
        places = [planes.index(c) if c in planes else len(planes) for c in range(len(config.classes))]
        self.register_buffer("plane_of_class", torch.tensor(places), persistent=False)
        self.part_nets = nn.ModuleDict()
        for net, part_net in config.part_nets.items():
            count = next(len(part.class_names) for part in PARTS.values() if part.net == net)
            if self.residual:
                seen = config.coarse.widths[0] if config.features else 0
                body = ICNN(part_net.body, count, in_channels=3 + count + seen)
                # Corrections start at zero, so that the coarse parsing is never made worse first.
                last = cast(nn.Conv2d, body.head[-1])
                nn.init.zeros_(last.weight)
                nn.init.zeros_(cast(Tensor, last.bias))
            else:
                body = ICNN(part_net.body, 1 + count)
            self.part_nets[net] = body

    def forward(self, crops: Tensor) -> Tensor:
        """Parse uint8 RGB crops (N, S, S, 3) into probabilities (N, classes, O, O) float32."""
        return torch.softmax(self.parse(self.normalise(crops)).logits, dim=1)

    @staticmethod
    def normalise(crops: Tensor) -> Tensor:
        """Map (N, S, S, 3) uint8 to (N, 3, S, S) float32 in about -2 to 2."""
        # Cast first: TensorRT transposes no uint8.
        return crops.float().permute(0, 3, 1, 2) * (4.0 / 255.0) - 2.0

    def parse(self, image: Tensor, output_size: int | None = None) -> Parsing:
        """Run every stage on normalised images (N, 3, S, S) and return all their outputs.

        Args:
            image: (N, 3, S, S) from `normalise`.
            output_size: side of the composed logits where it isn't the configuration's own.
        """
        coarse = self.parse_coarse(image)
        if not self.part_nets:
            side = output_size or self.config.output_size
            logits = F.interpolate(coarse.logits, size=(side, side), mode="bilinear")
            return Parsing(coarse.logits, logits.new_zeros(image.shape[0], 0, 2, 3), {}, logits)
        theta = self.localizer(coarse.probabilities)
        part_logits = self.parse_parts(image, coarse, theta)
        logits = self.compose(coarse.logits, theta, part_logits, output_size)
        return Parsing(coarse.logits, theta, part_logits, logits)

    def parse_coarse(self, image: Tensor) -> Coarse:
        """Run the coarse stage on normalised images (N, 3, S, S)."""
        factor = self.config.input_size // self.config.coarse_size
        logits, features = self.coarse(image if factor == 1 else F.avg_pool2d(image, factor))
        seen = F.avg_pool2d(logits, 2) if self.config.coarse.fine else logits
        return Coarse(logits, torch.softmax(_plane_by_plane(seen), dim=1), _plane_by_plane(features))

    def parse_parts(self, image: Tensor, coarse: Coarse, theta: Tensor) -> dict[str, Tensor]:
        """Parse the six part crops; a mirrored pair is one batch of its net.

        Args:
            image: (N, 3, S, S) normalised.
            coarse: from `parse_coarse`.
            theta: (N, 6, 2, 3).

        Returns:
            `Parsing.part_logits`.
        """
        logits: dict[str, Tensor] = {}
        for net, part_net in self.config.part_nets.items():
            names = [name for name, part in PARTS.items() if part.net == net]
            inputs = []
            for name in names:
                part_theta = seen_theta(theta, name)
                x = crop(image, part_theta, part_net.size)
                if self.residual:
                    known = [channels(coarse.probabilities, self.part_channels[name])]
                    if self.config.features:
                        known.append(coarse.features)
                    x = torch.cat([x, *(crop(each, part_theta, part_net.size) for each in known)], dim=1)
                inputs.append(x)
            outputs = self.part_nets[net](torch.cat(inputs)).logits
            # unflatten and not chunk: chunk would fix the batch in an exported program.
            logits.update(zip(names, outputs.unflatten(0, (len(names), -1)), strict=True))
        return logits

    def compose(
        self,
        coarse_logits: Tensor,
        theta: Tensor,
        part_logits: dict[str, Tensor],
        output_size: int | None = None,
    ) -> Tensor:
        """Put the parts back into the face: (N, classes, O, O) logits."""
        pasted = []
        side = output_size or self.config.output_size
        size = (side, side)
        for name, y in part_logits.items():
            values = y * _window(y) if self.residual else torch.softmax(y, dim=1)[:, 1:]
            pasted.append(paste(values, seen_theta(theta, name), size))
        planes = torch.cat([*pasted, torch.zeros_like(pasted[0][:, :1])], dim=1)
        parts = planes.index_select(1, self.plane_of_class)
        if self.residual:
            if coarse_logits.shape[-1] != side:
                # Half-pixel centres: the coarse stage's strides keep pixel areas, not corner pixels.
                coarse_logits = F.interpolate(coarse_logits, size=size, mode="bilinear")
            # Flat, or OpenVINO adds pixel by pixel and changes the layout of the sums.
            total = _plane_by_plane(coarse_logits).flatten(2) + parts.flatten(2)
            return total.reshape(-1, len(self.config.classes), side, side)
        # Background is what no part claims; parts that overlap share.
        background = (1.0 - parts.sum(dim=1, keepdim=True)).clamp(min=1e-4)
        probabilities = torch.cat([background, parts[:, 1:].clamp(min=1e-6)], dim=1)
        return torch.log(probabilities / probabilities.sum(dim=1, keepdim=True))


def _plane_by_plane(x: Tensor) -> Tensor:
    """Return x (N, C, H, W), by way of pixels x channels.

    That is how OpenVINO's convolutions leave their results, where softmax and samplers want planes: written
    so, it transposes them, in a third of the time that its own change of layout takes (fp32, 19 classes at
    128 x 128: 1.5 ms of 11.5).
    """
    return x.permute(0, 2, 3, 1).flatten(1, 2).transpose(1, 2).reshape(-1, *x.shape[1:])


def seen_theta(theta: Tensor, name: str) -> Tensor:
    """Return the theta (N, 2, 3) by which a part's net sees it: right parts mirrored.

    Args:
        theta: (N, 6, 2, 3), of all parts.
        name: of the part, see `PARTS`.
    """
    own = theta[:, list(PARTS).index(name)]
    if not PARTS[name].mirrored:
        return own
    # No factor of numbers: it would be made on the host, and a CUDA graph can't capture its copy.
    x, y = own[:, :1], own[:, 1:]
    return torch.cat([torch.cat([-x[..., :1], x[..., 1:]], dim=2), y], dim=1)


def place(network: STNiCNN, device: str) -> STNiCNN:
    """Move a network to a device in the memory layout that its convolutions run fastest in."""
    network.to(device)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # missing in torch's types
    return network


def _window(like: Tensor) -> Tensor:
    """Return (h, w) weights that fall to zero over the outer tenth of a crop: no seam is pasted."""

    def ramp(size: int) -> Tensor:
        x = torch.linspace(-1.0, 1.0, size, dtype=like.dtype, device=like.device)
        return ((1.0 - x.abs()) * 5.0).clamp(max=1.0)

    return ramp(like.shape[-2])[:, None] * ramp(like.shape[-1])[None, :]
