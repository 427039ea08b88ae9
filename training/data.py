"""Folders of labelled faces, checked file by file and packed once into one memory-mapped file.

A folder holds images/NAME.jpg, labels/NAME.png and SPLIT.txt with one NAME a line.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, cast

import cv2
import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file
from torch.utils.data import Dataset
from tqdm import tqdm

from stn_icnn.labels import CLASS_ID, CLASSES, IGNORE
from training.augment import Augmentation, Sample, augment
from training.mixing import mix
from training.settings import FaceSet

NOT_HAIR = 254
"""Label value of pixels that are known not to be hair and nothing more."""


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


def find_folder(roots: Sequence[Path], folder: str) -> Path:
    """Return the first of `roots` that holds the folder.

    Raises:
        DataError: if none does.
    """
    for root in roots:
        if (root / folder / "labels").is_dir():
            return root / folder
    places = ", ".join(str(root / folder) for root in roots)
    raise DataError(f"{places}: no folder labels/ there; expected images/, labels/ and lists of names")


def read_split(root: Path, split: str) -> list[str]:
    """Return the names that SPLIT.txt lists, or every label's name for "all".

    Raises:
        DataError: if the folder or the split does not exist.
    """
    if not (root / "labels").is_dir():
        raise DataError(f"{root}: no folder labels/ there; expected images/, labels/ and {split}.txt")
    listing = root / f"{split}.txt"
    if listing.is_file():
        return listing.read_text().split()
    if split != "all":
        raise DataError(f"{listing}: no such split; the split all takes every labelled face")
    return sorted(path.stem for path in (root / "labels").glob("*.png"))


def read_image(path: Path) -> npt.NDArray[np.uint8]:
    """Read a photo as (H, W, 3) uint8 RGB.

    Raises:
        DataError: if it is missing or unreadable.
    """
    image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if image is None:
        raise DataError(f"{path.parent.name}/{path.name}: missing or unreadable")
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), np.uint8)


def read_pair(root: Path, name: str) -> Sample:
    """Read one face: RGB image and its label map, same size, uint8.

    Raises:
        DataError: if a file is missing or unreadable, sizes differ or a class id is out of range.
    """
    image = read_image(root / "images" / f"{name}.jpg")
    label = cv2.imread(str(root / "labels" / f"{name}.png"), cv2.IMREAD_GRAYSCALE)
    if label is None:
        raise DataError(f"labels/{name}.png: missing or unreadable")
    if image.shape[:2] != label.shape[:2]:
        raise DataError(f"{name}: image is {image.shape[:2]}, label is {label.shape[:2]}")
    strange = np.setdiff1d(np.unique(label), [*range(len(CLASSES)), IGNORE])
    if strange.size:
        raise DataError(f"labels/{name}.png: class ids out of range: {strange.tolist()}")
    return Sample(image, label.astype(np.uint8))


def read_names(root: Path, one: FaceSet) -> list[str]:
    """Return the names of a set.

    Raises:
        DataError: if the folder or the split does not exist, is empty, or lacks a name that is held out.
    """
    names = [name for name in read_split(root, one.split) if fnmatch(name, one.only)]
    missing = sorted(set(one.without) - set(names))
    if missing:
        raise DataError(f"{root}: held out, but not there: {', '.join(missing)}")
    names = [name for name in names if name not in one.without]
    if not names:
        of = f" of {one.only}" if one.only != "*" else ""
        raise DataError(f"{root}: the split {one.split!r} is empty{of}")
    return names


def load_faces(root: Path, one: FaceSet, side: int) -> Faces:
    """Decode a set at side x side pixels; where photos are not square, their middle.

    Raises:
        DataError: naming every bad file of the set, before any training starts.
    """
    names = read_names(root, one)
    images = np.empty((len(names), side, side, 3), np.uint8)
    labels = np.empty((len(names), side, side), np.uint8)
    problems = []
    for index, name in enumerate(tqdm(names, desc=f"reading {root.name}/{one.split}", leave=False)):
        try:
            image, label = read_pair(root, name)
        except DataError as error:
            problems.append(str(error))
            continue
        images[index] = cv2.resize(_middle(image), (side, side), interpolation=cv2.INTER_AREA)
        # Exact: plain "nearest" takes the pixel up and left, and moves every part by half a pixel.
        labels[index] = cv2.resize(_middle(label), (side, side), interpolation=cv2.INTER_NEAREST_EXACT)
    if problems:
        raise DataError(f"{root}: {len(problems)} bad of {len(names)}:\n  " + "\n  ".join(problems))
    return Faces(names, images, labels)


def _middle(image: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    height, width = image.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return image[top : top + side, left : left + side]


class Pack:
    """Every training face in one memory-mapped file; opened anew in each process that reads it.

    Attributes:
        set_of: (N,) int, which set each face belongs to.
        frames: (N,) side of each photo in sides of the training faces' frame.
        frequency: (19,) share of each class among the fully labelled pixels.
        presence: (N, 19) bool, the classes that each face shows (hair sets: none).
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with safe_open(path, framework="numpy") as file:
            self.set_of: npt.NDArray[np.int64] = file.get_tensor("set_of")
            self.frames: npt.NDArray[np.float64] = file.get_tensor("frames")
            self.presence: npt.NDArray[np.bool_] = file.get_tensor("presence")
            self.frequency: npt.NDArray[np.float64] = file.get_tensor("frequency")
        self._file: Any = None
        self._process = 0

    def __len__(self) -> int:
        return len(self.set_of)

    def shown_by(self, name: str, frames: float) -> npt.NDArray[np.int64]:
        """Return the indices of the fully labelled faces in a framing that show a class."""
        return np.flatnonzero(self.presence[:, CLASS_ID[name]] & (self.frames == frames))

    def __getitem__(self, index: int) -> Sample:
        """Return image (S, S, 3) and label (S, S), uint8."""
        if self._process != os.getpid():
            self._file, self._process = safe_open(self.path, framework="numpy"), os.getpid()
        image = self._file.get_slice("images")[index : index + 1][0]
        label = self._file.get_slice("labels")[index : index + 1][0]
        return Sample(image, label)


def pack_faces(path: Path, roots: Sequence[Path], sets: Sequence[FaceSet], side: int) -> Pack:
    """Check and decode every face of the sets into one file, or open the file if it is current.

    Args:
        path: the file; ends in .safetensors.
        roots: folders that hold the sets' folders.
        sets: what to pack.
        side: of the stored squares, pixels.

    Raises:
        DataError: naming every bad file of every set.
    """
    folders = [find_folder(roots, one.folder) for one in sets]
    sources = [_source(folder, one) for folder, one in zip(folders, sets, strict=True)]
    stamp = hashlib.sha256(json.dumps([side, sources]).encode()).hexdigest()
    if path.is_file():
        try:
            with safe_open(path, framework="numpy") as file:
                if (file.metadata() or {}).get("stamp") == stamp:
                    return Pack(path)
        except (SafetensorError, OSError):
            pass  # a damaged pack is written anew
    parts, problems = [], []
    for folder, one in zip(folders, sets, strict=True):
        try:
            parts.append(load_faces(folder, one, side))
        except DataError as error:
            problems.append(str(error))
    if problems:
        raise DataError("\n".join(problems))
    _write_pack(path, parts, sets, stamp)
    return Pack(path)


def _source(folder: Path, one: FaceSet) -> list[Any]:
    """Return what tells whether a set has changed since it was packed."""
    entries: list[tuple[str, int, int]] = []
    for name in read_names(folder, one):
        for path in (folder / "images" / f"{name}.jpg", folder / "labels" / f"{name}.png"):
            status = path.stat() if path.is_file() else None
            entries.append((name, status.st_size if status else -1, status.st_mtime_ns if status else -1))
    what = {key: value for key, value in asdict(one).items() if key != "samples"}
    return [what, entries]


def _write_pack(path: Path, parts: Sequence[Faces], sets: Sequence[FaceSet], stamp: str) -> None:
    labels = []
    for faces, one in zip(parts, sets, strict=True):
        table = np.arange(256, dtype=np.uint8)
        if one.labels == "hair":
            table[: len(CLASSES)] = NOT_HAIR
            table[CLASS_ID["hair"]] = CLASS_ID["hair"]
        table[[CLASS_ID[name] for name in one.ignore]] = IGNORE
        labels.append(table[faces.labels])
    every = np.concatenate(labels)
    full = np.array([one.labels == "full" for f, one in zip(parts, sets, strict=True) for _ in f.names])
    counts = np.stack([np.bincount(label.ravel(), minlength=256)[: len(CLASSES)] for label in every])
    counts[~full] = 0
    total = counts.sum(axis=0)
    tensors = {
        "images": np.concatenate([faces.images for faces in parts]),
        "labels": every,
        "set_of": np.repeat(np.arange(len(parts)), [len(faces.names) for faces in parts]),
        "frames": np.repeat([float(one.frames) for one in sets], [len(faces.names) for faces in parts]),
        "presence": counts > 0,
        "frequency": total / max(1, total.sum()),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    save_file(tensors, temporary, metadata={"stamp": stamp})
    os.replace(temporary, path)


class AugmentedFaces(Dataset[tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]]):
    """Augmented face crops, a pure function of (seed, epoch, index): a resumed run sees the same."""

    def __init__(self, pack: Pack, side: int, augmentation: Augmentation, seed: int) -> None:
        self.pack, self.side, self.augmentation, self.seed = pack, side, augmentation, seed

    def __len__(self) -> int:
        return len(self.pack)

    def __getitem__(self, key: tuple[int, int, int]) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
        """Return image (S, S, 3) and label (S, S), both uint8, for key = (epoch, place, index)."""
        epoch, place, index = key
        rng = np.random.default_rng((self.seed, epoch, place, index))
        frames = float(self.pack.frames[index])

        def borrow(name: str, rng: np.random.Generator) -> Sample | None:
            shown = self.pack.shown_by(name, frames)
            return self.pack[int(rng.choice(shown))] if len(shown) else None

        mixed = mix(self.pack[index], self.augmentation, borrow, rng, frames)
        return augment(mixed, self.side, self.augmentation, rng, frames)


Keys = list[tuple[int, int, int]]


def batches(
    pack: Pack, sets: Sequence[FaceSet], repeat_rare: float, batch_size: int, epoch: int, seed: int
) -> list[Keys]:
    """Return an epoch's batches of keys for `AugmentedFaces`; a last short batch is dropped.

    Each set gives as many faces as it asks for, without repeating one before all were drawn. Faces
    with rare classes come more often by repeat factors max(1, sqrt(repeat_rare / share of the faces
    that show the class)), as in LVIS (arXiv 1908.03195).
    """
    rng = np.random.default_rng((seed, epoch))
    drawn: list[int] = []
    for number, one in enumerate(sets):
        members = np.flatnonzero(pack.set_of == number)
        factors = _repeat_factors(pack.presence[members], repeat_rare)
        count = one.samples or len(members)
        # The whole part of the expected repeats is sure, the fraction is drawn.
        expected = factors * count / factors.sum()
        times = np.floor(expected + 1e-9).astype(int)
        missing = count - int(times.sum())
        if missing:
            share = np.maximum(expected - times, 0.0) + 1e-9
            times[rng.choice(len(members), missing, replace=False, p=share / share.sum())] += 1
        drawn += np.repeat(members, times).tolist()
    order = rng.permutation(len(drawn))
    whole = max(1, len(drawn) // batch_size) * batch_size
    keys = [(epoch, int(place), drawn[place]) for place in order[:whole]]
    return [keys[start : start + batch_size] for start in range(0, len(keys), batch_size)]


def _repeat_factors(presence: npt.NDArray[np.bool_], repeat_rare: float) -> npt.NDArray[np.float64]:
    share = presence.mean(axis=0)
    by_class = np.sqrt(np.divide(repeat_rare, share, out=np.zeros_like(share), where=share > 0))
    return cast("npt.NDArray[np.float64]", np.maximum(1.0, (presence * by_class).max(axis=1)))
