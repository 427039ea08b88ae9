from __future__ import annotations

import math

import numpy as np
import pytest

from benchmarks.quality import (
    PERSON_MARGIN,
    Tally,
    border_share,
    face_count_errors,
    hair_outside_person,
)
from realtime.frames.geometry import Alignment
from stn_icnn.labels import CLASS_ID

HAIR, HAT, SKIN, CLOTH = (CLASS_ID[name] for name in ("hair", "hat", "skin", "cloth"))
# A crop well inside an image, and its label map's side.
INSIDE, IMAGE_SIZE, SIDE = Alignment((320.0, 240.0), 200.0, 0.0), (480, 640), 100


def test_a_phantom_and_a_lost_face_are_counted_where_the_number_is_known() -> None:
    many, few = face_count_errors([1, 2, 1, 0, 3], [1, 1, 1, 1, None])
    assert (many, few) == (Tally(1, 4), Tally(1, 4))
    assert face_count_errors([1, 1], [1, 1]) == (Tally(0, 2), Tally(0, 2))
    assert face_count_errors([1], [None])[0].share is None
    with pytest.raises(ValueError, match="zip"):
        face_count_errors([1, 1], [1])


def test_tallies_are_pooled_by_pixels_not_by_frames() -> None:
    assert (Tally(1, 1) + Tally(0, 9)).share == pytest.approx(0.1)


def _person() -> np.ndarray:
    person = np.zeros((144, 256), np.float32)
    person[40:, 100:150] = 1.0
    return person


def test_hair_on_the_person_is_clean_and_hair_on_the_wall_is_not() -> None:
    labels = np.zeros((288, 512), np.uint8)
    labels[80:120, 200:300] = HAIR
    assert hair_outside_person(labels, _person()) == Tally(0, 4000)
    labels[100:140, 400:450] = HAIR
    assert hair_outside_person(labels, _person()) == Tally(2000, 6000)


def test_clothes_and_skin_on_the_wall_are_not_hair() -> None:
    labels = np.full((288, 512), CLOTH, np.uint8)
    labels[:, 256:] = SKIN
    assert hair_outside_person(labels, _person()).share is None


def test_the_segmenters_own_edge_is_forgiven_and_no_more() -> None:
    labels = np.zeros((144, 256), np.uint8)
    labels[90, 150 : 150 + PERSON_MARGIN] = HAIR
    assert hair_outside_person(labels, _person()) == Tally(0, PERSON_MARGIN)
    labels[90, 150 + PERSON_MARGIN] = HAIR
    assert hair_outside_person(labels, _person()) == Tally(1, PERSON_MARGIN + 1)


def test_hair_is_not_judged_where_the_segmenter_missed_the_person() -> None:
    labels = np.zeros((144, 256), np.uint8)
    labels[60:100, 180:220], labels[100:130, 180:220] = HAIR, SKIN
    assert hair_outside_person(labels, _person()) == Tally()
    # Half of the face is seen: then hair counts.
    labels[100:130, 105:145] = SKIN
    assert hair_outside_person(labels, _person()) == Tally(1600, 1600)


def test_a_head_inside_its_crop_is_clean() -> None:
    labels = np.zeros((SIDE, SIDE), np.uint8)
    labels[4:60, 10:90] = HAIR
    labels[60:] = CLOTH
    assert border_share(labels, INSIDE, IMAGE_SIZE) == Tally(0, SIDE**2 - (SIDE - 6) ** 2)


@pytest.mark.parametrize("part", [HAIR, HAT])
def test_a_head_cut_off_in_a_line_is_found(part: int) -> None:
    labels = np.zeros((SIDE, SIDE), np.uint8)
    labels[:50, 30:70] = part
    assert border_share(labels, INSIDE, IMAGE_SIZE).faults == 3 * 40


def test_a_head_cut_off_by_the_image_is_no_fault_of_the_crop() -> None:
    labels = np.zeros((SIDE, SIDE), np.uint8)
    labels[:50, 30:70] = HAIR
    beyond = Alignment((320.0, 60.0), 200.0, 0.0)
    assert border_share(labels, beyond, IMAGE_SIZE).faults == 0
    # The image ends where the crop does: there is nothing that the crop could have shown.
    flush = Alignment((320.0, 100.0), 200.0, 0.0)
    assert border_share(labels, flush, IMAGE_SIZE).faults == 0
    upside_down = Alignment((320.0, 60.0), 200.0, math.pi)
    assert border_share(labels, upside_down, IMAGE_SIZE).faults == 3 * 40


def test_a_crop_that_holds_the_whole_image_has_no_border() -> None:
    labels = np.full((SIDE, SIDE), HAIR, np.uint8)
    assert border_share(labels, Alignment((320.0, 240.0), 900.0, 0.0), IMAGE_SIZE).share is None
