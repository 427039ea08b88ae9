from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from realtime.media.times import DecodeTimes, TimeMender
from realtime.sources import open_source
from realtime.sources.upright import lies_on_its_side, upright
from tests.realtime.clips import Clip, rotation, write


def mended(times: list[int | None], strict: bool = True) -> tuple[list[int], list[str]]:
    told: list[str] = []
    mender = TimeMender(10, 100, told.append, strict=strict)
    return [mender.mend(time) for time in times], told


@pytest.mark.parametrize(
    ("given", "expected", "kinds"),
    [
        ([7, 17, 20, 400], [7, 17, 20, 400], 0),
        ([-20, -10, 0], [-20, -10, 0], 0),
        ([None, None, 25, None, 36], [0, 10, 25, 35, 36], 1),
        ([0, 10, 10, 10, 30], [0, 10, 11, 12, 30], 1),
        ([0, 10, 30, 20, 40], [0, 10, 30, 31, 40], 1),
        ([0, 500, 20, 30, 500], [0, 500, 510, 520, 990], 1),
        ([5, 5, None, 300, 0], [5, 6, 16, 300, 310], 3),
    ],
)
def test_times_rise_and_good_ones_stay(given: list[int | None], expected: list[int], kinds: int) -> None:
    found, told = mended(given)
    assert found == expected
    assert len(told) == kinds


def test_equal_times_may_be_right() -> None:
    assert mended([0, 5, 5, 4, 6], strict=False)[0] == [0, 5, 5, 5, 6]
    assert mended([0, 5, 5], strict=False)[1] == []


def test_pictures_take_the_times_of_decoding_in_order() -> None:
    times = DecodeTimes()
    for ticks in (0, 1, 2):
        times.add(ticks)
    assert [times.take(), times.take()] == [0, 1]
    times.add(5)
    assert [times.take(), times.take(), times.take()] == [2, 5, None]


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("degrees", [0, 90, 180, 270])
def test_every_turn_of_a_picture(degrees: int, mirrored: bool, tmp_path: Path) -> None:
    # Turned left first, and mirrored after it.
    image = np.random.default_rng(0).integers(0, 256, (4, 6, 3), dtype=np.uint8)
    expected = np.rot90(image, degrees // 90)
    expected = expected[:, ::-1] if mirrored else expected
    source = open_source(str(write(Clip("turned.mp4", [0], prepare=rotation(degrees, mirrored)), tmp_path)))
    matrix = source._matrix or (65536, 0, 0, 0, 65536)  # type: ignore[attr-defined]
    source.close()
    assert np.array_equal(upright(image, matrix), expected)
    assert lies_on_its_side(matrix) == (degrees in (90, 270))
    assert (source.info.width, source.info.height) == ((64, 96) if degrees in (90, 270) else (96, 64))
