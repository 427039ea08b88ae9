from __future__ import annotations

import numpy as np

from stn_icnn.labels import CLASS_ID
from tests.training.test_mixing import person
from training.augment import Augmentation
from training.backdrops import draw_backdrop
from training.mixing import mix


def test_backdrops_are_pictures_of_many_kinds() -> None:
    drawn = [draw_backdrop(64, np.random.default_rng(seed)) for seed in range(24)]
    assert all(image.shape == (64, 64, 3) and image.dtype == np.uint8 for image in drawn)
    means = [float(image.mean()) for image in drawn]
    assert min(means) < 50
    assert max(means) > 200
    assert sum(float(image.std()) > 15 for image in drawn) > 8
    again = draw_backdrop(64, np.random.default_rng(3))
    assert np.array_equal(drawn[3], again), "a function of its seed"


def test_a_person_stands_before_a_drawn_backdrop() -> None:
    sample = person()
    mixed = mix(sample, Augmentation(drawn=1.0), lambda *_: None, np.random.default_rng(1))
    assert np.array_equal(mixed.label, sample.label)
    inside = sample.label == CLASS_ID["nose"]
    assert np.array_equal(mixed.image[inside], sample.image[inside])
    behind = sample.label == 0
    assert not np.array_equal(mixed.image[behind], sample.image[behind])
