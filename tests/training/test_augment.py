from __future__ import annotations

import numpy as np

from stn_icnn.labels import IGNORE, mirror_ids
from tests.conftest import drawn_face
from training.augment import Augmentation, Sample, augment

STILL = Augmentation(mirror=0, roll_degrees=0, zoom=1, shift=0, light=0, degrade=0, occlude=0)


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


def test_what_an_occluder_hides_is_unknown() -> None:
    _, label = drawn_face(1)
    sample = changed(3, occlude=1.0)
    hidden = sample.label == IGNORE
    assert hidden.any()
    assert np.array_equal(sample.label[~hidden], label[~hidden])
