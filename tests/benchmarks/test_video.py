"""The command `video`: each fault is planted in made frames and clips, and found; clean ones score clean."""

from __future__ import annotations

import re
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from benchmarks import quality_sink, video, worst_frames
from benchmarks.__main__ import main
from benchmarks.known_faces import FaceRange
from benchmarks.quality_sink import QualitySink
from benchmarks.report import Row, read_json
from benchmarks.worst_frames import WorstFrames
from realtime.frames import Detection, Frame, ParsedFace, RenderedFrame
from realtime.frames.geometry import Alignment
from stn_icnn.checkpoint import SHIPPED
from stn_icnn.labels import CLASS_ID, CLASSES
from tests.benchmarks.test_temporal import moved, picture
from tests.conftest import Image, VideoMaker
from tests.docs.pages import ROOT

SIZE, SIDE = (180, 240), 96
SKIN, HAIR = CLASS_ID["skin"], CLASS_ID["hair"]
DETECTION = Detection((80.0, 50.0, 160.0, 140.0), 0.9, (100.0, 80.0), (140.0, 80.0), (120.0, 110.0))
FLAGS = ("--people", "--weights", "--sheet", "--frames", "--json", "--csv", "--threads")


@pytest.fixture(autouse=True)
def _drawn_person(monkeypatch: pytest.MonkeyPatch) -> None:
    """A person who fills the middle of the made frames."""
    person = np.zeros((144, 256), np.float32)
    person[30:, 90:170] = 1.0
    stand_in = SimpleNamespace(segment=lambda image: person)
    monkeypatch.setattr(quality_sink, "person_segmenter", lambda: stand_in)


def head(rows: slice = slice(10, 40), columns: slice = slice(30, 66)) -> Image:
    """A crop's labels: a face, and hair where it is asked for."""
    labels = np.zeros((SIDE, SIDE), np.uint8)
    labels[40:80, 30:66] = SKIN
    labels[rows, columns] = HAIR
    return labels


def parsed(labels: Image, x: float = 120.0) -> ParsedFace:
    planes = (labels == np.arange(len(CLASSES))[:, None, None]).astype(np.float32)
    alignment = Alignment((x, 100.0), 120.0, 0.0)
    return ParsedFace(DETECTION, alignment, planes, tuple(range(len(CLASSES))), SIZE)


def rendered(index: int, *faces: ParsedFace, image: Image | None = None) -> RenderedFrame:
    shown = picture() if image is None else image
    frame = Frame(shown, index, Fraction(index, 10), 0.0)
    return RenderedFrame(frame, shown, faces=faces)


def measured(*frames: RenderedFrame, faces: int = 1) -> tuple[dict[str, float], list[str]]:
    """Return the figures, and the kinds of fault that are shown."""
    worst = WorstFrames("clip")
    sink = QualitySink((FaceRange(0.0, 60.0, faces),), worst)
    assert all(sink.write(frame) for frame in frames)
    figures = {name: -1.0 if value is None else float(value) for name, value in sink.figures().items()}
    return figures, sorted(worst._kept)


def test_a_clean_clip_scores_clean() -> None:
    frames = [
        rendered(index, parsed(head(), 120.0 + 3 * index), image=moved(picture(), 3 * index, 0))
        for index in range(4)
    ]
    figures, shown = measured(*frames)
    assert shown == []
    for name in ("too_many_faces_share", "too_few_faces_share", "border_hair_share"):
        assert figures[name] == 0.0, name
    assert figures["hair_outside_person_share"] == 0.0
    assert figures["temporal_iou"] > 0.95
    assert figures["changed_labels_share"] < 0.03
    assert (figures["compared_pairs"], figures["left_out_pairs"], figures["known_frames"]) == (3, 0, 4)


def test_a_phantom_face_is_found() -> None:
    clean, phantom = rendered(0, parsed(head())), rendered(1, parsed(head()), parsed(head(), 40.0))
    figures, shown = measured(clean, phantom)
    assert figures["too_many_faces_share"] == 0.5
    assert figures["too_few_faces_share"] == 0.0
    assert figures["faces_per_frame"] == 1.5
    assert "too many faces" in shown


def test_a_lost_face_is_found() -> None:
    figures, shown = measured(rendered(0, parsed(head())), rendered(1))
    assert figures["too_few_faces_share"] == 0.5
    assert figures["temporal_iou"] == 0.0
    assert shown == ["changed labels", "too few faces"]


def test_hair_on_the_wall_is_found() -> None:
    spread = parsed(head(columns=slice(6, 66)))
    figures, shown = measured(rendered(0, spread), rendered(1, spread))
    assert 0.15 < figures["hair_outside_person_share"] < 0.4
    assert figures["border_hair_share"] == 0.0
    assert shown == ["hair outside person"]


def test_hair_cut_off_in_a_line_is_found() -> None:
    cut = parsed(head(rows=slice(0, 40)))
    figures, shown = measured(rendered(0, cut), rendered(1, cut))
    # 36 of the 4 x 96 columns of the ring.
    assert figures["border_hair_share"] == pytest.approx(36 / 384, abs=0.01)
    assert "border" in shown


def test_flicker_is_found() -> None:
    steady, bald = parsed(head()), parsed(head(rows=slice(0, 0)))
    figures, shown = measured(*(rendered(index, bald if index % 2 else steady) for index in range(4)))
    assert figures["changed_labels_share"] > 0.3
    assert figures["temporal_iou"] < 0.6
    assert shown == ["changed labels"]


def test_a_cut_is_left_out() -> None:
    one, other = rendered(0, parsed(head())), rendered(1, parsed(head(), 60.0), image=picture(7))
    figures, shown = measured(one, other)
    assert (figures["compared_pairs"], figures["left_out_pairs"]) == (0, 1)
    assert figures["temporal_iou"] == -1.0
    assert "changed labels" not in shown


def test_means_leave_out_what_was_not_measured() -> None:
    rows = [
        Row("a", "n", figures={"frames": 3, "x_share": 0.2, "temporal_iou": None}),
        Row("b", "n", figures={"frames": 5, "x_share": 0.4, "temporal_iou": None}),
    ]
    (mean,) = video.mean_rows(rows)
    assert mean.group == "mean over 2 clips"
    assert dict(mean.figures) == {"x_share": 0.3, "temporal_iou": None}


def test_a_clip_is_measured_side_by_side(
    make_video: VideoMaker, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clip, people = make_video(frames=8, size=(640, 360)), tmp_path / "people.toml"
    people.write_text('"clip.mp4" = [[0.0, 0.1, 2], [0.1, 9.0, 0]]\n')
    path, sheet = tmp_path / "quality.json", tmp_path / "sheet.png"
    flags = ["--people", str(people), "--weights", str(SHIPPED), "--json", str(path), "--sheet", str(sheet)]
    assert main(["video", str(clip), *flags, "--frames", "6", "--csv", str(tmp_path / "q.csv")]) == 0
    _, (result,) = read_json(path)
    assert [(row.group, row.name) for row in result.rows] == [
        ("clip.mp4", "shipped"),
        ("clip.mp4", SHIPPED.stem),
        ("mean over 1 clip", "shipped"),
        ("mean over 1 clip", SHIPPED.stem),
    ]
    ours, given = result.rows[0].figures, result.rows[1].figures
    assert ours == given, "the same network scores the same"
    assert (ours["frames"], ours["known_frames"], ours["faces_per_frame"]) == (6, 6, 1.0)
    assert (ours["too_few_faces_share"], ours["too_many_faces_share"]) == (0.5, 0.5)
    assert ours["compared_pairs"] == 5
    assert result.settings["people"] == "people.toml"
    assert "[video: clip.mp4]" in capsys.readouterr().out
    shown = cv2.imread(str(sheet))
    assert shown is not None
    assert shown.shape[1] == 4 * worst_frames.PICTURE_WIDTH
    assert {each.name for each in tmp_path.iterdir()} == {
        "clip.mp4",
        "people.toml",
        "q.csv",
        "quality.json",
        "sheet.png",
    }


def test_without_known_faces_their_columns_are_left_out(
    make_video: VideoMaker, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "quality.json"
    assert main(["video", str(make_video(frames=2)), "--json", str(path)]) == 0
    _, (result,) = read_json(path)
    assert not [name for name in result.rows[0].figures if "too_" in name]
    assert (
        "note: faces: not held against a known number, which --people FILE gives" in capsys.readouterr().out
    )


@pytest.mark.parametrize(
    ("flags", "code", "why"),
    [
        (["none.mp4"], 1, "no such file"),
        (["0"], 2, "is live"),
        (["rtsp://127.0.0.1/x"], 2, "is live"),
        (["photo.png"], 2, "is an image"),
        (["clip.mp4", "clip.mp4"], 2, "same file name"),
        (["clip.mp4", "--frames", "0"], 2, "at least 1"),
        (["clip.mp4", "--sheet", "sheet.txt"], 2, "a contact sheet is an image"),
        (["clip.mp4", "--sheet", "none/sheet.png"], 1, "no such folder"),
        (["clip.mp4", "--people", "none.toml"], 2, "cannot be read"),
        (["clip.mp4", "--weights", "none.safetensors"], 1, "no such weights file"),
    ],
)
def test_what_is_wrong_is_told_in_one_line(
    flags: list[str],
    code: int,
    why: str,
    make_video: VideoMaker,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    make_video(frames=2)
    cv2.imwrite(str(tmp_path / "photo.png"), picture())
    monkeypatch.chdir(tmp_path)
    assert main(["video", *flags]) == code
    error = capsys.readouterr().err
    assert why in error
    assert len(error.splitlines()) == 1


def test_every_flag_is_in_the_help_and_on_the_page(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["video", "--help"])
    text = capsys.readouterr().out
    page = (ROOT / "docs" / "benchmarks.md").read_text(encoding="utf-8")
    section = page[page.index("## Video without labels") :]
    section = section[: section.index("\n## ", 5)]
    for flag in FLAGS:
        assert flag in text
        assert f"`{flag}" in section
    assert set(re.findall(r"--[a-z]+", text)) - {"--help"} == {*FLAGS, "--isa"}
