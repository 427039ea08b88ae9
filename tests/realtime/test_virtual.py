"""The virtual camera, against a stand-in for pyvirtualcam: no kernel module can be loaded in a test."""

from __future__ import annotations

import enum
import sys
import threading
import time
import types
from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Any, ClassVar

import numpy as np
import pytest

import realtime.app.run
from realtime.errors import SinkError, UsageError
from realtime.frames import Frame, Image, RenderedFrame
from realtime.media import SourceInfo
from realtime.sinks.virtual import MAKE_ONE, VirtualCameraSink
from run_webcam import main
from tests.conftest import VideoMaker
from tests.realtime.standin import STAND_INS

pytestmark = pytest.mark.timeout(30)

LIVE = SourceInfo("camera", 64, 48, Fraction(50), Fraction(1, 1_000_000), live=True)


class PixelFormat(enum.Enum):
    RGB = "raw "


class FakeCamera:
    """Takes what pyvirtualcam 0.15's Camera takes, and keeps what was sent."""

    made: ClassVar[list[FakeCamera]]
    refuse: str | None

    def __init__(
        self, width: int, height: int, fps: float, *, fmt: PixelFormat, device: str | None = None
    ) -> None:
        if self.refuse:
            raise RuntimeError(self.refuse)
        self.width, self.height, self.fps, self.fmt = width, height, fps, fmt
        self.device = device or "/dev/video10"
        self.sent: list[Image] = []
        self.times: list[float] = []
        self.closed = False
        self.sending = threading.Event()
        self.blocked = threading.Event()
        self.blocked.set()
        self.failing: Exception | None = None
        self.made.append(self)

    def send(self, image: Image) -> None:
        self.sending.set()
        assert self.blocked.wait(20)
        if self.failing is not None:
            raise self.failing
        assert not self.closed
        assert image.dtype == np.uint8
        assert image.shape == (self.height, self.width, 3)
        self.sent.append(image.copy())
        self.times.append(time.monotonic())

    def close(self) -> None:
        self.closed = True


@pytest.fixture(autouse=True)
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[FakeCamera]]:
    class Camera(FakeCamera):
        made: ClassVar[list[FakeCamera]] = []
        refuse = None

    fresh = Camera
    module: Any = types.ModuleType("pyvirtualcam")
    module.Camera, module.PixelFormat = fresh, PixelFormat
    monkeypatch.setitem(sys.modules, "pyvirtualcam", module)
    yield fresh
    for camera in fresh.made:
        camera.blocked.set()


def frame(index: int, colour: tuple[int, int, int], size: tuple[int, int] = (64, 48)) -> RenderedFrame:
    image = np.full((size[1], size[0], 3), colour, np.uint8)
    return RenderedFrame(Frame(image, index, Fraction(index, 50), time.monotonic()), image)


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_it_gets_rgb_at_a_steady_rate_and_the_newest_frame_is_repeated(fake: type[FakeCamera]) -> None:
    sink = VirtualCameraSink("", LIVE, (64, 48))
    camera = fake.made[0]
    assert (camera.width, camera.height, camera.fps, camera.fmt) == (64, 48, 50.0, PixelFormat.RGB)
    assert not camera.sent, "nothing is sent before there is a picture"
    sink.write(frame(0, (250, 10, 60)))
    until(lambda: len(camera.sent) >= 30)
    assert (camera.sent[0][0, 0] == (250, 10, 60)).all(), "red comes first"
    sink.write(frame(1, (1, 2, 3)))
    until(lambda: bool((camera.sent[-1] == (1, 2, 3)).all()))
    sink.close()
    assert camera.closed
    mean = (camera.times[29] - camera.times[0]) / 29
    assert mean == pytest.approx(1 / 50, rel=0.25)
    assert np.diff(camera.times).min() > 0.001


@pytest.mark.parametrize(
    ("size", "given"), [((64, 48), (64, 48)), ((65, 49), (64, 48)), ((64, 49), (64, 48))], ids=str
)
def test_sizes_are_even(size: tuple[int, int], given: tuple[int, int], fake: type[FakeCamera]) -> None:
    sink = VirtualCameraSink("/dev/video7", LIVE, size)
    sink.write(frame(0, (9, 9, 9), size))
    camera = fake.made[0]
    until(lambda: bool(camera.sent))
    assert (camera.width, camera.height) == given
    assert camera.device == "/dev/video7"
    with pytest.raises(SinkError, match="a frame of 32x24"):
        sink.write(frame(1, (9, 9, 9), (32, 24)))
    sink.abort()
    assert camera.closed


@pytest.mark.parametrize(("fps", "rate"), [(Fraction(240), 60.0), (Fraction(1, 5), 1.0)])
def test_the_rate_is_one_that_programs_take(fps: Fraction, rate: float, fake: type[FakeCamera]) -> None:
    VirtualCameraSink("", SourceInfo("c", 64, 48, fps, Fraction(1, 1000), live=True), (64, 48)).close()
    assert fake.made[0].fps == rate


def test_a_reader_that_hangs_holds_nothing_up(fake: type[FakeCamera]) -> None:
    sink = VirtualCameraSink("", LIVE, (64, 48))
    camera = fake.made[0]
    camera.blocked.clear()
    started = time.monotonic()
    for index in range(500):
        sink.write(frame(index, (index % 250, 0, 0)))
    assert time.monotonic() - started < 1.0
    camera.blocked.set()
    until(lambda: bool(camera.sent) and camera.sent[-1][0, 0, 0] == 499 % 250)
    assert len(camera.sent) < 20, "what was missed is not sent later"
    camera.blocked.clear()
    # Not that of a send that was let through before.
    camera.sending.clear()
    assert camera.sending.wait(5)
    started = time.monotonic()
    sink.close()
    assert time.monotonic() - started < 2.0
    assert not camera.closed, "closing it under a send could crash the process"


def test_a_camera_that_fails_ends_the_run_and_is_closed(fake: type[FakeCamera]) -> None:
    sink = VirtualCameraSink("", LIVE, (64, 48))
    camera = fake.made[0]
    camera.failing = RuntimeError("device\nwent away")
    sink.write(frame(0, (0, 0, 0)))
    until(lambda: not sink._thread.is_alive())
    with pytest.raises(SinkError, match="virtual camera /dev/video10 stopped: device went away"):
        sink.write(frame(1, (0, 0, 0)))
    sink.abort()
    assert camera.closed


@pytest.mark.parametrize("system", list(MAKE_ONE))
def test_where_there_is_none_the_message_says_how_to_make_one(
    system: str, fake: type[FakeCamera], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fake.refuse = "'v4l2loopback' backend: No v4l2 loopback device found. Did you run 'modprobe'?"
    monkeypatch.setattr(sys, "platform", system)
    with pytest.raises(SinkError) as caught:
        VirtualCameraSink("", LIVE, (64, 48))
    text = str(caught.value)
    assert text.startswith("no virtual camera here ('v4l2loopback' backend: No v4l2 loopback device found)")
    wanted = {"linux": "sudo modprobe v4l2loopback devices=1", "darwin": "brew install --cask obs"}
    assert wanted.get(system, "winget install OBSProject.OBSStudio") in text
    assert "\n" not in text


def test_without_pyvirtualcam_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyvirtualcam", None)
    with pytest.raises(SinkError, match=r"pip install '\.\[virtual-camera\]'"):
        VirtualCameraSink("", LIVE, (64, 48))


def test_a_still_picture_is_refused() -> None:
    still = SourceInfo("photo", 64, 48, Fraction(1), Fraction(1), still=True)
    with pytest.raises(UsageError, match="--virtual-camera needs moving pictures"):
        VirtualCameraSink("", still, (64, 48))


@pytest.mark.parametrize("flags", [["--virtual-camera"], ["--virtual-camera", "/dev/video7"]])
def test_the_front_door_plays_a_file_into_it_beside_an_output(
    flags: list[str],
    fake: type[FakeCamera],
    make_video: VideoMaker,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name, stand_in in STAND_INS.items():
        monkeypatch.setattr(realtime.app.run, name, stand_in)
    video = make_video(frames=20)
    out = video.with_name("out.mp4")
    assert main(["--source", str(video), *flags, "--output", str(out), "--compare", "--effect", "skin"]) == 0
    camera = fake.made[0]
    assert camera.closed
    assert (camera.width, camera.height) == (640, 240)
    assert camera.device == (flags[1] if len(flags) > 1 else "/dev/video10")
    assert 10 <= len(camera.sent) <= 24, "a file plays at its own speed: 20 frames take 0.63 s"
    assert out.exists()
    assert "virtual camera" in capsys.readouterr().err


def test_the_stand_in_takes_what_the_real_one_takes() -> None:
    import importlib.util
    import inspect

    spec = importlib.util.find_spec("pyvirtualcam") if sys.modules.pop("pyvirtualcam") else None
    if spec is None:
        pytest.skip("pyvirtualcam is not installed")
    import pyvirtualcam

    real, stand_in = inspect.signature(pyvirtualcam.Camera), inspect.signature(FakeCamera)
    for name, parameter in stand_in.parameters.items():
        assert real.parameters[name].kind == parameter.kind
    assert pyvirtualcam.PixelFormat.RGB.value == PixelFormat.RGB.value
    for name in ("send", "close"):
        assert list(inspect.signature(getattr(pyvirtualcam.Camera, name)).parameters) == (
            ["self", "frame"] if name == "send" else ["self"]
        )
