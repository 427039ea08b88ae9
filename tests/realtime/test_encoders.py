from __future__ import annotations

from pathlib import Path

import pytest

import realtime.app.run
from run_webcam import main
from tests.conftest import VideoMaker, times
from tests.realtime.clips import Clip, write
from tests.realtime.standin import STAND_INS

import av  # isort: skip

WRITES = {"libx264": "h264", "libx265": "hevc", "libvpx-vp9": "vp9", "libsvtav1": "av1"}


@pytest.fixture(autouse=True)
def _no_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, stand_in in STAND_INS.items():
        monkeypatch.setattr(realtime.app.run, name, stand_in)


@pytest.fixture
def clip(make_video: VideoMaker) -> Path:
    return make_video(frames=4)


@pytest.mark.parametrize("codec", WRITES)
def test_quality_and_encoder_are_as_asked(codec: str, clip: Path, tmp_path: Path) -> None:
    sizes = []
    for crf in ("10", "45"):
        out = tmp_path / f"out{crf}.mkv"
        args = ["--source", str(clip), "--output", str(out), "--codec", codec, "--crf", crf]
        assert main(args) == 0
        assert len(times(out)) == 4
        sizes.append(out.stat().st_size)
        with av.open(str(out)) as container:
            assert container.streams.video[0].codec_context.codec.canonical_name == WRITES[codec]
    assert sizes[1] < 0.6 * sizes[0]


@pytest.mark.parametrize("codec", WRITES)
@pytest.mark.parametrize("frames", [1, 2, 3])
def test_a_few_frames_are_a_video_too(
    codec: str, frames: int, make_video: VideoMaker, tmp_path: Path
) -> None:
    clip = make_video(frames=frames)
    # What libx265 forgets to set is often, not always, no time that a container takes.
    for turn in range(6 if codec == "libx265" else 1):
        out = tmp_path / f"out{turn}.mp4"
        assert main(["--source", str(clip), "--output", str(out), "--codec", codec]) == 0
        assert times(out) == times(clip)


BAD = {
    "unknown": (["--codec", "divx"], 2, "--codec divx: unknown; usable here: libvpx-vp9"),
    "container": (["--codec", "libx264"], 2, "--codec libx264: .webm holds vp9 or av1, not h264"),
    "quality": (["--crf", "77"], 2, "--crf 77: libvpx-vp9 takes 0 to 63"),
    "build": (["--codec", "libaom-av1"], 1, "cannot be used here (not in this build of FFmpeg); usable: lib"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_cannot_be_encoded_is_told_before_any_work(
    case: str, clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "realtime.sinks.encoders.av.codecs_available", av.codecs_available - {"libaom-av1"}, raising=True
    )
    flags, code, message = BAD[case]
    assert main(["--source", str(clip), "--output", str(tmp_path / "out.webm"), *flags]) == code
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert message in lines[0]
    assert not (tmp_path / "out.webm").exists()


@pytest.mark.parametrize("codec", ["h264_nvenc", "hevc_qsv", "h264_amf", "h264_videotoolbox"])
def test_hardware_is_used_or_its_lack_told(
    codec: str, clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out.mp4"
    code = main(["--source", str(clip), "--output", str(out), "--codec", codec, "--crf", "30"])
    if code == 0:
        assert len(times(out)) == 4
    else:
        error = capsys.readouterr().err.splitlines()[-1]
        assert error.startswith(f"error: --codec {codec} cannot be used here (")
        assert "usable: libx264, libx265" in error


def test_an_encoding_needs_a_video(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--source", "demo", "--crf", "20"]) == 2
    assert "--crf without --output" in capsys.readouterr().err


def test_odd_sizes_find_a_pixel_format(tmp_path: Path) -> None:
    source = write(Clip("odd.mkv", size=(97, 63), codec="ffv1", pixels="bgr0"), tmp_path)
    for codec in WRITES:
        out = tmp_path / "out.mkv"
        assert main(["--source", str(source), "--output", str(out), "--codec", codec]) == 0
        with av.open(str(out)) as container:
            assert (container.streams.video[0].width, container.streams.video[0].height) == (97, 63)


@pytest.mark.parametrize(("flag", "shown"), [("--progress", True), ("--no-progress", False), (None, False)])
def test_progress_is_shown_when_asked_and_not_to_a_file(
    flag: str | None, shown: bool, clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    args = ["--source", str(clip), "--output", str(tmp_path / "out.mp4"), *([flag] if flag else [])]
    assert main(args) == 0
    assert ("4/4" in capsys.readouterr().err) is shown
