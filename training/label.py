"""Labels made by a teacher for faces that have none, or only some: self-training and distillation.

A teacher is any trained network, or several; they need not be shipped. What it is unsure of is labelled
ignore.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from tqdm import tqdm

from stn_icnn.labels import CLASS_ID, CLASSES, IGNORE, mirror_ids
from stn_icnn.network import STNiCNN
from stn_icnn.sampler import crop, make_theta
from training.data import DataError, read_image

SIDE = 384
_HAIR = CLASS_ID["hair"]
# By iBUG 300-W point numbers.
OUTLINES: dict[str, tuple[int, ...]] = {
    "r_eye": tuple(range(36, 42)),
    "l_eye": tuple(range(42, 48)),
    "lips": tuple(range(48, 60)),
    "mouth": tuple(range(60, 68)),
}


def outline_masks(points: npt.NDArray[np.float64], size: tuple[int, int]) -> dict[str, npt.NDArray[np.bool_]]:
    """Draw the eyes, the outer lips and the inner mouth that 68 points outline.

    Args:
        points: (68, 2) x and y in pixels, in iBUG 300-W order.
        size: (height, width) of the masks.

    Returns:
        By the names of `OUTLINES`, (height, width) bool.
    """
    masks = {}
    for name, indices in OUTLINES.items():
        mask = np.zeros(size, np.uint8)
        # Four more bits, so that corners need not fall on whole pixels.
        corners = np.round(points[list(indices)] * 16.0).astype(np.int32)
        cv2.fillPoly(mask, [corners], (1,), shift=4)
        masks[name] = mask.astype(bool)
    return masks


def read_points(path: Path) -> npt.NDArray[np.float64]:
    """Read 68 points, one "x y" a line.

    Raises:
        DataError: if the file is missing or holds anything else.
    """
    try:
        points = np.loadtxt(path, dtype=np.float64)
    except (OSError, ValueError) as error:
        raise DataError(f"points/{path.name}: cannot be read ({error})") from None
    if points.shape != (68, 2) or not np.isfinite(points).all():
        raise DataError(f"points/{path.name}: 68 lines of x y expected, found shape {points.shape}")
    return points


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
    """Return a teacher's probabilities (classes, S, S): the mean over networks, zooms and mirror images.

    Args:
        teacher: see `Teacher`.
        image: (S, S, 3) uint8 RGB in the framing of the training faces.
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
        # Places that a zoom leaves out have no say in it.
        back = make_theta(torch.full((1, 2), zoom), torch.zeros(1, 2))
        inside = crop(torch.ones(1, 1, side, side), back, (side, side))
        for network in teacher.networks:
            size = network.config.input_size
            small = cv2.resize(zoomed, (size, size), interpolation=cv2.INTER_AREA)
            both = torch.from_numpy(np.stack([small, small[:, ::-1]])).to(teacher.device)
            probabilities = network(both).cpu()
            mean = (probabilities[:1] + probabilities[1:].flip(-1)[:, mirror]) / 2.0
            enlarged = F.interpolate(mean, size=(side, side), mode="bilinear")
            total += enlarged if zoom == 1.0 else crop(enlarged, back, (side, side))
            seen += inside
    return np.asarray((total / seen)[0].numpy(), np.float32)


def merge(
    probabilities: npt.NDArray[np.float32],
    sure: float,
    hair: npt.NDArray[np.uint8] | None = None,
    outlines: dict[str, npt.NDArray[np.bool_]] | None = None,
) -> npt.NDArray[np.uint8]:
    """Make a label map of what the teacher says and what is known better.

    Args:
        probabilities: (19, H, W).
        sure: least probability of a label; below it the pixel is ignored.
        hair: (H, W) known hair labels: 13, anything else, or 255 where unknown.
        outlines: of `outline_masks`; where points and teacher disagree about eyes and lips, the
            pixel is ignored, as both are rough there.

    Returns:
        (H, W) uint8 label map.
    """
    if hair is not None:
        known = probabilities.copy()
        known[_HAIR][(hair != 13) & (hair != IGNORE)] = 0.0
        probabilities = known / np.maximum(known.sum(axis=0), 1e-6)
    label: npt.NDArray[np.uint8] = probabilities.argmax(axis=0).astype(np.uint8)
    label[probabilities.max(axis=0) < sure] = IGNORE
    if hair is not None:
        label[hair == _HAIR] = _HAIR
    if outlines is not None:
        lips = (CLASS_ID["u_lip"], CLASS_ID["l_lip"], CLASS_ID["mouth"])
        groups = {"r_eye": (CLASS_ID["r_eye"],), "l_eye": (CLASS_ID["l_eye"],), "lips": lips}
        for name, ids in groups.items():
            label[np.isin(label, ids) != outlines[name]] = IGNORE
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


class Known(NamedTuple):
    """A photo in the framing of the training faces, and what is known about it before a teacher looks.

    Attributes:
        image: (SIDE, SIDE, 3) uint8 RGB.
        hair: see `merge`.
        outlines: see `merge`.
        outside: (SIDE, SIDE) bool, places beyond the photo.
    """

    image: npt.NDArray[np.uint8]
    hair: npt.NDArray[np.uint8] | None
    outlines: dict[str, npt.NDArray[np.bool_]] | None
    outside: npt.NDArray[np.bool_]


def label_folder(teacher: Teacher, source: Path, out: Path, sure: float = 0.6, only: str = "*") -> int:
    """Label a folder of photos, with the hair labels or the points that lie beside them.

    Faces with points are framed by them first; others are taken to be in the framing of the training
    faces already.

    Args:
        teacher: see `Teacher`.
        source: holds images/NAME.jpg or NAME.jpg, and perhaps labels/NAME.png (hair) or points/NAME.txt.
        out: gets images/ and labels/.
        sure: see `merge`.
        only: names to take, a shell pattern.

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
    for path in tqdm(paths, desc=f"labelling {source.name}", leave=False):
        face = _framed(source, path) if (source / "points").is_dir() else _aligned(source, path)
        label = merge(teach(teacher, face.image), sure, face.hair, face.outlines)
        label[face.outside] = IGNORE
        write_labelled(out, path.stem, face.image, label)
    return len(paths)


def _framed(source: Path, path: Path) -> Known:
    """Frame an in-the-wild photo by its 68 points."""
    # Here, so that training itself does without what the pipeline needs.
    from realtime.faces.alignment import align

    image, points = read_image(path), read_points(source / "points" / f"{path.stem}.txt")
    right, left = points[36:42].mean(axis=0), points[42:48].mean(axis=0)
    mouth = (points[48] + points[54]) / 2.0
    alignment = align((right[0], right[1]), (left[0], left[1]), (mouth[0], mouth[1]), framing=1.0)
    matrix = alignment.to_crop(SIDE)
    inside = cv2.warpAffine(np.full(image.shape[:2], 255, np.uint8), matrix, (SIDE, SIDE))
    outlines = outline_masks(points @ matrix[:, :2].T + matrix[:, 2], (SIDE, SIDE))
    return Known(alignment.crop(image, SIDE), None, outlines, inside < 255)


def _aligned(source: Path, path: Path) -> Known:
    """Take a photo that is framed already, with its hair labels where there are some."""
    small = cv2.resize(read_image(path), (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    label_path, hair = source / "labels" / f"{path.stem}.png", None
    if label_path.is_file():
        known = cv2.imread(str(label_path), cv2.IMREAD_GRAYSCALE)
        if known is None:
            raise DataError(f"labels/{label_path.name}: unreadable")
        hair = np.asarray(cv2.resize(known, (SIDE, SIDE), interpolation=cv2.INTER_NEAREST_EXACT), np.uint8)
    return Known(np.asarray(small, np.uint8), hair, None, np.zeros((SIDE, SIDE), bool))
