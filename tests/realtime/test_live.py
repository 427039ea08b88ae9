"""Cameras and network streams: lost, found again, hanging; all on 127.0.0.1 or faked."""

from __future__ import annotations

import http.server
import itertools
import socket
import threading
import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

import realtime.app.run
from realtime.errors import SourceError, UsageError
from realtime.frames import Frame, RenderedFrame
from realtime.pipeline import Pipeline, Stage
from realtime.sinks import NullSink
from realtime.sources import LiveOptions, LiveSource, open_source
from run_webcam import main
from tests.conftest import Image, VideoMaker, times
from tests.realtime.standin import STAND_INS
from tests.realtime.test_exact import tracks

import av  # isort: skip

pytestmark = pytest.mark.timeout(30)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("realtime.media.opening.FIRST_PAUSE", 0.01)
    monkeypatch.setattr("realtime.sources.video.READ_SECONDS", 0.5)


class Plug:
    """Cameras as cv2 opens them: each opening takes the next of a list of lives, in pictures."""

    def __init__(self, lives: list[int | None], sizes: list[tuple[int, int]] | None = None) -> None:
        self.lives, self.sizes = iter(lives), iter(sizes or [])
        self.opened: list[FakeCamera] = []
        self.unblock = threading.Event()

    def __call__(self, device: int | str) -> FakeCamera:
        self.opened.append(FakeCamera(self, next(self.lives, None), next(self.sizes, (64, 48))))
        return self.opened[-1]


class FakeCamera:
    """Gives so many pictures and is then unplugged; None: can't be opened; negative: hangs at the end."""

    def __init__(self, plug: Plug, life: int | None, size: tuple[int, int]) -> None:
        self.plug, self.life, self.size = plug, life, size
        self.left = abs(life or 0)
        self.asked: list[tuple[int, float]] = []
        self.released = False

    def isOpened(self) -> bool:  # noqa: N802 - OpenCV's name
        return self.life is not None

    def set(self, name: int, value: float) -> bool:
        self.asked.append((name, value))
        return True

    def get(self, name: int) -> float:
        return {cv2.CAP_PROP_FPS: 25.0, cv2.CAP_PROP_FOURCC: cv2.VideoWriter.fourcc(*"YUYV")}[name]

    def read(self) -> tuple[bool, Image | None]:
        if self.left == 0 and (self.life or 0) < 0:
            self.plug.unblock.wait()
        self.left -= 1
        if self.left < 0:
            return False, None
        width, height = self.size
        return True, np.full((height, width, 3), 7, np.uint8)

    def release(self) -> None:
        self.released = True


@pytest.fixture
def plug(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Plug]:
    def make(*lives: int | None, sizes: list[tuple[int, int]] | None = None) -> Plug:
        made = Plug(list(lives), sizes)
        monkeypatch.setattr(cv2, "VideoCapture", made)
        return made

    return make


def camera(patience: float) -> LiveSource:
    source = open_source("3", LiveOptions(reconnect=patience))
    assert isinstance(source, LiveSource)
    return source


def test_a_camera_that_is_plugged_in_again_goes_on(
    plug: Callable[..., Plug], capsys: pytest.CaptureFixture[str]
) -> None:
    cameras = plug(5, None, None, 4)
    source = camera(patience=0.5)
    got: list[Frame] = []
    with pytest.raises(SourceError, match="camera 3 stopped giving pictures"):
        got.extend(source.frames())
    source.close()
    # The first picture of each opening only shows that the camera works.
    assert [frame.index for frame in got] == list(range(7))
    steps = np.diff([float(frame.time) for frame in got])
    assert (steps > 0).all()
    clock = got[4].captured_at - got[3].captured_at
    assert steps[3] == pytest.approx(clock, abs=1e-4), "times go on by the clock"
    assert all((frame.time / source.info.time_base).denominator == 1 for frame in got)
    text = capsys.readouterr().err
    assert "output so far is kept; trying again for 0.5 s" in text
    assert "warning: camera 3 is back after" in text
    assert len(cameras.opened) > 4
    assert all(one.released for one in cameras.opened if one.life is not None)


def test_zero_patience_gives_up_at_once(plug: Callable[..., Plug]) -> None:
    cameras = plug(3, 100)
    source = camera(patience=0)
    with pytest.raises(SourceError, match="stopped giving pictures"):
        list(source.frames())
    assert len(cameras.opened) == 1


def test_a_camera_that_comes_back_with_another_size_ends_the_run(plug: Callable[..., Plug]) -> None:
    plug(3, 3, sizes=[(64, 48), (32, 24)])
    source = camera(patience=5)
    with pytest.raises(SourceError, match="came back with 32x24 instead of 64x48"):
        list(source.frames())


@pytest.mark.parametrize("lives", [(-5,), (5,)], ids=["hanging in a read", "waiting for the camera"])
def test_a_stop_does_not_wait_for_a_lost_camera(lives: tuple[int, ...], plug: Callable[..., Plug]) -> None:
    cameras = plug(*lives)
    source = camera(patience=60)
    got: list[int] = []

    class Sink:
        ended: str = ""

        def write(self, rendered: RenderedFrame) -> bool:
            got.append(rendered.frame.index)
            return True

        def close(self, whole: bool = True) -> None:
            self.ended = "closed"

        def abort(self) -> None:
            self.ended = "aborted"

    sink = Sink()
    stages = [Stage("render", lambda frame: RenderedFrame(frame, frame.image))]
    pipeline = Pipeline(source, stages, [sink])
    stopper = threading.Timer(0.3, pipeline.stop)
    stopper.start()
    started = time.monotonic()
    pipeline.run()
    assert time.monotonic() - started < 2.5
    assert sink.ended == "closed"
    assert got
    cameras.unblock.set()
    reader = source._reader
    assert reader is not None
    reader.join(5)
    assert not reader.is_alive()
    assert cameras.opened[0].released


def test_a_camera_is_asked_and_the_answer_is_told(
    plug: Callable[..., Plug], capsys: pytest.CaptureFixture[str]
) -> None:
    made = plug(2)
    open_source("0", LiveOptions((1280, 720), 60.0)).close()
    asked = made.opened[0].asked
    assert asked[0][0] == cv2.CAP_PROP_FOURCC, "sizes and rates depend on it"
    for pair in (
        (cv2.CAP_PROP_FRAME_WIDTH, 1280),
        (cv2.CAP_PROP_FRAME_HEIGHT, 720),
        (cv2.CAP_PROP_FPS, 60),
        (cv2.CAP_PROP_BUFFERSIZE, 1),
    ):
        assert pair in asked
    line = capsys.readouterr().err
    assert line == "camera 0: asked for 1280x720 60 fps MJPG; it gives 64x48 25 fps YUYV\n"


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--camera-size", "big"], "--camera-size big: WIDTHxHEIGHT"),
        (["--camera-size", "0x720"], "--camera-size 0x720: WIDTHxHEIGHT"),
        (["--camera-fps", "0"], "--camera-fps 0: 1 to 1000"),
        (["--reconnect", "-1"], "--reconnect -1: seconds, 0 or more"),
        (["--reconnect", "nan"], "--reconnect nan: seconds, 0 or more"),
    ],
)
def test_bad_wishes_are_usage(flags: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(flags) == UsageError.exit_code
    assert message in capsys.readouterr().err


class Sender:
    """Sends an MPEG-TS of numbered frames to a port at the pace of a camera, until told to stop."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.ending = threading.Event()
        self.thread = threading.Thread(target=self._send, daemon=True)
        self.thread.start()

    def _send(self) -> None:
        with av.open(self.url, "w", format="mpegts") as container:
            options = {"tune": "zerolatency", "preset": "ultrafast", "g": "5"}
            stream: Any = container.add_stream("libx264", rate=50, options=options)
            stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
            for index in range(3000):
                if self.ending.wait(0.02):
                    return
                grey = np.full((64, 96, 3), index % 200, np.uint8)
                picture = av.VideoFrame.from_ndarray(grey, format="rgb24")
                picture.pts, picture.time_base = index, Fraction(1, 50)
                container.mux(stream.encode(picture))

    def stop(self) -> None:
        self.ending.set()
        self.thread.join(5)


def free_port(kind: socket.SocketKind) -> int:
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_a_udp_stream_is_live_and_survives_its_sender(capsys: pytest.CaptureFixture[str]) -> None:
    url = f"udp://127.0.0.1:{free_port(socket.SOCK_DGRAM)}"
    sender = Sender(url)
    source = open_source(url, LiveOptions(reconnect=20))
    assert isinstance(source, LiveSource)
    frames: list[Frame] = []
    restarted: list[Sender] = []
    for frame in source.frames():
        frames.append(frame)
        if len(frames) == 10:
            sender.stop()
            threading.Timer(0.8, lambda: restarted.append(Sender(url))).start()
        if restarted and frame.captured_at - frames[-2].captured_at > 0.4:
            break
    source.close()
    restarted[0].stop()
    assert frames[0].time == 0
    assert [frame.index for frame in frames] == list(range(len(frames)))
    assert all(a.time < b.time for a, b in itertools.pairwise(frames))
    gap = frames[-1].captured_at - frames[-2].captured_at
    assert float(frames[-1].time - frames[-2].time) == pytest.approx(gap, abs=0.05)
    text = capsys.readouterr().err
    assert "the stream broke off (no data in time); trying again" in text
    assert "is back after" in text


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., str]]:
    """Return a function that serves a file by HTTP, with its length or as a stream without one."""
    servers: list[http.server.ThreadingHTTPServer] = []
    ending = threading.Event()

    def start(path: Path, length: bool = True, hang_after: float | None = None) -> str:
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                data = path.read_bytes()
                begin = int((self.headers.get("Range") or "bytes=0-")[6:].split("-")[0]) if length else 0
                self.send_response(206 if begin else 200)
                if length:
                    self.send_header("Accept-Ranges", "bytes")
                    self.send_header("Content-Length", str(len(data) - begin))
                    self.send_header("Content-Range", f"bytes {begin}-{len(data) - 1}/{len(data)}")
                self.end_headers()
                if hang_after is not None:
                    self.wfile.write(data[begin : int(len(data) * hang_after)])
                    ending.wait(20)
                    return
                self.wfile.write(data[begin:])

            def log_message(self, *args: object) -> None:
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}/{path.name}"

    yield start
    ending.set()
    for server in servers:
        server.shutdown()
        server.server_close()


def test_a_file_by_http_is_a_file(
    serve: Callable[..., str], make_video: VideoMaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, stand_in in STAND_INS.items():
        monkeypatch.setattr(realtime.app.run, name, stand_in)
    path, out = make_video(audio=True), tmp_path / "out.mp4"
    assert main(["--source", serve(path), "--output", str(out)]) == 0
    assert times(out) == times(path)
    assert tracks(out, "audio") == tracks(path, "audio")


def test_a_stop_does_not_wait_for_a_server_that_hangs(
    serve: Callable[..., str], make_video: VideoMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("realtime.sources.video.READ_SECONDS", 8)
    path = make_video(frames=60, size=(640, 360), options={"movflags": "faststart"})
    source = open_source(serve(path, hang_after=0.6), LiveOptions())
    assert not source.info.live
    stages = [Stage("render", lambda frame: RenderedFrame(frame, frame.image))]
    pipeline = Pipeline(source, stages, [NullSink()])
    threading.Timer(0.5, pipeline.stop).start()
    started = time.monotonic()
    report = pipeline.run()
    assert time.monotonic() - started < 2.5
    assert 0 < report.frames < 60


def test_a_stream_by_http_without_an_end_is_live(serve: Callable[..., str], tmp_path: Path) -> None:
    path = tmp_path / "stream.ts"
    sender = Sender(str(path))
    time.sleep(1.0)
    sender.stop()
    source = open_source(serve(path, length=False), LiveOptions(reconnect=0.3))
    assert isinstance(source, LiveSource)
    frames = []
    # It ends in order each time, and is asked for again until patience is lost.
    for frame in source.frames():
        frames.append(frame)
        if len(frames) > 60:
            break
    source.close()
    assert all(a.time < b.time for a, b in itertools.pairwise(frames))


def test_a_silent_server_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("realtime.sources.video.OPEN_SECONDS", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as server:
        started = time.monotonic()
        with pytest.raises(SourceError, match="not a readable video"):
            open_source(f"http://127.0.0.1:{server.getsockname()[1]}/x.mp4")
        assert time.monotonic() - started < 3
