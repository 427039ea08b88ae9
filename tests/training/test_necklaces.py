from __future__ import annotations

import numpy as np
import pytest

from stn_icnn.labels import CLASS_ID
from training.augment import Augmentation, Sample, augment
from training.necklaces import draw_necklace

SIDE = 192
NECK, CLOTH, HAIR = CLASS_ID["neck"], CLASS_ID["cloth"], CLASS_ID["hair"]
NECKLACE = CLASS_ID["neck_l"]


def bust() -> Sample:
    """Return a chin, a neck between two strands of hair, and a collar."""
    label = np.zeros((SIDE, SIDE), np.uint8)
    label[60:] = CLASS_ID["skin"]
    label[130:, 50:140] = NECK
    label[165:] = CLOTH
    label[100:, 40:60] = HAIR
    return Sample(np.full((SIDE, SIDE, 3), 128, np.uint8), label)


def test_necklaces_lie_on_neck_and_clothes_alone() -> None:
    image, label = bust()
    sizes = []
    for seed in range(30):
        drawn, changed = draw_necklace(image, label, np.random.default_rng(seed))
        worn = changed == NECKLACE
        assert (changed == label)[~worn].all()
        assert np.isin(label[worn], (NECK, CLOTH)).all()
        touched = (drawn != image).any(axis=2)
        assert np.isin(label[touched], (NECK, CLOTH)).all()
        sizes.append(worn.mean())
    assert np.mean([size > 0.0005 for size in sizes]) > 0.8
    assert max(sizes) < 0.1
    assert (image == 128).all(), "the photo itself stays as it is"


def test_what_is_labelled_is_seen() -> None:
    image, label = bust()
    for seed in range(10):
        drawn, changed = draw_necklace(image, label, np.random.default_rng(seed))
        worn = changed == NECKLACE
        if worn.sum() > 20:
            assert (drawn != image).any(axis=2)[worn].mean() > 0.95


@pytest.mark.parametrize("left", [0, 3])
def test_without_a_neck_nothing_is_drawn(left: int) -> None:
    image, label = bust()
    label[label == NECK] = CLOTH
    label[150:160, 80 : 80 + left] = NECK
    drawn, changed = draw_necklace(image, label, np.random.default_rng(0))
    assert (drawn == image).all()
    assert (changed == label).all()


def test_as_many_faces_wear_one_as_asked() -> None:
    def share(chance: float) -> float:
        how = Augmentation(necklace=chance, occlude=0.0, cut=0.0)
        labels = [augment(bust(), SIDE, how, np.random.default_rng(seed)).label for seed in range(60)]
        return float(np.mean([(label == NECKLACE).any() for label in labels]))

    assert share(0.0) == 0.0
    assert 0.3 < share(0.5) < 0.7
