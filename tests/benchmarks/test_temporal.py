from __future__ import annotations

import cv2
import numpy as np
import pytest

from benchmarks.temporal import MOST_OCCLUDED, Agreement, compare_labels, temporal_agreement, warp_labels
from stn_icnn.labels import CLASS_ID, IGNORE
from tests.conftest import Image

SKIN, HAIR = CLASS_ID["skin"], CLASS_ID["hair"]


def picture(seed: int = 0) -> Image:
    """Something that flow can follow: soft spots of any colour, (180, 240, 3)."""
    spots = np.random.default_rng(seed).integers(0, 256, (24, 32, 3), np.uint8)
    return np.asarray(cv2.resize(spots, (240, 180), interpolation=cv2.INTER_CUBIC), np.uint8)


def drawn_labels() -> Image:
    labels = np.zeros((180, 240), np.uint8)
    labels[40:80, 80:160] = HAIR
    labels[80:140, 80:160] = SKIN
    return labels


def moved(image: Image, x: int, y: int) -> Image:
    matrix = np.array([[1.0, 0.0, x], [0.0, 1.0, y]])
    shifted = cv2.warpAffine(image, matrix, image.shape[1::-1], flags=cv2.INTER_NEAREST)
    return np.asarray(shifted, np.uint8)


def agreement(earlier: Image, one: Image, later: Image, other: Image) -> Agreement:
    found = temporal_agreement(earlier, one, later, other)
    assert found is not None
    return found


def test_labels_that_move_with_the_picture_agree() -> None:
    found = agreement(picture(), drawn_labels(), moved(picture(), 4, 3), moved(drawn_labels(), 4, 3))
    assert found.iou == pytest.approx(1.0, abs=0.02)
    assert found.changed.share == pytest.approx(0.0, abs=0.01)


def test_labels_that_lag_behind_the_picture_do_not() -> None:
    found = agreement(picture(), drawn_labels(), moved(picture(), 8, 0), drawn_labels())
    assert found.iou is not None
    assert found.iou < 0.9
    assert (found.changed.share or 0.0) > 0.1


def test_a_part_that_flickers_is_found() -> None:
    bald = drawn_labels()
    bald[bald == HAIR] = 0
    found = agreement(picture(), drawn_labels(), picture(), bald)
    # Hair 0, skin 1; of 40 + 60 lines of labels 40 changed.
    assert found.iou == pytest.approx(0.5)
    assert found.changed.share == pytest.approx(0.4)


def test_a_face_lost_for_a_frame_agrees_in_nothing() -> None:
    found = agreement(picture(), drawn_labels(), picture(), np.zeros((180, 240), np.uint8))
    assert (found.iou, found.changed.share) == (0.0, 1.0)


def test_frames_without_a_face_have_nothing_to_compare() -> None:
    empty = np.zeros((180, 240), np.uint8)
    found = agreement(picture(), empty, picture(), empty)
    assert (found.iou, found.changed.share) == (None, None)


def test_what_is_uncovered_is_not_counted() -> None:
    later = picture()
    later[60:120, 60:120] = 255 - later[60:120, 60:120]
    labels = drawn_labels()
    warped = warp_labels(picture(), labels, later)
    assert (warped[65:115, 65:115] == IGNORE).mean() > 0.8
    changed = labels.copy()
    changed[60:120, 60:120] = 0
    plain, masked = compare_labels(labels, changed), compare_labels(warped, changed)
    assert (masked.changed.share or 0.0) < 0.3 * (plain.changed.share or 0.0)


def test_what_enters_the_picture_is_not_counted() -> None:
    warped = warp_labels(picture(), np.full((180, 240), HAIR, np.uint8), moved(picture(), 12, 0))
    assert (warped[:, :10] == IGNORE).mean() > 0.5
    assert (warped[:, 30:210] == HAIR).mean() > 0.99


def test_a_cut_has_no_correspondence() -> None:
    assert 0.0 < MOST_OCCLUDED < 1.0
    assert temporal_agreement(picture(1), drawn_labels(), picture(2), drawn_labels()) is None


@pytest.mark.parametrize("size", [(1, 1), (8, 200), (14, 1500), (1200, 1600)])
def test_any_size_is_taken(size: tuple[int, int]) -> None:
    image = np.asarray(cv2.resize(picture(), size[::-1]), np.uint8)
    labels = np.full(size, SKIN, np.uint8)
    found = temporal_agreement(image, labels, image, labels)
    assert (found is None) if min(size) < 16 else (found is not None and found.iou == 1.0)
