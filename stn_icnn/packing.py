"""What goes into a network for one face, and what comes out: pictures and maps of the face crop and the head.

A network that sees the head reads two pictures, the face crop and a wider one of fewer pixels, and gives maps
of both. Either pair is one array, so that every engine has one input and one output. Does not import torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

HEAD_WIDTH = 2
"""Side of the head's square in sides of the face crop, which lies in its middle."""

Image = npt.NDArray[np.uint8]
Planes = npt.NDArray[np.float32]


class Pictures(NamedTuple):
    """What a network reads of one face.

    Attributes:
        face: (S, S, 3) uint8 RGB, the face crop.
        head: (K, K, 3) uint8 RGB, the square `HEAD_WIDTH` times as wide; None where the network reads none.
    """

    face: Image
    head: Image | None


class Maps(NamedTuple):
    """Probabilities of one face.

    Attributes:
        face: (C, O, O) float32, of the face crop.
        head: (C, H, H) float32, of the head's square; None where the network sees none.
    """

    face: Planes
    head: Planes | None


@dataclass(frozen=True)
class Packing:
    """The sides of pictures and maps, and how they lie in one array.

    Attributes:
        input_size: side S of the face crop's picture, pixels.
        output_size: side O of the face crop's maps.
        head_input: side K of the head's picture; 0 where the network sees no head.
        head_size: side H of the head's maps; 0 likewise.
    """

    input_size: int
    output_size: int
    head_input: int = 0
    head_size: int = 0

    @classmethod
    def of(cls, network: Mapping[str, Any]) -> Packing:
        """Read them from a network's configuration as plain data, see `NetworkConfig.to_dict`."""
        seen = int(network["coarse_size"]) if network.get("face") else 0
        return cls(int(network["input_size"]), int(network["output_size"]), seen, seen // 2)

    @property
    def width(self) -> int:
        """Return the side of all that is seen in sides of the face crop."""
        return HEAD_WIDTH if self.head_input else 1

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Return the shape of one face's pictures: (S, S, 3), or (S * S + K * K, 3)."""
        side = self.input_size
        return (side * side + self.head_input**2, 3) if self.head_input else (side, side, 3)

    def output_shape(self, classes: int) -> tuple[int, ...]:
        """Return the shape of one face's maps: (C, O, O), or (C, O * O + H * H)."""
        side = self.output_size
        return (classes, side * side + self.head_size**2) if self.head_size else (classes, side, side)

    def pack(self, pictures: Pictures) -> Image:
        """Return pictures as one array of `input_shape`."""
        if pictures.head is None:
            return pictures.face
        return np.concatenate([pictures.face.reshape(-1, 3), pictures.head.reshape(-1, 3)])

    def pictures(self, packed: Image) -> Pictures:
        """Return the pictures in an array of `input_shape`, as views."""
        if not self.head_input:
            return Pictures(packed, None)
        count = self.input_size**2
        face, head = packed[:count], packed[count:]
        return Pictures(face.reshape(self.input_size, -1, 3), head.reshape(self.head_input, -1, 3))

    def maps(self, output: Planes) -> Maps:
        """Return the maps in an array of `output_shape`, as views."""
        if not self.head_size:
            return Maps(output, None)
        face, head = np.split(output, [self.output_size**2], axis=1)
        return Maps(
            face.reshape(-1, self.output_size, self.output_size),
            head.reshape(-1, self.head_size, self.head_size),
        )

    @property
    def square_size(self) -> int:
        """Return the side in pixels of a picture of all that is seen, as fine as the face crop's."""
        return self.width * self.input_size

    def pack_square(self, square: Image) -> Image:
        """Return the pictures in a square of all that is seen, packed.

        Args:
            square: (W, W, 3) uint8 RGB, W as `square_size` says.
        """
        if not self.head_input:
            return square
        start, side = (self.square_size - self.input_size) // 2, (self.head_input, self.head_input)
        face = square[start : start + self.input_size, start : start + self.input_size]
        head = cv2.resize(square, side, interpolation=cv2.INTER_AREA)
        return self.pack(Pictures(face, np.asarray(head, np.uint8)))

    def pack_crop(self, crop: Image) -> Image:
        """Return the pictures of a photo that ends with the face crop, packed.

        Beyond it is its border, repeated, as where a face fills a picture.

        Args:
            crop: (S, S, 3) uint8 RGB.
        """
        before = (self.square_size - self.input_size) // 2
        return self.pack_square(np.pad(crop, ((before, before), (before, before), (0, 0)), mode="edge"))
