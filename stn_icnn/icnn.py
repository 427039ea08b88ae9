"""Interlinked convolutional network (iCNN), the body of both stages.

Rows of convolutions at falling resolutions exchange features after every layer: each row sees the
row above (max-pooled) and the row below (upsampled). Source: Zhou, Hu, Zhang, "Interlinked
convolutional neural networks for face parsing", 2015 (arXiv 1806.02479), with the widths of
STN-iCNN (arXiv 2002.04831) as the defaults.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn


@dataclass(frozen=True)
class ICNNConfig:
    """Shape of one iCNN.

    Attributes:
        widths: channels of each row, finest first; the rows run at 1, 1/2, 1/4 ... of the first.
        stride: the first row runs at 1/stride of the input (1 or 2).
        kernel: side of the square kernels in stem, interlinks and integration, odd.
        layers: number of interlink layers.
        head_kernels: kernels of the head's convolutions; the first widens to 2 * classes + 8.
        activation: "tanh" in stem, integration and head as in the paper, or "relu".
        residual: add each row's input to its interlink output (not in the paper).
    """

    widths: tuple[int, ...] = (8, 16, 24, 32)
    stride: int = 1
    kernel: int = 5
    layers: int = 3
    head_kernels: tuple[int, ...] = (5, 5, 9)
    activation: str = "tanh"
    residual: bool = False


def _act(name: str) -> nn.Module:
    return nn.Tanh() if name == "tanh" else nn.ReLU(inplace=True)


def _conv_bn(inputs: int, outputs: int, kernel: int, act: nn.Module, stride: int = 1) -> nn.Sequential:
    conv = nn.Conv2d(inputs, outputs, kernel, stride=stride, padding=kernel // 2)
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
        self.residual = config.residual
        self.first = nn.ModuleList()
        self.second = nn.ModuleList()
        for row, width in enumerate(widths):
            inputs = sum(widths[max(0, row - 1) : row + 2])
            self.first.append(_conv_bn(inputs, width, config.kernel, nn.ReLU(inplace=True)))
            # With a residual the activation follows the addition.
            last = nn.Identity() if config.residual else nn.ReLU(inplace=True)
            self.second.append(_conv_bn(width, width, config.kernel, last))

    def forward(self, rows: list[Tensor]) -> list[Tensor]:
        """Map one tensor a row to one tensor a row, shapes unchanged."""
        out = []
        for row, x in enumerate(rows):
            seen = [x]
            if row > 0:
                seen.insert(0, _down(rows[row - 1]))
            if row + 1 < len(rows):
                seen.append(_up_to(rows[row + 1], x))
            y = self.second[row](self.first[row](torch.cat(seen, dim=1)))
            out.append(torch.relu(y + x) if self.residual else y)
        return out


class ICNN(nn.Module):
    """Image (N, in_channels, H, W) float -> class logits (N, classes, H/stride, W/stride)."""

    def __init__(self, config: ICNNConfig, classes: int, in_channels: int = 3) -> None:
        super().__init__()
        self.config = config
        widths, kernel, act = config.widths, config.kernel, config.activation
        # Only row 0 strides: the rows below already get a pooled image.
        self.stem = nn.ModuleList(
            _conv_bn(in_channels, width, kernel, _act(act), stride=config.stride if row == 0 else 1)
            for row, width in enumerate(widths)
        )
        self.interlinks = nn.ModuleList(Interlink(config) for _ in range(config.layers))
        self.integrate = nn.ModuleList(
            _conv_bn(widths[row] + widths[row + 1], widths[row], kernel, _act(act))
            for row in range(len(widths) - 1)
        )
        hidden = 2 * classes + 8
        first, *rest = config.head_kernels
        head: list[nn.Module] = [_conv_bn(widths[0], hidden, first, _act(act))]
        for index, size in enumerate(rest):
            inputs = hidden if index == 0 else classes
            head.append(nn.Conv2d(inputs, classes, size, padding=size // 2))
        self.head = nn.Sequential(*head)

    def forward(self, image: Tensor) -> Tensor:
        """Return unnormalised class logits at 1/stride of the image's resolution."""
        rows = []
        pooled = image
        for row, stem in enumerate(self.stem):
            if row > 0:
                pooled = _down(pooled)
                if row == 1 and self.config.stride == 2:
                    pooled = _down(pooled)
            rows.append(stem(pooled))
        for layer in self.interlinks:
            rows = layer(rows)
        x = rows[-1]
        for row in range(len(rows) - 2, -1, -1):
            x = self.integrate[row](torch.cat([_up_to(x, rows[row]), rows[row]], dim=1))
        return cast(Tensor, self.head(x))
