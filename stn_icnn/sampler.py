"""Differentiable crops by theta and their paste-back: one coordinate rule for the whole network.

Coordinates are normalised over a picture's area (align_corners=False): -1 is the outer edge of the
first pixel and 1 that of the last. So a place has the same coordinates at every resolution, and crops
of the image, of features and of labels by one theta lie on each other; with pixel centres for corners,
as in the paper's release, they were off by up to a pixel of the smaller one. A theta is the 2x3 affine
map from part-crop coordinates to image coordinates; only scale and translation are used (arXiv
2002.04831, section 3.2):

    x_image = theta[0, 0] * x_crop + theta[0, 2]
    y_image = theta[1, 1] * y_crop + theta[1, 2]
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor


def make_theta(scale: Tensor, centre: Tensor) -> Tensor:
    """Assemble thetas from scales and centres.

    Args:
        scale: (..., 2) half extents in x and y, normalised units.
        centre: (..., 2) crop centres in x and y, normalised units.

    Returns:
        (..., 2, 3) affine matrices without rotation.
    """
    zero = torch.zeros_like(scale[..., 0])
    row_x = torch.stack([scale[..., 0], zero, centre[..., 0]], dim=-1)
    row_y = torch.stack([zero, scale[..., 1], centre[..., 1]], dim=-1)
    return torch.stack([row_x, row_y], dim=-2)


def channels(x: Tensor, ids: Sequence[int]) -> Tensor:
    """Return some channels of x (N, C, H, W) as (N, len(ids), H, W).

    By slices: a list as an index becomes a tensor on the host, whose copy a CUDA graph can't capture.
    """
    if list(ids) == list(range(ids[0], ids[0] + len(ids))):
        return x[:, ids[0] : ids[0] + len(ids)]
    return torch.cat([x[:, index : index + 1] for index in ids], dim=1)


def pixel_centres(size: int, like: Tensor) -> Tensor:
    """Return the (size,) normalised coordinates of a row of pixels, of the dtype and device of `like`."""
    half = 1.0 / size
    return torch.linspace(half - 1.0, 1.0 - half, size, dtype=like.dtype, device=like.device)


def _grid(scale: Tensor, offset: Tensor, size: tuple[int, int], by_lines: bool) -> Tensor:
    height, width = size
    y, x = torch.meshgrid(pixel_centres(height, scale), pixel_centres(width, scale), indexing="ij")
    # The unit grid is a constant of a compiled network, which then stacks and broadcasts nothing.
    unit = torch.stack([x, y], dim=-1)
    if not by_lines:
        return unit * scale[:, None, None, :] + offset[:, None, None, :]
    scales, offsets = (each.repeat(1, width)[:, None] for each in (scale, offset))
    return (unit.flatten(1) * scales + offsets).reshape(-1, height, width, 2)


def crop(
    image: Tensor, theta: Tensor, size: tuple[int, int], mode: str = "bilinear", by_lines: bool = False
) -> Tensor:
    """Sample one crop an image.

    Args:
        image: (N, C, H, W) float.
        theta: (N, 2, 3) from `make_theta`.
        size: (height, width) of the crop in pixels.
        mode: "bilinear" or "nearest".
        by_lines: compute places by lines of x, y, x, y ..., not pair by pair: the same numbers. OpenVINO
            takes an eighth of the time then; TensorRT for RTX 1.7 fails to build it.

    Returns:
        (N, C, height, width); places outside the image are zero.
    """
    scale = torch.stack([theta[:, 0, 0], theta[:, 1, 1]], dim=-1)
    grid = _grid(scale, theta[:, :, 2], size, by_lines)
    return F.grid_sample(image, grid, mode=mode, padding_mode="zeros", align_corners=False)


def paste(
    part: Tensor, theta: Tensor, size: tuple[int, int], mode: str = "bilinear", by_lines: bool = False
) -> Tensor:
    """Map a crop back into the image frame, the inverse of `crop`.

    Args:
        part: (N, C, h, w) values in the part crop.
        theta: (N, 2, 3), the theta that made the crop.
        size: (H, W) of the frame to paste into, in pixels.
        mode: "bilinear" or "nearest".
        by_lines: see `crop`.

    Returns:
        (N, C, H, W); zero outside the crop's box.
    """
    scale = torch.stack([theta[:, 0, 0], theta[:, 1, 1]], dim=-1)
    inverse = 1.0 / scale
    grid = _grid(inverse, -theta[:, :, 2] * inverse, size, by_lines)
    return F.grid_sample(part, grid, mode=mode, padding_mode="zeros", align_corners=False)
