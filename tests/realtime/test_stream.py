"""Frames sent to a network address, received on 127.0.0.1 by FFmpeg in another process."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import realtime.app.run
from realtime.errors import SinkError, UsageError
from realtime.frames import Frame, Image, RenderedFrame
from realtime.media import SourceInfo
from realtime.sinks.address import describe_job, shown
from realtime.sinks.stream import StreamSink
from run_webcam import main
from tests.conftest import VideoMaker
from tests.realtime.standin import STAND_INS
from tests.realtime.test_live import free_port

import av  # isort: skip  # after cv2

pytestmark = pytest.mark.timeout(60)

LIVE = SourceInfo("camera", 160, 120, Fraction(30), Fraction(1, 1_000_000), live=True)
SIZE = (160, 120)
LISTEN = {
    "rtmp": ["listen=1", "analyzeduration=300000"],
    "rtsp": ["rtsp_flags=listen", "listen_timeout=20"],
    "udp": ["analyzeduration=300000"],
}


class Receiver:
    """A player, listening."""

    def __init__(self, url: str, count: int) -> None:
        script = str(Path(__file__).with_name("receiver.py"))
        scheme = url.partition(":")[0]
        command = [sys.executable, script, url, *LISTEN[scheme], str(count)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        if scheme != "udp":
            _wait_until_listening(int(url.split(":")[2].split("/")[0]))

    def facts(self) -> dict[str, Any]:
        out, errors = self.process.communicate(timeout=30)
        assert self.process.returncode == 0, errors
        found: dict[str, Any] = json.loads(out.splitlines()[-1])
        return found


def _wait_until_listening(port: int) -> None:
    """Look at the kernel's table: a trial connection would be taken for the sender."""
    wanted = f"0100007F:{port:04X} 00000000:0000 0A"
    for _ in range(400):
        if wanted in Path("/proc/net/tcp").read_text():
            return
        time.sleep(0.05)
    raise AssertionError(f"nobody listens at {port}")


@pytest.fixture
def receive() -> Iterator[Callable[[str, int], Receiver]]:
    made: list[Receiver] = []

    def start(url: str, count: int) -> Receiver:
        made.append(Receiver(url, count))
        return made[-1]

    yield start
    for receiver in made:
        receiver.process.kill()
        receiver.process.communicate()


def address(scheme: str) -> str:
    kind = socket.SOCK_DGRAM if scheme == "udp" else socket.SOCK_STREAM
    return f"{scheme}://127.0.0.1:{free_port(kind)}" + ("" if scheme == "udp" else "/live/secret")


def frame(index: int, image: Image | None = None) -> RenderedFrame:
    picture = np.full((SIZE[1] + 1, SIZE[0] + 1, 3), (200, 40, 2 * index % 200), np.uint8)
    picture = picture if image is None else image
    return RenderedFrame(Frame(picture, index, Fraction(index, 30), time.monotonic()), picture)


def send(sink: StreamSink, until: Callable[[int], bool], pause: float = 1 / 30) -> float:
    """Send frames at a camera's pace; return the longest that a write took, seconds."""
    longest, index = 0.0, 0
    while not until(index):
        begun = time.monotonic()
        sink.write(frame(index))
        longest = max(longest, time.monotonic() - begun)
        index += 1
        time.sleep(pause)
    return longest


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks at /proc/net/tcp")
@pytest.mark.parametrize("scheme", ["rtmp", "rtsp", "udp"])
def test_a_player_gets_the_frames(
    scheme: str, receive: Callable[..., Receiver], capsys: pytest.CaptureFixture[str]
) -> None:
    url = address(scheme)
    receiver = receive(url, 40)
    sink = StreamSink(url, LIVE, (161, 121), patience=0)
    # A player by UDP may come late: it takes up the stream at the next key frame.
    longest = send(sink, lambda index: receiver.process.poll() is not None or index > 900)
    facts = receiver.facts()
    sink.abort()
    assert longest < 0.2, "a write never waits for the network"
    assert facts["codec"] == "h264"
    assert facts["size"] == [160, 120], "odd sizes lose a line: H.264 in 4:2:0 has none"
    frames = facts["frames"]
    red, green, _ = frames[5][2]
    assert (red, green) == (pytest.approx(200, abs=4), pytest.approx(40, abs=4)), "colours are kept"
    times = [one[0] for one in frames if one[0] is not None]
    assert times == sorted(times)
    assert np.median(np.diff(times)) == pytest.approx(1 / 30, abs=0.02)
    assert frames[0][3], "a stream can be decoded from its first frame"
    assert "secret" not in capsys.readouterr().err


def test_a_key_frame_comes_every_two_seconds_and_nothing_waits_in_the_encoder(tmp_path: Path) -> None:
    data = b""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as box:
        box.bind(("127.0.0.1", 0))
        sink = StreamSink(f"udp://127.0.0.1:{box.getsockname()[1]}", LIVE, SIZE, patience=0)
        for index in range(150):
            sink.write(frame(index))
            # Each frame is sent before the next is given: no look-ahead, no reordering.
            box.settimeout(10)
            data += box.recv(65536)
            box.settimeout(0.002)
            with contextlib.suppress(TimeoutError):
                while True:
                    data += box.recv(65536)
        sink.close()
    assert sink.left_out == 0
    assert sink.sent == 150
    path = tmp_path / "received.ts"
    path.write_bytes(data)
    with av.open(str(path)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
        assert [index for index, packet in enumerate(packets) if packet.is_keyframe] == [0, 60, 120]
        assert packets[60].pts is not None
        assert packets[60].pts - (packets[0].pts or 0) == pytest.approx(180_000, abs=1)


@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="stops a process")
def test_a_receiver_that_hangs_is_lost_and_found_again(
    receive: Callable[..., Receiver],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("realtime.sinks.stream.STALL_SECONDS", 2.0)
    monkeypatch.setattr("realtime.sinks.address.BITS_A_PIXEL", 50.0)
    monkeypatch.setattr("realtime.media.opening.FIRST_PAUSE", 0.05)
    url = address("rtmp")
    hanging = receive(url, 10_000)
    sink = StreamSink(url, LIVE, (640, 480), patience=30)
    noise = np.random.default_rng(0).integers(0, 256, (480, 640, 3), np.uint8)
    index = 0
    longest = 0.0

    def send_noise(until: Callable[[], bool]) -> None:
        nonlocal index, longest
        deadline = time.monotonic() + 25
        while not until() and time.monotonic() < deadline:
            begun = time.monotonic()
            sink.write(frame(index, noise))
            longest = max(longest, time.monotonic() - begun)
            index += 1
            time.sleep(0.01)

    send_noise(lambda: sink.sent > 5)
    os.kill(hanging.process.pid, signal.SIGSTOP)
    before = sink.left_out
    text = ""

    def said(what: str) -> bool:
        nonlocal text
        text += capsys.readouterr().err
        return what in text

    send_noise(lambda: said("is lost"))
    assert said("it took nothing for 2 s"), text
    assert sink.left_out > before + 10, "frames are left out and counted, none queues"
    hanging.process.kill()
    hanging.process.communicate()
    fresh = receive(url, 10)
    send_noise(lambda: fresh.process.poll() is not None)
    sink.close()
    assert said("is back after"), text
    assert said("left out"), text
    assert longest < 0.3, "the window would have stood still"
    frames = fresh.facts()["frames"]
    assert frames[0][0] == pytest.approx(0, abs=0.1), "a new stream begins at zero"


def test_a_receiver_that_does_not_come_back_ends_the_run(
    receive: Callable[..., Receiver], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("realtime.media.opening.FIRST_PAUSE", 0.05)
    url = address("rtsp")
    receiver = receive(url, 3)
    sink = StreamSink(url, LIVE, SIZE, patience=0.3)
    with pytest.raises(SinkError, match=r"rtsp://127.0.0.1:\d+ is lost: Connection refused"):
        send(sink, lambda index: index > 900)
    sink.abort()
    assert receiver.process.wait(10) == 0


@pytest.mark.parametrize("scheme", ["rtmp", "rtsp"])
def test_nobody_there_is_told_before_any_work(scheme: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--source", "demo", "--output", address(scheme)]) == 1
    text = capsys.readouterr().err
    assert "cannot be sent to: Connection refused" in text
    assert "engine:" not in text
    assert "secret" not in text


def test_a_receiver_that_never_answers_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("realtime.sinks.stream.STALL_SECONDS", 1.0)
    with socket.create_server(("127.0.0.1", 0)) as server:
        started = time.monotonic()
        with pytest.raises(SinkError, match="no answer in 1 s"):
            StreamSink(f"rtmp://127.0.0.1:{server.getsockname()[1]}/x/y", LIVE, SIZE, patience=0)
        assert time.monotonic() - started < 5


def test_a_file_is_sent_at_its_own_speed_through_the_front_door(
    receive: Callable[..., Receiver],
    make_video: VideoMaker,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name, stand_in in STAND_INS.items():
        monkeypatch.setattr(realtime.app.run, name, stand_in)
    url = address("rtmp")
    receiver = receive(url, 60)
    started = time.monotonic()
    # Less than half as long would be as fast as it can be decoded.
    assert main(["--source", str(make_video(frames=60)), "--output", url, "--effect", "skin"]) == 0
    assert 1.9 < time.monotonic() - started < 20
    assert receiver.facts()["size"] == [320, 240]
    text = capsys.readouterr()
    # On a busy machine the newest wins here, too; none is lost without being counted.
    sent, left_out = map(int, re.findall(r"(\d+) frames sent, (\d+) left out", text.err)[0])
    assert sent + left_out == 60
    assert sent > 30
    assert "60 frames in" in text.out


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("http://host/x", "cannot be sent to; give a file name, or rtmp://"),
        ("srt://host:9000", "PyAV's FFmpeg has no SRT; send to rtmp://"),
        ("udp://host", "write udp://HOST:PORT"),
        ("rtmp:///app", "write rtmp://HOST"),
        ("udp://host:99999", "its port is no number"),
    ],
)
def test_addresses_are_checked(url: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--source", "demo", "--output", url]) == UsageError.exit_code
    assert message in capsys.readouterr().err


def test_what_makes_no_stream_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    still = SourceInfo("photo", 64, 48, Fraction(1), Fraction(1), still=True)
    with pytest.raises(UsageError, match="a still picture is no stream"):
        StreamSink("udp://127.0.0.1:9", still, (64, 48), 0)
    assert main(["--source", str(tmp_path), "--output", "udp://127.0.0.1:9"]) == UsageError.exit_code
    assert "is a folder, and only files can be made of it" in capsys.readouterr().err
    assert main(["--source", "demo", "--output", "udp://127.0.0.1:9", "--resume"]) == UsageError.exit_code


def test_secrets_are_not_shown_and_rates_follow_the_size() -> None:
    assert shown("rtmp://me:pw@host:1935/app/key") == "rtmp://host:1935"
    job = describe_job("udp://h:1?ttl=2", 1280, 720, Fraction(30))
    assert job["url"] == "udp://h:1?ttl=2&pkt_size=1316"
    assert job["codec"]["maxrate"] == "4148k"
    assert job["codec"]["tune"] == "zerolatency"
