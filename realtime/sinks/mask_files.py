"""Masks as files of other programs' formats: indexed PNG, NumPy's NPZ, COCO's JSON."""

from __future__ import annotations

import json
import shutil
import struct
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import IO

import numpy as np
import numpy.typing as npt

from realtime.frames import Image, Plane, RenderedFrame
from realtime.frames.geometry import Alignment
from realtime.masks import rle
from realtime.masks.labels import rendered_labels
from realtime.masks.sidecar import COCO
from stn_icnn.labels import CLASSES, PALETTE

# Labels are flat: more effort makes the files a few percent smaller and takes several times as long.
EFFORT = 1


class PngMasks:
    """Writes `000000.png` ...: indexed, the index is the class id, in the palette's colours."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._number = folder, 0

    def write(self, rendered: RenderedFrame) -> None:
        """Write a frame's file."""
        labels, _ = rendered_labels(rendered)
        (self._folder / f"{self._number:06d}.png").write_bytes(indexed_png(labels))
        self._number += 1

    def finish(self) -> None:
        """Every file is whole already."""

    def abort(self) -> None:
        """Nothing is held."""


def indexed_png(labels: Image) -> bytes:
    """Return a PNG of class ids (H, W) uint8 with their palette. Source: the PNG specification, RFC 2083."""
    height, width = labels.shape
    header = struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)
    # A zero before each line: no filter, which suits flat areas best.
    lines = zlib.compress(np.pad(labels, ((0, 0), (1, 0))).tobytes(), EFFORT)
    chunks = ((b"IHDR", header), (b"PLTE", PALETTE.tobytes()), (b"IDAT", lines), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, data) for kind, data in chunks)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


class NpzMasks:
    """Writes `000000.npz` ...: labels, and each face's probabilities in 8 bits with their place."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._number = folder, 0

    def write(self, rendered: RenderedFrame) -> None:
        """Write a frame's file."""
        faces = rendered.faces
        classes = faces[0].classes if faces else ()
        maps = [(face.probabilities, face.alignment) for face in faces]
        arrays: dict[str, npt.NDArray[np.generic]] = {
            "labels": rendered_labels(rendered)[0],
            "classes": np.array(classes, np.uint8),
            "track_ids": np.array([face.track_id for face in faces], np.int64),
            **_placed("", maps, len(classes)),
        }
        heads = [(face.head, face.square) for face in faces if face.head is not None]
        if heads:
            arrays |= _placed("head_", heads, len(classes))
        _write_npz(self._folder / f"{self._number:06d}.npz", arrays)
        self._number += 1

    def finish(self) -> None:
        """Every file is whole already."""

    def abort(self) -> None:
        """Nothing is held."""


def _placed(
    name: str, maps: Sequence[tuple[Plane, Alignment]], classes: int
) -> dict[str, npt.NDArray[np.generic]]:
    """Return faces' probabilities in 8 bits, and where each lies in the image."""
    planes = [np.rint(each * 255.0).astype(np.uint8) for each, _ in maps]
    places = [alignment.to_image(each.shape[-1]) for each, alignment in maps]
    return {
        f"{name}probabilities": np.stack(planes) if planes else np.zeros((0, classes, 0, 0), np.uint8),
        f"{name}to_image": np.array(places).reshape(-1, 2, 3),
    }


def _write_npz(path: Path, arrays: dict[str, npt.NDArray[np.generic]]) -> None:
    # As numpy.savez_compressed, which knows no lesser effort.
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=EFFORT) as file:
        for name, array in arrays.items():
            with file.open(f"{name}.npy", "w") as member:
                np.lib.format.write_array(member, np.ascontiguousarray(array), allow_pickle=False)


class CocoMasks:
    """Writes `coco.json` as it goes: an annotation for each class of each face, an image for each frame."""

    def __init__(self, folder: Path) -> None:
        self._out: IO[str] = (folder / COCO).open("w", encoding="utf-8")
        # The second list waits in a file of its own until the first is whole.
        self._images_path = folder / f".{COCO}.images"
        self._images: IO[str] = self._images_path.open("w+", encoding="utf-8")
        self._number = self._annotations = 0
        categories = [{"id": i, "name": name, "supercategory": "face"} for i, name in enumerate(CLASSES) if i]
        info = {"description": "face parsing, pixel by pixel", "version": "1.0"}
        self._out.write(f'{{"info": {json.dumps(info)},\n"categories": {json.dumps(categories)},\n')
        self._out.write('"annotations": [')

    def write(self, rendered: RenderedFrame) -> None:
        """Write a frame's annotations."""
        labels, owners = rendered_labels(rendered)
        height, width = labels.shape
        for key, (starts, lengths) in rle.class_runs(owners * np.uint32(256) + labels).items():
            counts = rle.pack(rle.counts_of(starts, lengths, labels.size))
            face = rendered.faces[key // 256 - 1]
            self._add(
                self._out,
                self._annotations,
                id=self._annotations + 1,
                image_id=self._number,
                category_id=key % 256,
                segmentation={"size": [height, width], "counts": counts},
                area=int(lengths.sum()),
                bbox=rle.box_of(starts, lengths, height),
                iscrowd=0,
                track_id=face.track_id,
            )
            self._annotations += 1
        name, pts = f"{self._number:06d}.png", str(rendered.frame.time)
        self._add(
            self._images, self._number, id=self._number, file_name=name, width=width, height=height, pts=pts
        )
        self._number += 1

    @staticmethod
    def _add(file: IO[str], place: int, **values: object) -> None:
        file.write(f"{',' if place else ''}\n{json.dumps(values)}")

    def finish(self) -> None:
        """Join the two lists."""
        self._out.write('\n],\n"images": [')
        self._images.seek(0)
        shutil.copyfileobj(self._images, self._out)
        self._out.write("\n]}\n")
        self._out.close()
        self._images.close()
        self._images_path.unlink()

    def abort(self) -> None:
        """Close the files."""
        for file in (self._out, self._images):
            try:
                file.close()
            except OSError:
                # A full disk refuses what was still to be written; the file is removed anyway.
                continue
