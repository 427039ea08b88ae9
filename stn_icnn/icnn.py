"""Interlinked convolutional network (iCNN), the body of both stages.

Rows of convolutions at falling resolutions exchange features after every layer: each row sees the
row above (max-pooled) and the row below (upsampled). Source: Zhou, Hu, Zhang, "Interlinked
convolutional neural networks for face parsing", 2015 (arXiv 1806.02479), with the widths of
STN-iCNN (arXiv 2002.04831) as the defaults.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn


@dataclass(frozen=True)
class ICNNConfig:
    """Shape of one iCNN.

    Attributes:
        widths: channels of each row, finest first; the rows run at 1, 1/2, 1/4 ... of the first.
        stride: the first row runs at 1/stride of the input (1, 2 or 4).
        kernel: side of the square kernels in stem, interlinks and integration, odd.
        layers: number of interlink layers.
        head_kernels: kernels of the head's convolutions.
        activation: "tanh" in stem, integration and head as in the paper, or "relu".
        residual: add each row's input to its interlink output (not in the paper).
        fine: channels at half the input's resolution (not in the paper; 0 for none, else stride is
            4): the first row's stem passes through them, the rows below start from the first row
            pooled instead of the image, and the head sees them again, so that the logits come at
            1/2 while the rows run at 1/4 and below.
        head_width: channels inside the head; 0 for the paper's 2 * classes + 8.
        linked: rows see their neighbours in the interlink layers; False is for ablation.
    """

    widths: tuple[int, ...] = (8, 16, 24, 32)
    stride: int = 1
    kernel: int = 5
    layers: int = 3
    head_kernels: tuple[int, ...] = (5, 5, 9)
    activation: str = "tanh"
    residual: bool = False
    fine: int = 0
    head_width: int = 0
    linked: bool = True

    def __post_init__(self) -> None:
        if self.stride not in (1, 2, 4) or (self.fine > 0) != (self.stride == 4):
            raise ValueError(f"iCNN: stride {self.stride} with {self.fine} fine channels; 4 needs some")


PIXEL_SCALE = 4.0 / 255.0
"""What pixels from 0 to 255 are multiplied by for a network."""


class PixelConv2d(nn.Conv2d):
    """A convolution of pixels, 0 to 255: its kernels hold `PIXEL_SCALE`.

    Its weights are those for scaled pixels, so that they train like others. A compiled network holds the
    product, and no picture is multiplied.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) like any convolution."""
        assert not isinstance(self.padding, str)
        return F.conv2d(x, self.weight * PIXEL_SCALE, self.bias, self.stride, self.padding)


def _act(name: str) -> nn.Module:
    return nn.Tanh() if name == "tanh" else nn.ReLU(inplace=True)


def _conv_bn(
    inputs: int, outputs: int, kernel: int, act: nn.Module, stride: int = 1, kind: type[nn.Conv2d] = nn.Conv2d
) -> nn.Sequential:
    conv = kind(inputs, outputs, kernel, stride=stride, padding=kernel // 2)
    return nn.Sequential(conv, nn.BatchNorm2d(outputs), act)


def _down(x: Tensor) -> Tensor:
    return F.max_pool2d(x, 3, stride=2, padding=1)


def _up_to(x: Tensor, like: Tensor) -> Tensor:
    return F.interpolate(x, size=like.shape[-2:], mode="nearest")


class Interlink(nn.Module):
    """One interlink layer: every row is updated from its neighbours' old values at once."""

    def __init__(self, config: ICNNConfig) -> None:
        super().__init__()
        widths = config.widths
        self.residual, self.linked = config.residual, config.linked
        self.first = nn.ModuleList()
        self.second = nn.ModuleList()
        for row, width in enumerate(widths):
            inputs = sum(widths[max(0, row - 1) : row + 2]) if config.linked else width
            self.first.append(_conv_bn(inputs, width, config.kernel, nn.ReLU(inplace=True)))
            # With a residual the activation follows the addition.
            last = nn.Identity() if config.residual else nn.ReLU(inplace=True)
            self.second.append(_conv_bn(width, width, config.kernel, last))

    def forward(self, rows: list[Tensor]) -> list[Tensor]:
        """Map one tensor a row to one tensor a row, shapes unchanged."""
        out = []
        for row, x in enumerate(rows):
            seen = [x]
            if self.linked and row > 0:
                seen.insert(0, _down(rows[row - 1]))
            if self.linked and row + 1 < len(rows):
                seen.append(_up_to(rows[row + 1], x))
            y = self.second[row](self.first[row](torch.cat(seen, dim=1)))
            out.append(torch.relu(y + x) if self.residual else y)
        return out


class ICNNOutput(NamedTuple):
    """What an iCNN makes of an image.

    Attributes:
        logits: (N, classes, h, w) unnormalised, at 1/stride of the image's resolution, 1/2 with `fine`.
        features: (N, first width, h, w) of all rows, integrated, at 1/stride.
    """

    logits: Tensor
    features: Tensor


class ICNN(nn.Module):
    """Image (N, in_channels, H, W) float -> class logits at 1/stride, or at 1/2 where it is fine.

    Args:
        config: its shape.
        classes: channels of the logits.
        in_channels: of the image.
        pixels: they are three, 0 to 255; for a fine iCNN.
        context: channels of what else it is told about the place; 0 for none.
    """

    def __init__(
        self, config: ICNNConfig, classes: int, in_channels: int = 3, pixels: bool = False, context: int = 0
    ) -> None:
        super().__init__()
        self.config = config
        widths, kernel, act = config.widths, config.kernel, config.activation
        if config.fine:
            kind = PixelConv2d if pixels else nn.Conv2d
            self.fine_stem = _conv_bn(in_channels, config.fine, kernel, _act(act), stride=2, kind=kind)
        if context:
            self.context = nn.Conv2d(context, widths[0], 1)
            # What it tells is learnt: a stage trained without starts as good as it was.
            nn.init.zeros_(self.context.weight)
            nn.init.zeros_(cast(Tensor, self.context.bias))
        # Only row 0 strides: the rows below already get something pooled.
        top = config.fine or in_channels
        below = widths[0] if config.fine else in_channels
        first_stem = _conv_bn(top, widths[0], kernel, _act(act), stride=min(config.stride, 2))
        rest_stems = [_conv_bn(below, width, kernel, _act(act)) for width in widths[1:]]
        self.stem = nn.ModuleList([first_stem, *rest_stems])
        self.interlinks = nn.ModuleList(Interlink(config) for _ in range(config.layers))
        self.integrate = nn.ModuleList(
            _conv_bn(widths[row] + widths[row + 1], widths[row], kernel, _act(act))
            for row in range(len(widths) - 1)
        )
        hidden = config.head_width or 2 * classes + 8
        first, *rest = config.head_kernels
        if config.fine:
            self.fine_head = _conv_bn(config.fine, hidden, kernel, nn.Identity())
        last = nn.Identity() if config.fine else _act(act)
        head: list[nn.Module] = [_conv_bn(widths[0], hidden, first, last)]
        for index, size in enumerate(rest):
            inputs = hidden if index == 0 else classes
            head.append(nn.Conv2d(inputs, classes, size, padding=size // 2))
        self.head = nn.Sequential(*head)

    def forward(self, image: Tensor, context: Tensor | None = None) -> ICNNOutput:
        """Return logits and features.

        Args:
            image: (N, in_channels, H, W).
            context: (N, context, h, w) of the same place, at any resolution.
        """
        fine = self.fine_stem(image) if self.config.fine else image
        rows = [self.stem[0](fine)]
        if context is not None:
            size = rows[0].shape[-2:]
            rows[0] = rows[0] + F.interpolate(self.context(context), size=size, mode="bilinear")
        # Pooling features of 1/4 is cheaper than pooling the image three times, and tells more.
        pooled = rows[0] if self.config.fine else image
        if self.config.stride == 2:
            pooled = _down(pooled)
        for stem in list(self.stem)[1:]:
            pooled = _down(pooled)
            rows.append(stem(pooled))
        for layer in self.interlinks:
            rows = layer(rows)
        x = rows[-1]
        for row in range(len(rows) - 2, -1, -1):
            x = self.integrate[row](torch.cat([_up_to(x, rows[row]), rows[row]], dim=1))
        if not self.config.fine:
            return ICNNOutput(self.head(x), x)
        # The head's first convolution is linear in both: run each where its input lives, then add.
        first, *rest = self.head
        known = F.interpolate(first(x), size=fine.shape[-2:], mode="bilinear")
        y = _activate(known + self.fine_head(fine), self.config.activation)
        for layer in rest:
            y = layer(y)
        return ICNNOutput(y, x)


def _activate(x: Tensor, name: str) -> Tensor:
    return torch.tanh(x) if name == "tanh" else torch.relu(x)
