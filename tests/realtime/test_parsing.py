from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from engines.engine import Crops, EngineSpec, Probabilities
from realtime.faces.parsing import parse_crops, share_of
from realtime.frames import Detection
from realtime.frames.geometry import Alignment
from realtime.frames.halvings import Halvings
from stn_icnn.labels import CLASS_ID
from stn_icnn.packing import Packing

FACE = Detection((40.0, 40.0, 80.0, 80.0), 0.9, (50.0, 50.0), (70.0, 50.0), (60.0, 72.0))


class FakeEngine:
    """Sees skin everywhere, and a nose of a given share in every crop."""

    def __init__(self, nose: float) -> None:
        self.spec = EngineSpec(Packing(32, 16), tuple(range(19)))
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
    engine, image = FakeEngine(0.02), np.zeros((120, 160, 3), np.uint8)
    other = replace(FACE, box=(0.0, 0.0, 10.0, 10.0), score=0.8)
    crops = [Alignment((60.0, 60.0), 80.0, 0.0), Alignment((20.0, 30.0), 40.0, 0.1)]
    faces, pictures = parse_crops(Halvings(image), [FACE, other], crops, engine)
    assert engine.batches == [2]
    assert [face.detection for face in faces] == [FACE, other]
    assert [face.alignment for face in faces] == crops
    assert [each.face.shape for each in pictures] == [(32, 32, 3)] * 2
    assert faces[0].image_size == (120, 160)
    assert share_of(faces[1], "nose") == pytest.approx(0.02)


def test_no_detection_no_inference() -> None:
    engine = FakeEngine(0.02)
    assert parse_crops(Halvings(np.zeros((120, 160, 3), np.uint8)), [], [], engine) == ([], [])
    assert engine.batches == []
