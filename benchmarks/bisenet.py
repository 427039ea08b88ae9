"""BiSeNet with a ResNet-18, the usual face parser elsewhere, for timing alone: its weights are random.

Built from the paper's description (Yu et al., "BiSeNet: Bilateral Segmentation Network for Real-time Semantic
Segmentation", ECCV 2018), in the form that face parsers use: the spatial path is the backbone down to 1/8.
19 classes at 512x512; with its two training heads it has the 13.3 M parameters published for it.
"""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SIDE = 512
CLASSES = 19
# Of photos, as backbones trained on ImageNet want them.
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class BiSeNet(nn.Module):
    """Photos uint8 (N, H, W, 3) in, logits (N, 19, H, W) out; normalisation is inside, as in our networks."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = ResNet18()
        self.attend_16, self.attend_32 = Attention(256), Attention(512)
        self.refine_16, self.refine_32 = _conv(128, 128), _conv(128, 128)
        self.context = _conv(512, 128, 1)
        self.fuse = Fusion()
        self.head = Head(256, 256)
        # For training alone; what is timed leaves them out.
        self.auxiliary = nn.ModuleList([Head(128, 64), Head(128, 64)])
        self.mean, self.std = (
            nn.Buffer(torch.tensor(values).view(1, 3, 1, 1) * 255.0) for values in (_MEAN, _STD)
        )

    def forward(self, photos: Tensor) -> Tensor:
        """Parse photos."""
        return self.parse(self.normalise(photos))

    def normalise(self, photos: Tensor) -> Tensor:
        """Map (N, H, W, 3) uint8 to (N, 3, H, W) as ImageNet's backbones want it."""
        # Cast first: TensorRT transposes no uint8.
        return torch.as_tensor((photos.float().permute(0, 3, 1, 2) - self.mean) / self.std)

    def parse(self, images: Tensor) -> Tensor:
        """Map normalised images to logits of their size."""
        at_8, at_16, at_32 = self.backbone(images)
        context = self.context(at_32.mean((2, 3), keepdim=True))
        at_32 = self.attend_32(at_32) + context
        at_32 = self.refine_32(F.interpolate(at_32, scale_factor=2.0))
        at_16 = self.attend_16(at_16) + at_32
        at_16 = self.refine_16(F.interpolate(at_16, scale_factor=2.0))
        logits = self.head(self.fuse(torch.cat([at_8, at_16], dim=1)))
        return F.interpolate(logits, size=images.shape[2:], mode="bilinear", align_corners=True)


class ResNet18(nn.Module):
    """The backbone: features at 1/8, 1/16 and 1/32 (He et al., CVPR 2016)."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(_conv(3, 64, 7, 2), nn.MaxPool2d(3, 2, 1))
        widths = (64, 64, 128, 256, 512)
        self.levels = nn.ModuleList(
            nn.Sequential(Block(before, width, 1 if index == 0 else 2), Block(width, width))
            for index, (before, width) in enumerate(pairwise(widths))
        )

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the features of the last three levels."""
        features = [self.stem(images)]
        for level in self.levels:
            features.append(level(features[-1]))
        return features[-3], features[-2], features[-1]


class Block(nn.Module):
    """Two convolutions beside a shortcut."""

    def __init__(self, before: int, width: int, stride: int = 1) -> None:
        super().__init__()
        self.first = _conv(before, width, 3, stride)
        self.second = _conv(width, width, active=False)
        same = before == width and stride == 1
        self.shortcut = nn.Identity() if same else _conv(before, width, 1, stride, active=False)

    def forward(self, features: Tensor) -> Tensor:
        """Return features of `width` channels."""
        return F.relu(self.second(self.first(features)) + self.shortcut(features))


class Attention(nn.Module):
    """Attention refinement: channels weighed by what the whole picture holds."""

    def __init__(self, before: int, width: int = 128) -> None:
        super().__init__()
        self.conv = _conv(before, width)
        self.weigh = _conv(width, width, 1, active=False)

    def forward(self, features: Tensor) -> Tensor:
        """Return features of `width` channels."""
        features = self.conv(features)
        return features * torch.sigmoid(self.weigh(features.mean((2, 3), keepdim=True)))


class Fusion(nn.Module):
    """Feature fusion of the spatial path and the context path."""

    def __init__(self, width: int = 256) -> None:
        super().__init__()
        self.conv = _conv(width, width, 1)
        self.squeeze = nn.Conv2d(width, width // 4, 1, bias=False)
        self.excite = nn.Conv2d(width // 4, width, 1, bias=False)

    def forward(self, both: Tensor) -> Tensor:
        """Return features of as many channels."""
        fused = self.conv(both)
        weights = self.excite(F.relu(self.squeeze(fused.mean((2, 3), keepdim=True))))
        return torch.as_tensor(fused + fused * torch.sigmoid(weights))


class Head(nn.Sequential):
    """Features to logits."""

    def __init__(self, before: int, width: int) -> None:
        super().__init__(_conv(before, width), nn.Conv2d(width, CLASSES, 1, bias=False))


class HalfBiSeNet(nn.Module):
    """BiSeNet that computes in half between bytes and float32 logits.

    Args:
        network: becomes half but for its normalisation.
    """

    def __init__(self, network: BiSeNet) -> None:
        super().__init__()
        self.network = network.half()
        network.mean, network.std = (nn.Buffer(each.float()) for each in (network.mean, network.std))

    def forward(self, photos: Tensor) -> Tensor:
        """Parse photos."""
        return self.network.parse(self.network.normalise(photos).half()).float()


def random_bisenet() -> BiSeNet:
    """Return the network with random weights, the same ones every time."""
    torch.manual_seed(0)
    network = BiSeNet().eval()
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight)
    return network


def count_parameters(network: nn.Module) -> int:
    """Return the number of a network's parameters."""
    return sum(parameter.numel() for parameter in network.parameters())


def _conv(before: int, width: int, side: int = 3, stride: int = 1, active: bool = True) -> nn.Sequential:
    layers: list[nn.Module] = [
        nn.Conv2d(before, width, side, stride, side // 2, bias=False),
        nn.BatchNorm2d(width),
    ]
    return nn.Sequential(*layers, *([nn.ReLU(inplace=True)] if active else []))
