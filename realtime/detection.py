"""Face detection by mediapipe; the only file that imports it."""

from __future__ import annotations

import os
import threading
import weakref
from pathlib import Path
from typing import Any

import numpy as np

from realtime.frames import Detection, Image
from realtime.models import model_path
from realtime.quiet import native_chatter_hidden

# Read by the libraries inside mediapipe when it is imported: only errors are worth a user's line.
os.environ.setdefault("GLOG_minloglevel", "2")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")


class FaceDetector:
    """Finds faces with BlazeFace, full range: from about 1/10 of the picture's height.

    Args:
        min_score: faces below this confidence are left out.
        max_faces: at most so many, the largest.
        model: a detector model; None for the fetched one.

    Raises:
        ModelError: if the model can't be had.
    """

    def __init__(self, min_score: float = 0.5, max_faces: int = 4, model: Path | None = None) -> None:
        with native_chatter_hidden():
            import mediapipe

            vision = mediapipe.tasks.vision
            base = mediapipe.tasks.BaseOptions(model_asset_path=str(model or model_path()))
            options = vision.FaceDetectorOptions(base, min_detection_confidence=min_score)
            self._detector = vision.FaceDetector.create_from_options(options)
            self._image = mediapipe.Image
            self._format = mediapipe.ImageFormat.SRGB
            self._lock = threading.Lock()
            self.max_faces = max_faces
            # The first picture brings warnings of its own.
            self.detect(np.zeros((64, 64, 3), np.uint8))
        self._finalizer = weakref.finalize(self, _release, self._detector)

    def detect(self, image: Image) -> tuple[Detection, ...]:
        """Return the faces of an image (H, W, 3) uint8 RGB, largest first."""
        # On an array that is not contiguous mediapipe finds nothing, without a word.
        picture = self._image(image_format=self._format, data=np.ascontiguousarray(image))
        with self._lock:
            found = self._detector.detect(picture).detections
        height, width = image.shape[:2]
        faces = []
        for item in found:
            box = item.bounding_box
            points = [(point.x * width, point.y * height) for point in item.keypoints]
            right_eye, left_eye, _, mouth = points[:4]
            corners = (box.origin_x, box.origin_y, box.origin_x + box.width, box.origin_y + box.height)
            faces.append(
                Detection(
                    box=(float(corners[0]), float(corners[1]), float(corners[2]), float(corners[3])),
                    score=float(item.categories[0].score),
                    right_eye=right_eye,
                    left_eye=left_eye,
                    mouth=mouth,
                )
            )
        faces.sort(key=lambda face: face.area, reverse=True)
        return tuple(faces[: self.max_faces])

    def close(self) -> None:
        """Free the detector."""
        with self._lock, native_chatter_hidden():
            self._finalizer()


def _release(detector: Any) -> None:
    """Close a mediapipe detector, also when the interpreter is already ending."""
    try:
        detector.close()
    except RuntimeError:
        # mediapipe closes through a thread pool, which is gone by then; without its handle the
        # detector's own destructor doesn't try again, with a trace on the terminal.
        detector._handle = None
