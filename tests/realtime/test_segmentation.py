from __future__ import annotations

import numpy as np
import pytest

from realtime.segmentation import person_segmenter
from tests.conftest import Image


def test_a_person_is_told_from_the_background(face_frame: Image) -> None:
    mask = person_segmenter().segment(face_frame)
    assert mask.shape == (144, 256)
    assert mask.dtype == np.float32
    assert 0.0 <= mask.min() <= mask.max() <= 1.0
    assert mask[70, 128] > 0.9, "the face"
    assert mask[20, 200] < 0.1, "the wall"


@pytest.mark.parametrize("shape", [(1, 1), (3, 400), (720, 5), (31, 33), (1080, 1920)])
def test_any_size_and_memory_layout_is_taken(shape: tuple[int, int]) -> None:
    picture = np.zeros((*shape, 3), np.uint8)
    assert person_segmenter().segment(picture[:, ::-1]).shape == (144, 256)
