from __future__ import annotations

import time

import numpy as np
import pytest

from realtime.effects import need_the_whole_head, parse_effect
from realtime.frames import Image, ParsedFace, Plane
from realtime.frames.halvings import Halvings
from realtime.people import PersonGate
from realtime.people.segmenter import PersonSegmenter, person_segmenter
from stn_icnn.labels import CLASS_ID
from tests.realtime.faces import parsed_face, with_head

HAIR = CLASS_ID["hair"]
# The crop covers the image's 48 to 112 and 28 to 92, the square 16 to 144 and -4 to 124.
IMAGE = np.zeros((120, 160, 3), np.uint8)


class StandIn(PersonSegmenter):
    """Sees a person in a box x0, y0, x1, y1 of the image, in shares of it."""

    def __init__(self, box: tuple[float, float, float, float]) -> None:
        self.box, self.asked = box, 0

    def segment(self, image: Image) -> Plane:
        self.asked += 1
        person = np.zeros((144, 256), np.float32)
        x0, y0, x1, y1 = self.box
        person[round(y0 * 144) : round(y1 * 144), round(x0 * 256) : round(x1 * 256)] = 1.0
        return person


WHOLE = (0.25, 0.2, 0.75, 1.0)


def face() -> ParsedFace:
    """Hair on the head, and more of it in the picture's left upper corner."""
    head = {"hair": (11, 8, 21, 12), "skin": (12, 12, 20, 22), "cloth": (4, 24, 28, 32)}
    inner = parsed_face({"hair": (8, 0, 56, 16), "skin": (12, 16, 52, 60)})
    seen = with_head(inner, head)
    assert seen.head is not None
    seen.head[:, 8:14, 0:3] = 0.0
    seen.head[HAIR, 8:14, 0:3] = 1.0
    return seen


def test_what_is_far_from_any_person_is_background() -> None:
    before = face()
    (after,) = PersonGate(segmenter=StandIn(WHOLE))(Halvings(IMAGE), [before], 0.0)
    assert before.head is not None
    assert after.head is not None
    corner = (slice(8, 14), slice(0, 2))
    assert before.head[HAIR][corner].min() == 1.0
    assert after.head[HAIR][corner].max() == 0.0
    assert after.head[0][corner].min() == 1.0
    np.testing.assert_allclose(after.head.sum(axis=0), 1.0, atol=1e-5)


def test_what_is_close_to_a_person_stays_exactly_as_parsed() -> None:
    before = face()
    (after,) = PersonGate(segmenter=StandIn(WHOLE))(Halvings(IMAGE), [before], 0.0)
    assert after.probabilities is before.probabilities
    assert before.head is not None
    assert after.head is not None
    near = (slice(8, 28), slice(10, 22))
    assert np.array_equal(after.head[:, near[0], near[1]], before.head[:, near[0], near[1]])


def test_the_face_itself_is_never_taken_away() -> None:
    before = face()
    (after,) = PersonGate(segmenter=StandIn((0.4, 0.45, 0.6, 0.75)))(Halvings(IMAGE), [before], 0.0)
    assert np.array_equal(after.probabilities[CLASS_ID["skin"]], before.probabilities[CLASS_ID["skin"]])


def test_where_the_person_was_missed_the_segmenter_has_no_say() -> None:
    before = face()
    (after,) = PersonGate(segmenter=StandIn((0.0, 0.0, 0.05, 0.05)))(Halvings(IMAGE), [before], 0.0)
    assert after is before


def test_it_asks_only_where_something_changed_or_time_passed() -> None:
    segmenter = StandIn(WHOLE)
    gate = PersonGate(segmenter=segmenter)
    for index in range(6):
        gate(Halvings(IMAGE), [face()], index / 30.0)
    assert segmenter.asked == 1
    brighter = IMAGE + np.uint8(40)
    gate(Halvings(brighter), [face()], 0.21)
    assert segmenter.asked == 2
    gate(Halvings(brighter), [face()], 0.6)
    assert segmenter.asked == 3
    gate.reset()
    gate(Halvings(brighter), [face()], 0.61)
    assert segmenter.asked == 4


def test_nothing_is_asked_where_nothing_needs_it() -> None:
    segmenter, wanted = StandIn(WHOLE), [False]
    gate = PersonGate(lambda: wanted[0], segmenter)
    seen = face()
    assert gate(Halvings(IMAGE), [seen], 0.0) == [seen]
    assert gate(Halvings(IMAGE), [], 0.0) == []
    assert segmenter.asked == 0
    wanted[0] = True
    assert gate(Halvings(IMAGE), [seen], 0.0)[0] is not seen


def test_it_is_loaded_ahead_where_it_is_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    segmenter, loaded = StandIn(WHOLE), list[bool]()

    def load() -> PersonSegmenter:
        loaded.append(True)
        return segmenter

    monkeypatch.setattr("realtime.people.gate.person_segmenter", load)
    wanted = [False]
    gate = PersonGate(lambda: wanted[0])
    gate.prepare()
    assert not loaded
    wanted[0] = True
    gate.prepare()
    gate.prepare()
    gate(Halvings(IMAGE), [face()], 0.0)
    assert len(loaded) == segmenter.asked == 1


@pytest.mark.parametrize(
    ("effects", "needed"),
    [
        ([], False),
        (["lips", "skin", "eyes", "brows", "pixelate"], False),
        (["hair"], True),
        (["lips", "overlay"], True),
        (["cutout"], True),
        (["background"], True),
    ],
)
def test_effects_say_whether_they_paint_more_than_the_face(effects: list[str], needed: bool) -> None:
    assert need_the_whole_head([parse_effect(name) for name in effects]) == needed


@pytest.mark.alone
def test_it_costs_little_more_than_the_segmenter() -> None:
    segmenter = person_segmenter()
    gate, pictures = (
        PersonGate(segmenter=segmenter),
        [np.full((720, 1280, 3), 5 * i, np.uint8) for i in range(30)],
    )
    face = parsed_face({"hair": (8, 8, 136, 40)}, (720, 1280), side=144)
    seconds: list[tuple[float, float]] = []
    for index, picture in enumerate(pictures):
        # Never the same picture: asked each time.
        started = time.perf_counter()
        gate(Halvings(picture), [face], index / 30.0)
        between = time.perf_counter()
        segmenter.segment(picture)
        seconds.append((between - started, time.perf_counter() - between))
    gated, alone = np.median(np.array(seconds[2:]), axis=0)
    assert gated < 1.6 * alone + 0.0005, (gated, alone)
