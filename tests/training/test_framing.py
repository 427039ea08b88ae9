from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from realtime.sources.demo import demo_portrait
from stn_icnn.checkpoint import Checkpoint
from stn_icnn.labels import CLASS_ID, IGNORE
from tests.conftest import Image
from tests.training.test_label import face_points, known, sure_of
from training.__main__ import main
from training.data import DataError, read_pair
from training.framing import WIDE_SIDE, Surroundings, framed
from training.label import merge

HAIR, SKIN, CLOTH = CLASS_ID["hair"], CLASS_ID["skin"], CLASS_ID["cloth"]


@pytest.fixture(scope="module")
def surroundings() -> Surroundings:
    return Surroundings(2.2)


def folder_of(path: Path, image: Image, **labels: Image) -> Path:
    for name in ("images", *labels):
        (path / name).mkdir(parents=True)
    cv2.imwrite(str(path / "images" / "a.jpg"), image[..., ::-1])
    for name, label in labels.items():
        cv2.imwrite(str(path / name / "a.png"), label)
    return path


def test_a_photo_is_framed_by_the_face_found_in_it(surroundings: Surroundings, tmp_path: Path) -> None:
    portrait = demo_portrait()
    hair = np.zeros(portrait.shape[:2], np.uint8)
    hair[:60] = HAIR
    source = folder_of(tmp_path / "photos", portrait, labels=hair)
    seen = framed(source, source / "images" / "a.jpg", surroundings)
    assert seen is not None
    assert seen.image.shape == (WIDE_SIDE, WIDE_SIDE, 3)
    # The portrait ends inside of 2.2 frames: there its hair labels are unknown.
    assert 0.1 < seen.outside.mean() < 0.9
    assert seen.hair is not None
    assert set(np.unique(seen.hair)) == {0, HAIR, IGNORE}
    assert (seen.hair[seen.outside] != HAIR).mean() > 0.99
    assert seen.person is not None
    middle = WIDE_SIDE // 2
    assert seen.person[middle, middle] == 1.0
    assert seen.others is not None
    assert not seen.others[middle - 60 : middle + 60, middle - 60 : middle + 60].any()


def test_where_no_face_is_found_nothing_is_framed(surroundings: Surroundings, tmp_path: Path) -> None:
    source = folder_of(tmp_path / "photos", np.full((200, 200, 3), 127, np.uint8))
    assert framed(source, source / "images" / "a.jpg", surroundings) is None


def test_places_nearer_to_another_face_are_its(surroundings: Surroundings) -> None:
    portrait = demo_portrait()[:, 132:312]
    pair = np.hstack([portrait, portrait[:, ::-1]])
    first = surroundings.align(pair)
    assert first is not None
    square = first.crop(pair, WIDE_SIDE)
    others = surroundings.told(known(square[..., 0])._replace(image=square)).others
    assert others is not None
    assert 0.03 < others.mean() < 0.5
    assert not others[256, 256]
    # All of it lies on the other one's side.
    columns = np.flatnonzero(others.any(axis=0))
    assert columns.min() > 256 or columns.max() < 256


def test_nobodys_places_and_other_peoples_are_background() -> None:
    label = np.full((4, 4), HAIR, np.uint8)
    person = np.ones((4, 4), np.float32)
    person[0] = 0.0
    others = np.zeros((4, 4), bool)
    others[:, 0] = True
    merged = merge(sure_of(label), 0.6, known(label, person=person, others=others))
    assert not merged[0].any()
    assert not merged[:, 0].any()
    assert (merged[1:, 1:] == HAIR).all()
    # What is known to be hair stays so.
    merged = merge(sure_of(label), 0.6, known(label, person=person, hair=label))
    assert (merged == HAIR).all()


def test_points_may_say_how_much_of_a_square_is_photo(tmp_path: Path, surroundings: Surroundings) -> None:
    wild = folder_of(tmp_path / "wild", demo_portrait())
    for name in ("points", "valid"):
        (wild / name).mkdir()
    np.savetxt(wild / "points" / "a.txt", face_points() * 1.5)
    (wild / "valid" / "a.txt").write_text("10 20 180 190")
    seen = framed(wild, wild / "images" / "a.jpg", surroundings)
    assert seen is not None
    assert seen.outlines is not None
    assert seen.outlines["lips"].any()
    assert seen.outside.any()
    (wild / "valid" / "a.txt").write_text("10 20 180")
    with pytest.raises(DataError, match=r"valid/a\.txt: x0 y0 x1 y1 expected"):
        framed(wild, wild / "images" / "a.jpg", surroundings)


def test_wide_photos_are_labelled_and_bare_shoulders_left_out(
    tiny_checkpoint: Checkpoint,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def dressed(teacher: object, image: Image) -> object:
        label = np.full(image.shape[:2], CLOTH, np.uint8)
        label[200:300, 200:300] = SKIN
        return sure_of(label)

    monkeypatch.setattr("training.label.teach", dressed)
    source = folder_of(tmp_path / "photos", demo_portrait())
    cv2.imwrite(str(source / "images" / "b.jpg"), np.full((100, 100, 3), 90, np.uint8))
    args = ["--weights", str(tiny_checkpoint.path), "--data", str(source), "--out", str(tmp_path / "out")]
    assert main(["label", *args, "--frames", "2.2"]) == 0
    assert "labelled: 1 faces" in capsys.readouterr().out, "no face is found in the other"
    image, label = read_pair(tmp_path / "out", "a")
    assert image.shape == (WIDE_SIDE, WIDE_SIDE, 3)
    assert (label[200:300, 200:300] == SKIN).mean() > 0.9
    assert (label == CLOTH).any()
    # Right below the middle lie chin and neck, of the skin's colour.
    assert (label[300:330, 230:280] == IGNORE).mean() > 0.2


@pytest.mark.parametrize("frames", ["0.9", "5", "nan"])
def test_a_width_out_of_range_is_a_usage_error(frames: str, tmp_path: Path) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["label", "--data", str(tmp_path), "--out", str(tmp_path), "--frames", frames])
    assert caught.value.code == 2
