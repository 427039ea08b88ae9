"""Reading mask files of every kind, frame by frame."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import cv2
import numpy as np

from realtime.errors import SourceError
from realtime.frames import Image, ParsedFace, Plane
from realtime.masks import rle
from realtime.masks.labels import label_ids
from realtime.masks.sidecar import COCO, LINES, VIDEO, MaskFace, MaskInfo, face_of, read_info
from realtime.masks.video import read_rgba

# What a damaged file makes of reading it.
_DAMAGE = (OSError, ValueError, KeyError, TypeError, EOFError, BadZipFile, zlib.error, cv2.error)


@dataclass(frozen=True)
class MaskFrame:
    """The parsing of one frame.

    Attributes:
        number: its place among the masks, from 0.
        index: its place in the source; gaps show frames that a live source dropped.
        pts: seconds, exact.
        duration: how long the source shows it, seconds, exact; None where that is unknown.
        labels: (H, W) uint8 class ids of `stn_icnn.labels`.
        faces: largest first.
        alpha: (H, W) uint8 opacity, of the format `alpha`; None in others.
    """

    number: int
    index: int
    pts: Fraction
    duration: Fraction | None
    labels: Image
    faces: tuple[MaskFace, ...]
    alpha: Image | None = None


@dataclass(frozen=True)
class _Content:
    """What the format itself holds of a frame, beside `frames.jsonl`."""

    labels: Image
    alpha: Image | None = None
    probabilities: Image | None = None
    heads: Image | None = None
    classes: tuple[int, ...] = ()


def read(folder: Path | str) -> Iterator[MaskFrame]:
    """Read a folder of masks, whatever its format; one frame at a time is held.

    Raises:
        SourceError: if it is none; later, when a file in it is missing or damaged.
    """
    return _read(Path(folder), read_info(folder))


def _read(folder: Path, info: MaskInfo) -> Iterator[MaskFrame]:
    contents = _CONTENTS[info.kind](folder, info)
    number = 0
    try:
        with (folder / LINES).open(encoding="utf-8") as lines:
            for line in lines:
                yield _frame(json.loads(line), next(contents), info)
                number += 1
    except StopIteration:
        raise SourceError(f"{folder}: the masks end before frame {number}") from None
    except _DAMAGE as error:
        raise SourceError(f"{folder}: damaged at frame {number}: {error}") from None
    if number != info.frames:
        raise SourceError(f"{folder / LINES}: {number} frames of {info.frames}")


def _frame(line: dict[str, Any], content: _Content, info: MaskInfo) -> MaskFrame:
    if content.labels.shape != (info.height, info.width):
        raise ValueError("a mask of another size")
    duration = None if line["duration"] is None else Fraction(line["duration"])
    faces = [face_of(data) for data in line["faces"]]
    if content.probabilities is not None:
        count = len(content.probabilities)
        heads = [None] * count if content.heads is None else list(content.heads)
        faces = [
            _with_probabilities(*each, content, info)
            for each in zip(faces, content.probabilities, heads, strict=True)
        ]
    pts = Fraction(line["pts"])
    return MaskFrame(
        line["number"], line["index"], pts, duration, content.labels, tuple(faces), content.alpha
    )


def _with_probabilities(
    face: MaskFace, planes: Image, head: Image | None, content: _Content, info: MaskInfo
) -> MaskFace:
    size, outer = (info.height, info.width), None if head is None else _shares(head)
    parsed = ParsedFace(
        face.detection, face.alignment, _shares(planes), content.classes, size, face.track_id, outer
    )
    return replace(face, parsed=parsed)


def _shares(planes: Image) -> Plane:
    """Return probabilities, 0 to 1, of what was stored in 8 bits."""
    return np.asarray(planes.astype(np.float32) / np.float32(255.0), np.float32)


def _png(folder: Path, info: MaskInfo) -> Iterator[_Content]:
    for number in range(info.frames):
        picture = cv2.imread(str(folder / f"{number:06d}.png"), cv2.IMREAD_COLOR_RGB)
        if picture is None:
            raise ValueError(f"{number:06d}.png cannot be read")
        yield _Content(label_ids(np.asarray(picture, np.uint8)))


def _npz(folder: Path, info: MaskInfo) -> Iterator[_Content]:
    for number in range(info.frames):
        # Opened here: where the file is damaged NumPy leaves its own open.
        path = folder / f"{number:06d}.npz"
        with path.open("rb") as file, np.load(file, allow_pickle=False) as data:
            classes = tuple(int(value) for value in data["classes"])
            heads = data.get("head_probabilities")
            yield _Content(data["labels"], None, data["probabilities"], heads, classes)


def _coco(folder: Path, info: MaskInfo) -> Iterator[_Content]:
    """Read our own layout, one annotation a line in order, so that no whole film is held."""
    with (folder / COCO).open(encoding="utf-8") as lines:
        annotations = (json.loads(line.rstrip(",\n")) for line in lines if line.startswith('{"id"'))
        found = next(annotations, None)
        for number in range(info.frames):
            labels = np.zeros((info.height, info.width), np.uint8)
            while found is not None and found.get("image_id") == number:
                rle.paint(labels, rle.unpack(found["segmentation"]["counts"]), found["category_id"])
                found = next(annotations, None)
            yield _Content(labels)


def _alpha(folder: Path, info: MaskInfo) -> Iterator[_Content]:
    for picture in read_rgba(folder / VIDEO):
        yield _Content(label_ids(picture[..., :3]), alpha=picture[..., 3])


_CONTENTS = {"png": _png, "npz": _npz, "coco": _coco, "alpha": _alpha}
