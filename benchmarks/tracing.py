"""Where each frame's time goes, from its capture to the sink: stamps beside the pipeline's own figures."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from realtime.frames import Frame, RenderedFrame
from realtime.pipeline import Stage
from realtime.sinks import Sink
from realtime.sources import Source


class Trace:
    """Stamps of `time.monotonic` that frames get at every stage's begin and end.

    A frame's latency is the sum of its `spans`: each stage's service, and before it the frame's own wait
    in the channel, which is not the stage's wait for a frame.
    """

    def __init__(self) -> None:
        self._stages: list[str] = []
        self._captured: dict[int, float] = {}
        self._begun: dict[str, dict[int, float]] = {}
        self._ended: dict[str, dict[int, float]] = {}
        self.capture: list[float] = []

    def stage(self, name: str, work: Callable[[Any], Any]) -> Stage:
        """Return a pipeline stage whose begins and ends are noted."""
        self._stages.append(name)
        begun, ended = self._begun.setdefault(name, {}), self._ended.setdefault(name, {})

        def stamped(item: Any) -> Any:
            index = _frame(item).index
            self._captured[index] = _frame(item).captured_at
            begun[index] = time.monotonic()
            result = work(item)
            ended[index] = time.monotonic()
            return result

        return Stage(name, stamped)

    def sink(self, sink: Sink) -> Sink:
        """Return a sink that does the same, with its writing noted as stage "output"."""
        return _TracedSink(sink, self.stage("output", sink.write))

    def source(self, source: Source) -> Source:
        """Return a source that does the same, with the time that each frame took to come in `capture`."""
        return _TracedSource(source, self.capture)

    def spans(self) -> dict[str, list[float]]:
        """Return seconds of each frame that arrived, by "STAGE waits" and "STAGE", in the stages' order.

        The first wait begins at the frame's capture.
        """
        arrived = sorted(self._ended[self._stages[-1]])
        spans: dict[str, list[float]] = {}
        last = self._captured
        for stage in self._stages:
            begun, ended = self._begun[stage], self._ended[stage]
            spans[f"{stage} waits"] = [begun[index] - last[index] for index in arrived]
            spans[stage] = [ended[index] - begun[index] for index in arrived]
            last = ended
        return spans

    def waterfall(self) -> dict[str, float]:
        """Return the mean of each span, milliseconds; they add up to the mean latency."""
        return {name: round(float(np.mean(values)) * 1e3, 3) for name, values in self.spans().items()}


class _TracedSink:
    def __init__(self, sink: Sink, stage: Stage) -> None:
        self._sink, self._stage = sink, stage

    def write(self, rendered: RenderedFrame) -> bool:
        return bool(self._stage.work(rendered))

    def close(self, whole: bool = True) -> None:
        self._sink.close(whole)

    def abort(self) -> None:
        self._sink.abort()


class _TracedSource:
    def __init__(self, source: Source, seconds: list[float]) -> None:
        self.info = source.info
        self._source, self._seconds = source, seconds

    def frames(self) -> Iterator[Frame]:
        frames = self._source.frames()
        while True:
            begun = time.monotonic()
            frame = next(frames, None)
            if frame is None:
                return
            self._seconds.append(time.monotonic() - begun)
            yield frame

    def close(self) -> None:
        self._source.close()


def cpu_share(begun: Sequence[float], cores: int) -> float:
    """Return the share of the cores that this process used since a `clock`, 0 to 1."""
    wall, used = (now - then for now, then in zip(clock(), begun, strict=True))
    return used / max(wall * cores, 1e-9)


def clock() -> tuple[float, float]:
    """Return seconds of the wall clock, and of all of the process's threads together."""
    return time.perf_counter(), time.process_time()


def _frame(item: Any) -> Frame:
    frame: Frame = item if isinstance(item, Frame) else item.frame
    return frame
