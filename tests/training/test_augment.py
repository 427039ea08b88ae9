from __future__ import annotations

from dataclasses import asdict

import cv2
import numpy as np

from stn_icnn.labels import IGNORE, mirror_ids
from tests.conftest import drawn_face
from training.augment import Augmentation, Sample, augment

STILL = Augmentation(0.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)


def test_still_is_still() -> None:
    assert all(value == (name in ("width", "zoom")) for name, value in asdict(STILL).items())


def changed(seed: int = 0, **how: float) -> Sample:
    settings = Augmentation(**{**STILL.__dict__, **how})
    return augment(Sample(*drawn_face(1)), 128, settings, np.random.default_rng(seed))


def test_nothing_asked_nothing_changed() -> None:
    image, label = drawn_face(1)
    sample = changed()
    assert np.abs(sample.image.astype(int) - image).max() <= 1
    assert np.array_equal(sample.label, label)


def test_a_mirror_image_swaps_left_and_right() -> None:
    image, label = drawn_face(1)
    sample = changed(mirror=1)
    assert np.abs(sample.image.astype(int) - image[:, ::-1]).max() <= 1
    assert np.array_equal(sample.label, mirror_ids()[label[:, ::-1]])


def test_image_and_label_move_together() -> None:
    sample = changed(roll_degrees=20, zoom=1.2, shift=0.05)
    colours = np.random.default_rng(99).integers(0, 256, (19, 3))
    known = sample.label != IGNORE
    drawn = colours[np.where(known, sample.label, 0)]
    assert np.abs(sample.image.astype(int) - drawn)[known].mean() < 15


def test_what_lies_beyond_the_photo_is_unknown() -> None:
    labels = [changed(seed, zoom=2.0).label for seed in range(8)]
    smaller = [label for label in labels if (label == IGNORE).any()]
    assert smaller
    assert smaller[0][0, 0] == IGNORE


def test_light_and_damage_leave_labels_alone() -> None:
    _, label = drawn_face(1)
    for seed in range(12):
        sample = changed(seed, light=1.0, degrade=1.0)
        assert sample.image.dtype == np.uint8
        assert np.array_equal(sample.label, label)


def test_what_stands_before_the_face_is_background() -> None:
    image, label = drawn_face(1)
    for seed in range(8):
        sample = changed(seed, occlude=1.0)
        hidden = np.abs(sample.image.astype(int) - image).max(axis=-1) > 40
        assert hidden.any()
        assert (sample.label[sample.label != label] == 0).all()
        seen = cv2.erode((~hidden).astype(np.uint8), np.ones((5, 5), np.uint8)).astype(bool)
        assert (sample.label == label)[seen].mean() > 0.9, "what is seen keeps its label"


def test_a_grey_image_has_no_colour() -> None:
    sample = changed(grey=1.0)
    assert (sample.image[..., 0] == sample.image[..., 2]).all()


def test_a_cut_picture_repeats_its_last_line_and_knows_nothing_there() -> None:
    sides = set()
    for seed in range(12):
        sample = changed(seed, cut=1.0)
        lost = sample.label == IGNORE
        assert 0.04 < lost.mean() < 0.41
        rows = lost.all(axis=1)
        sides.add((bool(rows.any()), bool(lost[0, 0]), bool(lost[-1, -1])))
        if rows.any() and lost[0, 0]:
            assert (sample.image[0] == sample.image[rows.sum() - 1]).all()
    assert len(sides) == 4, "every side is cut"


def test_the_mean_crop_is_as_wide_as_asked() -> None:
    lost = [(changed(seed, width=2.0).label == IGNORE).mean() for seed in range(8)]
    unknown = [share for share in lost if share > 0]
    assert len(unknown) > 4
    assert np.allclose(unknown, 0.75, atol=0.01)


def test_black_bars_are_nobodys() -> None:
    framed = [changed(seed, width=2.0) for seed in range(30)]
    bars = [sample for sample in framed if not (sample.label == IGNORE).any()]
    assert 1 <= len(bars) <= 10
    for sample in bars:
        assert not sample.label[:28].any()
        assert not sample.image[:28].any()


def test_one_face_in_so_many_is_turned_far() -> None:
    moved = [changed(seed, turn=0.5).label for seed in range(40)]
    still = sum(np.array_equal(label, drawn_face(1)[1]) for label in moved)
    assert 10 <= still <= 30
