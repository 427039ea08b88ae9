from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest

from realtime.errors import SourceError
from realtime.frames import Frame
from realtime.sources import DemoSource, ImageSource, VideoSource, open_source
from realtime.sources.demo import demo_frame
from tests.conftest import Image, VideoMaker, write_sound_alone


def test_a_video_gives_every_frame_with_its_time(make_video: VideoMaker) -> None:
    times = [0, 3000, 5000, 11000, 11100, 20000]
    source = open_source(str(make_video(times=times)))
    assert isinstance(source, VideoSource)
    frames = list(source.frames())
    source.close()
    assert [frame.time for frame in frames] == [Fraction(pts, 90000) for pts in times]
    assert [frame.index for frame in frames] == list(range(6))
    assert all(frame.image.shape == (240, 320, 3) and frame.image.flags.c_contiguous for frame in frames)
    assert (source.info.width, source.info.height, source.info.frames) == (320, 240, 6)
    assert not source.info.live


def test_colours_come_as_rgb(make_video: VideoMaker, portrait: Image) -> None:
    source = open_source(str(make_video(frames=1)))
    image = next(source.frames()).image
    source.close()
    drawn = cv2.resize(demo_frame(portrait, 0), (320, 240), interpolation=cv2.INTER_AREA)
    assert np.abs((image.astype(float) - drawn).mean(axis=(0, 1))).max() < 1.0, "no colour cast"


@pytest.mark.parametrize("name", ["photo.png", "photo.jpg", "photo.mp4"])
def test_an_image_is_known_by_its_content(name: str, tmp_path: Path, portrait: Image) -> None:
    path = tmp_path / name
    path.write_bytes(cv2.imencode(".png", portrait[..., ::-1])[1].tobytes())
    source = open_source(str(path))
    assert isinstance(source, ImageSource)
    frames = list(source.frames())
    assert len(frames) == 1
    assert np.array_equal(frames[0].image, portrait)
    assert source.info.still


def test_the_demo_moves_and_repeats_exactly() -> None:
    frames = [frame for frame, _ in zip(DemoSource().frames(), range(3), strict=False)]
    again = next(DemoSource().frames())
    assert frames[0].image.shape == (720, 1280, 3)
    assert np.array_equal(frames[0].image, again.image)
    assert not np.array_equal(frames[0].image, frames[2].image)
    assert frames[2].time == Fraction(2, 30)
    assert DemoSource().info.frames == 300


def bad_sources(folder: Path, video: Path) -> dict[str, tuple[str, str]]:
    text = folder / "text.mp4"
    text.write_text("This is a text and no video.\n" * 50)
    plain = folder / "notes.txt"
    plain.write_text("This is a text and no video.\n" * 50)
    empty = folder / "empty.mp4"
    empty.touch()
    cut = folder / "cut.mp4"
    cut.write_bytes(video.read_bytes()[: video.stat().st_size // 2])
    image = folder / "half.png"
    image.write_bytes(cv2.imencode(".png", np.zeros((64, 64, 3), np.uint8))[1].tobytes()[:60])
    return {
        "missing": (str(folder / "none.mp4"), "no such file"),
        "folder": (str(folder), "is a folder"),
        "text as mp4": (str(text), "not a readable video"),
        "text": (str(plain), "no video|not a readable video"),
        "empty": (str(empty), "empty"),
        "truncated": (str(cut), "not a readable video"),
        "half an image": (str(image), "damaged"),
        "camera": ("99", "camera 99 cannot be opened"),
        "device": ("/dev/video99", "cannot be opened"),
        "url": ("http://127.0.0.1:9/none.mp4", "not a readable video"),
    }


@pytest.mark.parametrize(
    "case",
    [
        "missing",
        "folder",
        "text as mp4",
        "text",
        "empty",
        "truncated",
        "half an image",
        "camera",
        "device",
        "url",
    ],
)
def test_bad_sources_are_named_in_one_line(case: str, tmp_path: Path, make_video: VideoMaker) -> None:
    name, message = bad_sources(tmp_path, make_video())[case]
    with pytest.raises(SourceError, match=message) as caught:
        open_source(name)
    assert "\n" not in str(caught.value)
    assert name.removeprefix("/dev/video") in str(caught.value)


def test_audio_alone_is_no_source(make_video: VideoMaker, tmp_path: Path) -> None:
    path = tmp_path / "sound.m4a"
    write_sound_alone(make_video(audio=True), path)
    with pytest.raises(SourceError, match="holds only audio"):
        open_source(str(path))


def test_a_video_cut_short_after_its_index_is_noticed(make_video: VideoMaker, tmp_path: Path) -> None:
    whole = make_video(frames=20, options={"movflags": "faststart"})
    path = tmp_path / "cut.mp4"
    path.write_bytes(whole.read_bytes()[: int(whole.stat().st_size * 0.7)])
    source = open_source(str(path))
    seen: list[int] = []
    with pytest.raises(SourceError, match="damaged or cut short after frame"):
        seen.extend(frame.index for frame in source.frames())
    source.close()
    assert seen == list(range(len(seen)))
    assert 0 < len(seen) < 20


class FakeCapture:
    """cv2.VideoCapture of a camera that gives four pictures and is then unplugged."""

    def __init__(self, device: int | str) -> None:
        self.device, self.left, self.asked, self.released = device, 4, {}, False  # type: ignore[var-annotated]

    def isOpened(self) -> bool:  # noqa: N802 - OpenCV's name
        return True

    def set(self, name: int, value: float) -> bool:
        self.asked[name] = value
        return True

    def get(self, name: int) -> float:
        return 25.0 if name == cv2.CAP_PROP_FPS else 0.0

    def read(self) -> tuple[bool, Image | None]:
        self.left -= 1
        if self.left < 0:
            return False, None
        return True, np.full((48, 64, 3), (200, 100, 50), np.uint8)  # BGR

    def release(self) -> None:
        self.released = True


def test_a_camera_gives_rgb_frames_with_their_times(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[FakeCapture] = []

    def capture(device: int | str) -> FakeCapture:
        made.append(FakeCapture(device))
        return made[-1]

    monkeypatch.setattr(cv2, "VideoCapture", capture)
    source = open_source("2")
    assert made[0].device == 2
    assert made[0].asked[cv2.CAP_PROP_BUFFERSIZE] == 1
    assert source.info.live
    assert (source.info.width, source.info.height) == (64, 48)
    assert source.info.fps == 25
    frames: list[Frame] = []
    with pytest.raises(SourceError, match="camera 2 stopped giving pictures"):
        frames.extend(source.frames())
    assert [frame.index for frame in frames] == [0, 1, 2]
    assert frames[0].image[0, 0].tolist() == [50, 100, 200]
    assert frames[0].time == 0
    assert frames[0].time < frames[1].time < frames[2].time
    assert all((frame.time / source.info.time_base).denominator == 1 for frame in frames)
    source.close()
    assert made[0].released
