"""The person in front of the background, by mediapipe's selfie segmenter."""

from __future__ import annotations

import os
import threading
import weakref
from functools import cache
from pathlib import Path

import cv2
import numpy as np

from realtime.detection import release
from realtime.frames import Image, Plane
from realtime.models import PERSON_SEGMENTER, model_path
from realtime.quiet import native_chatter_hidden

# Read by the libraries inside mediapipe when it is imported: only errors are worth a user's line.
os.environ.setdefault("GLOG_minloglevel", "2")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

# What the model sees, (width, height): its answer is not finer, so no more is given to it.
MODEL_SIZE = (256, 144)


class PersonSegmenter:
    """Says of each pixel how much it belongs to a person; safe to call from any thread.

    Args:
        model: a segmenter model; None for the fetched one.

    Raises:
        ModelError: if the model can't be had.
    """

    def __init__(self, model: Path | None = None) -> None:
        path = str(model or model_path(PERSON_SEGMENTER))
        with native_chatter_hidden():
            import mediapipe

            vision = mediapipe.tasks.vision
            base = mediapipe.tasks.BaseOptions(model_asset_path=path)
            options = vision.ImageSegmenterOptions(
                base, output_confidence_masks=True, output_category_mask=False
            )
            self._segmenter = vision.ImageSegmenter.create_from_options(options)
            self._image = mediapipe.Image
            self._format = mediapipe.ImageFormat.SRGB
            self._lock = threading.Lock()
            # The first picture brings warnings of its own.
            self.segment(np.zeros((144, 256, 3), np.uint8))
        self._finalizer = weakref.finalize(self, release, self._segmenter)

    def segment(self, image: Image) -> Plane:
        """Return (144, 256) float32, 0 to 1, over the whole of an image (H, W, 3) uint8 RGB."""
        small = np.ascontiguousarray(_shrunk(image))
        picture = self._image(image_format=self._format, data=small)
        with self._lock:
            mask = self._segmenter.segment(picture).confidence_masks[0].numpy_view()
            return np.array(mask, np.float32).reshape(small.shape[:2])

    def close(self) -> None:
        """Free the segmenter."""
        with self._lock, native_chatter_hidden():
            self._finalizer()


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
