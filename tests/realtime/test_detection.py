from __future__ import annotations

import threading
from collections.abc import Iterator

import numpy as np
import pytest

from realtime.faces.detector import FaceDetector
from tests.conftest import Image


@pytest.fixture(scope="module")
def detector() -> Iterator[FaceDetector]:
    detector = FaceDetector()
    yield detector
    detector.close()


def test_the_portraits_face_is_found_with_its_eyes(detector: FaceDetector, portrait: Image) -> None:
    (face,) = detector.detect(portrait)
    assert face.score > 0.5
    x0, y0, x1, y1 = face.box
    assert x0 < 203 < 247 < x1
    assert y0 < 102 < y1
    assert face.right_eye == pytest.approx((203, 102), abs=6), "the subject's right is on our left"
    assert face.left_eye == pytest.approx((247, 103), abs=6)
    assert face.mouth == pytest.approx((224, 145), abs=8)


def test_nothing_is_found_in_nothing(detector: FaceDetector) -> None:
    assert detector.detect(np.zeros((240, 320, 3), np.uint8)) == ()


@pytest.mark.parametrize("width", [641, 642, 643])
def test_views_that_are_not_contiguous_are_searched_too(
    detector: FaceDetector, portrait: Image, width: int
) -> None:
    wide = np.zeros((512, width + 7, 3), np.uint8)
    wide[:, :512] = portrait
    view = wide[:, :width]
    assert not view.flags.c_contiguous
    assert len(detector.detect(view)) == 1


def test_several_faces_come_largest_first_up_to_the_limit(detector: FaceDetector, portrait: Image) -> None:
    import cv2

    picture = np.zeros((512, 1024, 3), np.uint8)
    picture[:, 512:] = portrait
    picture[100:484, :384] = cv2.resize(portrait, (384, 384))
    first, second = detector.detect(picture)
    assert first.area > second.area
    assert first.box[0] > 512
    detector.max_faces = 1
    try:
        assert detector.detect(picture) == (first,)
    finally:
        detector.max_faces = 4


def test_a_face_that_fills_the_picture_is_found_where_it_is(detector: FaceDetector, portrait: Image) -> None:
    import cv2

    close = np.asarray(cv2.resize(portrait[80:160, 185:265], (640, 640)), np.uint8)
    assert detector.search(close) == [], "the plain search overlooks it"
    (face,) = detector.detect(close)
    assert face.right_eye == pytest.approx((8 * (203 - 185), 8 * (102 - 80)), abs=40)
    assert face.left_eye == pytest.approx((8 * (247 - 185), 8 * (103 - 80)), abs=40)
    assert face.box[0] < face.right_eye[0] < face.left_eye[0] < face.box[2]


@pytest.mark.timeout(30)
def test_another_thread_may_detect(detector: FaceDetector, portrait: Image) -> None:
    found: list[int] = []
    thread = threading.Thread(target=lambda: found.append(len(detector.detect(portrait))))
    thread.start()
    thread.join(20)
    assert found == [1]
