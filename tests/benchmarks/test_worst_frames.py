from __future__ import annotations

from collections.abc import Callable

import numpy as np

from benchmarks.worst_frames import CAPTION, PICTURE_WIDTH, Fault, WorstFrames, assemble_sheet, draw_labels
from stn_icnn.labels import CLASS_ID
from tests.conftest import Image


def test_the_worst_frame_of_a_kind_stays() -> None:
    drawn: list[str] = []

    def draw(name: str) -> Callable[[], Image]:
        def picture_of() -> Image:
            drawn.append(name)
            return np.zeros((60, 2 * PICTURE_WIDTH, 3), np.uint8)

        return picture_of

    worst = WorstFrames("clip")
    for seconds, severity in enumerate((0.1, 0.3, 0.2)):
        worst.add([Fault("border", severity, "border")], float(seconds), draw(f"{severity}"))
    worst.add([Fault("hair", 0.1, "hair")], 3.0, draw("hair"))
    worst.add([], 4.0, draw("clean"))
    assert drawn == ["0.1", "0.3", "hair"]
    sheet = assemble_sheet([*worst.tiles(), worst.tiles()[0]])
    assert sheet.shape == (2 * (60 + CAPTION), 4 * PICTURE_WIDTH, 3)


def test_tiles_of_several_heights_fit_one_sheet() -> None:
    tiles = [np.full((height, 2 * PICTURE_WIDTH, 3), height, np.uint8) for height in (40, 60, 50)]
    sheet = assemble_sheet(tiles)
    assert sheet.shape == (110, 4 * PICTURE_WIDTH, 3)
    assert (sheet[50, 10] == 24).all(), "the lower tile is filled up"
    assert (sheet[100, -10] == 0).all(), "the last place is empty"


def test_labels_are_painted_beside_the_frame() -> None:
    image, labels = np.full((100, 200, 3), 100, np.uint8), np.zeros((100, 200), np.uint8)
    labels[:, 100:] = CLASS_ID["hair"]
    drawn = draw_labels(image, labels, ())
    assert drawn.shape == (200, 2 * PICTURE_WIDTH, 3)
    assert (drawn[:, : PICTURE_WIDTH + 190] == 100).all()
    assert (drawn[:, PICTURE_WIDTH + 210 :] != 100).any(axis=2).all()
    assert (image == 100).all(), "the frame stays as it was"
