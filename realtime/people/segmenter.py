"""The person in front of the background, by the network of mediapipe's selfie segmenter."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import cv2
import numpy as np

from engines.tflite import open_tflite
from realtime.frames import Image, Plane
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
        return np.ascontiguousarray(self._infer(np.ascontiguousarray(_shrunk(image)))[..., 0])


@cache
def person_segmenter() -> PersonSegmenter:
    """Return the one segmenter that all effects share, loading it at the first call.

    Raises:
        ModelError: if its model can't be had.
    """
    return PersonSegmenter()


def _shrunk(image: Image) -> Image:
    """Shrink to what the model sees: whole steps first, which is fast and doesn't alias."""
    height, width = image.shape[:2]
    step = max(1, min(width // MODEL_SIZE[0], height // MODEL_SIZE[1]))
    if step > 1:
        whole = image[: height // step * step, : width // step * step]
        image = np.asarray(
            cv2.resize(whole, (width // step, height // step), interpolation=cv2.INTER_AREA), np.uint8
        )
    return np.asarray(cv2.resize(image, MODEL_SIZE, interpolation=cv2.INTER_LINEAR), np.uint8)
