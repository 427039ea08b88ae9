"""Glass to glass: from a frame's capture to the moment when it is seen on the screen."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.clips import SIZES, SteadyCamera, portraits
from benchmarks.marker import draw_marker
from benchmarks.pipeline import EFFECTS
from benchmarks.report import Figure, Result, Row
from benchmarks.statistics import Measured
from engines import Engine, load_engine
from engines.loader import available_cores
from realtime.effects import parse_effect
from realtime.effects.rendering import Renderer
from realtime.errors import SinkError
from realtime.faces.detector import FaceDetector
from realtime.faces.tracker import FaceTracker
from realtime.frames import Frame, Image, RenderedFrame
from realtime.native_logs import hide_native_logs
from realtime.pipeline import Pipeline, Stage
from realtime.pipeline.threads import hold_opencv
from realtime.sinks import WindowSink

HELP = "latency from capture to the shown pixels, read back from the screen"
ROUNDS = 3
WARM_UP_SECONDS = 0.5
# How long the window may take to come up and the watcher to find the marker.
WATCHER_SECONDS = 8.0
# Without a window manager a window comes up unpainted now and then.
ATTEMPTS = 3


def configure(parser: argparse.ArgumentParser) -> None:
    """Add this benchmark's own flags."""
    parser.add_argument("--seconds", type=float, default=5.0, help="timed seconds of a run (default 5)")
    parser.add_argument("--size", default="720p", choices=list(SIZES)[:3], help="frame size (default 720p)")
    parser.add_argument(
        "--virtual", action="store_true", help="on a virtual display (Xvfb), also where there is a real one"
    )


def run(args: argparse.Namespace) -> Result:
    """Run it; see the docstring of the module.

    Raises:
        SinkError: if there is no display, or it can't be seen.
    """
    hold_opencv()
    threads = args.threads or available_cores()
    with contextlib.ExitStack() as undo:
        kind = undo.enter_context(display(args.virtual))
        engine, line = load_engine(threads=threads, max_batch=1)
        undo.callback(engine.close)
        undo.enter_context(hide_native_logs())
        images, size = portraits(1, SIZES[args.size]), args.size
        plain, whole = [], []
        for _ in range(args.rounds):
            plain.append(_glass([Stage("show", _unpainted)], images, args.seconds))
            with contextlib.closing(FaceDetector(max_faces=1)) as detector:
                whole.append(_glass(_stages(detector, engine), images, args.seconds))
    base, rows = [np.median(run.latencies) for run in plain], []
    for name, runs in (("window alone", plain), ("parse + paint + window", whole)):
        ratios = [float(np.median(run.latencies) / unit) for run, unit in zip(runs, base, strict=True)]
        seconds = [value for run in runs for value in run.latencies]
        measured = Measured(tuple(seconds), tuple(ratios))
        rows.append(
            Row(f"{size} at 30 frames a second, {kind}", name, "window alone", measured, _figures(runs))
        )
    notes = [
        line,
        "a latency ends when the watcher has read the frame's number off the screen; it polls every "
        "poll_ms, so a latency is up to that much too long, half of it on the average",
    ]
    return Result("glass", {"threads": threads, "rounds": args.rounds, "seconds": args.seconds}, rows, notes)


@dataclass(frozen=True)
class Glass:
    """One run.

    Attributes:
        latencies: capture to seen, seconds, of each frame that was seen after the warm-up.
        to_sink: capture to the sink's return, median, seconds.
        shown: share of the captured frames that were seen.
        poll: the watcher's median interval, seconds.
    """

    latencies: Sequence[float]
    to_sink: float
    shown: float
    poll: float


class MarkedCamera(SteadyCamera):
    """A camera whose frames bear their number, and that remembers when they were captured.

    Args:
        images: played to and fro.
        seconds: how long to remember frames.
        found: set once the marker is being watched; before it nothing is remembered, and after
            `WATCHER_SECONDS` without it the camera ends.
    """

    def __init__(self, images: Sequence[Image], seconds: float, found: threading.Event) -> None:
        super().__init__(images, round(30 * (seconds + WATCHER_SECONDS)))
        self._seconds, self._found = seconds, found
        self.captured: dict[int, float] = {}

    def frames(self) -> Iterator[Frame]:
        """See `Source.frames`."""
        begun: float | None = None
        for frame in super().frames():
            image = frame.image.copy()
            draw_marker(image, frame.index)
            if begun is None and self._found.is_set():
                begun = frame.captured_at + WARM_UP_SECONDS
            if begun is not None and frame.captured_at >= begun:
                self.captured[frame.index] = frame.captured_at
            yield Frame(image, frame.index, frame.time, frame.captured_at)
            if begun is not None and frame.captured_at > begun + self._seconds:
                return


@contextlib.contextmanager
def display(virtual: bool) -> Iterator[str]:
    """Make sure of a display while the context lasts; yield what it is, in words.

    Raises:
        SinkError: if there is none, saying how to have one.
    """
    if sys.platform != "linux":
        raise SinkError("glass: reading the screen back is written for X11 only, which this system has not")
    if os.environ.get("DISPLAY") and not virtual:
        yield f"display {os.environ['DISPLAY']}"
        return
    if shutil.which("Xvfb") is None:
        raise SinkError("glass: no X11 display here ($DISPLAY is not set); install Xvfb for a virtual one")
    with _xvfb() as name:
        before = os.environ.get("DISPLAY")
        os.environ["DISPLAY"] = name
        try:
            yield "virtual display (Xvfb)"
        finally:
            if before is None:
                del os.environ["DISPLAY"]
            else:
                os.environ["DISPLAY"] = before


@contextlib.contextmanager
def _xvfb() -> Iterator[str]:
    read, write = os.pipe()
    command = [
        "Xvfb",
        "-displayfd",
        str(write),
        "-screen",
        "0",
        "1920x1080x24",
        "-nolisten",
        "tcp",
        "-noreset",
    ]
    server = subprocess.Popen(command, pass_fds=[write], stderr=subprocess.DEVNULL)
    os.close(write)
    try:
        with os.fdopen(read) as pipe:
            number = pipe.readline().strip()
        if not number:
            raise SinkError("glass: Xvfb did not start")
        yield f":{number}"
    finally:
        server.terminate()
        server.wait(10.0)


class Watcher:
    """The process that polls at the screen; a context manager."""

    def __init__(self) -> None:
        command = [sys.executable, "-m", "benchmarks.screen", os.environ["DISPLAY"]]
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=Path(__file__).parent.parent,
        )
        assert self._process.stdout is not None
        line = self._process.stdout.readline().strip()
        if line != "ready":
            raise SinkError(f"glass: {line or 'the screen cannot be watched'}")
        self.found = threading.Event()
        self._result = ""
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._result = line
            self.found.set()

    def finish(self) -> dict[str, Any]:
        """End the watching; return "seen" and "polls", see `benchmarks.screen`."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._reader.join(WATCHER_SECONDS)
        if self._process.wait(WATCHER_SECONDS) != 0:
            raise SinkError("glass: watching the screen failed")
        found: dict[str, Any] = json.loads(self._result)
        return found

    def kill(self) -> None:
        """End it whatever it does."""
        self._process.kill()
        self._process.wait()


def _glass(stages: Sequence[Stage], images: Sequence[Image], seconds: float) -> Glass:
    for _ in range(ATTEMPTS):
        run = _attempt(stages, images, seconds)
        if run is not None:
            return run
    raise SinkError("glass: the window was not seen on the screen; is it covered?")


def _attempt(stages: Sequence[Stage], images: Sequence[Image], seconds: float) -> Glass | None:
    watcher = Watcher()
    camera = MarkedCamera(images, seconds, watcher.found)
    try:
        report = Pipeline(camera, stages, [WindowSink(camera.info)]).run()
        found = watcher.finish()
    finally:
        watcher.kill()
    timed = camera.captured
    seen = {int(number): at for number, at in found["seen"].items()}
    latencies = [seen[number] - at for number, at in timed.items() if number in seen]
    if not latencies:
        return None
    to_sink = float(np.median(report.timing.latency))
    return Glass(latencies, to_sink, len(latencies) / len(timed), float(np.median(np.diff(found["polls"]))))


def _stages(detector: FaceDetector, engine: Engine) -> list[Stage]:
    renderer = Renderer([parse_effect(name) for name in EFFECTS])
    return [Stage("parse", FaceTracker(detector, engine).update), Stage("render", renderer.render)]


def _unpainted(frame: Frame) -> RenderedFrame:
    return RenderedFrame(frame, frame.image)


def _figures(runs: Sequence[Glass]) -> dict[str, Figure]:
    def middle(value: Callable[[Glass], float]) -> float:
        return float(np.median([value(run) for run in runs]))

    return {
        "to_sink_ms": round(middle(lambda run: run.to_sink) * 1e3, 1),
        "seen_share": round(middle(lambda run: run.shown), 3),
        "poll_ms": round(middle(lambda run: run.poll) * 1e3, 1),
    }
