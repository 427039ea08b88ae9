"""Whatever fails, wherever and whenever: no hang, no thread left, no broken file under the final name."""

from __future__ import annotations

import errno
import os
import random
import threading
import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from realtime.errors import RealtimeError, SinkError, SourceError, StageError
from realtime.frames import Frame, RenderedFrame
from realtime.media import SourceInfo
from realtime.pipeline import Pipeline, Stage
from realtime.sinks import NullSink, open_output

import av  # isort: skip  # after cv2

pytestmark = pytest.mark.timeout(60)

FRAMES = 12
IMAGE = np.full((48, 64, 3), 90, np.uint8)
NAMES = {"capture", "parse", "render"}
# Longer than any run may take to end after its failure.
PATIENCE = 5.0


class Trap:
    """Does something bad at a chosen call."""

    def __init__(self, at: int, bad: Callable[[], None]) -> None:
        self.at, self.bad, self.calls = at, bad, 0

    def step(self) -> None:
        if self.calls == self.at:
            self.bad()
        self.calls += 1


class Source:
    """A clip, or a camera, of grey frames."""

    def __init__(self, live: bool = False, trap: Trap | None = None, frames: int = FRAMES) -> None:
        self.info = SourceInfo("test", 64, 48, Fraction(30), Fraction(1, 30), frames, live)
        self.trap, self.count, self.closed = trap, frames, 0

    def frames(self) -> Iterator[Frame]:
        for index in range(self.count):
            if self.trap:
                self.trap.step()
            yield Frame(IMAGE, index, Fraction(index, 30), time.monotonic())

    def close(self) -> None:
        self.closed += 1


class TrappedSink(NullSink):
    """A trap between the pipeline and its real sink."""

    def __init__(self, write: Trap | None = None, close: Trap | None = None) -> None:
        self.on_write, self.on_close = write, close

    def write(self, rendered: RenderedFrame) -> bool:
        if self.on_write:
            self.on_write.step()
        return True

    def close(self, whole: bool = True) -> None:
        if self.on_close:
            self.on_close.step()


def stages(parse: Trap | None = None, render: Trap | None = None) -> list[Stage]:
    def first(frame: Frame) -> Frame:
        if parse:
            parse.step()
        return frame

    def last(frame: Frame) -> RenderedFrame:
        if render:
            render.step()
        return RenderedFrame(frame, frame.image)

    return [Stage("parse", first), Stage("render", last)]


def blow() -> None:
    raise ZeroDivisionError("on purpose")


def fill_the_disk() -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def playable(path: Path) -> int:
    """Return how many frames a video holds."""
    with av.open(str(path)) as container:
        return sum(1 for _ in container.decode(video=0))


def check_clean(folder: Path, source: Source) -> None:
    assert not {thread.name for thread in threading.enumerate()} & NAMES
    assert source.closed == 1
    assert [path.name for path in folder.iterdir() if ".part" in path.name] == []


PLACES = ("capture", "parse", "render", "output")
MOMENTS = {"first": 0, "middle": FRAMES // 2, "last": FRAMES - 1}
KINDS: dict[str, tuple[Callable[[], None], type[BaseException]]] = {
    "bug": (blow, ZeroDivisionError),
    "disk": (fill_the_disk, OSError),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("place", PLACES)
def test_the_first_failure_is_told_with_its_stage_and_frame(
    place: str, moment: str, kind: str, tmp_path: Path
) -> None:
    bad, cause = KINDS[kind]
    trap, out = Trap(MOMENTS[moment], bad), tmp_path / "out.mp4"
    out.write_bytes(b"what was there before")
    source = Source(trap=trap if place == "capture" else None)
    work = stages(trap if place == "parse" else None, trap if place == "render" else None)
    sinks = [open_output(out, source.info), TrappedSink(trap if place == "output" else None)]
    started = time.monotonic()
    with pytest.raises(StageError, match=f"^{place} failed") as caught:
        Pipeline(source, work, sinks).run()
    assert time.monotonic() - started < PATIENCE
    assert isinstance(caught.value.__cause__, cause)
    if place in ("parse", "render"):
        assert caught.value.index == MOMENTS[moment]
    assert out.read_bytes() == b"what was there before"
    check_clean(tmp_path, source)


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("place", ["parse", "render"])
def test_an_interrupt_in_a_stage_is_a_failure_like_any_other(place: str, moment: str, tmp_path: Path) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    trap, source = Trap(MOMENTS[moment], interrupt), Source()
    out = tmp_path / "out.mp4"
    with pytest.raises(StageError, match=f"{place} failed at frame {MOMENTS[moment]}: KeyboardInterrupt"):
        Pipeline(
            source,
            stages(**{place: trap}),
            [open_output(out, source.info)],
        ).run()
    assert not out.exists()
    check_clean(tmp_path, source)


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_camera_that_goes_leaves_a_recording_that_plays(moment: str, tmp_path: Path) -> None:
    def unplug() -> None:
        time.sleep(0.1)
        raise SourceError("camera 0 stopped giving pictures")

    source, out = Source(live=True, trap=Trap(MOMENTS[moment], unplug)), tmp_path / "out.mp4"
    with pytest.raises(SourceError, match="camera 0"):
        Pipeline(source, stages(), [open_output(out, source.info)]).run()
    assert out.exists() == (moment != "first")
    if out.exists():
        assert playable(out) >= 1
    check_clean(tmp_path, source)


def test_a_sink_that_cannot_be_finished_is_told_and_leaves_nothing(tmp_path: Path) -> None:
    source, out = Source(), tmp_path / "out.mp4"
    with pytest.raises(RealtimeError, match="No space left"):
        Pipeline(source, stages(), [TrappedSink(close=Trap(0, fill_the_disk))]).run()
    assert not out.exists()
    check_clean(tmp_path, source)


def test_of_two_failures_the_first_is_told(tmp_path: Path) -> None:
    def late() -> None:
        raise SinkError("second")

    source = Source()
    with pytest.raises(StageError, match="parse failed at frame 3"):
        Pipeline(source, stages(Trap(3, blow)), [TrappedSink(close=Trap(0, late))]).run()
    check_clean(tmp_path, source)


def test_a_source_without_frames_ends_at_once(tmp_path: Path) -> None:
    source, out = Source(frames=0), tmp_path / "out.mp4"
    assert Pipeline(source, stages(), [open_output(out, source.info)]).run().frames == 0
    assert not out.exists()
    check_clean(tmp_path, source)


def test_fifty_stops_at_random_times_leave_files_that_play(tmp_path: Path) -> None:
    dice = random.Random(0)
    for number in range(50):
        source, out = Source(live=number % 2 == 0, frames=100_000), tmp_path / f"out{number}.mp4"
        pipeline = Pipeline(source, stages(), [open_output(out, source.info)])
        timer = threading.Timer(dice.uniform(0.0, 0.08), pipeline.stop)
        timer.start()
        started = time.monotonic()
        report = pipeline.run()
        timer.join()
        assert time.monotonic() - started < PATIENCE
        assert report.stopped
        assert out.exists() == (report.frames > 0)
        if out.exists():
            assert playable(out) == report.frames
        check_clean(tmp_path, source)


def test_two_runs_at_once_do_not_mix(tmp_path: Path) -> None:
    reports: dict[str, Any] = {}

    def go(name: str, frames: int) -> None:
        source = Source(frames=frames)
        out = tmp_path / f"{name}.mp4"
        reports[name] = Pipeline(source, stages(), [open_output(out, source.info)]).run()

    runs = [threading.Thread(target=go, args=each) for each in (("one", 30), ("two", 45))]
    for run in runs:
        run.start()
    for run in runs:
        run.join(20)
    assert {name: report.frames for name, report in reports.items()} == {"one": 30, "two": 45}
    assert [playable(tmp_path / f"{name}.mp4") for name in ("one", "two")] == [30, 45]


def test_a_run_leaves_no_open_file(tmp_path: Path) -> None:
    def opened() -> int:
        return len(os.listdir("/proc/self/fd"))

    def once(number: int) -> None:
        source, out = Source(), tmp_path / f"out{number}.mp4"
        trap = Trap(5, blow) if number % 2 else None
        try:
            Pipeline(source, stages(trap), [open_output(out, source.info)]).run()
        except StageError:
            assert number % 2

    once(0)
    before = opened()
    for number in range(1, 9):
        once(number)
    assert opened() <= before


def test_a_slow_parser_does_not_make_a_live_picture_old() -> None:
    interval, work = 1.0 / 60.0, 0.06

    class Camera(Source):
        def frames(self) -> Iterator[Frame]:
            begun = time.monotonic()
            for index in range(self.count):
                time.sleep(max(0.0, begun + index * interval - time.monotonic()))
                yield Frame(IMAGE, index, Fraction(index, 60), time.monotonic())

    class Ages(NullSink):
        def __init__(self) -> None:
            self.seen: list[tuple[int, float]] = []

        def write(self, rendered: RenderedFrame) -> bool:
            self.seen.append((rendered.frame.index, time.monotonic() - rendered.frame.captured_at))
            return True

    def slow(frame: Frame) -> Frame:
        time.sleep(work)
        return frame

    camera, sink = Camera(live=True, frames=240), Ages()
    report = Pipeline(camera, [Stage("parse", slow), *stages()[1:]], [sink]).run()
    order, ages = zip(*sink.seen, strict=True)
    assert list(order) == sorted(set(order))
    assert report.frames + report.dropped == 240
    assert report.dropped > 120
    assert np.percentile(ages, 95) <= 2 * work + interval + 0.02
    slope = np.polyfit(np.arange(len(ages)), ages, 1)[0] * len(ages)
    assert abs(slope) < 0.5 * work, "latency does not grow"
