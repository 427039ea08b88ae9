"""Network streams: frames sent by RTMP, RTSP or UDP, with a receiver that may be slow or go away."""

from __future__ import annotations

import contextlib
import json
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from realtime.errors import SinkError, UsageError, warn
from realtime.frames import Image, RenderedFrame
from realtime.frames.channel import Channel, Closed
from realtime.media import SourceInfo
from realtime.media.opening import pauses
from realtime.sinks import sender
from realtime.sinks.address import check_address, describe_job, shown
from realtime.sinks.pace import Pace

# A sender that needs longer for one step (connecting, one frame) is given up.
STALL_SECONDS = 5.0
# Of closing: within the two seconds in which a run ends.
CLOSE_SECONDS = 0.8


class _Lost(Exception):
    """The receiver does not answer or has gone; the reason is the message."""


class StreamSink:
    """Sends frames to a network address as H.264 without delay; a process of its own encodes and sends.

    Only the newest frame waits: what a slow network can't take is left out, before it is encoded, and
    counted. A lost receiver is tried again ever more rarely. Sound is not sent.

    Args:
        url: rtmp, rtmps, rtsp or udp.
        info: of the source; files are sent at their own speed.
        size: width and height of the frames, pixels; odd ones lose their last column or row.
        patience: for how many seconds a lost receiver is tried again; 0: never.

    Raises:
        UsageError: if the address can't be sent to.
        SinkError: if the receiver does not answer.
    """

    def __init__(self, url: str, info: SourceInfo, size: tuple[int, int], patience: float) -> None:
        check_address(url)
        self._name = shown(url)
        if info.still:
            raise UsageError(f"{self._name}: a still picture is no stream; give a file name such as out.png")
        self._patience, self._pace = patience, Pace(info)
        self._size = size[0] // 2 * 2, size[1] // 2 * 2
        self._job = describe_job(url, *self._size, info.fps)
        # A frame's time in microseconds, and its pixels.
        self._frames: Channel[tuple[int, Image]] = Channel(1, drop_oldest=True)
        self._busy_since: float | None = None
        self._hung = False
        self._failure: BaseException | None = None
        self._ending = threading.Event()
        self._missed, self.sent = 0, 0
        try:
            self._process = self._connect()
        except _Lost as lost:
            raise SinkError(f"{self._name}: cannot be sent to: {lost}") from None
        rate = f"{self._size[0]}x{self._size[1]}, at most {self._job['kilobits'] / 1000:.1f} Mbit/s"
        tracks = "" if info.tracks is None else ", without sound"
        print(f"{self._name}: sending {rate}{tracks}", file=sys.stderr, flush=True)
        self._thread = threading.Thread(target=self._work, name="stream", daemon=True)
        self._thread.start()

    @property
    def left_out(self) -> int:
        """Return how many frames were not sent, as the network was slow or the receiver away."""
        return self._frames.dropped + self._missed

    def write(self, rendered: RenderedFrame) -> bool:
        """Hand a frame over; never waits for the network.

        Raises:
            SinkError: if a lost receiver does not come back, or frames have another size.
        """
        if self._failure is not None:
            raise self._failure
        self._end_what_hangs()
        self._pace.wait(rendered)
        width, height = self._size
        image = rendered.image[:height, :width]
        if image.shape[:2] != (height, width):
            raise SinkError(f"{self._name}: a frame of {image.shape[1]}x{image.shape[0]} in {width}x{height}")
        with contextlib.suppress(Closed):
            self._frames.put((round(rendered.frame.time * 1_000_000), np.ascontiguousarray(image)))
        return True

    def _end_what_hangs(self) -> None:
        since = self._busy_since
        if since is not None and time.monotonic() - since > STALL_SECONDS:
            # Whoever waits for it finds its pipes closed.
            self._hung = True
            self._process.kill()

    def _connect(self) -> subprocess.Popen[bytes]:
        """Start a sender and wait for the receiver's answer."""
        # -P: the sender's folder holds files with common names.
        command = [sys.executable, "-P", str(Path(sender.__file__))]
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        assert process.stdin is not None
        assert process.stdout is not None
        patience = threading.Timer(STALL_SECONDS, process.kill)
        patience.daemon = True
        patience.start()
        try:
            process.stdin.write(json.dumps(self._job).encode() + b"\n")
            process.stdin.flush()
            answer = process.stdout.readline().decode().strip()
        except OSError as error:
            answer = str(error)
        finally:
            patience.cancel()
        if answer != "ready":
            raise _Lost(_end(process) or answer or f"no answer in {STALL_SECONDS:g} s")
        return process

    def _work(self) -> None:
        try:
            while True:
                micros, image = self._frames.get()
                try:
                    self._send(micros, image)
                except _Lost as lost:
                    self._missed += 1
                    self._reconnect(str(lost))
        except Closed:
            pass
        except _Lost as lost:
            self._failure = SinkError(f"{self._name} is lost: {lost}")
        except BaseException as error:
            self._failure = error
        finally:
            _end(self._process)

    def _send(self, micros: int, image: Image) -> None:
        pipe = self._process.stdin
        assert pipe is not None
        try:
            with self._watched():
                pipe.write(struct.pack("<q", micros))
                pipe.write(image.data)
                pipe.flush()
        except (OSError, ValueError):
            hung = f"it took nothing for {STALL_SECONDS:g} s"
            raise _Lost(_end(self._process) or (hung if self._hung else "the sender broke off")) from None
        self.sent += 1

    @contextlib.contextmanager
    def _watched(self) -> Iterator[None]:
        """Let `write` see since when the sender is waited for."""
        self._hung, self._busy_since = False, time.monotonic()
        try:
            yield
        finally:
            self._busy_since = None

    def _reconnect(self, reason: str) -> None:
        """Wait until the receiver is back.

        Raises:
            _Lost: if it does not come back in time.
            Closed: if the run ends meanwhile.
        """
        since = time.monotonic()
        if self._patience > 0 and not self._ending.is_set():
            warn(f"{self._name} is lost ({reason}); trying again for {self._patience:g} s")
        for pause in pauses(self._patience):
            if self._ending.wait(pause):
                raise Closed
            try:
                self._process = self._connect()
            except _Lost as lost:
                reason = str(lost)
                continue
            warn(f"{self._name} is back after {time.monotonic() - since:.1f} s")
            return
        raise _Lost(reason)

    def close(self, whole: bool = True) -> None:
        """Send the last frame and the end; say how many frames were left out.

        Raises:
            SinkError: if the receiver had been lost and did not come back.
        """
        self._frames.close()
        self._finish()
        print(f"{self._name}: {self.sent} frames sent, {self.left_out} left out", file=sys.stderr, flush=True)
        if self._failure is not None:
            raise self._failure

    def abort(self) -> None:
        """Stop sending."""
        self._frames.cancel()
        self._finish()

    def _finish(self) -> None:
        self._ending.set()
        self._thread.join(CLOSE_SECONDS)
        if self._thread.is_alive():
            self._process.kill()
            self._thread.join(CLOSE_SECONDS)


def _end(process: subprocess.Popen[bytes]) -> str:
    """Let a sender finish, or end it where it does not; return what it said last."""
    assert process.stdin is not None
    assert process.stdout is not None
    with contextlib.suppress(OSError):
        process.stdin.close()
    try:
        process.wait(CLOSE_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdout.closed:
        return ""
    with process.stdout:
        return process.stdout.read().decode().strip()
