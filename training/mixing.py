"""Copy-paste augmentation: faces wear what others wear, stand before others' backgrounds, change colours.

All faces are in one framing, so what one of them wears lies right on another but for a small shift. Source of
the idea: Ghiasi et al., "Simple copy-paste is a strong data augmentation method for instance segmentation",
CVPR 2021 (arXiv 2012.07177): it helps where labels are few, and most where a class is rare.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import cv2
import numpy as np
import numpy.typing as npt

from stn_icnn.labels import CLASS_ID
from training.augment import Augmentation, Image, Sample, mirrored, relight
from training.backdrops import draw_backdrop

Mask = npt.NDArray[np.bool_]
Borrow = Callable[[str, np.random.Generator], Sample | None]
"""Gives a labelled face that shows a class, or None where no face does."""

THINGS = {"hat": 0.25, "eye_g": 0.2, "ear_r": 0.2, "neck_l": 0.05, "cloth": 0.15, "hair": 0.15}
"""What can be worn by another, classes of `stn_icnn.labels`, and how often it is that; hair is then a wig."""

_EYES = ("l_eye", "r_eye")
_INNER = (*_EYES, "nose", "mouth", "u_lip", "l_lip")
# How often dyed hair and painted lips have a colour that none grow in.
VIVID = 0.5
# Groups that have a colour of their own: hair is dyed (twice as often), clothes are changed, lips painted.
_COLOURED = (("hair",), ("hair",), ("cloth",), ("background",), ("hat",), ("u_lip", "l_lip"), ("eye_g",))
# What nobody wears two of; clothes and hair go over their own.
_ONE = ("hat", "eye_g", "ear_r", "neck_l")
# Shares of the training faces' frame under which a thing is left where it is: a brim or a dot, or a slip of
# the labeller's.
_LEAST = {"hat": 0.02, "eye_g": 0.003, "ear_r": 0.0001, "neck_l": 0.0001, "cloth": 0.02, "hair": 0.05}


def mix(
    sample: Sample, how: Augmentation, borrow: Borrow, rng: np.random.Generator, frames: float = 1.0
) -> Sample:
    """Return a changed sample, of the same size.

    Args:
        sample: a face in the framing of the training faces; one without labelled skin stays as it is: where
            hair alone is labelled, nothing tells what it could wear.
        how: its `wear`, `backdrop` and `recolour` are the probabilities.
        borrow: gives the others, of the sample's size and framing.
        rng: draws.
        frames: side of the photo in sides of the training faces' frame.
    """
    if not _is(sample.label, "skin").any():
        return sample
    if rng.random() < how.backdrop:
        donor = borrow("background", rng)
        sample = sample if donor is None else stand_before(sample, _turned(donor, rng), rng)
    elif rng.random() < how.drawn:
        drawn = draw_backdrop(sample.label.shape[0], rng)
        own = _is(sample.label, "background")
        sample = _pasted(sample, Sample(drawn, np.zeros_like(sample.label)), own)
    if rng.random() < how.wear:
        thing = str(rng.choice(list(THINGS), p=list(THINGS.values())))
        donor = borrow(thing, rng)
        sample = sample if donor is None else wear(sample, _turned(donor, rng), thing, rng, frames)
    if rng.random() < how.recolour:
        sample = recolour(sample, rng)
    return sample


def wear(sample: Sample, donor: Sample, thing: str, rng: np.random.Generator, frames: float = 1.0) -> Sample:
    """Put what a donor wears on a face: a copy, or the sample itself where it would not fit.

    Args:
        sample: who shall wear it.
        donor: who wears it, in the same framing and of the same size.
        thing: one of `THINGS`.
        rng: draws a small shift and the thing's colours.
        frames: side of the photos in sides of the training faces' frame.
    """
    share = frames * frames * _share(donor.label, thing)
    if (thing in _ONE and _is(sample.label, thing).any()) or share < _LEAST[thing]:
        return sample
    if thing == "ear_r":
        for side in ("l_ear", "r_ear"):
            sample = _wear_earring(sample, donor, side, rng, frames)
        return sample
    below = 0.0
    if thing in ("neck_l", "cloth"):
        chins = [_lowest(face.label, ("skin",)) for face in (sample, donor)]
        if chins[0] is None or chins[1] is None:
            return sample
        below = float(chins[0][1] - chins[1][1])
    moved = _moved(_lit_like(donor, sample), (0.0, below), rng)
    mask = _is(moved.label, thing)
    if thing == "neck_l":
        mask &= _is(sample.label, "neck", "cloth")
    elif thing == "eye_g":
        for eye in _EYES:
            mask |= _behind_glass(moved.label, eye)
        mask &= _is(sample.label, "skin", "nose", "l_brow", "r_brow", "l_ear", "r_ear", *_EYES)
    elif thing == "cloth":
        mask &= _is(sample.label, "neck", "cloth", "background")
    elif thing == "hair":
        # A hat stays on; brows, eyes, nose and mouth are left free.
        mask &= ~_is(sample.label, *_INNER, "l_brow", "r_brow", "hat", "eye_g", "ear_r")
    else:
        eyes = _is(sample.label, *_EYES)
        if (eyes & mask).sum() > 0.2 * eyes.sum():
            return sample
        mask &= ~_is(sample.label, *_INNER)
        # Hair under a hat shows nowhere above its brim.
        mask |= _is(sample.label, "hair", "hat") & (np.cumsum(mask[::-1], axis=0)[::-1] > 0)
    return _pasted(sample, _dyed(moved, thing, rng), mask)


def _wear_earring(
    sample: Sample, donor: Sample, side: str, rng: np.random.Generator, frames: float
) -> Sample:
    """Hang a donor's earring on the lobe of the same side, where both lobes are seen."""
    lobe, other = (_lowest(face.label, (side,)) for face in (sample, donor))
    if lobe is None or other is None or frames * frames * _share(sample.label, side) < 0.002:
        return sample
    moved = _moved(_lit_like(donor, sample), (lobe[0] - other[0], lobe[1] - other[1]), rng, 0.3)
    mask = _is(moved.label, "ear_r")
    # Each lobe has its own half of the picture.
    middle = mask.shape[1] // 2
    mask[:, slice(None, middle) if lobe[0] > middle else slice(middle, None)] = False
    return _pasted(sample, _dyed(moved, "ear_r", rng), mask & ~_is(sample.label, *_INNER))


def stand_before(sample: Sample, donor: Sample, rng: np.random.Generator) -> Sample:
    """Put a face before a donor's background: a copy, or the sample itself where little is seen of either.

    Where the donor stood, its background is continued.
    """
    own, free = _is(sample.label, "background"), _is(donor.label, "background")
    if own.mean() < 0.03 or free.mean() < 0.1:
        return sample
    weight = free.astype(np.float32)
    colours = donor.image.astype(np.float32) * weight[..., None]
    small = cv2.resize(np.dstack([colours, weight]), (32, 32), interpolation=cv2.INTER_AREA)
    # The nearest background that is seen; a wider blur counts only where a narrower one finds none.
    spread = np.zeros_like(small)
    for share, sigma in ((1.0, 1.0), (0.02, 3.0), (0.0004, 9.0)):
        spread = spread + share * cv2.GaussianBlur(small, (0, 0), sigma)
    filled = spread[..., :3] / np.maximum(spread[..., 3:], 1e-6)
    wide = cv2.resize(filled, own.shape[::-1], interpolation=cv2.INTER_LINEAR)
    noise = rng.normal(0.0, rng.uniform(0.0, 6.0), own.shape)[..., None]
    behind = np.where(free[..., None], donor.image, np.clip(wide + noise, 0, 255)).astype(np.uint8)
    return _pasted(sample, Sample(behind, np.zeros_like(sample.label)), own)


def recolour(sample: Sample, rng: np.random.Generator) -> Sample:
    """Change the light and, now and then, the hue of one group of classes; labels stay."""
    group = _COLOURED[rng.integers(len(_COLOURED))]
    mask = _is(sample.label, *group)
    if not mask.any():
        return sample
    changed = _dyed(sample, group[0], rng, always=True)
    return Sample(_pasted(sample, changed, mask).image, sample.label)


def _is(label: Image, *names: str) -> Mask:
    table = np.zeros(256, bool)
    table[[CLASS_ID[name] for name in names]] = True
    return table[label]


def _share(label: Image, name: str) -> float:
    return float((label == CLASS_ID[name]).mean())


def _turned(donor: Sample, rng: np.random.Generator) -> Sample:
    """Return a donor or its mirror image."""
    return donor if rng.random() < 0.5 else mirrored(donor)


def _moved(donor: Sample, offset: Sequence[float], rng: np.random.Generator, jitter: float = 1.0) -> Sample:
    """Move a donor by an offset in pixels and by what two faces in one framing differ by."""
    side = donor.label.shape[0]
    scale = float(np.exp(rng.normal(0.0, 0.04 * jitter)))
    middle, roll = ((side - 1) / 2, (side - 1) / 2), rng.normal(0.0, 2.0 * jitter)
    matrix = np.asarray(cv2.getRotationMatrix2D(middle, roll, scale), np.float64)
    matrix[:, 2] += np.asarray(offset) + rng.normal(0.0, 0.012 * jitter * side, 2)
    image = cv2.warpAffine(donor.image, matrix, (side, side), borderMode=cv2.BORDER_REPLICATE)
    label = cv2.warpAffine(
        donor.label, matrix, (side, side), flags=cv2.INTER_NEAREST, borderMode=cv2.BORDER_REPLICATE
    )
    return Sample(image.astype(np.uint8), label.astype(np.uint8))


def _lit_like(donor: Sample, sample: Sample) -> Sample:
    """Return a donor in the light of a sample, as far as their skins tell."""
    skins = [face.image[_is(face.label, "skin")] for face in (sample, donor)]
    if min(map(len, skins)) < 100:
        return donor
    gain = np.clip(skins[0].mean(axis=0) / np.maximum(skins[1].mean(axis=0), 1.0), 0.5, 2.0)
    table = np.clip(np.arange(256)[:, None] * gain, 0, 255).astype(np.uint8)
    return Sample(np.asarray(cv2.LUT(donor.image, table.reshape(256, 1, 3)), np.uint8), donor.label)


def _dyed(face: Sample, name: str, rng: np.random.Generator, always: bool = False) -> Sample:
    """Return a face in another light and, what may have any colour, in another hue."""
    if not always and rng.random() < 0.5:
        return face
    image = relight(face.image, 0.8, rng)
    if name in ("hair", "u_lip") and rng.random() < VIVID:
        return Sample(_vivid(image, rng), face.label)
    if name in ("hat", "cloth", "background", "ear_r") and rng.random() < 0.5:
        # The full circle of hues has 256 steps, as bytes have: their sum wraps around as it should.
        hsv = cv2.cvtColor(image, cv2.COLOR_RGB2HSV_FULL)
        hsv[..., 0] = np.add(hsv[..., 0], rng.integers(256), dtype=np.uint8, casting="unsafe")
        image = np.asarray(cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB_FULL), np.uint8)
    return Sample(image, face.label)


def _vivid(image: Image, rng: np.random.Generator) -> Image:
    """Return an image in one strong colour, or in two that run into each other from top to bottom.

    What is light and dark stays, as under a dye: pink, blue and green hair is hair.
    """
    lab = cv2.cvtColor(image, cv2.COLOR_RGB2LAB).astype(np.float32)
    hues, chroma = rng.uniform(0.0, 2.0 * np.pi, 2), rng.uniform(20.0, 70.0, 2)
    top, bottom = ([c * np.cos(hue), c * np.sin(hue)] for c, hue in zip(chroma, hues, strict=True))
    if rng.random() < 0.5:
        bottom = top
    first, length = rng.uniform(0.2, 0.6), rng.uniform(0.1, 0.5)
    down = np.clip((np.linspace(0.0, 1.0, len(lab)) - first) / length, 0.0, 1.0)[:, None, None]
    colour = (1.0 - down) * np.asarray(top) + down * np.asarray(bottom)
    # Dark hair is bleached first, and takes less of a colour where it stays dark.
    lab[..., 0] = np.clip(lab[..., 0] * rng.uniform(0.9, 1.6) + rng.uniform(0.0, 40.0), 0.0, 250.0)
    share = np.minimum(1.0, lab[..., :1] / 110.0)
    lab[..., 1:] = 128.0 + 0.2 * (lab[..., 1:] - 128.0) + share * colour
    return np.asarray(cv2.cvtColor(np.clip(lab, 0, 255).astype(np.uint8), cv2.COLOR_LAB2RGB), np.uint8)


def _lowest(label: Image, names: Sequence[str]) -> tuple[float, float] | None:
    """Return x, y of the lowest pixels of classes, or None where they do not occur."""
    rows, columns = np.nonzero(_is(label, *names))
    if not len(rows):
        return None
    bottom = rows.max()
    return float(columns[rows >= bottom - 2].mean()), float(bottom)


def _behind_glass(label: Image, eye: str) -> Mask:
    """Return the mask of an eye that is seen through glasses: an empty one where rims alone are labelled."""
    mask = _is(label, eye)
    wide = cv2.dilate(mask.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    ring = wide & ~mask
    behind = ring.any() and (ring & _is(label, "eye_g")).sum() > 0.6 * ring.sum()
    return mask if behind else np.zeros_like(mask)


def _pasted(sample: Sample, other: Sample, mask: Mask) -> Sample:
    """Return the sample with another one's pixels and labels where the mask is, its edge softened."""
    alpha = cv2.GaussianBlur(mask.astype(np.float32), (0, 0), 0.8)[..., None]
    image = sample.image + alpha * (other.image.astype(np.float32) - sample.image)
    label = np.where(mask, other.label, sample.label)
    return Sample(np.clip(image + 0.5, 0, 255).astype(np.uint8), label.astype(np.uint8))
