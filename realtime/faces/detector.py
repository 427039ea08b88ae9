"""Face detection by mediapipe."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from realtime.faces.vision_task import VisionTask
from realtime.frames import Detection, Image
from realtime.models import model_path
from realtime.native_logs import hide_native_logs

# Side in pixels to which pictures shrink for the search for close faces; the model sees less anyway.
CLOSE_SIDE = 256


class FaceDetector(VisionTask):
    """Finds faces with BlazeFace, full range: from about 1/10 of the picture's height.

    Args:
        min_score: faces below this confidence are left out.
        max_faces: at most so many, the largest.
        model: a detector model; None for the fetched one.

    Raises:
        ModelError: if the model can't be had.
    """

    def __init__(self, min_score: float = 0.5, max_faces: int = 4, model: Path | None = None) -> None:
        def make(tasks: Any) -> Any:
            base = tasks.BaseOptions(model_asset_path=str(model or model_path()))
            options = tasks.vision.FaceDetectorOptions(base, min_detection_confidence=min_score)
            return tasks.vision.FaceDetector.create_from_options(options)

        super().__init__(make)
        self._lock = threading.Lock()
        self.max_faces = max_faces
        # The first picture brings warnings of its own.
        with hide_native_logs():
            self.detect(np.zeros((64, 64, 3), np.uint8))

    def detect(self, image: Image) -> tuple[Detection, ...]:
        """Return the faces of an image (H, W, 3) uint8 RGB, largest first."""
        faces = self.search(image) or self._search_close(image)
        faces.sort(key=lambda face: face.area, reverse=True)
        return tuple(faces[: self.max_faces])

    def search(self, image: Image) -> list[Detection]:
        """Return what one pass of the model finds in an image (H, W, 3) uint8 RGB, in no order."""
        picture = self._picture(image)
        with self._lock:
            found = self._task.detect(picture).detections
        height, width = image.shape[:2]
        faces = []
        for item in found:
            box = item.bounding_box
            x, y = float(box.origin_x), float(box.origin_y)
            points = [(point.x * width, point.y * height) for point in item.keypoints]
            right_eye, left_eye, _, mouth = points[:4]
            corners = (x, y, x + box.width, y + box.height)
            faces.append(Detection(corners, float(item.categories[0].score), right_eye, left_eye, mouth))
        return faces

    def _search_close(self, image: Image) -> list[Detection]:
        """Search again with a wide margin: the model overlooks faces that fill the picture."""
        height, width = image.shape[:2]
        scale = min(1.0, CLOSE_SIDE / max(height, width))
        small_width, small_height = max(1, round(width * scale)), max(1, round(height * scale))
        small = cv2.resize(image, (small_width, small_height), interpolation=cv2.INTER_AREA)
        x, y = small_width // 2, small_height // 2
        padded = cv2.copyMakeBorder(small, y, y, x, x, cv2.BORDER_CONSTANT)
        back = (width / small_width, height / small_height)
        return [_moved(face, (x, y), back) for face in self.search(np.asarray(padded, np.uint8))]

    def close(self) -> None:
        """Free the detector."""
        with self._lock:
            super().close()


def _moved(face: Detection, margin: tuple[int, int], scale: tuple[float, float]) -> Detection:
    """Take a margin off and enlarge: from the padded picture's pixels to the image's."""

    def point(x: float, y: float) -> tuple[float, float]:
        return (x - margin[0]) * scale[0], (y - margin[1]) * scale[1]

    x0, y0, x1, y1 = face.box
    box = (*point(x0, y0), *point(x1, y1))
    return Detection(box, face.score, point(*face.right_eye), point(*face.left_eye), point(*face.mouth))
