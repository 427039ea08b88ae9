"""The person in front of the background, by the network of mediapipe's selfie segmenter."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import cv2
import numpy as np

from engines.tflite import open_tflite
from realtime.frames import Image, Plane
from realtime.frames.halvings import halved
from realtime.models import PERSON_SEGMENTER, model_path

# What the model sees, (width, height): its answer is not finer, so no more is given to it.
MODEL_SIZE = (256, 144)


class PersonSegmenter:
    """Says of each pixel how much it belongs to a person; safe to call from any thread.

    Args:
        model: a segmenter model; None for the fetched one.

    Raises:
        EngineUnavailable: if OpenVINO can't run it.
        ModelError: if the model can't be had.
    """

    def __init__(self, model: Path | None = None) -> None:
        self._infer = open_tflite(model or model_path(PERSON_SEGMENTER))

    def segment(self, image: Image) -> Plane:
        """Return (144, 256) float32, 0 to 1, over the whole of an image (H, W, 3) uint8 RGB."""
        seen = cv2.resize(halved_for_segmenter(image), MODEL_SIZE, interpolation=cv2.INTER_LINEAR)
        return np.ascontiguousarray(self._infer(np.asarray(seen, np.uint8))[..., 0])


@cache
def person_segmenter() -> PersonSegmenter:
    """Return the one segmenter that all effects share, loading it at the first call.

    Raises:
        ModelError: if its model can't be had.
    """
    return PersonSegmenter()


def halved_for_segmenter(image: Image) -> Image:
    """Halve an image (H, W, 3) uint8 RGB as often as it stays no smaller than what the model sees."""
    while image.shape[1] >= 2 * MODEL_SIZE[0] and image.shape[0] >= 2 * MODEL_SIZE[1]:
        image = halved(image)
    return image
