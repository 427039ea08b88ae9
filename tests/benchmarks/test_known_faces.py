from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.known_faces import FaceRange, faces_at, read_known_faces
from realtime.errors import UsageError
from tests.docs.pages import ROOT, blocks


def _written(folder: Path, text: str) -> Path:
    path = folder / "people.toml"
    path.write_text(text)
    return path


def test_ranges_are_read_in_any_order(tmp_path: Path) -> None:
    known = read_known_faces(_written(tmp_path, '"a b.mp4" = [[2.5, 4, 2], [0, 2.5, 1]]\nc = []\n'))
    assert known == {"a b.mp4": (FaceRange(0.0, 2.5, 1), FaceRange(2.5, 4.0, 2)), "c": ()}
    numbers = [faces_at(known["a b.mp4"], seconds) for seconds in (0.0, 2.49, 2.5, 3.99, 4.0)]
    assert numbers == [1, 1, 2, 2, None]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("a = [", "is no TOML"),
        ("a = 1", "needs ranges"),
        ("a = [[0, 1]]", "is no range"),
        ("a = [[0, 1, true]]", "is no range"),
        ("a = [[nan, 1, 1]]", "is no range"),
        ("a = [[1, 1, 1]]", "ends after it starts"),
        ("a = [[-1, 1, 1]]", "starts at 0 or later"),
        ("a = [[0, 1, 1.5]]", "a whole one"),
        ("a = [[0, 1, -1]]", "a whole one"),
        ("a = [[0, 2, 1], [1, 3, 1]]", "overlap at 1 seconds"),
    ],
)
def test_what_is_wrong_is_told(text: str, why: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=why):
        read_known_faces(_written(tmp_path, text))


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="No such file"):
        read_known_faces(tmp_path / "none.toml")


def test_the_pages_example_is_read(tmp_path: Path) -> None:
    (example,) = blocks(ROOT / "docs" / "benchmarks.md", "toml")
    known = read_known_faces(_written(tmp_path, example))
    assert known["interview.mp4"][0] == FaceRange(0.0, 12.5, 1)
