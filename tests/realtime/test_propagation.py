"""Key frames and propagation: when a face is parsed, and what a parsing that is carried on looks like."""

from __future__ import annotations

from dataclasses import replace
from typing import cast

import cv2
import numpy as np
import pytest

from realtime.faces.motion import Motion
from realtime.faces.parsing import Glimpse
from realtime.faces.propagation import PROPAGATION, explains_face, explains_head
from realtime.faces.smoothing import FaceSmoother
from realtime.frames import Detection, Image, ParsedFace, Plane
from realtime.frames.geometry import Alignment
from stn_icnn.labels import CLASS_ID
from stn_icnn.packing import Pictures
from tests.realtime.scene import DrawnFace
from tests.realtime.stage import Stage

FACE = DrawnFace(200, 150)
FRAME = 1.0 / 30.0
HERE = Alignment((60.0, 60.0), 120.0, 0.0)
CLASSES = (0, 1, CLASS_ID["mouth"])


def parsed_frames(stage: Stage, faces: list[DrawnFace], hidden: tuple[str, ...] = ()) -> list[bool]:
    """Show faces one after the other; return whether each was parsed."""
    return [not stage.show(face, hidden=hidden).faces[0].propagated for face in faces]


def warm(**settings: float) -> Stage:
    """A stage that has known a face for long."""
    stage = Stage(every=1000, propagation=settings.pop("propagation", PROPAGATION), **settings)  # type: ignore[arg-type]
    parsed_frames(stage, [FACE] * 9)
    return stage


@pytest.mark.parametrize(("rate", "period"), [(60, 5), (30, 3), (25, 2), (12, 1)])
def test_a_face_at_rest_is_parsed_as_often_as_the_limit_in_seconds_asks(rate: int, period: int) -> None:
    stage = warm(rate=rate)
    parsed = parsed_frames(stage, [FACE] * 30)
    keys = np.flatnonzero(parsed)
    assert set(np.diff(keys)) == {period}
    calls = stage.engine.calls
    parsed_frames(stage, [FACE] * period)
    assert stage.engine.calls == calls + 1, "the engine rests in between"


@pytest.mark.parametrize("setting", [{"propagation": 0.0}, {"tta": 2}, {"thorough": True}])
def test_every_frame_is_parsed_where_that_is_asked_for(setting: dict[str, float]) -> None:
    assert all(parsed_frames(warm(**setting), [FACE] * 6))


def test_a_new_face_is_parsed_in_every_frame_until_it_is_shown() -> None:
    stage = Stage(every=1, propagation=PROPAGATION)
    stage.show()
    calls = stage.engine.calls
    shown = [bool(stage.show(FACE).faces) for _ in range(3)]
    assert shown == [False, False, True]
    assert stage.engine.calls == calls + 3


def test_a_parsing_goes_with_a_face_that_moves() -> None:
    stage = warm()
    for step in range(1, 13):
        face = DrawnFace(200 + 1.5 * step, 150 + 0.5 * step)
        (shown,) = stage.show(face).faces
        if not shown.propagated:
            continue
        mouth = np.argwhere(shown.label_map() == CLASS_ID["mouth"]).mean(axis=0)[::-1]
        assert mouth == pytest.approx(face.point(*(0.0, 1.1)), abs=2.0), step
        assert shown.track_id == 1
    assert stage.engine.calls < 9 + 12, "some of them were carried on"


def test_a_part_that_vanishes_is_parsed_at_once() -> None:
    stage = warm()
    while not parsed_frames(stage, [FACE])[0]:
        pass
    (shown,) = stage.show(FACE, hidden=("mouth",)).faces
    assert not shown.propagated
    assert not (shown.label_map() == CLASS_ID["mouth"]).any()


def test_a_face_that_leaves_is_not_carried_on() -> None:
    stage = warm()
    while not parsed_frames(stage, [FACE])[0]:
        pass
    assert not stage.show(found=[]).faces


def test_where_a_face_lies_follows_what_was_carried_on() -> None:
    plain, carried = warm(propagation=0.0), warm()
    for step in range(1, 20):
        face = DrawnFace(200 + 2 * step, 150, roll=0.3 * step)
        expected, found = (stage.show(face).faces[0] for stage in (plain, carried))
        assert found.alignment.centre == pytest.approx(expected.alignment.centre, abs=2.0)
        assert found.detection.mouth == pytest.approx(expected.detection.mouth, abs=2.0)
    assert carried.engine.calls < plain.engine.calls


def motion(unexplained: Plane) -> Motion:
    return Motion(None, None, unexplained)


def planes(side: int = 48) -> Plane:
    """Skin, with a mouth in the middle of the lower half."""
    found = np.zeros((len(CLASSES), side, side), np.float32)
    found[2, side // 2 + 8 : side // 2 + 16, side // 2 - 8 : side // 2 + 8] = 1.0
    found[1] = 1.0 - found[2]
    return found


def test_what_changed_counts_most_where_a_part_opens_and_shuts() -> None:
    still = np.zeros((60, 60), np.float32)
    assert explains_face(motion(still), parsing(planes()))
    mouth, cheek = still.copy(), still.copy()
    mouth[40:50, 20:32], cheek[40:50, 2:14] = 1.0, 1.0
    assert not explains_face(motion(mouth), parsing(planes()))
    assert explains_face(motion(cheek), parsing(planes())), "as much, elsewhere"
    assert not explains_face(motion(still + 0.1), parsing(planes())), "a little everywhere"


def test_of_the_head_counts_what_lies_around_the_face_crop() -> None:
    middle, beside = np.zeros((40, 40), np.float32), np.zeros((40, 40), np.float32)
    middle[12:28, 12:28], beside[0:16, 0:10] = 1.0, 1.0
    square, whole = HERE.widened(2.0), (slice(0, 400), slice(0, 400))
    there = replace(square, centre=(200.0, 200.0))
    assert explains_head(motion(middle), there, whole)
    assert not explains_head(motion(beside), there, whole)
    # The same, where the left half of the square lies beyond the image, or in a film's bar.
    assert explains_head(motion(beside), replace(square, centre=(0.0, 200.0)), whole)
    assert explains_head(motion(beside), there, (slice(0, 400), slice(200, 400)))


def texture(shift: int = 0) -> Image:
    rough = np.random.default_rng(0).integers(60, 200, (20, 20), dtype=np.uint8)
    grey = cv2.resize(rough, (160, 160), interpolation=cv2.INTER_CUBIC)[20:140, 20 - shift : 140 - shift]
    return np.repeat(np.ascontiguousarray(grey)[..., None], 3, axis=2)


class Looked:
    """Stands for a `Glimpse`: the pictures are given."""

    head = None
    content = (slice(0, 120), slice(0, 120))

    def __init__(self, face: Image) -> None:
        self.face = face


def carried(smoother: FaceSmoother, picture: Image, alignment: Alignment, now: float) -> ParsedFace | None:
    return smoother.propagate(cast(Glimpse, Looked(picture)), alignment, now)


def smoother_of(face: ParsedFace, strength: float = 0.88) -> FaceSmoother:
    smoother = FaceSmoother(strength)
    smoother(face, Pictures(texture(), None), 0.0)
    return smoother


def parsing(of: Plane) -> ParsedFace:
    detection = Detection((0.0, 0.0, 120.0, 120.0), 0.9, (40.0, 50.0), (80.0, 50.0), (60.0, 90.0))
    return ParsedFace(detection, HERE, of, CLASSES, (120, 120))


def test_a_parsing_is_brought_to_where_its_picture_went_and_stays_a_distribution() -> None:
    face = parsing(planes(120))
    smoother = smoother_of(face)
    still = carried(smoother, texture(), HERE, FRAME)
    assert still is not None
    assert still.propagated
    assert np.array_equal(still.probabilities, face.probabilities)
    moved = carried(smoother, texture(2), HERE, 2 * FRAME)
    assert moved is not None
    assert np.argwhere(moved.probabilities[2] > 0.5).mean(axis=0) == pytest.approx((71.5, 61.5), abs=0.5)
    # The crop moves on, over a picture that does not.
    along = carried(smoother, texture(-2), Alignment((62.0, 60.0), 120.0, 0.0), 2 * FRAME)
    assert along is not None
    assert np.argwhere(along.probabilities[2] > 0.5).mean(axis=0) == pytest.approx((71.5, 57.5), abs=0.5)
    for each in (still, moved, along):
        assert np.abs(each.probabilities.sum(axis=0) - 1.0).max() < 1e-4
    unseen = along.probabilities[0, :, -1:]
    assert unseen.min() > 0.9, "what lies beyond the past crop is background"


def test_a_parsing_tried_to_be_carried_on_is_averaged_as_if_it_had_not_been() -> None:
    first, second = parsing(planes(120)), parsing(np.roll(planes(120), 2, axis=2))
    results = []
    for try_first in (True, False):
        smoother = smoother_of(first)
        other = np.ascontiguousarray(texture(4)[::-1])
        if try_first:
            assert carried(smoother, other, HERE, FRAME) is None
        results.append(smoother(second, Pictures(other, None), FRAME).probabilities)
    assert np.array_equal(results[0], results[1])


def test_the_past_does_not_age_by_frames_that_it_was_carried_on_to() -> None:
    first = parsing(np.stack([np.full((8, 8), p, np.float32) for p in (0.0, 0.6, 0.4)]))
    second = parsing(np.stack([np.full((8, 8), p, np.float32) for p in (0.0, 0.5, 0.5)]))
    means = []
    for carry in (True, False):
        smoother = smoother_of(first, 0.8)
        if carry:
            assert carried(smoother, texture(), HERE, FRAME) is not None
        mean = smoother(second, Pictures(texture(), None), 2 * FRAME).probabilities[1, 4, 4]
        means.append(float(mean))
    assert means == pytest.approx([0.5 + 0.1 * 0.8, 0.5 + 0.1 * 0.8**2], abs=1e-3)
