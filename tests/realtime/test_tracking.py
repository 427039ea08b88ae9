from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from realtime.faces.keypoints import align_keypoints, detected_keypoints
from realtime.faces.views import further_views
from realtime.frames import Frame, ParsedFrame
from tests.realtime.scene import DARK, FAIR, DrawnFace, scene
from tests.realtime.stage import Stage, ids


def by_place(parsed: ParsedFrame) -> list[int]:
    """Identities from left to right."""
    faces = sorted(parsed.faces, key=lambda face: face.alignment.centre[0])
    return [face.track_id for face in faces]


def test_a_face_is_followed_by_its_parsing_between_detections() -> None:
    stage = Stage(every=10)
    for step in range(30):
        face = DrawnFace(150 + 8 * step, 150 + step, 40 + step / 2, roll=step)
        parsed = stage.show(face, found=[face] if step == 0 else [])
        assert ids(parsed) == [1], step
        crop, wanted = parsed.faces[0].alignment, face.detection()
        assert np.hypot(*np.subtract(crop.centre, face.point(0.0, 0.1))) < 0.1 * crop.side, step
        assert np.rad2deg(crop.roll) == pytest.approx(face.roll, abs=6), step
        assert parsed.faces[0].detection.left_eye == pytest.approx(wanted.left_eye, abs=0.1 * crop.side)
    assert stage.detector.asked == 3, "once every ten frames"


def test_a_face_that_jumps_is_parsed_again_where_it_went() -> None:
    stage = Stage(every=100)
    stage.show(DrawnFace(200, 150))
    stage.show(DrawnFace(200, 150))
    calls = stage.engine.calls
    (face,) = stage.show(DrawnFace(235, 150), found=[]).faces
    assert stage.engine.calls == calls + 2
    assert face.track_id == 1
    assert face.alignment.centre[0] == pytest.approx(235, abs=4)


def test_a_still_face_keeps_its_very_crop() -> None:
    stage = Stage()
    crops = {stage.show(DrawnFace(200, 150)).faces[0].alignment for _ in range(12)}
    assert len(crops) <= 2, "the first is the detector's"


def test_the_detector_rests_while_faces_are_followed_and_works_while_there_are_none() -> None:
    stage = Stage(every=5)
    for _ in range(10):
        stage.show()
    assert stage.detector.asked == 10
    for _ in range(20):
        stage.show(DrawnFace(200, 150))
    assert stage.detector.asked <= 10 + 5


def test_a_new_face_is_found_within_the_interval_and_shown_after_the_delay() -> None:
    stage = Stage(every=4)
    first, second = DrawnFace(150, 150), DrawnFace(450, 150)
    for _ in range(5):
        stage.show(first)
    shown = [len(stage.show(first, second).faces) for _ in range(6)]
    assert shown == [1] * 5 + [2], "found in the fourth, shown two later"


def test_a_face_that_left_is_not_shown_and_not_remembered_for_long() -> None:
    stage = Stage()
    face = DrawnFace(200, 150)
    for _ in range(6):
        stage.show(face)
    assert ids(stage.show()) == [], "never a stale mask"
    for _ in range(10):
        assert ids(stage.show()) == []
    assert ids(stage.show(face)) == [1], "back within a second, it is the same"
    for _ in range(60):
        stage.show()
    assert [ids(stage.show(face)) for _ in range(3)] == [[], [], [2]]


def test_a_missed_detection_changes_nothing() -> None:
    stage = Stage(every=1)
    face = DrawnFace(200, 150)
    stage.show(face)
    for _ in range(10):
        assert ids(stage.show(face, found=[])) == [1]


def test_a_cut_forgets_everyone() -> None:
    stage = Stage()
    face = DrawnFace(200, 150)
    for _ in range(4):
        stage.show(face)
    other = scene([face], stage.index)
    rng = np.random.default_rng(0)
    ground = np.repeat(np.repeat(rng.integers(0, 255, (9, 16, 1), dtype=np.uint8), 40, 0), 40, 1)
    image = np.where(other.image == 90, ground, other.image)
    parsed = stage.tracker.update(Frame(image, 4, other.time, 0.0))
    assert ids(parsed) == [2]


def test_a_gap_in_time_forgets_everyone() -> None:
    stage = Stage()
    stage.show(DrawnFace(200, 150))
    later = replace(scene([DrawnFace(200, 150)]), time=Fraction(10))
    assert ids(stage.tracker.update(later)) == [2]


def test_identities_survive_a_crossing() -> None:
    stage = Stage(every=3)
    names: dict[str, set[int]] = {"fair": set(), "dark": set()}
    for step in range(60):
        # The dark face passes before the fair one and hides it for a while.
        fair, dark = DrawnFace(200 + 4 * step, 150, skin=FAIR), DrawnFace(440 - 4 * step, 156, skin=DARK)
        apart = abs(fair.x - dark.x)
        found = [fair, dark] if apart > 60 else [dark]
        parsed = stage.show(fair, dark, found=found)
        if apart > 160:
            assert len(parsed.faces) == 2, step
            left, right = by_place(parsed)
            names["fair" if fair.x < dark.x else "dark"].add(left)
            names["dark" if fair.x < dark.x else "fair"].add(right)
        elif apart < 30:
            assert len(parsed.faces) == 1, "one face is seen, and one is shown"
    assert all(len(each) == 1 for each in names.values()), names
    assert names["fair"] != names["dark"]


def test_only_the_largest_are_followed_and_equals_do_not_alternate() -> None:
    stage = Stage(max_faces=2, every=2)
    faces = [DrawnFace(100, 150, 30), DrawnFace(300, 150, 40), DrawnFace(520, 150, 39.5)]
    shown = {tuple(sorted(ids(stage.show(*faces)))) for _ in range(12)}
    assert len(shown) == 1
    parsed = stage.show(*faces)
    assert [round(face.alignment.centre[0] / 100) for face in parsed.faces] == [3, 5]


def test_a_detection_without_a_face_is_never_shown() -> None:
    stage = Stage()
    ghost = DrawnFace(450, 150)
    stage.detector.faces = [replace(ghost.detection(), score=0.55)]
    parsed = stage.tracker.update(scene([], 0))
    assert ids(parsed) == []


def test_a_second_look_at_a_face_makes_no_second_identity() -> None:
    stage = Stage(every=1)
    face = DrawnFace(200, 150)
    stage.show(face)
    odd = replace(face, eyes=face.eyes * 0.5, x=face.x + 8)
    for _ in range(5):
        assert ids(stage.show(face, found=[face, odd])) == [1]


def test_a_face_on_its_side_is_found_in_the_turned_frame() -> None:
    stage = Stage()
    lying = DrawnFace(320, 180, roll=90)
    frame = scene([lying])
    width = frame.image.shape[1]
    # As the detector sees it in the frame turned by a quarter, counter-clockwise: upright.
    upright = DrawnFace(180, width - 1 - 320)
    stage.detector.turned = [upright.detection()]
    parsed: ParsedFrame | None = None
    for index in range(4):
        parsed = stage.tracker.update(scene([lying], index))
        if parsed.faces:
            break
    assert parsed is not None
    (face,) = parsed.faces
    assert np.rad2deg(face.alignment.roll) == pytest.approx(90, abs=5)


def test_a_better_look_in_a_further_view_takes_the_place_of_a_worse_one() -> None:
    stage, lying = Stage(), DrawnFace(320, 180, roll=90)
    upright = DrawnFace(180, 639 - 320)
    stage.detector.turned = [upright.detection(0.9)]
    # As whole frames show lying heads: about there, hardly turned, and of low score.
    stage.detector.faces = [replace(lying, roll=40).detection(0.55)]
    for index in range(8):
        (face,) = stage.tracker.update(scene([lying], index)).faces
        assert np.rad2deg(face.alignment.roll) == pytest.approx(90, abs=6), index


@pytest.mark.parametrize("thorough", [False, True])
@pytest.mark.parametrize("score", [0.9, 0.55])
def test_a_detection_must_parse_as_a_face(score: float, thorough: bool) -> None:
    stage = Stage(thorough=thorough)
    stage.detector.faces = [DrawnFace(200, 150).detection(score)]
    assert not any(stage.tracker.update(scene([], index)).faces for index in range(12))


def seen_lying(face: DrawnFace, hidden: tuple[str, ...], whole: bool) -> bool:
    """Say whether a face on its side is found that the whole frame or a turned view doubtfully shows."""
    frame, stage = scene([]), Stage(thorough=True)
    face.draw(frame.image, hidden)
    if whole:
        stage.detector.faces = [face.detection(0.55)]
    else:
        stage.detector.turned = [DrawnFace(180, 639 - 320).detection(0.55)]
    return bool(stage.tracker.update(frame).faces)


def test_nose_and_mouth_are_enough_where_the_whole_frame_shows_a_face() -> None:
    lying, eyes = DrawnFace(320, 180, roll=90), ("r_eye", "l_eye")
    assert seen_lying(lying, eyes, whole=True)
    assert not seen_lying(lying, eyes, whole=False)
    assert not seen_lying(lying, (*eyes, "mouth"), whole=True)
    assert seen_lying(lying, ("r_eye",), whole=False)


def test_dark_glasses_stand_for_the_eyes() -> None:
    assert seen_lying(DrawnFace(320, 180, roll=90, glasses=True), ("r_eye", "l_eye"), whole=False)


@pytest.mark.parametrize("score", [0.55, 0.9])
def test_of_two_looks_at_a_face_the_one_that_parses_is_taken(score: float) -> None:
    for roll in (90, 0):
        stage, face = Stage(), DrawnFace(320, 180, roll=roll)
        # The whole frame shows it upright, the turned one lying, whichever it is.
        stage.detector.faces = [DrawnFace(320, 180).detection(score)]
        stage.detector.turned = [DrawnFace(180, 639 - 320).detection(0.6)]
        (parsed,) = stage.tracker.update(scene([face])).faces
        assert np.rad2deg(parsed.alignment.roll) == pytest.approx(roll, abs=6)
        assert parsed.detection.left_eye == pytest.approx(face.detection().left_eye, abs=4)
        for step in range(1, 6):
            stage.detector.turned = []
            (parsed,) = stage.tracker.update(scene([face], step)).faces
            assert parsed.track_id == 1
            assert np.rad2deg(parsed.alignment.roll) == pytest.approx(roll, abs=6)


def test_a_thorough_tracker_searches_every_view_and_looks_twice_at_once() -> None:
    face = DrawnFace(320, 180)
    for thorough in (False, True):
        stage = Stage(thorough=thorough)
        # A keypoint is off by a little, as they are.
        found = face.detection()
        stage.detector.faces = [replace(found, mouth=(found.mouth[0] + 4.0, found.mouth[1] + 6.0))]
        (parsed,) = stage.tracker.update(scene([face])).faces
        exact = stage.engine.calls == 2
        assert exact == thorough
        off = abs(parsed.alignment.side - align_keypoints(detected_keypoints(found)).side)
        assert (off < 3.0) == thorough
        views = further_views(360, 640)
        assert stage.detector.searched == (sum(map(len, views)) if thorough else len(views[0]))


@pytest.mark.parametrize("tta", [1, 3])
def test_frames_and_results_never_part(tta: int) -> None:
    stage = Stage(smoothing=0.75, tta=tta)
    for step in range(10):
        face = DrawnFace(150 + 12 * step, 150)
        parsed = stage.show(face)
        labels = parsed.faces[0].label_map()
        nose = np.argwhere(labels == 2).mean(axis=0)
        assert nose[::-1] == pytest.approx(face.point(0.0, 0.55), abs=3), step


def test_a_step_back_in_time_begins_anew_as_a_fresh_run_does() -> None:
    def planes(stage: Stage, first: int) -> list[bytes]:
        stage.index = first
        shown = [stage.show(DrawnFace(200 + 3 * step, 150)) for step in range(8)]
        return [face.probabilities.tobytes() for parsed in shown for face in parsed.faces]

    used = Stage(smoothing=0.75, every=3)
    for step in range(20):
        used.show(DrawnFace(500 - 10 * step, 200))
    assert planes(used, 5) == planes(Stage(smoothing=0.75, every=3), 5)


@pytest.mark.parametrize("seed", range(3))
def test_the_same_frames_give_the_same_faces(seed: int) -> None:
    def once() -> list[Any]:
        rng, stage = np.random.default_rng(seed), Stage(smoothing=0.75)
        out: list[Any] = []
        for _ in range(15):
            faces = [DrawnFace(*rng.uniform((100, 100), (500, 200))) for _ in range(rng.integers(0, 3))]
            parsed = stage.show(*faces)
            out += [(face.track_id, face.alignment, face.probabilities.tobytes()) for face in parsed.faces]
        return out

    assert once() == once()
