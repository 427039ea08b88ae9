from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator

import numpy as np
import pytest

from engines import EngineError
from realtime import FaceParser, ParsedFace
from stn_icnn.labels import CLASS_ID
from tests.conftest import Image


@pytest.fixture(scope="module")
def parser() -> Iterator[FaceParser]:
    with FaceParser(threads=2) as parser:
        yield parser


@pytest.fixture(scope="module")
def face(parser: FaceParser, portrait: Image) -> ParsedFace:
    (face,) = parser.parse(portrait)
    return face


def test_parts_lie_where_the_portrait_has_them(face: ParsedFace) -> None:
    labels = face.label_map()
    assert labels.shape == (512, 512)
    # Places read off the photograph by eye.
    for name, (x, y) in {
        "hair": (220, 45),
        "skin": (222, 170),
        "nose": (222, 122),
        "l_eye": (247, 103),
        "r_eye": (204, 102),
        "mouth": (224, 145),
        "l_lip": (222, 152),
    }.items():
        around = labels[y - 3 : y + 4, x - 3 : x + 4]
        assert (around == CLASS_ID[name]).any(), f"{name} is not near ({x}, {y})"
    assert labels[480, 20] == 0
    assert face.score > 0.5


def test_probabilities_are_in_image_coordinates(face: ParsedFace) -> None:
    hair = face.probability("hair")
    assert hair.shape == (512, 512)
    assert hair.dtype == np.float32
    assert hair[45, 220] > 0.8
    assert hair[160, 225] < 0.1
    assert 0.0 <= hair.min() <= hair.max() <= 1.0 + 1e-5


def test_faces_come_largest_first(parser: FaceParser, portrait: Image) -> None:
    import cv2

    picture = np.zeros((512, 900, 3), np.uint8)
    picture[100:440, :340] = cv2.resize(portrait, (340, 340))
    picture[:, 388:] = portrait
    faces = parser.parse(picture)
    assert len(faces) == 2
    assert faces[0].box[0] > 388 > faces[1].box[2]


def test_small_faces_of_a_large_photo_are_found(parser: FaceParser, portrait: Image) -> None:
    import cv2

    picture = np.full((720, 1280, 3), 96, np.uint8)
    small = cv2.resize(portrait, (200, 200), interpolation=cv2.INTER_AREA)
    picture[60:260, 150:350], picture[400:600, 1000:1200] = small, small
    places = sorted(face.alignment.centre[0] for face in parser.parse(picture))
    # The face is at 222, 125 of 512.
    assert places == pytest.approx([150 + 87, 1000 + 87], abs=6)
    assert all(face.track_id == 0 for face in parser.parse(picture))


def test_no_face_gives_an_empty_list(parser: FaceParser) -> None:
    assert parser.parse(np.full((200, 300, 3), 128, np.uint8)) == []


@pytest.mark.parametrize(
    "bad",
    [np.zeros((8, 8), np.uint8), np.zeros((8, 8, 3), np.float32), np.zeros((8, 8, 4), np.uint8), None],
)
def test_other_images_are_refused(parser: FaceParser, bad: Image) -> None:
    with pytest.raises(ValueError, match="image must be"):
        parser.parse(bad)


@pytest.mark.timeout(60)
def test_threads_may_share_a_parser(parser: FaceParser, portrait: Image) -> None:
    expected = parser.parse(portrait)[0].label_map()
    agree: list[float] = []

    def work() -> None:
        agree.append(float((parser.parse(portrait)[0].label_map() == expected).mean()))

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(40)
    assert len(agree) == 3
    assert min(agree) > 0.999


def test_a_closed_parser_says_so(portrait: Image) -> None:
    parser = FaceParser(backend="openvino", threads=1)
    assert "OpenVINO" in parser.description
    parser.close()
    parser.close()
    with pytest.raises(ValueError, match="closed"):
        parser.parse(portrait)


def test_an_unknown_backend_is_refused() -> None:
    with pytest.raises(EngineError, match="one of auto"):
        FaceParser(backend="magic")


def test_a_parser_that_is_never_closed_ends_quietly() -> None:
    code = "from realtime import FaceParser; parser = FaceParser(threads=1)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr
