from __future__ import annotations

import numpy as np
import pytest

from realtime.faces.parsing import parse_crops
from realtime.frames import Alignment, Detection, Image
from realtime.frames.halvings import Halvings
from realtime.frames.letterbox import Letterbox, inside_bars
from tests.realtime.scene import ColourEngine

HEIGHT, WIDTH = 90, 160


def picture(top: int = 0, bottom: int = 0, left: int = 0, right: int = 0, level: int = 0) -> Image:
    image = np.full((HEIGHT, WIDTH, 3), 120, np.uint8)
    image[:top], image[HEIGHT - bottom :] = level, level
    image[:, :left], image[:, WIDTH - right :] = level, level
    return image


def content(top: int, bottom: int, left: int = 0, right: int = 0) -> tuple[slice, slice]:
    return slice(top, HEIGHT - bottom), slice(left, WIDTH - right)


@pytest.mark.parametrize(
    ("image", "found"),
    [
        (picture(), None),
        (picture(12, 12), content(12, 12)),
        (picture(12, 9, level=20), content(12, 9)),
        (picture(left=50, right=55), content(0, 0, 50, 55)),
        (picture(10, 10, 30, 30), content(10, 10, 30, 30)),
        (picture(30), None),
        (picture(30, 10), None),
        (np.zeros((HEIGHT, WIDTH, 3), np.uint8), None),
    ],
)
def test_bars_lie_on_both_sides(image: Image, found: tuple[slice, slice] | None) -> None:
    assert Letterbox()(image) == found


def test_bars_shrink_when_something_lights_up_and_never_grow() -> None:
    seen = Letterbox()
    assert seen(np.zeros((HEIGHT, WIDTH, 3), np.uint8)) is None
    assert seen(picture(30, 30)) == content(30, 30), "dark lines beside the bars"
    assert seen(picture(12, 12)) == content(12, 12)
    assert seen(picture(20, 20)) == content(12, 12)
    assert seen(np.zeros((HEIGHT, WIDTH, 3), np.uint8)) == content(12, 12)
    subtitles = picture(12, 12)
    subtitles[82:86, 60:100] = 255
    assert seen(subtitles) is None
    assert seen(np.full((50, 60, 3), 90, np.uint8)) is None, "another size"


def test_without_bars_is_what_lies_inside_lines_that_are_nowhere_lit() -> None:
    assert inside_bars(picture(30, level=7)) == content(30, 0)
    assert inside_bars(picture(30, level=9)) == content(0, 0)
    rows, columns = inside_bars(np.zeros((HEIGHT, WIDTH, 3), np.uint8))
    assert rows.start == rows.stop
    assert columns.start == columns.stop


def test_the_parser_sees_the_picture_go_on_and_finds_nothing_in_the_bars() -> None:
    image = np.random.default_rng(0).integers(40, 255, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    image[:20] = image[-20:] = 0
    rows, columns = content(20, 20)
    square = Alignment((80.0, 30.0), 60.0, 0.0)
    cropped = Alignment((80.0, 10.0), 60.0, 0.0)
    found = Detection((60, 20, 100, 60), 0.9, (70, 30), (90, 30), (80, 50))
    (face,), (seen,) = parse_crops(Halvings(image, (rows, columns)), [found], [square], ColourEngine())
    _, (alone,) = parse_crops(Halvings(image[rows, columns]), [found], [cropped], ColourEngine())
    assert np.array_equal(seen.face, alone.face)
    probability = face.probability("background")
    assert probability[:20].max() == 0.0
    assert probability[20:30].max() > 0.0
    (whole,), _ = parse_crops(Halvings(image), [found], [square], ColourEngine())
    assert whole.probability("background")[:20].max() > 0.0
