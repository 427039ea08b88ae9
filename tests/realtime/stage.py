"""A tracker among drawn faces."""

from __future__ import annotations

from typing import cast

from realtime.faces.detector import FaceDetector
from realtime.faces.tracker import FaceTracker
from realtime.frames import ParsedFrame
from tests.realtime.scene import ColourEngine, DrawnFace, ToldDetector, scene


class Stage:
    """A tracker among drawn faces; the detector sees all of them unless told otherwise.

    Each frame is parsed unless propagation is asked for.
    """

    def __init__(
        self,
        every: int = 5,
        max_faces: int = 4,
        smoothing: float = 0.0,
        thorough: bool = False,
        tta: int = 1,
        rate: int = 30,
        propagation: float = 0.0,
    ) -> None:
        self.detector, self.engine = ToldDetector(max_faces), ColourEngine()
        detector = cast(FaceDetector, self.detector)
        self.tracker = FaceTracker(
            detector, self.engine, every, smoothing, thorough, tta, propagation=propagation
        )
        self.index, self.rate = 0, rate

    def show(
        self,
        *faces: DrawnFace,
        found: list[DrawnFace] | None = None,
        score: float = 0.9,
        hidden: tuple[str, ...] = (),
    ) -> ParsedFrame:
        seen = list(faces) if found is None else found
        self.detector.faces = [face.detection(score) for face in seen]
        parsed = self.tracker.update(scene(list(faces), self.index, rate=self.rate, hidden=hidden))
        self.index += 1
        return parsed


def ids(parsed: ParsedFrame) -> list[int]:
    return [face.track_id for face in parsed.faces]
