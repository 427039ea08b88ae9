"""MediaPipe's own run of its selfie segmenter, to compare with how the pipeline runs its network."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from realtime.faces.vision_task import VisionTask
from realtime.frames import Image
from realtime.models import PERSON_SEGMENTER, model_path


class SelfieSegmenter(VisionTask):
    """MediaPipe's ImageSegmenter on single images.

    Raises:
        ModelError: if its model can't be had.
    """

    def __init__(self) -> None:
        path = str(model_path(PERSON_SEGMENTER))

        def make(tasks: Any) -> Any:
            options = tasks.vision.ImageSegmenterOptions(
                tasks.BaseOptions(model_asset_path=path),
                output_confidence_masks=True,
                output_category_mask=False,
            )
            return tasks.vision.ImageSegmenter.create_from_options(options)

        super().__init__(make)

    def segment(self, image: Image) -> npt.NDArray[np.float32]:
        """Return (H, W) float32, 0 to 1: how surely each pixel of (H, W, 3) uint8 RGB is a person's."""
        mask = self._task.segment(self._picture(image)).confidence_masks[0].numpy_view()
        return np.array(mask, np.float32).reshape(image.shape[:2])
