"""MediaPipe's FaceLandmarker, to compare with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from realtime.errors import ModelError
from realtime.faces.vision_task import VisionTask
from realtime.frames import Image

GET_IT = (
    "get face_landmarker.task from the page of MediaPipe's Face Landmarker "
    "(ai.google.dev/edge/mediapipe/solutions/vision/face_landmarker) and give it by --landmarker PATH"
)

# By the numbers of MediaPipe's face mesh, each a closed ring.
RINGS: dict[str, tuple[int, ...]] = {
    "r_eye": (33, 7, 163, 144, 145, 153, 154, 155, 133, 173, 157, 158, 159, 160, 161, 246),
    "l_eye": (263, 249, 390, 373, 374, 380, 381, 382, 362, 398, 384, 385, 386, 387, 388, 466),
    "lips": (61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291, 409, 270, 269, 267, 0, 37, 39, 40, 185),
    "mouth": (78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308, 415, 310, 311, 312, 13, 82, 81, 80, 191),
}


class Landmarker(VisionTask):
    """FaceLandmarker for one face, without blendshapes.

    Args:
        model: face_landmarker.task; None where the user gave none.
        video: frames of one video in order, which are tracked; else single images.

    Raises:
        ModelError: if there is no model.
    """

    def __init__(self, model: Path | None, video: bool) -> None:
        if model is None:
            raise ModelError(f"FaceLandmarker: no model was given; {GET_IT}")
        if not model.is_file():
            raise ModelError(f"FaceLandmarker: {model}: no such file; {GET_IT}")

        def make(tasks: Any) -> Any:
            vision = tasks.vision
            options = vision.FaceLandmarkerOptions(
                tasks.BaseOptions(model_asset_path=str(model)),
                running_mode=vision.RunningMode.VIDEO if video else vision.RunningMode.IMAGE,
                num_faces=1,
            )
            return vision.FaceLandmarker.create_from_options(options)

        super().__init__(make)
        self._video, self._milliseconds = video, 0

    def find(self, image: Image) -> npt.NDArray[np.float64] | None:
        """Return the face's points (478, 2), x and y in pixels, or None where no face was found.

        Args:
            image: (H, W, 3) uint8 RGB; of a video the next, a thirtieth of a second later.
        """
        picture = self._picture(image)
        if self._video:
            self._milliseconds += 33
            faces = self._task.detect_for_video(picture, self._milliseconds).face_landmarks
        else:
            faces = self._task.detect(picture).face_landmarks
        if not faces:
            return None
        height, width = image.shape[:2]
        return np.array([(point.x * width, point.y * height) for point in faces[0]])
