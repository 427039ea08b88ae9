from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from engines.engine import Crops, EngineSpec, Probabilities
from realtime.frames import Detection
from realtime.parsing import parse_faces
from stn_icnn.labels import CLASS_ID

FACE = Detection((40.0, 40.0, 80.0, 80.0), 0.9, (50.0, 50.0), (70.0, 50.0), (60.0, 72.0))


class FakeEngine:
    """Sees skin everywhere, and a nose of a given share in every crop."""

    def __init__(self, nose: float) -> None:
        self.spec = EngineSpec(32, 16, tuple(range(19)))
        self.precision, self.description = "fp32", "fake"
        self.nose = nose
        self.batches: list[int] = []

    def infer(self, crops: Crops) -> Probabilities:
        self.batches.append(len(self.spec.check(crops)))
        output = np.zeros((len(crops), 19, 16, 16), np.float32)
        output[:, CLASS_ID["skin"]] = 1.0 - self.nose
        output[:, CLASS_ID["nose"]] = self.nose
        return output

    def close(self) -> None:
        pass


def test_all_faces_of_a_frame_are_one_batch_in_order() -> None:
    engine = FakeEngine(0.02)
    other = replace(FACE, box=(0.0, 0.0, 10.0, 10.0), score=0.8)
    faces = parse_faces(np.zeros((120, 160, 3), np.uint8), [FACE, other], engine)
    assert engine.batches == [2]
    assert [face.detection for face in faces] == [FACE, other]
    assert faces[0].image_size == (120, 160)


def test_no_detection_no_inference() -> None:
    engine = FakeEngine(0.02)
    assert parse_faces(np.zeros((120, 160, 3), np.uint8), [], engine) == ()
    assert engine.batches == []


@pytest.mark.parametrize(
    ("score", "nose", "kept"), [(0.55, 0.001, False), (0.55, 0.02, True), (0.9, 0.001, True)]
)
def test_a_doubtful_detection_must_show_a_nose(score: float, nose: float, kept: bool) -> None:
    faces = parse_faces(np.zeros((120, 160, 3), np.uint8), [replace(FACE, score=score)], FakeEngine(nose))
    assert bool(faces) == kept
