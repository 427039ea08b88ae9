"""Augmentation: the framing errors of detector and alignment, and the looks of cheap cameras."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from stn_icnn.labels import IGNORE, mirror_ids

Image = npt.NDArray[np.uint8]
_MIRROR = mirror_ids()


class Sample(NamedTuple):
    """An image (H, W, 3) uint8 RGB and its label map (H, W) uint8."""

    image: Image
    label: Image


@dataclass(frozen=True)
class Augmentation:
    """How strongly faces are changed; the defaults are the training preset.

    Attributes:
        mirror: probability of a mirror image, with left and right classes renamed.
        roll_degrees: standard deviation of the roll left by alignment; one in eight is drawn from
            three times as wide a range.
        zoom: largest factor by which the face appears larger or smaller.
        shift: standard deviation of the offset, in crop sides.
        light: strength of changes to brightness, contrast, gamma and white balance, 0 to 1.
        degrade: probability of each of blur, low resolution, noise and JPEG compression.
        occlude: probability of a random shape over the face, labelled ignore.
    """

    mirror: float = 0.5
    roll_degrees: float = 8.0
    zoom: float = 1.3
    shift: float = 0.04
    light: float = 0.5
    degrade: float = 0.15
    occlude: float = 0.1


def augment(sample: Sample, side: int, how: Augmentation, rng: np.random.Generator) -> Sample:
    """Return a changed sample at side x side pixels; places outside the photo are labelled ignore."""
    warped = _frame(sample, side, how, rng)
    if rng.random() < how.mirror:
        warped = Sample(np.ascontiguousarray(warped.image[:, ::-1]), _MIRROR[warped.label[:, ::-1]])
    image = _light(warped.image, how.light, rng)
    image = _degrade(image, how.degrade, rng)
    if rng.random() < how.occlude:
        return _occlude(Sample(image, warped.label.copy()), rng)
    return Sample(image, warped.label)


def _frame(sample: Sample, side: int, how: Augmentation, rng: np.random.Generator) -> Sample:
    roll = rng.normal(0.0, how.roll_degrees) * (3.0 if rng.random() < 0.125 else 1.0)
    zoom = float(np.exp(rng.uniform(-1.0, 1.0) * np.log(how.zoom)))
    height, width = sample.label.shape
    matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), roll, zoom * side / width)
    centre = (side - 1) / 2
    offset = rng.normal(0.0, how.shift, 2) * side
    matrix[:, 2] += offset + centre - np.array([(width - 1) / 2, (height - 1) / 2])
    border = (cv2.BORDER_CONSTANT, cv2.BORDER_REPLICATE, cv2.BORDER_REFLECT_101)[rng.integers(3)]
    size = (side, side)
    image = cv2.warpAffine(sample.image, matrix, size, flags=cv2.INTER_LINEAR, borderMode=border)
    label = cv2.warpAffine(
        sample.label,
        matrix,
        size,
        flags=cv2.INTER_NEAREST,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=(IGNORE,),
    )
    return Sample(image.astype(np.uint8), label.astype(np.uint8))


def _light(image: Image, strength: float, rng: np.random.Generator) -> Image:
    gamma = np.exp(rng.normal(0.0, 0.35 * strength))
    gain = np.exp(rng.normal(0.0, 0.3 * strength)) * np.exp(rng.normal(0.0, 0.12 * strength, 3))
    offset = rng.normal(0.0, 0.08 * strength)
    ramp = np.linspace(0.0, 1.0, 256)[:, None] ** gamma * gain + offset
    table = np.clip(ramp * 255.0, 0, 255).astype(np.uint8)
    changed = cv2.LUT(image, table.reshape(256, 1, 3))
    saturation = rng.random()
    if saturation < 0.4 * strength:
        grey = cv2.cvtColor(cv2.cvtColor(changed, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
        keep = rng.uniform(0.0, 1.4) if saturation > 0.1 * strength else 0.0
        changed = cv2.addWeighted(changed, keep, grey, 1.0 - keep, 0.0)
    return changed.astype(np.uint8)


def _degrade(image: Image, chance: float, rng: np.random.Generator) -> Image:
    side = image.shape[0]
    if rng.random() < chance:
        image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.4, 2.0)).astype(np.uint8)
    if rng.random() < chance:
        small = int(side * rng.uniform(0.2, 0.7))
        shrunk = cv2.resize(image, (small, small), interpolation=cv2.INTER_AREA)
        image = cv2.resize(shrunk, (side, side), interpolation=cv2.INTER_LINEAR).astype(np.uint8)
    if rng.random() < chance:
        noise = rng.normal(0.0, rng.uniform(2.0, 14.0), image.shape)
        image = np.clip(image + noise, 0, 255).astype(np.uint8)
    if rng.random() < chance:
        quality = int(rng.integers(25, 80))
        packed = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
        image = np.asarray(cv2.imdecode(packed, cv2.IMREAD_UNCHANGED), np.uint8)
    return image


def _occlude(sample: Sample, rng: np.random.Generator) -> Sample:
    """Paint an ellipse of flat colour; what it hides is unknown, not background."""
    side = sample.label.shape[0]
    centre = rng.integers(0, side, 2)
    axes = rng.integers(side // 16, side // 5, 2)
    angle = float(rng.uniform(0, 180))
    colour = rng.integers(0, 256, 3)
    ellipse = ((float(centre[0]), float(centre[1])), (float(axes[0] * 2), float(axes[1] * 2)), angle)
    image = cv2.ellipse(sample.image.copy(), ellipse, colour.tolist(), -1)
    label = cv2.ellipse(sample.label, ellipse, (IGNORE,), -1)
    return Sample(image.astype(np.uint8), label.astype(np.uint8))
