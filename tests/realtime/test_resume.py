"""Jobs that are killed and go on, and folders of jobs."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import realtime.app.run
from realtime.frames import Frame
from realtime.sinks.joining import decode_times
from realtime.sources import WARM_UP_FRAMES, ReplayingSource, VideoSource
from run_webcam import main
from tests.conftest import Image, VideoMaker, times
from tests.realtime.clips import MPEG, Clip, write
from tests.realtime.standin import STAND_INS, NoFaces
from tests.realtime.test_exact import tracks

import av  # isort: skip

ROOT = Path(__file__).parents[2]
# 0.3 s a segment: 9 frames.
SEGMENT = 9
CLIP = Clip(
    "clip.mp4",
    [900 + 3000 * i + 500 * (i % 3) for i in range(40)],
    MPEG,
    options={"bf": "3", "b_strategy": "0"},
    audio=["aac"],
)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, stand_in in STAND_INS.items():
        monkeypatch.setattr(realtime.app.run, name, stand_in)
    monkeypatch.setattr("realtime.sources.replay.SEGMENT_SECONDS", 0.3)


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return write(CLIP, tmp_path)


def pictures(path: Path) -> list[Image]:
    with av.open(str(path)) as container:
        return [np.asarray(f.to_ndarray(format="rgb24"), np.uint8) for f in container.decode(video=0)]


def same(a: list[Image], b: list[Image]) -> bool:
    return len(a) == len(b) and all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))


def resumed(source: Path, out: Path, *flags: str) -> int:
    return main(["--source", str(source), "--output", str(out), "--resume", "--effect", "lips", *flags])


def start(source: Path, out: Path, pause: float = 0.03) -> subprocess.Popen[str]:
    flags = ["--source", str(source), "--output", str(out), "--resume", "--effect", "lips"]
    command = [sys.executable, "-m", "tests.realtime.standin", str(pause), "0.3", *flags]
    return subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=dict(os.environ)
    )


def wait_for_segments(out: Path, count: int) -> None:
    journal = out.with_name(f".{out.name}.parts") / "journal.json"
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if journal.exists() and len(json.loads(journal.read_text())["segments"]) >= count:
            return
        time.sleep(0.01)
    raise AssertionError("no segment was finished")


@pytest.mark.parametrize("ending", [".mp4", ".mkv"])
def test_a_killed_job_goes_on_and_gives_the_same_frames(
    clip: Path, tmp_path: Path, ending: str, capsys: pytest.CaptureFixture[str]
) -> None:
    whole, out = tmp_path / f"whole{ending}", tmp_path / f"out{ending}"
    assert resumed(clip, whole) == 0
    process = start(clip, out)
    try:
        wait_for_segments(out, 2)
    finally:
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=30)
    assert not out.exists()
    journal = json.loads((tmp_path / f".out{ending}.parts" / "journal.json").read_text())
    assert SEGMENT * 2 <= sum(journal["segments"]) < 40
    capsys.readouterr()
    assert resumed(clip, out) == 0
    assert capsys.readouterr().out.startswith(f"{40 - sum(journal['segments'])} frames in"), "the rest alone"
    assert same(pictures(out), pictures(whole))
    assert times(out) == times(whole)
    assert [float(t) for t in times(out)] == pytest.approx([float(t) for t in times(clip)], abs=6e-4)
    if ending == ".mp4":
        assert times(out) == times(clip)
    assert [t[:2] for t in tracks(out, "audio")] == [t[:2] for t in tracks(clip, "audio")]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([clip.name, whole.name, out.name])


@pytest.mark.parametrize("codec", ["libx265", "libsvtav1", "libvpx-vp9"])
def test_segments_of_any_encoder_are_joined(
    codec: str, clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, out = tmp_path / "whole.mp4", tmp_path / "out.mp4"
    flags = ["--codec", codec]
    assert resumed(clip, whole, *flags) == 0
    interrupted(clip, out, monkeypatch, *flags)
    assert resumed(clip, out, *flags) == 0
    assert times(out) == times(whole) == times(clip)
    assert same(pictures(out), pictures(whole))
    with av.open(str(out)) as container:
        tag = container.streams.video[0].codec_context.codec_tag
    assert tag == {"libx265": "hvc1", "libsvtav1": "av01", "libvpx-vp9": "vp09"}[codec]


def test_a_stopped_job_keeps_its_segments_and_says_so(clip: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.mp4"
    process = start(clip, out)
    try:
        wait_for_segments(out, 1)
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=30)
    finally:
        process.kill()
    assert process.returncode == 0, stderr
    assert "is not whole yet; the same command goes on with it" in stdout
    assert not out.exists()
    assert resumed(clip, out) == 0
    assert times(out) == times(clip)


def indices(clip: Path, first: int, limit: int | None = None) -> list[int]:
    source = ReplayingSource(VideoSource(str(clip)), first, limit)
    found = [frame.index for frame in source.frames()]
    source.close()
    assert source.replayed == len(found) - len({i for i in found if i >= first})
    return found


def test_what_comes_before_a_segment_is_the_same_in_every_run(clip: Path) -> None:
    whole, later = indices(clip, 0), indices(clip, 2 * SEGMENT)
    assert whole[: SEGMENT + 1] == [*range(SEGMENT), SEGMENT - WARM_UP_FRAMES]
    assert later == whole[-len(later) :]
    assert later[0] == 2 * SEGMENT - WARM_UP_FRAMES
    # The frame before the replay has a greater index: a step that remembers knows that it must forget.
    assert whole[-len(later) - 1] >= later[0]
    assert indices(clip, 0, 5) == [0, 1, 2, 3, 4]
    assert indices(clip, SEGMENT, SEGMENT) == list(range(SEGMENT - WARM_UP_FRAMES, SEGMENT))


def test_skipped_frames_keep_number_and_time(clip: Path) -> None:
    source = VideoSource(str(clip))
    all_frames: list[Frame] = list(source.frames())
    source.close()
    source = VideoSource(str(clip))
    source.skip_to(17)
    rest = list(source.frames())
    source.close()
    assert [(f.index, f.time) for f in rest] == [(f.index, f.time) for f in all_frames[17:]]
    assert np.array_equal(rest[0].image, all_frames[17].image)


def interrupted(clip: Path, out: Path, monkeypatch: pytest.MonkeyPatch, *flags: str, at: int = 25) -> None:
    """Run a job whose detector fails after so many calls."""

    class Failing(NoFaces):
        calls = 0

        def detect(self, image: object) -> list[Any]:
            type(self).calls += 1
            if type(self).calls > at:
                raise RuntimeError("out of luck")
            return []

    with monkeypatch.context() as patch:
        patch.setattr(realtime.app.run, "FaceDetector", Failing)
        assert resumed(clip, out, *flags) == 1


def test_a_failed_job_keeps_its_segments(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out.mp4"
    interrupted(clip, out, monkeypatch)
    assert not out.exists()
    capsys.readouterr()
    assert resumed(clip, out) == 0
    done = int(capsys.readouterr().out.split(" frames in")[0])
    assert done == 40 - SEGMENT, "one segment was whole"
    assert times(out) == times(clip)


def test_another_job_is_refused_in_one_line(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out.mp4"
    interrupted(clip, out, monkeypatch)
    for change, what in ((["--crf", "30"], "crf"), (["--effect", "hair"], "effects")):
        capsys.readouterr()
        assert resumed(clip, out, *change) == 1
        lines = capsys.readouterr().err.splitlines()
        assert len(lines) == 1
        assert f"begun by another job (differing: {what})" in lines[0]
    os.utime(clip, ns=(1, 1))
    assert resumed(clip, out) == 1
    assert "(differing: source)" in capsys.readouterr().err
    (tmp_path / ".out.mp4.parts" / "journal.json").write_text("{")
    assert resumed(clip, out) == 1
    assert "damaged; remove the folder" in capsys.readouterr().err


def test_two_runs_at_once_do_not_share_segments(
    clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out.mp4"
    process = start(clip, out)
    try:
        wait_for_segments(out, 1)
        assert resumed(clip, out) == 1
        assert "another run is at work on it" in capsys.readouterr().err
        assert process.wait(timeout=30) == 0
    finally:
        process.kill()
        process.communicate()
    assert times(out) == times(clip)


def test_max_frames_ends_a_resumed_job(clip: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.mp4"
    assert resumed(clip, out, "--max-frames", "12") == 0
    assert times(out) == times(clip)[:12]
    assert 0 < len(tracks(out, "audio")[0][2]) < len(tracks(clip, "audio")[0][2])


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--source", "demo", "--output", "out.mp4"], "--resume needs a video file as source"),
        (["--source", "clip.mp4"], "--resume without --output"),
        (["--source", "clip.mp4", "--output", "o.mp4", "--contact-sheet", "s.png"], "do not go together"),
        (["--source", "clip.mp4", "--output", "clip.mp4"], "the output is the input itself"),
    ],
)
def test_what_cannot_be_resumed_is_usage(
    flags: list[str],
    message: str,
    clip: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(clip.parent)
    assert main([*flags, "--resume"]) == 2
    assert message in capsys.readouterr().err
    assert [path.name for path in clip.parent.iterdir()] == ["clip.mp4"]


@pytest.mark.parametrize(
    "pts", [[0, 3, 1, 2, 7, 5, 4, 6], [5], [], [10, 20, 30], [0, 90, 30, 60, 100, 103, 101, 102]]
)
def test_decode_times_rise_and_precede_the_pictures(pts: list[int]) -> None:
    found = decode_times(pts)
    assert len(found) == len(pts)
    assert all(dts <= shown for dts, shown in zip(found, pts, strict=True))
    assert found == sorted(set(found))


@pytest.fixture
def folder(tmp_path: Path, make_video: VideoMaker) -> Path:
    """A folder of two good videos, a bad one, and other things."""
    home = tmp_path / "in"
    home.mkdir()
    for name in ("b.mp4", "a.mkv"):
        make_video(name, frames=4).rename(home / name)
    (home / "c.mp4").write_text("This is a text and no video.\n" * 50)
    (home / "notes.txt").write_text("notes")
    (home / ".hidden.mp4").write_text("hidden")
    (home / "folder.mp4").mkdir()
    return home


def test_a_folder_is_done_video_by_video(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert main(["--source", str(folder), "--output", str(out)]) == 1
    done = capsys.readouterr()
    assert done.out.splitlines()[-1] == "3 videos: 2 done, 1 failed"
    errors = [line for line in done.err.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert "c.mp4: not a readable video" in errors[0]
    assert sum(line.startswith("engine: ") for line in done.err.splitlines()) == 1
    assert sorted(path.name for path in out.iterdir()) == ["a.mkv", "b.mp4"]
    assert done.out.index("a.mkv") < done.out.index("b.mp4")
    assert times(out / "b.mp4") == times(folder / "b.mp4")
    (folder / "c.mp4").unlink()
    assert main(["--source", str(folder), "--output", str(out)]) == 0


def test_a_resumed_folder_leaves_out_what_is_done(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    args = ["--source", str(folder), "--output", str(out), "--resume"]
    assert main(args) == 1
    capsys.readouterr()
    (folder / "c.mp4").unlink()
    assert main([*args, "--effect", "lips"]) == 0, "other settings: all anew"
    assert "was done before" not in capsys.readouterr().out
    (folder / "c.mp4").write_text("no video")
    assert main([*args]) == 1
    (folder / "c.mp4").unlink()
    stamps = {path.name: path.stat().st_mtime_ns for path in out.glob("[a-z]*")}
    capsys.readouterr()
    (folder / "b.mp4").rename(folder / "d.mp4")
    assert main(args) == 0
    text = capsys.readouterr().out
    assert "a.mkv: was done before" in text
    assert "2 videos: 2 done" in text
    assert (out / "a.mkv").stat().st_mtime_ns == stamps["a.mkv"]
    assert (out / "d.mp4").exists()


@pytest.mark.parametrize(
    ("output", "code", "message"),
    [
        (None, 2, "needs --output FOLDER"),
        ("out.mp4", 2, "the output must be one"),
        ("in", 2, "the output is the input itself"),
        ("none/out", 1, "cannot be made"),
    ],
)
def test_a_folder_needs_a_folder(
    output: str | None,
    code: int,
    message: str,
    folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    args = [] if output is None else ["--output", str(tmp_path / output)]
    assert main(["--source", str(folder), *args]) == code
    assert message in capsys.readouterr().err


def test_an_empty_folder_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    home = tmp_path / "in"
    home.mkdir()
    assert main(["--source", str(home), "--output", str(tmp_path / "out")]) == 1
    assert "holds no video" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_names_of_other_containers_stay_apart(tmp_path: Path) -> None:
    home, out = tmp_path / "in", tmp_path / "out"
    home.mkdir()
    for name in ("clip.avi", "clip.mp4"):
        write(Clip(name, time_base=Fraction(1, 30)), home)
    assert main(["--source", str(home), "--output", str(out)]) == 0
    assert sorted(path.name for path in out.iterdir()) == ["clip.avi.mkv", "clip.mp4"]
