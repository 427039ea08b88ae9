"""Labels made by a teacher for faces that have none, or only some: self-training and distillation.

A teacher is any trained network, or several; they need not be shipped. What it is unsure of is labelled
ignore.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from tqdm import tqdm

from stn_icnn.labels import CLASS_ID, CLASSES, IGNORE, mirror_ids
from stn_icnn.network import STNiCNN
from stn_icnn.sampler import crop, make_theta
from training.data import DataError
from training.framing import Known, Surroundings, framed

_HAIR, _NECK = CLASS_ID["hair"], CLASS_ID["neck"]
# A wide photo with less skin than this, as a share of its pixels, shows a head from behind.
_LEAST_SKIN = 0.01
# Clothes this close to the skin in CIELAB's a and b, and in its L (8 bits), are perhaps bare shoulders:
# pieces of at least this share of the pixels, where skin has at least this chroma.
_SKIN_LIKE, _SKIN_LIGHT, _LEAST_BARE, _LEAST_CHROMA = 7.0, 60.0, 0.001, 8.0


@dataclass(frozen=True)
class Teacher:
    """Who labels: one trained network or several, and how they look at a photo.

    Attributes:
        networks: in evaluation mode, each of all 19 classes.
        zooms: factors to enlarge a photo by about its middle; each network sees every one.
        device: where the networks are.
    """

    networks: Sequence[STNiCNN]
    zooms: Sequence[float] = (1.0,)
    device: str = "cpu"


@torch.no_grad()
def teach(teacher: Teacher, image: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """Return a teacher's probabilities (classes, S, S): a mean over networks, zooms and mirror images.

    Args:
        teacher: see `Teacher`.
        image: (S, S, 3) uint8 RGB in the framing of the training faces, or wider: zooms then take the
            networks to what they know.
    """
    side = image.shape[0]
    mirror = torch.from_numpy(mirror_ids()[: len(CLASSES)].astype(np.int64))
    total, seen = torch.zeros(1, len(CLASSES), side, side), torch.zeros(1, 1, side, side)
    for zoom in teacher.zooms:
        middle = (side - 1) / 2
        matrix = cv2.getRotationMatrix2D((middle, middle), 0.0, zoom)
        zoomed = cv2.warpAffine(
            image, matrix, (side, side), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
        # Places that a zoom leaves out have no say in it; where several see, the closer look knows better.
        back = make_theta(torch.full((1, 2), zoom), torch.zeros(1, 2))
        weight = zoom**3
        inside = weight * crop(torch.ones(1, 1, side, side), back, (side, side))
        for network in teacher.networks:
            packing = network.config.packing
            size = (packing.input_size, packing.input_size)
            small = np.asarray(cv2.resize(zoomed, size, interpolation=cv2.INTER_AREA), np.uint8)
            both = np.stack([packing.pack_crop(view) for view in (small, small[:, ::-1])])
            outputs = network(torch.from_numpy(both).to(teacher.device)).cpu().numpy()
            probabilities = torch.from_numpy(np.stack([packing.maps(output).face for output in outputs]))
            mean = (probabilities[:1] + probabilities[1:].flip(-1)[:, mirror]) / 2.0
            enlarged = F.interpolate(mean, size=(side, side), mode="bilinear")
            total += weight * (enlarged if zoom == 1.0 else crop(enlarged, back, (side, side)))
            seen += inside
    return np.asarray((total / seen)[0].numpy(), np.float32)


def merge(probabilities: npt.NDArray[np.float32], sure: float, known: Known) -> npt.NDArray[np.uint8]:
    """Make a label map of what the teacher says and what is known better.

    Args:
        probabilities: (19, H, W).
        sure: least probability of a label; below it the pixel is ignored.
        known: of the same place. Where points and teacher disagree about eyes and lips, the pixel is
            ignored, as both are rough there. Where nobody is, and at another's face, all is background.

    Returns:
        (H, W) uint8 label map.
    """
    hair, outlines = known.hair, known.outlines
    if known.person is not None:
        probabilities = np.concatenate([probabilities[:1], probabilities[1:] * known.person])
        probabilities[0] = 1.0 - probabilities[1:].sum(axis=0)
    if hair is not None:
        possible = probabilities.copy()
        possible[_HAIR][(hair != _HAIR) & (hair != IGNORE)] = 0.0
        probabilities = possible / np.maximum(possible.sum(axis=0), 1e-6)
    label: npt.NDArray[np.uint8] = probabilities.argmax(axis=0).astype(np.uint8)
    label[probabilities.max(axis=0) < sure] = IGNORE
    if hair is not None:
        label[hair == _HAIR] = _HAIR
    if outlines is not None:
        lips = (CLASS_ID["u_lip"], CLASS_ID["l_lip"], CLASS_ID["mouth"])
        groups = {"r_eye": (CLASS_ID["r_eye"],), "l_eye": (CLASS_ID["l_eye"],), "lips": lips}
        for name, ids in groups.items():
            label[np.isin(label, ids) != outlines[name]] = IGNORE
    if known.others is not None:
        label[known.others] = 0
    label[known.outside] = IGNORE
    return label


def write_labelled(
    folder: Path, name: str, image: npt.NDArray[np.uint8], label: npt.NDArray[np.uint8]
) -> None:
    """Write one face into a folder of labelled faces, each file whole or not at all."""
    for kind, ending, pixels in (("images", "jpg", image[..., ::-1]), ("labels", "png", label)):
        path = folder / kind / f"{name}.{ending}"
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f"{name}.tmp.{ending}")
        if not cv2.imwrite(str(temporary), pixels):
            raise OSError(f"{path}: cannot be written")
        os.replace(temporary, path)


def undress(label: npt.NDArray[np.uint8], known: Known) -> npt.NDArray[np.uint8]:
    """Return a label map in which bare shoulders are neck, as in the training faces, and not clothes.

    A teacher that knows face crops alone takes them for clothes, or isn't sure. What has the colour of the
    skin is neck where it goes on from the neck; elsewhere it is perhaps bare, and ignored.

    Args:
        label: (S, S) uint8, from `merge`.
        known: of the same place.
    """
    blurred = cv2.GaussianBlur(known.image, (0, 0), 2.0)
    colours = cv2.cvtColor(blurred, cv2.COLOR_RGB2LAB).astype(np.float32)
    skin = np.median(colours[np.isin(label, (CLASS_ID["skin"], _NECK))], axis=0)
    if np.linalg.norm(skin[1:] - 128.0) < _LEAST_CHROMA:
        # In a grey photo every cloth has the skin's colour.
        return label
    alike = np.linalg.norm(colours[..., 1:] - skin[1:], axis=-1) < _SKIN_LIKE
    alike &= np.abs(colours[..., 0] - skin[0]) < _SKIN_LIGHT
    alike &= np.isin(label, (CLASS_ID["cloth"], IGNORE)) & ~known.outside
    changed = label.copy()
    changed[alike & (label == CLASS_ID["cloth"])] = IGNORE
    neck = cv2.dilate((label == _NECK).astype(np.uint8), np.ones((7, 7), np.uint8)) > 0
    count, pieces, stats, _ = cv2.connectedComponentsWithStats(alike.astype(np.uint8), connectivity=4)
    large = stats[:, cv2.CC_STAT_AREA] >= _LEAST_BARE * label.size
    large[0] = False
    goes_on = np.zeros(count, bool)
    goes_on[np.unique(pieces[neck])] = True
    changed[(large & goes_on)[pieces]] = _NECK
    return changed


def label_folder(
    teacher: Teacher, source: Path, out: Path, sure: float = 0.6, only: str = "*", frames: float = 1.0
) -> int:
    """Label a folder of photos, with the hair labels or the points that lie beside them.

    Args:
        teacher: see `Teacher`.
        source: holds images/NAME.jpg or NAME.jpg, and perhaps labels/NAME.png (hair), or points/NAME.txt and
            valid/NAME.txt; see `training.framing.framed`.
        out: gets images/ and labels/.
        sure: see `merge`.
        only: names to take, a shell pattern.
        frames: side of what is labelled in sides of the training faces' frame. Above 1 photos without points
            are framed by the face found in them, and what is no person, or another one, is background.

    Returns:
        The number of faces labelled.

    Raises:
        DataError: if there is no photo, the teacher does not know all classes, or naming the bad file.
    """
    images = source / "images" if (source / "images").is_dir() else source
    paths = sorted(images.glob(f"{only}.jpg"))
    if not paths:
        raise DataError(f"{images}: no photo {only}.jpg there")
    for network in teacher.networks:
        if len(network.config.classes) != len(CLASSES):
            raise DataError(f"{network.config.name}: a teacher must know all {len(CLASSES)} classes")
    surroundings, count = Surroundings(frames) if frames > 1.0 else None, 0
    for path in tqdm(paths, desc=f"labelling {source.name}", leave=False):
        known = framed(source, path, surroundings)
        if known is None:
            continue
        label = merge(teach(teacher, known.image), sure, known)
        if surroundings is not None:
            if (label == CLASS_ID["skin"]).mean() < _LEAST_SKIN:
                continue
            label = undress(label, known)
        write_labelled(out, path.stem, known.image, label)
        count += 1
    return count
