"""How far a compiled network is from the one it was made of, and how far it may be."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from engines.engine import Crops, EngineError, Probabilities
from stn_icnn.packing import Packing

LEAST_AGREEMENT = {"fp32": 0.999, "fp16": 0.999, "int8": 0.99}
"""By precision, the least share of pixels that must get the same label as in eager fp32."""

MOST_DIFFERENCE = {"fp32": 5e-3, "fp16": 0.05, "int8": 1.0}
"""By precision, the largest difference of a probability; quantisation may turn single pixels over."""


@dataclass(frozen=True)
class Parity:
    """A compiled network beside eager on the same crops.

    Attributes:
        agreement: share of pixels with the same label, 0 to 1.
        difference: largest absolute difference of a probability.
        faces: crops compared.
    """

    agreement: float
    difference: float
    faces: int

    def __str__(self) -> str:
        """Return it for people."""
        return f"{self.agreement:.2%} of labels as eager, probabilities within {self.difference:.1e}"

    def require(self, precision: str) -> None:
        """Do nothing where it is good enough for the precision.

        Raises:
            EngineError: if it isn't.
        """
        least, most = LEAST_AGREEMENT[precision], MOST_DIFFERENCE[precision]
        if self.agreement < least or not self.difference <= most:
            raise EngineError(
                f"the compiled network is not the same: {self}, with {precision} at least {least:.1%} and "
                f"within {most:g} are asked; not kept"
            )


def compare(
    infer: Callable[[Crops], Probabilities], reference: Callable[[Crops], Probabilities], crops: Crops
) -> Parity:
    """Run both on crops (N, S, S, 3) uint8, a pair at a time."""
    same = total = 0
    difference = 0.0
    for start in range(0, len(crops), 2):
        got, expected = infer(crops[start : start + 2]), reference(crops[start : start + 2])
        same += int((got.argmax(axis=1) == expected.argmax(axis=1)).sum())
        total += got[:, 0].size
        difference = max(difference, float(np.abs(got - expected).max()))
    return Parity(same / total, difference, len(crops))


def sample_crops(packing: Packing, count: int = 8) -> Crops:
    """Return drawn stand-ins for faces, (count, *packing.input_shape) uint8, always the same.

    Where no photo is at hand a network is compared on them. Noise alone would not do: it fires few
    of a face parser's features.
    """
    rng, side, crops = np.random.default_rng(0), packing.square_size, []
    for _ in range(count):
        ground = cv2.resize(rng.uniform(0, 255, (4, 4, 3)), (side, side), interpolation=cv2.INTER_CUBIC)
        picture = np.clip(ground, 0, 255)
        skin = rng.uniform(60, 255) * np.array([1.0, 0.75, 0.6])
        # Hair, face, eyes, mouth: where aligned faces have theirs, in shares of the face crop's side.
        blobs = [(0.5, 0.42, 0.36, 0.38, skin * 0.3), (0.5, 0.55, 0.26, 0.34, skin)]
        blobs += [(x, 0.48, 0.05, 0.02, skin * 0.2) for x in (0.38, 0.62)]
        blobs += [(0.5, 0.75, 0.1, 0.03, skin * np.array([0.8, 0.4, 0.5]))]
        for x, y, width, height, colour in blobs:
            crop, start = side / packing.width, 0.5 * side * (1.0 - 1.0 / packing.width)
            centre = [int(start + (place + rng.normal(0, 0.01)) * crop) for place in (x, y)]
            axes = (max(1, int(width * crop)), max(1, int(height * crop)))
            cv2.ellipse(picture, centre, axes, 0, 0, 360, colour.tolist(), -1)
        blurred = cv2.GaussianBlur(picture, (0, 0), side / 128)
        noisy = np.clip(blurred + rng.normal(0, 6, picture.shape), 0, 255)
        crops.append(packing.pack_square(noisy.astype(np.uint8)))
    return np.stack(crops)
