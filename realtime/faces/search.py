"""The search for faces: the whole frame, further views of it, and what they find put together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from realtime.faces.detector import FaceDetector
from realtime.faces.keypoints import detected_keypoints
from realtime.faces.parsing import SURE_SCORE
from realtime.faces.tracks import is_rotated_double, same_place
from realtime.faces.views import View, further_views
from realtime.frames import Detection, Image


@dataclass
class Found:
    """A face found in a frame.

    Attributes:
        detection: in the image's pixels.
        view: the further view that showed it; None for the whole frame.
        alternative: another detection of it, which may be better.
    """

    detection: Detection
    view: View | None = None
    alternative: Detection | None = None


class FaceSearch:
    """Searches frames; further views of them in turns, a group a time.

    Args:
        detector: see `FaceDetector`.
        thorough: search every group of further views whenever one has its turn.
    """

    def __init__(self, detector: FaceDetector, thorough: bool) -> None:
        self.detector, self.thorough = detector, thorough
        self.reset()

    def reset(self) -> None:
        """Begin with the first group of views again."""
        self._next_view_group = 0

    def next_views(self, image: Image) -> tuple[View, ...]:
        """Return the group of further views of an image (H, W, 3) whose turn it is."""
        groups = further_views(*image.shape[:2])
        group = self._next_view_group % len(groups)
        self._next_view_group += 1
        return sum(groups, ()) if self.thorough else groups[group]

    def __call__(self, image: Image, whole: bool, views: Sequence[View]) -> list[Found]:
        """Search an image (H, W, 3) uint8 RGB: all of it, some further views, or both."""
        faces = [Found(detection) for detection in self.detector.detect(image)] if whole else []
        seen = [(view.back(face), view) for view in views for face in self.detector.search(view.cut(image))]
        shown = [pair for pair in seen if any(view.holds(pair[0]) for view in views)]
        # The best view of a face first: the others of it are then left out.
        for detection, view in sorted(shown, key=lambda pair: -pair[0].score):
            _merge(faces, detection, view)
        return faces


def _merge(faces: list[Found], detection: Detection, view: View) -> None:
    """Add what only a further view shows; what may be better than a known detection as its alternative.

    It stays doubtful, and must parse as a face.

    Args:
        faces: known ones.
        detection: in the image's pixels.
        view: which showed it.
    """
    keypoints = detected_keypoints(detection)
    doubtful = replace(detection, score=min(detection.score, SURE_SCORE - 0.01))
    for known in faces:
        before = detected_keypoints(known.detection)
        if is_rotated_double(keypoints, before):
            known.alternative = known.alternative or doubtful
            return
        if same_place(keypoints, before):
            if known.detection.score < doubtful.score:
                known.detection = doubtful
            return
    faces.append(Found(doubtful, view))
