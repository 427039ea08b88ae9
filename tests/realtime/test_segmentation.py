from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import cv2
import numpy as np
import pytest

from benchmarks.selfie import SelfieSegmenter
from realtime.people.segmenter import person_segmenter
from tests.conftest import Image


def test_a_person_is_told_from_the_background(face_frame: Image) -> None:
    mask = person_segmenter().segment(face_frame)
    assert mask.shape == (144, 256)
    assert mask.dtype == np.float32
    assert 0.0 <= mask.min() <= mask.max() <= 1.0
    assert mask[70, 128] > 0.9, "the face"
    assert mask[20, 200] < 0.1, "the wall"


def test_it_says_what_mediapipe_says(face_frame: Image) -> None:
    small = np.asarray(cv2.resize(face_frame, (256, 144), interpolation=cv2.INTER_AREA), np.uint8)
    with closing(SelfieSegmenter()) as theirs:
        wanted = theirs.segment(small)
    found = person_segmenter().segment(small)
    # Alike but for bf16, where the processor has it.
    assert float(np.abs(found - wanted).mean()) < 0.002
    assert 0.1 < float(wanted.mean()) < 0.9


def test_many_threads_may_ask_at_once(face_frame: Image) -> None:
    pictures = [face_frame, np.ascontiguousarray(face_frame[:, ::-1]), np.zeros_like(face_frame)]
    alone = [person_segmenter().segment(picture) for picture in pictures]
    with ThreadPoolExecutor(3) as pool:
        together = list(pool.map(person_segmenter().segment, pictures * 8))
    for index, mask in enumerate(together):
        assert np.allclose(mask, alone[index % 3], atol=1e-3)


@pytest.mark.parametrize("shape", [(1, 1), (3, 400), (720, 5), (31, 33), (1080, 1920)])
def test_any_size_and_memory_layout_is_taken(shape: tuple[int, int]) -> None:
    picture = np.zeros((*shape, 3), np.uint8)
    assert person_segmenter().segment(picture[:, ::-1]).shape == (144, 256)
