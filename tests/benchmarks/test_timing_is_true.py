"""The harness against known delays: what it reads must be what was put in."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from benchmarks.clips import SteadyCamera, portraits
from benchmarks.pipeline import Case, run_traced
from benchmarks.tracing import Trace, clock, cpu_share
from realtime.frames import Frame, RenderedFrame
from realtime.sinks import NullSink

FRAMES = 12


def _delayed(seconds: float) -> Callable[[Any], Any]:
    def work(item: Any) -> Any:
        begun = time.monotonic()
        # Busy to the very end, as a sleep may be long by more than what is measured here.
        time.sleep(max(0.0, seconds - 0.01))
        while time.monotonic() - begun < seconds:
            pass
        return item

    return work


def _rendered(frame: Frame) -> RenderedFrame:
    return RenderedFrame(frame, frame.image)


@pytest.fixture(scope="module", params=[True, False], ids=["live", "file"])
def delayed_run(request: pytest.FixtureRequest) -> tuple[Trace, Case]:
    camera = SteadyCamera(portraits(1, (64, 64), 4), FRAMES, live=request.param)
    case = Case()
    stages = {"parse": _delayed(0.05), "render": _rendered}
    return run_traced(camera, NullSink(), stages, case), case


def test_a_delay_of_50_ms_is_read_in_its_stage(delayed_run: tuple[Trace, Case]) -> None:
    trace, case = delayed_run
    service = case.reports[0].timing.summary()["stages"]
    assert service["parse"]["service"]["p50"] == pytest.approx(50.0, abs=3.0)
    assert float(np.median(trace.spans()["parse"])) == pytest.approx(0.05, abs=0.003)
    assert float(np.median(trace.spans()["render"])) < 0.003
    assert service["render"]["service"]["p50"] < 3.0
    # While the one works the other has nothing to do.
    assert service["render"]["wait"]["p50"] == pytest.approx(50.0, abs=5.0)


def test_the_stages_add_up_to_the_latency(delayed_run: tuple[Trace, Case]) -> None:
    trace, case = delayed_run
    total = sum(trace.waterfall().values())
    # The pipeline takes this with a stamp of its own.
    latency = float(np.mean(case.reports[0].timing.latency)) * 1e3
    assert total == pytest.approx(latency, rel=0.05)


def test_a_slow_stage_costs_a_camera_frames_and_a_file_none(delayed_run: tuple[Trace, Case]) -> None:
    trace, case = delayed_run
    report = case.reports[0]
    assert report.frames + report.dropped == FRAMES
    if not report.dropped:
        # Nothing waits longer than the frames before it take.
        assert len(trace.spans()["parse"]) == FRAMES
    else:
        assert report.drop_rate == pytest.approx(1.0 - (1.0 / 0.05) / 30.0, abs=0.2)


def test_idle_is_read_as_idle_and_work_as_work() -> None:
    shares = []
    for _ in range(3):
        begun = clock()
        time.sleep(0.2)
        shares.append(cpu_share(begun, 1))
    assert min(shares) < 0.05
    wall, used = clock()
    while clock()[1] - used < 0.1:
        pass
    # One thread at work is a core at most, whatever else the machine does.
    assert 0.0 < cpu_share((wall, used), 1) < 1.1


def test_a_camera_keeps_its_pace() -> None:
    camera = SteadyCamera(portraits(1, (64, 64), 4), 10, fps=100)
    begun = time.monotonic()
    stamps = [frame.captured_at - begun for frame in camera.frames()]
    # Never early; how late is the machine's affair.
    assert all(stamp >= index / 100.0 for index, stamp in enumerate(stamps))
