from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from realtime.errors import RealtimeError, SinkError, SourceError, StageError
from realtime.frames import Frame, RenderedFrame
from realtime.media import SourceInfo
from realtime.pipeline import Pipeline, Stage

pytestmark = pytest.mark.timeout(30)

IMAGE = np.zeros((4, 4, 3), np.uint8)


class CountingSource:
    """Frames numbered from 0; live ones come as fast as they are taken."""

    def __init__(self, count: int, live: bool = False, fail_at: int | None = None, pause: float = 0) -> None:
        self.info = SourceInfo("test", 4, 4, Fraction(30), Fraction(1, 30), count, live)
        self.count, self.fail_at, self.pause = count, fail_at, pause
        self.closed = 0

    def frames(self) -> Iterator[Frame]:
        for index in range(self.count):
            if index == self.fail_at:
                raise OSError("the cable is out")
            time.sleep(self.pause)
            yield Frame(IMAGE, index, Fraction(index, 30), time.monotonic())

    def close(self) -> None:
        self.closed += 1


class ListSink:
    """Keeps what it gets; can fail or ask for the end."""

    def __init__(self, fail_at: int | None = None, stop_at: int | None = None) -> None:
        self.got: list[int] = []
        self.fail_at, self.stop_at = fail_at, stop_at
        self.ended: list[str] = []

    def write(self, rendered: RenderedFrame) -> bool:
        if rendered.frame.index == self.fail_at:
            raise SinkError("disk full")
        self.got.append(rendered.frame.index)
        return rendered.frame.index != self.stop_at

    def close(self, whole: bool = True) -> None:
        self.ended.append("close" if whole else "close early")

    def abort(self) -> None:
        self.ended.append("abort")


def stages(work: Callable[[Any], Any] | None = None) -> list[Stage]:
    def last(item: Frame) -> RenderedFrame:
        return RenderedFrame(item, item.image)

    return [Stage("first", work or (lambda item: item)), Stage("last", last)]


def our_threads() -> set[str]:
    return {thread.name for thread in threading.enumerate()} & {"capture", "first", "last"}


def test_a_file_arrives_whole_and_in_order() -> None:
    source, sink = CountingSource(50), ListSink()
    report = Pipeline(source, stages(), [sink]).run()
    assert sink.got == list(range(50))
    assert (report.frames, report.dropped, report.stopped) == (50, 0, False)
    assert sink.ended == ["close"]
    assert source.closed == 1
    assert not our_threads()


def test_a_slow_stage_makes_a_live_source_drop_its_oldest_frames() -> None:
    source, sink = CountingSource(60, live=True, pause=0.002), ListSink()

    def slow(item: Frame) -> Frame:
        time.sleep(0.02)
        return item

    report = Pipeline(source, stages(slow), [sink]).run()
    assert sink.got == sorted(set(sink.got)), "order is kept"
    assert len(sink.got) + report.dropped == 60
    assert report.dropped > 20
    assert sink.got[-1] == 59, "the newest frame is never the one that is dropped"


def test_a_slow_stage_loses_nothing_of_a_file() -> None:
    sink = ListSink()

    def slow(item: Frame) -> Frame:
        time.sleep(0.005)
        return item

    report = Pipeline(CountingSource(20), stages(slow), [sink]).run()
    assert sink.got == list(range(20))
    assert len(report.timing.service["first"]) == 20
    assert 0.004 < np.median(report.timing.service["first"]) < 0.05
    assert "first" in report.timing.table()


def test_the_run_tells_how_it_goes() -> None:
    class Asking(ListSink):
        def write(self, rendered: RenderedFrame) -> bool:
            self.said = pipeline.figures()
            return super().write(rendered)

    sink = Asking()
    pipeline = Pipeline(CountingSource(8, pause=0.01), stages(), [sink])
    report = pipeline.run()
    text = "\n".join(sink.said)
    for word in (" fps, 0 dropped (0 %)", "latency ", "first ", "last ", "output "):
        assert word in text
    assert 20 < report.timing.fps() < 110
    facts = report.to_dict()
    assert (facts["frames"], facts["dropped"], facts["drop_rate"]) == (8, 0, 0.0)
    assert set(facts["stages"]) == {"first", "last", "output"}
    assert set(facts["latency"]) == {"p50", "p95", "p99"}


def test_max_frames_ends_the_source() -> None:
    sink = ListSink()
    assert Pipeline(CountingSource(50), stages(), [sink], max_frames=7).run().frames == 7
    assert sink.got == list(range(7))
    assert sink.ended == ["close early"]


def failing(at: int) -> Callable[[Frame], Frame]:
    def work(item: Frame) -> Frame:
        if item.index == at:
            raise ZeroDivisionError("by zero")
        return item

    return work


@pytest.mark.parametrize("at", [0, 5, 19])
def test_a_failing_stage_is_named_with_its_frame(at: int) -> None:
    source, sink = CountingSource(20), ListSink()
    with pytest.raises(StageError, match=f"first failed at frame {at}: ZeroDivisionError: by zero") as caught:
        Pipeline(source, stages(failing(at)), [sink]).run()
    assert isinstance(caught.value.__cause__, ZeroDivisionError)
    assert (caught.value.stage, caught.value.index) == ("first", at)
    assert sink.ended == ["abort"]
    assert source.closed == 1
    assert not our_threads()


def test_a_failing_source_aborts_the_output() -> None:
    sink = ListSink()
    with pytest.raises(StageError, match="capture failed at frame 3: OSError: the cable is out"):
        Pipeline(CountingSource(20, fail_at=4), stages(), [sink]).run()
    assert sink.ended == ["abort"]
    assert not our_threads()


def test_a_lost_camera_is_an_error_that_keeps_the_recording() -> None:
    class Unplugged(CountingSource):
        def frames(self) -> Iterator[Frame]:
            yield from super().frames()
            raise SourceError("camera 0 stopped giving pictures")

    live, file = ListSink(), ListSink()
    with pytest.raises(SourceError, match="camera 0"):
        Pipeline(Unplugged(5, live=True, pause=0.01), stages(), [live]).run()
    assert live.ended == ["close early"]
    with pytest.raises(SourceError, match="camera 0"):
        Pipeline(Unplugged(5), stages(), [file]).run()
    assert file.ended == ["abort"]


def test_a_failing_sink_keeps_its_own_words_and_every_sink_is_told() -> None:
    good, bad = ListSink(), ListSink(fail_at=4)
    with pytest.raises(SinkError, match="disk full"):
        Pipeline(CountingSource(20), stages(), [good, bad]).run()
    assert good.ended == bad.ended == ["abort"]
    assert not our_threads()


def test_a_sink_that_fails_to_close_is_reported() -> None:
    class Unclosable(ListSink):
        def close(self, whole: bool = True) -> None:
            raise SinkError("no space for the index")

    with pytest.raises(SinkError, match="no space"):
        Pipeline(CountingSource(3), stages(), [Unclosable()]).run()


def test_a_sink_may_ask_for_the_end_and_its_output_is_kept() -> None:
    first, second = ListSink(stop_at=5), ListSink()
    report = Pipeline(CountingSource(1000), stages(), [first, second]).run()
    assert first.got == second.got == list(range(6))
    assert report.stopped
    assert first.ended == ["close early"]
    assert not our_threads()


def test_stop_ends_a_live_run_within_two_seconds() -> None:
    source, sink = CountingSource(10**9, live=True, pause=0.001), ListSink()
    pipeline = Pipeline(source, stages(), [sink])
    timer = threading.Timer(0.2, pipeline.stop)
    timer.start()
    started = time.monotonic()
    report = pipeline.run()
    assert time.monotonic() - started < 2.0
    assert report.stopped
    assert sink.ended == ["close early"]
    assert not our_threads()


def test_a_stage_that_hangs_is_named() -> None:
    hanging, release = threading.Event(), threading.Event()

    def hang(item: Frame) -> Frame:
        if item.index == 2:
            hanging.set()
            release.wait(20)
        return item

    class Waiting(ListSink):
        def write(self, rendered: RenderedFrame) -> bool:
            return super().write(rendered) or not hanging.wait(10)

    source, sink = CountingSource(10), Waiting(stop_at=1)
    try:
        with pytest.raises(RealtimeError, match="still running: first"):
            Pipeline(source, stages(hang), [sink]).run()
    finally:
        release.set()
    assert sink.ended == ["abort"]
