"""Augmentation: the framing errors of detector and alignment, and the looks of cheap cameras."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from stn_icnn.labels import CLASS_ID, IGNORE, mirror_ids
from training.necklaces import draw_necklace

Image = npt.NDArray[np.uint8]
_MIRROR = mirror_ids()


class Sample(NamedTuple):
    """An image (H, W, 3) uint8 RGB and its label map (H, W) uint8."""

    image: Image
    label: Image


@dataclass(frozen=True)
class Augmentation:
    """How strongly faces are changed.

    The framing defaults are what the detector and the alignment were measured to leave on training
    faces, upright and turned by up to 45 degrees, and on faces in the wild, doubled at most: offset
    0.01 of the crop's side, scale 7 %, roll 4 degrees (standard deviations; 99 in 100 under 12).

    Attributes:
        mirror: probability of a mirror image, with left and right classes renamed.
        width: mean side of what the network reads in sides of the training faces' frame; at run time, too.
        zoom: largest factor by which the face appears larger or smaller than that.
        roll_degrees: standard deviation of the roll left by alignment.
        turn: probability of any roll up to 45 degrees instead, as when a keypoint is off.
        shift: standard deviation of the offset, in crop sides.
        cut: probability that the picture ends somewhere in the face crop.
        light: strength of changes to brightness, contrast, gamma and white balance, 0 to 1.
        grey: probability of a grey image.
        degrade: probability of each of blur, low resolution, noise and JPEG compression.
        occlude: probability of something before the face: a shape, or a blob with fingers in the
            colour of skin, labelled background.
        necklace: probability of drawn necklaces, see `training.necklaces`.
        wear: probability of something that another face wears: a hat, glasses, earrings, a necklace, clothes,
            its hair; see `training.mixing`, also for the next two.
        backdrop: probability of another face's background.
        drawn: probability of a drawn background instead, see `training.backdrops`.
        recolour: probability of other colours of hair, clothes, background, hat, lips or glasses.
    """

    mirror: float = 0.5
    width: float = 1.1
    zoom: float = 1.2
    roll_degrees: float = 5.0
    turn: float = 0.06
    shift: float = 0.02
    cut: float = 0.08
    light: float = 0.5
    grey: float = 0.05
    degrade: float = 0.12
    occlude: float = 0.1
    necklace: float = 0.0
    wear: float = 0.0
    backdrop: float = 0.0
    drawn: float = 0.0
    recolour: float = 0.0


def augment(
    sample: Sample, side: int, how: Augmentation, rng: np.random.Generator, frames: float = 1.0
) -> Sample:
    """Return a changed sample at side x side pixels; places outside the photo are labelled ignore.

    Args:
        sample: a photo that is square.
        side: of what is returned.
        how: see `Augmentation`.
        rng: draws.
        frames: side of the photo in sides of the training faces' frame.
    """
    if rng.random() < how.necklace:
        sample = Sample(*draw_necklace(*sample, rng))
    if rng.random() < how.cut:
        sample = _cut(sample, rng)
    warped = _frame(sample, side, how, rng, frames)
    if rng.random() < how.mirror:
        warped = mirrored(warped)
    if rng.random() < how.occlude:
        warped = occlude(warped, rng, 1.1 / how.width)
    image = relight(warped.image, how.light, rng)
    if rng.random() < how.grey:
        grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
        image = np.asarray(cv2.cvtColor(grey, cv2.COLOR_GRAY2RGB), np.uint8)
    return Sample(_degrade(image, how.degrade, rng), warped.label)


def mirrored(sample: Sample) -> Sample:
    """Return the mirror image of a sample, left and right classes renamed."""
    return Sample(np.ascontiguousarray(sample.image[:, ::-1]), _MIRROR[sample.label[:, ::-1]])


def _cut(sample: Sample, rng: np.random.Generator) -> Sample:
    """End the picture at one side, as where a face leaves the frame; its last line is repeated."""
    image, label = sample.image.copy(), sample.label.copy()
    # Views whose first rows are at the side that is cut.
    quarter = int(rng.integers(4))
    turned, turned_label = np.rot90(image, quarter), np.rot90(label, quarter)
    rows = int(rng.uniform(0.05, 0.4) * len(turned))
    turned[:rows] = turned[rows]
    turned_label[:rows] = IGNORE
    return Sample(image, label)


def _frame(sample: Sample, side: int, how: Augmentation, rng: np.random.Generator, frames: float) -> Sample:
    turned = rng.random() < how.turn
    roll = rng.uniform(-45.0, 45.0) if turned else rng.normal(0.0, how.roll_degrees)
    zoom = float(np.exp(rng.uniform(-1.0, 1.0) * np.log(how.zoom))) * frames / how.width
    height, width = sample.label.shape
    matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), roll, zoom * side / width)
    centre = (side - 1) / 2
    offset = rng.normal(0.0, how.shift, 2) * side
    matrix[:, 2] += offset + centre - np.array([(width - 1) / 2, (height - 1) / 2])
    # The pipeline repeats the border, of which nobody knows what it shows; now and then black bars, as many
    # pictures bring their own: nobody's.
    bars = rng.random() < 0.15
    border = cv2.BORDER_CONSTANT if bars else cv2.BORDER_REPLICATE
    size = (side, side)
    image = cv2.warpAffine(sample.image, matrix, size, flags=cv2.INTER_LINEAR, borderMode=border)
    label = cv2.warpAffine(
        sample.label,
        matrix,
        size,
        flags=cv2.INTER_NEAREST,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=(0 if bars else IGNORE,),
    )
    return Sample(image.astype(np.uint8), label.astype(np.uint8))


def relight(image: Image, strength: float, rng: np.random.Generator) -> Image:
    """Change brightness, contrast, gamma, white balance and saturation of an image (H, W, 3) uint8 RGB.

    Args:
        image: the image.
        strength: 0 to 1.
        rng: draws.
    """
    gamma = np.exp(rng.normal(0.0, 0.35 * strength))
    gain = np.exp(rng.normal(0.0, 0.3 * strength)) * np.exp(rng.normal(0.0, 0.12 * strength, 3))
    offset = rng.normal(0.0, 0.08 * strength)
    ramp = np.linspace(0.0, 1.0, 256)[:, None] ** gamma * gain + offset
    table = np.clip(ramp * 255.0, 0, 255).astype(np.uint8)
    changed = cv2.LUT(image, table.reshape(256, 1, 3))
    if rng.random() < 0.4 * strength:
        grey = cv2.cvtColor(cv2.cvtColor(changed, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
        keep = rng.uniform(0.0, 1.4)
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


def occlude(sample: Sample, rng: np.random.Generator, size: float = 1.0) -> Sample:
    """Put a shape or a hand-like blob before the face; what it hides is background.

    An effect must not be painted on it, and the labels' own convention is the same.

    Args:
        sample: what is hidden in part.
        rng: draws.
        size: factor on what suits a picture of the face alone.
    """
    side = sample.label.shape[0]
    mask = _hand(side, rng, size) if rng.random() < 0.5 else _shape(side, rng, size)
    if rng.random() < 0.5:
        # A blob in the face's own skin colour can be told by its outline alone, as a hand must be.
        skin = sample.image[sample.label == CLASS_ID["skin"]]
        colour = skin[rng.integers(len(skin))].astype(np.float64) if len(skin) else np.full(3, 128.0)
    else:
        colour = rng.uniform(0, 255, 3)
    ramp = np.linspace(-1.0, 1.0, side)
    shade = rng.normal(0, 25) * ramp[:, None] + rng.normal(0, 25) * ramp[None, :]
    paint = colour + shade[..., None] + rng.normal(0, rng.uniform(1, 12), (side, side, 1))
    alpha = cv2.GaussianBlur(mask, (0, 0), 0.8)[..., None] / 255.0
    image = sample.image * (1.0 - alpha) + np.clip(paint, 0, 255) * alpha
    # What is unknown stays so: beyond the photo's border, for one.
    hidden = (mask > 127) & (sample.label != IGNORE)
    return Sample(image.astype(np.uint8), np.where(hidden, 0, sample.label).astype(np.uint8))


def _shape(side: int, rng: np.random.Generator, scale: float) -> Image:
    """Return the mask of an ellipse or a star-shaped polygon, 0 or 255."""
    mask = np.zeros((side, side), np.uint8)
    angles = np.sort(rng.uniform(0, 2 * np.pi, 40 if rng.random() < 0.5 else int(rng.integers(3, 8))))
    radius = rng.uniform(side / 20, side / 5, 2) * scale * rng.uniform(0.8, 1.0, (len(angles), 1))
    points = rng.uniform(0, side, 2) + radius * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    return np.asarray(cv2.fillPoly(mask, [points.astype(np.int32)], (255,)), np.uint8)


def _hand(side: int, rng: np.random.Generator, scale: float) -> Image:
    """Return the mask of a palm with a few fingers, 0 or 255."""
    mask = np.zeros((side, side), np.uint8)
    palm = rng.uniform(0.1, 0.9, 2) * side
    size = rng.uniform(0.08, 0.16) * scale * side
    heading = rng.uniform(0, 2 * np.pi)
    cv2.circle(mask, (int(palm[0]), int(palm[1])), int(size), (255,), -1)
    for finger in range(int(rng.integers(1, 6))):
        angle = heading + (finger - 2) * rng.uniform(0.2, 0.4)
        tip = palm + rng.uniform(1.6, 2.6) * size * np.array([np.cos(angle), np.sin(angle)])
        ends = [(int(x), int(y)) for x, y in (palm, tip)]
        cv2.line(mask, ends[0], ends[1], (255,), max(2, int(size * rng.uniform(0.35, 0.5))))
    return mask
