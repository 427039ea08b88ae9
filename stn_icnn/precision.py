"""Which numbers a network computes in: one policy by name, the same for every engine.

"fp32" is the network as it was trained. "fp16" computes the iCNN bodies (coarse stage and part nets),
where nearly all the time goes, in half; localizer, samplers' grids, composition and softmax stay float,
because theta and the coordinates made of it need more than the eleven bits of a half. Every type is
spelt out in the graph, so that no library chooses one.
"""

from __future__ import annotations

import copy
from typing import cast

from torch import Tensor, nn
from torch.nn.utils import fuse_conv_bn_eval

from stn_icnn.icnn import ICNN, ICNNOutput, PixelConv2d
from stn_icnn.network import STNiCNN


class HalfBody(nn.Module):
    """An iCNN that computes in half between a float input and float outputs.

    Args:
        body: in evaluation mode; left as it is.
    """

    def __init__(self, body: ICNN) -> None:
        super().__init__()
        self.body = _fold(_of_scaled_pixels(copy.deepcopy(body))).half()

    def forward(self, image: Tensor, context: Tensor | None = None) -> ICNNOutput:
        """Map (N, C, H, W) float32 to logits and features, float32; see `ICNN.forward`."""
        output = self.body(image.half(), None if context is None else context.half())
        return ICNNOutput(output.logits.float(), output.features.float())


def with_precision(network: STNiCNN, precision: str) -> STNiCNN:
    """Return a network that computes by a policy.

    Args:
        network: float32, in evaluation mode; left as it is.
        precision: "fp32" or "fp16".

    Returns:
        For "fp32" the network itself; for "fp16" a copy whose bodies are `HalfBody`, without gradients.

    Raises:
        ValueError: if the network is in training mode or the policy is unknown.
    """
    if network.training:
        raise ValueError("a precision is for a network in evaluation mode")
    if precision == "fp32":
        return network
    if precision != "fp16":
        raise ValueError(f"no precision {precision!r}: fp32 or fp16")
    half = copy.deepcopy(network).requires_grad_(False)
    # TensorRT for RTX 1.5 fails where one picture goes as bytes to a convolution in halves and to a sampler
    # in float; scaled in float first, it builds.
    half.raw = False
    half.coarse = HalfBody(cast(ICNN, half.coarse))
    if half.face is not None:
        half.face = HalfBody(cast(ICNN, half.face))
    for name, body in half.part_nets.items():
        half.part_nets[name] = HalfBody(cast(ICNN, body))
    return half


def _of_scaled_pixels(body: nn.Module) -> nn.Module:
    """Let a body take pixels that are scaled already."""
    for module in body.modules():
        for name, conv in list(module.named_children()):
            if isinstance(conv, PixelConv2d):
                inputs, outputs, kernel = conv.in_channels, conv.out_channels, conv.kernel_size[0]
                plain = nn.Conv2d(inputs, outputs, kernel, conv.stride[0], int(conv.padding[0]))
                plain.load_state_dict(conv.state_dict())
                setattr(module, name, plain.train(conv.training))
    return body


def _fold(body: nn.Module) -> nn.Module:
    """Fold every batch norm into the convolution before it, in float: each weight is then rounded once."""
    for module in body.modules():
        if isinstance(module, nn.Sequential):
            for index, (conv, norm) in enumerate(zip(module, list(module)[1:], strict=False)):
                if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                    module[index] = fuse_conv_bn_eval(conv, norm)
                    module[index + 1] = nn.Identity()
    return body
