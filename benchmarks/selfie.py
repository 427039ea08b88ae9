"""MediaPipe's own run of its selfie segmenter, to compare with how the pipeline runs its network."""

from __future__ import annotations

import weakref
from types import TracebackType

import numpy as np
import numpy.typing as npt

from realtime.detection import release
from realtime.frames import Image
from realtime.models import PERSON_SEGMENTER, model_path
from realtime.quiet import native_chatter_hidden


class SelfieSegmenter:
    """MediaPipe's ImageSegmenter on single images; a context manager.

    Raises:
        ModelError: if its model can't be had.
    """

    def __init__(self) -> None:
        path = str(model_path(PERSON_SEGMENTER))
        with native_chatter_hidden():
            import mediapipe

            vision = mediapipe.tasks.vision
            options = vision.ImageSegmenterOptions(
                mediapipe.tasks.BaseOptions(model_asset_path=path),
                output_confidence_masks=True,
                output_category_mask=False,
            )
            self._segmenter = vision.ImageSegmenter.create_from_options(options)
        self._image, self._format = mediapipe.Image, mediapipe.ImageFormat.SRGB
        self._finalizer = weakref.finalize(self, release, self._segmenter)

    def segment(self, image: Image) -> npt.NDArray[np.float32]:
        """Return (H, W) float32, 0 to 1: how surely each pixel of (H, W, 3) uint8 RGB is a person's."""
        picture = self._image(image_format=self._format, data=np.ascontiguousarray(image))
        mask = self._segmenter.segment(picture).confidence_masks[0].numpy_view()
        return np.array(mask, np.float32).reshape(image.shape[:2])

    def __enter__(self) -> SelfieSegmenter:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Free it."""
        with native_chatter_hidden():
            self._finalizer()
