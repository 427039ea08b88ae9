"""The person in front of the background, by the network of mediapipe's selfie segmenter."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import cv2
import numpy as np

from engines.tflite import open_tflite
from realtime.frames import Image, Plane
from realtime.frames.halvings import Halvings
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
        seen = Halvings(image).at_least(*MODEL_SIZE)
        small = np.asarray(cv2.resize(seen, MODEL_SIZE, interpolation=cv2.INTER_LINEAR), np.uint8)
        return np.ascontiguousarray(self._infer(small)[..., 0])


@cache
def person_segmenter() -> PersonSegmenter:
    """Return the one segmenter that all effects share, loading it at the first call.

    Raises:
        ModelError: if its model can't be had.
    """
    return PersonSegmenter()
