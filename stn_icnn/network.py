"""STN-iCNN: coarse parser (-> face parser) -> localizer -> part crops -> part parsers -> one parsing.

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
from stn_icnn.icnn import ICNN, PIXEL_SCALE
from stn_icnn.localizer import ConvLocalizer, MomentLocalizer, PriorLocalizer
from stn_icnn.packing import HEAD_WIDTH
from stn_icnn.sampler import channels, crop, paste


class Pictures(NamedTuple):
    """What the stages see of one batch of faces.

    Attributes:
        face: (N, 3, S, S) float32, the face crop.
        coarse: (N, 3, k, k) float32, what the coarse stage sees: the face crop, or the head.
    """

    face: Tensor
    coarse: Tensor


class Stage(NamedTuple):
    """What the coarse stage, or the face stage, tells the later ones.

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
        face_logits: (N, classes, h, w), at the face stage's own resolution; without one the coarse stage's.
        theta: (N, 6, 2, 3), parts in the order of `PARTS`, in the face crop.
        part_logits: by part, in the crop of `seen_theta`: "replace" (N, 1 + its classes, ch, cw) with
            "other" first, in a softmax of their own; "residual" (N, its classes, ch, cw), added to the
            face logits.
        logits: (N, classes, output_size, output_size), of the face crop; their softmax is the parsing.
    """

    coarse_logits: Tensor
    face_logits: Tensor
    theta: Tensor
    part_logits: dict[str, Tensor]
    logits: Tensor


class STNiCNN(nn.Module):
    """Face crops (N, S, S, 3) uint8 RGB -> class probabilities (N, classes, O, O) float32.

    With a face stage: pictures of face and head (N, S * S + K * K, 3) -> their maps
    (N, classes, O * O + H * H), packed as `stn_icnn.packing` says.

    The subject's left parts lie on the right of the crop; the nets see left parts as they are and
    right parts mirrored.
    """

    plane_of_class: Tensor

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        self.residual = config.composition == "residual"
        # Stages take pixels as they are. `stn_icnn.precision` has them scaled first instead.
        self.raw = not config.centred
        # How places to sample at are computed, see `stn_icnn.sampler.crop`.
        self.by_lines = False
        self.channel = {class_id: index for index, class_id in enumerate(config.classes)}
        # What computes in halves takes its place: see `stn_icnn.precision`.
        classes, pixels = len(config.classes), not config.centred
        self.coarse: nn.Module = ICNN(config.coarse, classes, pixels=pixels)
        self.face: nn.Module | None = None
        if config.face:
            self.face = ICNN(config.face, classes, pixels=pixels, context=config.coarse.widths[0])
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
                seen = (config.face or config.coarse).widths[0] if config.features else 0
                body = ICNN(part_net.body, count, in_channels=3 + count + seen)
                # Corrections start at zero, so that the coarse parsing is never made worse first.
                last = cast(nn.Conv2d, body.head[-1])
                nn.init.zeros_(last.weight)
                nn.init.zeros_(cast(Tensor, last.bias))
            else:
                body = ICNN(part_net.body, 1 + count)
            self.part_nets[net] = body

    def forward(self, crops: Tensor) -> Tensor:
        """Parse uint8 RGB pictures into probabilities, float32; see the class."""
        parsing = self.parse(self.normalise(crops))
        if self.face is None:
            return torch.softmax(parsing.logits, dim=1)
        planes = [parsing.logits.flatten(2), _plane_by_plane(parsing.coarse_logits).flatten(2)]
        return torch.softmax(torch.cat(planes, dim=2), dim=1)

    def normalise(self, crops: Tensor) -> Pictures:
        """Take packed uint8 pictures apart, as float32 in the range that the configuration says."""
        # Cast first: TensorRT transposes no uint8.
        pixels = crops.float()
        if self.face is None:
            face = self._planes(pixels)
            factor = self.config.input_size // self.config.coarse_size
            return Pictures(face, face if factor == 1 else F.avg_pool2d(face, factor))
        side, seen = self.config.input_size, self.config.coarse_size
        face, head = pixels[:, : side * side], pixels[:, side * side :]
        squares = (face.reshape(-1, side, side, 3), head.reshape(-1, seen, seen, 3))
        return Pictures(*map(self._planes, squares))

    def split(self, squares: Tensor) -> Pictures:
        """Do the same with squares (N, W, W, 3) uint8 of all that is seen, see `Packing.square_size`."""
        if self.face is None:
            return self.normalise(squares)
        image = self._planes(squares.float())
        size = (self.config.coarse_size, self.config.coarse_size)
        return Pictures(middle(image), F.interpolate(image, size=size, mode="area"))

    def _planes(self, pixels: Tensor) -> Tensor:
        image = pixels.permute(0, 3, 1, 2)
        if self.config.centred:
            return image * PIXEL_SCALE - 2.0
        return image if self.raw else image * PIXEL_SCALE

    def parse(self, pictures: Pictures, output_size: int | None = None) -> Parsing:
        """Run every stage and return all their outputs.

        Args:
            pictures: from `normalise`.
            output_size: side of the composed logits where it isn't the configuration's own.
        """
        coarse = self.parse_coarse(pictures)
        if not self.part_nets:
            side = output_size or self.config.output_size
            logits = F.interpolate(coarse.logits, size=(side, side), mode="bilinear")
            theta = logits.new_zeros(logits.shape[0], 0, 2, 3)
            return Parsing(coarse.logits, coarse.logits, theta, {}, logits)
        face = self.parse_face(pictures, coarse)
        theta = self.localizer(face.probabilities)
        part_logits = self.parse_parts(pictures, face, theta)
        logits = self.compose(face.logits, theta, part_logits, output_size)
        return Parsing(coarse.logits, face.logits, theta, part_logits, logits)

    def parse_coarse(self, pictures: Pictures) -> Stage:
        """Run the coarse stage: on the head, or where there is no face stage on the face crop."""
        return self._stage(*self.coarse(pictures.coarse))

    def parse_face(self, pictures: Pictures, coarse: Stage) -> Stage:
        """Run the face stage; without one, the coarse stage's own result is that of the face."""
        if self.face is None:
            return coarse
        return self._stage(*self.face(pictures.face, middle(coarse.features)))

    def _stage(self, logits: Tensor, features: Tensor) -> Stage:
        seen = F.avg_pool2d(logits, 2) if self.config.coarse.fine else logits
        return Stage(logits, torch.softmax(_plane_by_plane(seen), dim=1), features)

    def parse_parts(self, pictures: Pictures, face: Stage, theta: Tensor) -> dict[str, Tensor]:
        """Parse the six part crops; a mirrored pair is one batch of its net.

        Args:
            pictures: from `normalise`.
            face: from `parse_face`.
            theta: (N, 6, 2, 3), in the face crop.

        Returns:
            `Parsing.part_logits`.
        """
        logits: dict[str, Tensor] = {}
        features = _plane_by_plane(face.features)
        for net, part_net in self.config.part_nets.items():
            names = [name for name, part in PARTS.items() if part.net == net]
            inputs = []
            for name in names:
                part_theta = seen_theta(theta, name)
                x = crop(pictures.face, part_theta, part_net.size, by_lines=self.by_lines)
                if self.raw:
                    x = x * PIXEL_SCALE
                if self.residual:
                    known = [channels(face.probabilities, self.part_channels[name])]
                    if self.config.features:
                        known.append(features)
                    seen = (crop(each, part_theta, part_net.size, by_lines=self.by_lines) for each in known)
                    x = torch.cat([x, *seen], dim=1)
                inputs.append(x)
            outputs = self.part_nets[net](torch.cat(inputs)).logits
            # unflatten and not chunk: chunk would fix the batch in an exported program.
            logits.update(zip(names, outputs.unflatten(0, (len(names), -1)), strict=True))
        return logits

    def compose(
        self,
        face_logits: Tensor,
        theta: Tensor,
        part_logits: dict[str, Tensor],
        output_size: int | None = None,
    ) -> Tensor:
        """Put the parts back into the face crop: (N, classes, O, O) logits."""
        pasted = []
        side = output_size or self.config.output_size
        size = (side, side)
        for name, y in part_logits.items():
            values = y * _window(y) if self.residual else torch.softmax(y, dim=1)[:, 1:]
            pasted.append(paste(values, seen_theta(theta, name), size, by_lines=self.by_lines))
        planes = torch.cat([*pasted, torch.zeros_like(pasted[0][:, :1])], dim=1)
        parts = planes.index_select(1, self.plane_of_class)
        if self.residual:
            if face_logits.shape[-1] == side:
                face_logits = _plane_by_plane(face_logits)
            else:
                # Half-pixel centres: the stage's strides keep pixel areas, not corner pixels.
                face_logits = F.interpolate(face_logits, size=size, mode="bilinear")
            # Flat, or OpenVINO adds pixel by pixel and changes the layout of the sums.
            total = face_logits.flatten(2) + parts.flatten(2)
            return total.reshape(-1, len(self.config.classes), side, side)
        # Background is what no part claims; parts that overlap share.
        background = (1.0 - parts.sum(dim=1, keepdim=True)).clamp(min=1e-4)
        probabilities = torch.cat([background, parts[:, 1:].clamp(min=1e-6)], dim=1)
        return torch.log(probabilities / probabilities.sum(dim=1, keepdim=True))


def middle(x: Tensor) -> Tensor:
    """Return the face crop's place in x (..., H, W), which shows the head."""
    height, width = x.shape[-2] // HEAD_WIDTH, x.shape[-1] // HEAD_WIDTH
    top, left = (x.shape[-2] - height) // 2, (x.shape[-1] - width) // 2
    return x[..., top : top + height, left : left + width]


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
