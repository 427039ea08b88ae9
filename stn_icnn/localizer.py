"""Localizers: coarse class probabilities -> one theta a part, by which the sampler crops.

`ConvLocalizer` regresses theta as the paper does (arXiv 2002.04831, section 3.2: the localizer sees
the coarse stage's softmax and not the image). `MomentLocalizer` has no weights: a part's centre and
extent are the mean and standard deviation of its probability map, pulled to the part's usual place
where the map holds no mass, so that an absent part can't drag its crop away.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from stn_icnn.sampler import channels, make_theta, pixel_centres


@dataclass(frozen=True)
class PartPrior:
    """Where a part usually lies in the face crop, in normalised units (-1 to 1).

    Attributes:
        centre: mean x and y.
        deviation: standard deviation of its pixels in x and y.
    """

    centre: tuple[float, float]
    deviation: tuple[float, float]


class MomentLocalizer(nn.Module):
    """Crops from the moments of each part's probability map; differentiable, without weights.

    Args:
        classes: for each part, the channels of the coarse probabilities that make it up.
        priors: for each part, its usual place and extent.
        gain: half extent of a crop in standard deviations (an ellipse reaches 2).
        margin: added to the half extent, normalised units.
    """

    # Share of the crop's area whose mass counts as much as the prior: 1/8000 is 2 pixels of 128x128.
    PRIOR_MASS = 1.0 / 8000.0

    centre: Tensor
    variance: Tensor

    def __init__(
        self,
        classes: Sequence[Sequence[int]],
        priors: Sequence[PartPrior],
        gain: float = 2.6,
        margin: float = 0.05,
    ) -> None:
        super().__init__()
        self.classes = [list(ids) for ids in classes]
        self.gain, self.margin = gain, margin
        centre = torch.tensor([prior.centre for prior in priors])
        deviation = torch.tensor([prior.deviation for prior in priors])
        self.register_buffer("centre", centre, persistent=False)
        self.register_buffer("variance", deviation**2, persistent=False)

    def forward(self, probabilities: Tensor) -> Tensor:
        """Map coarse probabilities (N, C, H, W) to thetas (N, parts, 2, 3)."""
        maps = torch.stack([channels(probabilities, ids).sum(dim=1) for ids in self.classes], dim=1)
        # Squaring mutes the faint haze of a softmax far from the part.
        weight = maps * maps
        height, width = weight.shape[-2:]
        x, y = pixel_centres(width, weight), pixel_centres(height, weight)
        columns, rows = weight.mean(dim=2), weight.mean(dim=3)
        prior = self.PRIOR_MASS
        mass = rows.mean(dim=2) + prior
        first = torch.stack([(columns * x).mean(dim=2), (rows * y).mean(dim=2)], dim=-1)
        centre = (first + prior * self.centre) / mass[..., None]
        dx = x - centre[..., 0:1]
        dy = y - centre[..., 1:2]
        second = torch.stack([(columns * dx * dx).mean(dim=2), (rows * dy * dy).mean(dim=2)], dim=-1)
        variance = (second + prior * self.variance) / mass[..., None]
        return make_theta(self.gain * torch.sqrt(variance) + self.margin, centre)


class PriorLocalizer(nn.Module):
    """Crops where the parts usually lie, whatever the picture shows: what a network without STN has.

    Args:
        priors: for each part, its usual place and extent.
        gain, margin: as in `MomentLocalizer`; twice the margin, as nothing follows the part.
    """

    theta: Tensor

    def __init__(self, priors: Sequence[PartPrior], gain: float = 2.6, margin: float = 0.1) -> None:
        super().__init__()
        scale = gain * torch.tensor([prior.deviation for prior in priors]) + margin
        centre = torch.tensor([prior.centre for prior in priors])
        self.register_buffer("theta", make_theta(scale, centre), persistent=False)

    def forward(self, probabilities: Tensor) -> Tensor:
        """Map coarse probabilities (N, C, H, W) to thetas (N, parts, 2, 3), all alike."""
        return self.theta.expand(probabilities.shape[0], -1, -1, -1)


class ConvLocalizer(nn.Module):
    """Sixteen narrow convolutions that regress scale and translation (the paper's small localizer).

    Args:
        classes: channels of the coarse probabilities.
        priors: for each part, where the regression starts.
        extent: half extent of the starting crop in standard deviations of the prior.
    """

    WIDTH = 5

    start: Tensor

    def __init__(self, classes: int, priors: Sequence[PartPrior], extent: float = 2.6) -> None:
        super().__init__()
        self.parts = len(priors)
        layers: list[nn.Module] = []
        inputs = classes
        for index in range(15):
            stride = 2 if index % 3 == 1 else 1
            conv = nn.Conv2d(inputs, self.WIDTH, 3, stride=stride, padding=1)
            layers += [conv, nn.BatchNorm2d(self.WIDTH), nn.LeakyReLU(0.1, inplace=True)]
            inputs = self.WIDTH
        self.body = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(4))
        self.regress = nn.Conv2d(self.WIDTH, 4 * self.parts, 4)
        nn.init.zeros_(self.regress.weight)
        nn.init.zeros_(cast(Tensor, self.regress.bias))
        start = [(*(extent * d for d in prior.deviation), *prior.centre) for prior in priors]
        self.register_buffer("start", torch.tensor(start), persistent=False)

    def forward(self, probabilities: Tensor) -> Tensor:
        """Map coarse probabilities (N, C, H, W), H and W at least 128, to (N, parts, 2, 3)."""
        change = self.regress(self.body(probabilities)).reshape(-1, self.parts, 4)
        # exp keeps every scale positive, so that paste-back can always invert it.
        scale = self.start[:, :2] * torch.exp(change[..., :2])
        return make_theta(scale, self.start[:, 2:] + change[..., 2:])
