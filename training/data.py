"""Folders of labelled faces: images/NAME.jpg, labels/NAME.png and SPLIT.txt with one NAME a line."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from torch.utils.data import Dataset
from tqdm import tqdm

from stn_icnn.labels import CLASSES, IGNORE
from training.augment import Augmentation, Sample, augment


class DataError(Exception):
    """The data folder can't be used; the message names each bad file."""


@dataclass(frozen=True)
class Faces:
    """A split, decoded and shrunk once and kept in memory.

    Attributes:
        names: one a face.
        images: (N, S, S, 3) uint8 RGB.
        labels: (N, S, S) uint8 class ids, 255 = ignore.
    """

    names: list[str]
    images: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.uint8]


def read_split(root: Path, split: str) -> list[str]:
    """Return the names that SPLIT.txt lists, or every label's name where the folder has no such file.

    Raises:
        DataError: if the folder or the split does not exist.
    """
    if not (root / "labels").is_dir():
        raise DataError(f"{root}: no folder labels/ there; expected images/, labels/ and {split}.txt")
    listing = root / f"{split}.txt"
    if listing.is_file():
        return listing.read_text().split()
    if split != "all":
        raise DataError(f"{listing}: no such split; --split all takes every labelled face")
    return sorted(path.stem for path in (root / "labels").glob("*.png"))


def read_pair(root: Path, name: str) -> Sample:
    """Read one face: RGB image and its label map, same size, uint8.

    Raises:
        DataError: if a file is missing or unreadable, sizes differ or a class id is out of range.
    """
    image = cv2.imread(str(root / "images" / f"{name}.jpg"), cv2.IMREAD_COLOR)
    label = cv2.imread(str(root / "labels" / f"{name}.png"), cv2.IMREAD_GRAYSCALE)
    if image is None:
        raise DataError(f"images/{name}.jpg: missing or unreadable")
    if label is None:
        raise DataError(f"labels/{name}.png: missing or unreadable")
    if image.shape[:2] != label.shape[:2]:
        raise DataError(f"{name}: image is {image.shape[:2]}, label is {label.shape[:2]}")
    strange = np.setdiff1d(np.unique(label), [*range(len(CLASSES)), IGNORE])
    if strange.size:
        raise DataError(f"labels/{name}.png: class ids out of range: {strange.tolist()}")
    return Sample(np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), np.uint8), label.astype(np.uint8))


def load_faces(root: Path, split: str, side: int) -> Faces:
    """Decode a split at side x side pixels.

    Raises:
        DataError: naming every bad file of the split, before any training starts.
    """
    names = read_split(root, split)
    if not names:
        raise DataError(f"{root}: the split {split!r} is empty")
    images = np.empty((len(names), side, side, 3), np.uint8)
    labels = np.empty((len(names), side, side), np.uint8)
    problems = []
    for index, name in enumerate(tqdm(names, desc=f"reading {root.name}/{split}", leave=False)):
        try:
            image, label = read_pair(root, name)
        except DataError as error:
            problems.append(str(error))
            continue
        images[index] = cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA)
        labels[index] = cv2.resize(label, (side, side), interpolation=cv2.INTER_NEAREST)
    if problems:
        raise DataError(f"{root}: {len(problems)} bad of {len(names)}:\n  " + "\n  ".join(problems))
    return Faces(names, images, labels)


class AugmentedFaces(Dataset[tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]]):
    """Augmented face crops, a pure function of (seed, epoch, index): a resumed run sees the same."""

    def __init__(self, faces: Faces, side: int, augmentation: Augmentation, seed: int) -> None:
        self.faces, self.side, self.augmentation, self.seed = faces, side, augmentation, seed

    def __len__(self) -> int:
        return len(self.faces.names)

    def __getitem__(self, key: tuple[int, int]) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
        """Return image (S, S, 3) and label (S, S), both uint8, for key = (epoch, index)."""
        epoch, index = key
        rng = np.random.default_rng((self.seed, epoch, index))
        sample = Sample(self.faces.images[index], self.faces.labels[index])
        return augment(sample, self.side, self.augmentation, rng)


def batches(count: int, batch_size: int, epoch: int, seed: int) -> list[list[tuple[int, int]]]:
    """Return an epoch's batches of keys for `AugmentedFaces`; a last short batch is dropped."""
    order = np.random.default_rng((seed, epoch)).permutation(count)
    whole = max(1, count // batch_size) * batch_size
    keys = [(epoch, int(index)) for index in order[:whole]]
    return [keys[start : start + batch_size] for start in range(0, len(keys), batch_size)]
