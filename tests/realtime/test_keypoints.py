from __future__ import annotations

import numpy as np
import pytest

from realtime.faces.keypoints import (
    align_keypoints,
    complete_keypoints,
    detected_keypoints,
    find_keypoints,
    similarity,
)
from realtime.faces.parsing import parse_crops
from realtime.faces.tracks import associate, carried, describe_appearance, lies_on, same_place
from realtime.faces.views import View, further_views
from realtime.frames import Image
from realtime.frames.halvings import Halvings
from tests.realtime.scene import PARTS, ColourEngine, DrawnFace, scene

UNKNOWN = np.full((4, 2), np.nan)
ORDER = ("r_eye", "l_eye", "mouth", "nose")


@pytest.mark.parametrize("roll", [0.0, 40.0, -90.0])
def test_anchors_are_the_middles_of_the_parsed_parts(roll: float) -> None:
    face = DrawnFace(300, 180, roll=roll)
    alignment = align_keypoints(detected_keypoints(face.detection()))
    (parsed,), _ = parse_crops(Halvings(scene([face]).image), [face.detection()], [alignment], ColourEngine())
    keypoints = find_keypoints(parsed.probabilities, parsed.classes, alignment, UNKNOWN)
    for row, name in enumerate(ORDER):
        assert keypoints[row] == pytest.approx(face.point(*PARTS[name][0]), abs=1.5), name


def test_a_part_that_is_hidden_has_no_anchor_and_moves_with_the_others() -> None:
    face = DrawnFace(300, 180)
    image = np.full((360, 640, 3), 90, np.uint8)
    face.draw(image, hidden=("l_eye",))
    alignment = align_keypoints(detected_keypoints(face.detection()))
    (parsed,), _ = parse_crops(Halvings(image), [face.detection()], [alignment], ColourEngine())
    keypoints = find_keypoints(parsed.probabilities, parsed.classes, alignment, UNKNOWN)
    assert np.isnan(keypoints[1]).all()
    before = DrawnFace(280, 170, eyes=36.0, roll=10.0)
    known = np.array([before.point(*PARTS[name][0]) for name in ORDER])
    assert complete_keypoints(keypoints, known)[1] == pytest.approx(face.point(0.5, 0.0), abs=3)


def test_a_neighbour_does_not_pull() -> None:
    face, neighbour = DrawnFace(250, 180), DrawnFace(345, 180)
    alignment = align_keypoints(detected_keypoints(face.detection()))
    (parsed,), _ = parse_crops(
        Halvings(scene([neighbour, face]).image), [face.detection()], [alignment], ColourEngine()
    )
    expected = detected_keypoints(face.detection())
    keypoints = find_keypoints(parsed.probabilities, parsed.classes, alignment, expected)
    assert keypoints[0] == pytest.approx(face.point(-0.5, 0.0), abs=2)
    assert keypoints[1] == pytest.approx(face.point(0.5, 0.0), abs=2)


def test_similarity_is_exact_where_it_can_be() -> None:
    points = np.array([[0.0, 0.0], [10.0, 0.0], [4.0, 8.0]])
    turn = np.array([[0.0, -2.0], [2.0, 0.0]])
    found = similarity(points, points @ turn.T + (5.0, -3.0))
    assert found == pytest.approx(np.column_stack([turn, [5.0, -3.0]]))
    assert similarity(points[:1], points[:1] + 7.0) == pytest.approx(np.array([[1, 0, 7], [0, 1, 7]]))
    assert similarity(points[:0], points[:0]) == pytest.approx(np.eye(2, 3))


def test_a_detection_is_carried_with_its_face() -> None:
    before, after = DrawnFace(200, 150, 40), DrawnFace(260, 170, 60)
    moved = carried(
        before.detection(), detected_keypoints(before.detection()), detected_keypoints(after.detection())
    )
    assert moved.box == pytest.approx(after.detection().box, abs=1e-6)
    assert moved.left_eye == pytest.approx(after.detection().left_eye)


def test_places_are_compared_by_distance_and_size() -> None:
    here = detected_keypoints(DrawnFace(200, 150, 40).detection())
    assert same_place(here, detected_keypoints(DrawnFace(215, 150, 42).detection()))
    assert not same_place(here, detected_keypoints(DrawnFace(260, 150, 40).detection()))
    small = detected_keypoints(DrawnFace(200, 150, 20).detection())
    assert not same_place(here, small)
    assert lies_on(small, here)


def test_nothing_is_matched_with_nothing() -> None:
    assert associate([], [], [], 0.0) == {}


def test_looks_do_not_change_with_the_light() -> None:
    rng = np.random.default_rng(0)
    crop: Image = rng.integers(0, 100, (64, 64, 3), dtype=np.uint8)
    assert np.abs(describe_appearance(crop) - describe_appearance(crop + np.uint8(50))).max() < 0.02


@pytest.mark.parametrize("quarters", [0, 1, 2, 3])
def test_a_view_shows_a_part_of_the_frame_and_knows_the_way_back(quarters: int) -> None:
    image = np.zeros((60, 100, 3), np.uint8)
    image[25, 70] = 255
    view = View(40, 10, 50, 40, quarters)
    picture = view.cut(image)
    assert picture.shape == ((40, 50, 3) if quarters % 2 == 0 else (50, 40, 3))
    y, x = np.argwhere(picture[..., 0])[0]
    face = DrawnFace(float(x), float(y), eyes=0.0).detection()
    back = view.back(face)
    assert back.right_eye == (70.0, 25.0)
    assert back.box == (70.0, 25.0, 70.0, 25.0)


def test_boxes_that_leave_their_view_are_known() -> None:
    view = View(0, 0, 100, 100)
    assert view.holds(DrawnFace(50, 50, 10).detection())
    assert not view.holds(DrawnFace(90, 50, 10).detection())


@pytest.mark.parametrize(("height", "width"), [(720, 1280), (1080, 1920), (480, 640), (2160, 3840)])
def test_tiles_cover_the_frame_and_overlap(height: int, width: int) -> None:
    views = further_views(height, width)
    covered = np.zeros((height, width), bool)
    for view in (view for group in views for view in group):
        if not view.quarters:
            assert view.x + view.width <= width
            assert view.y + view.height <= height
            covered[view.y : view.y + view.height, view.x : view.x + view.width] = True
    assert len(views) == 1 or covered.all()
    assert len(views) <= 20
