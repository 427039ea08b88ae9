from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import cast

import cv2
import numpy as np
import pytest

from realtime.errors import SinkError, UsageError
from realtime.frames import Frame, Image, RenderedFrame
from realtime.media import SourceInfo
from realtime.sinks import ContactSheetSink, ProgressSink, VideoFileSink, WindowSink, open_output
from realtime.sinks.progress import expected_frames
from realtime.sources import open_source
from tests.conftest import VideoMaker, times

import av  # isort: skip  # after cv2


def info(**changes: object) -> SourceInfo:
    values: dict[str, object] = {"name": "t", "width": 64, "height": 48, "fps": Fraction(30)}
    return SourceInfo(**{**values, "time_base": Fraction(1, 90000), **changes})  # type: ignore[arg-type]


def rendered(index: int, image: Image | None = None, time: Fraction | None = None) -> RenderedFrame:
    picture = np.full((48, 64, 3), 10 * index, np.uint8) if image is None else image
    return RenderedFrame(Frame(picture, index, Fraction(index, 30) if time is None else time, 0.0), picture)


def packets(path: Path, kind: str) -> list[bytes]:
    with av.open(str(path)) as container:
        streams = container.streams.get({kind: 0})
        return [bytes(packet) for packet in container.demux(streams) if packet.dts is not None]


def read(path: Path) -> Image:
    return np.asarray(cv2.imread(str(path)), np.uint8)[..., ::-1]


@pytest.mark.parametrize(
    ("ending", "decoder"), [(".mov", "prores"), (".webm", "libvpx-vp9"), (".mp4", "h264")]
)
def test_a_cutout_keeps_its_transparency_where_the_file_can(
    ending: str, decoder: str, tmp_path: Path
) -> None:
    path = tmp_path / f"out{ending}"
    clear = np.full((48, 64, 4), 200, np.uint8)
    clear[..., 3] = 255
    clear[:, :32, 3] = 0
    opaque = clear[..., :3].copy()
    opaque[:, :32] = (0, 177, 64)
    sink = VideoFileSink(path, info())
    for index in range(3):
        frame = Frame(clear[..., :3].copy(), index, Fraction(index, 30), 0.0)
        sink.write(RenderedFrame(frame, opaque, clear))
    sink.close()
    with av.open(str(path)) as container:
        codec = cast(av.VideoCodecContext, av.CodecContext.create(decoder, "r"))
        stream = container.streams.video[0]
        codec.extradata = stream.codec_context.extradata
        frames = [frame for packet in container.demux(stream) for frame in codec.decode(packet)]
    first = frames[0].to_ndarray(format="rgba").astype(int)
    assert len(frames) == 3
    assert first[20, 50, 3] == 255
    if ending == ".mp4":
        assert np.abs(first[20, 10] - (0, 177, 64, 255)).max() < 12
    else:
        assert first[20, 10, 3] < 6


@pytest.mark.parametrize("ending", [".mp4", ".mkv", ".mov"])
def test_a_copy_keeps_every_frame_its_time_and_the_audio(
    ending: str, make_video: VideoMaker, tmp_path: Path
) -> None:
    # A variable rate that starts late; whole milliseconds, as .mkv has no finer times.
    source_path = make_video(times=[900, 3600, 5400, 12600, 18000, 18900], audio=True)
    source = open_source(str(source_path))
    out = tmp_path / f"out{ending}"
    sink = open_output(out, source.info)
    for frame in source.frames():
        sink.write(RenderedFrame(frame, frame.image))
    sink.close()
    source.close()
    assert times(out) == times(source_path)
    assert packets(out, "audio") == packets(source_path, "audio")
    assert len(packets(out, "audio")) > 10
    assert [p.name for p in tmp_path.iterdir() if ".part" in p.name] == []


def test_pixels_survive_with_the_sources_colours(make_video: VideoMaker, tmp_path: Path) -> None:
    source = open_source(str(make_video(frames=3)))
    out = tmp_path / "out.mp4"
    sink = open_output(out, source.info)
    before = []
    for frame in source.frames():
        before.append(frame.image)
        sink.write(RenderedFrame(frame, frame.image))
    sink.close()
    source.close()
    after = open_source(str(out))
    for old, frame in zip(before, after.frames(), strict=True):
        difference = old.astype(float) - frame.image
        assert np.sqrt((difference**2).mean()) < 6
        assert np.abs(difference.mean(axis=(0, 1))).max() < 1.0, "no colour cast"
    after.close()


@pytest.mark.parametrize("name", ["clip.mp4", "clip.mkv"])
def test_stopping_early_cuts_the_audio_with_the_video(
    name: str, make_video: VideoMaker, tmp_path: Path
) -> None:
    source = open_source(str(make_video(name, frames=12, audio=True)))
    out = tmp_path / "out.mp4"
    sink = open_output(out, source.info)
    for frame in source.frames():
        if frame.index == 4:
            break
        sink.write(RenderedFrame(frame, frame.image))
    sink.close(whole=False)
    source.close()
    assert len(times(out)) == 4
    with av.open(str(out)) as container:
        assert container.duration is not None
        assert container.duration < 0.25e6


def test_odd_sizes_are_kept(tmp_path: Path) -> None:
    sink = VideoFileSink(tmp_path / "odd.mp4", info())
    image = np.full((47, 63, 3), 90, np.uint8)
    for index in range(3):
        sink.write(rendered(index, image))
    sink.close()
    with av.open(str(tmp_path / "odd.mp4")) as container:
        assert (container.streams.video[0].width, container.streams.video[0].height) == (63, 47)


def test_abort_leaves_nothing_and_keeps_what_was_there(tmp_path: Path) -> None:
    out = tmp_path / "out.mp4"
    out.write_bytes(b"precious")
    sink = VideoFileSink(out, info())
    sink.write(rendered(0))
    assert len(list(tmp_path.iterdir())) == 2, "the unfinished file has another name"
    sink.abort()
    assert [p.name for p in tmp_path.iterdir()] == ["out.mp4"]
    assert out.read_bytes() == b"precious"


def test_closing_without_a_frame_makes_no_file(tmp_path: Path) -> None:
    VideoFileSink(tmp_path / "out.mp4", info()).close()
    assert list(tmp_path.iterdir()) == []


def test_outputs_are_checked_before_any_work(tmp_path: Path, make_video: VideoMaker) -> None:
    video = make_video()
    own = info(path=video)
    with pytest.raises(UsageError, match="the output is the input itself"):
        open_output(video, own)
    link = tmp_path / "link.mp4"
    link.symlink_to(video)
    with pytest.raises(UsageError, match="the output is the input itself"):
        open_output(link, own)
    with pytest.raises(UsageError, match=r"unknown kind of video '\.gif'"):
        open_output(tmp_path / "out.gif", own)
    with pytest.raises(UsageError, match="still image"):
        open_output(tmp_path / "out.mp4", info(still=True))
    with pytest.raises(SinkError, match="no such folder"):
        open_output(tmp_path / "none" / "out.mp4", own)
    (tmp_path / "folder.mp4").mkdir()
    with pytest.raises(SinkError, match="is a folder"):
        open_output(tmp_path / "folder.mp4", own)
    with pytest.raises(SinkError, match=r"cannot be written|permission"):
        open_output(Path("/proc/out.mp4"), own)


def test_a_still_source_gives_an_image(tmp_path: Path) -> None:
    sink = open_output(tmp_path / "out.png", info(still=True))
    image = np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)
    sink.write(rendered(0, image))
    sink.close()
    assert np.array_equal(read(tmp_path / "out.png"), image)
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("count", [1, 5, 200])
def test_a_contact_sheet_spans_the_whole_video(count: int, tmp_path: Path) -> None:
    path = tmp_path / "sheet.png"
    sink = ContactSheetSink(path, columns=2, rows=3, width=128)
    for index in range(count):
        sink.write(rendered(index, np.full((48, 64, 3), 50 + index, np.uint8)))
    sink.close()
    sheet = read(path)
    assert sheet.shape[1] == 128
    assert sheet[0, 0, 0] == 50, "the first frame comes first"
    levels = [int(sheet[y + 5, x + 5, 0]) for y in range(0, sheet.shape[0], 48) for x in (0, 64)]
    shown = [level for level in levels if level]
    assert len(shown) == min(count, 6)
    assert shown == sorted(shown)
    if count == 200:
        assert shown[-1] > 50 + 180, "the last ones are there too"


def test_no_display_is_said_and_does_not_abort(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    with pytest.raises(SinkError, match="no display here; use --no-display"):
        WindowSink(info())


def test_progress_counts_frames_once_and_estimates_the_end(capsys: pytest.CaptureFixture[str]) -> None:
    assert expected_frames(info(frames=9)) == 9
    assert expected_frames(info(seconds=2.0)) == 60
    assert expected_frames(info(seconds=2.0), 25) == 25
    assert expected_frames(info()) is None
    sink = ProgressSink(info(name="folder/clip.mp4", frames=4))
    for index in (0, 1, 0, 1, 2, 3):
        assert sink.write(rendered(index))
    sink.close()
    last = capsys.readouterr().err.split("\r")[-1]
    assert "clip.mp4: 100%" in last
    assert "4/4" in last
    assert "frames/s" in last
