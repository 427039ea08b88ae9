from __future__ import annotations

import cv2
import numpy as np
import pytest

from benchmarks.glass import display
from benchmarks.marker import CELL, CELLS, draw_marker, find_marker, read_marker
from realtime.errors import SinkError

PLACE = (0, 0, CELLS * CELL, CELL)


def _frame(number: int) -> np.ndarray:
    image = np.random.default_rng(number).integers(40, 200, (360, 640, 3), np.uint8)
    draw_marker(image, number)
    return image


@pytest.mark.parametrize("number", [0, 1, 2, 12345, 65535])
def test_a_number_is_read_back_from_anywhere_on_the_screen(number: int) -> None:
    screen = np.zeros((900, 1400, 3), np.uint8)
    shown = cv2.resize(_frame(number), (960, 540), interpolation=cv2.INTER_LINEAR)
    screen[200:740, 300:1260] = shown
    place = find_marker(screen)
    assert place is not None
    assert read_marker(screen, place) == number
    assert abs(place[0] - 300) <= 2
    assert abs(place[1] - 200) <= 2


def test_numbers_beyond_the_strip_begin_anew() -> None:
    assert read_marker(_frame(65536 + 7), PLACE) == 7


def test_a_torn_or_damaged_strip_is_not_read() -> None:
    torn = _frame(1)
    torn[CELL // 2 : CELL] = _frame(2)[CELL // 2 : CELL]
    assert read_marker(torn, PLACE) is None
    flipped = _frame(1)
    flipped[:CELL, 5 * CELL : 6 * CELL] = (255, 0, 255)
    assert read_marker(flipped, PLACE) is None, "parity"
    covered = _frame(1)
    covered[:CELL, 100:200] = 90
    assert read_marker(covered, PLACE) is None
    assert find_marker(np.zeros((100, 100, 3), np.uint8)) is None


def test_without_a_display_one_line_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.setattr("benchmarks.glass.shutil.which", lambda name: None)
    with pytest.raises(SinkError, match=r"no X11 display here.*install Xvfb"), display(virtual=False):
        pass
