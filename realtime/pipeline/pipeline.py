"""The pipeline: one thread a stage, bounded channels between, the sinks on the caller's thread.

A live source drops its oldest frame at the first channel, before any work is spent on it; every
later channel blocks, so order is kept and latency stays bounded. A file drops nothing.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from realtime.errors import RealtimeError, SourceError, StageError
from realtime.frames import Frame, RenderedFrame
from realtime.frames.channel import Channel, Closed
from realtime.pipeline.timing import Timing
from realtime.sinks import Sink
from realtime.sources import Interruptible, Source

JOIN_SECONDS = 2.0
# How long the caller's thread sleeps at most before it looks for a stop.
POLL_SECONDS = 0.1


@dataclass(frozen=True)
class Stage:
    """A step with a thread of its own.

    Attributes:
        name: shown in statistics and errors.
        work: takes what the stage before gave; gives what the next takes.
    """

    name: str
    work: Callable[[Any], Any]


@dataclass
class Report:
    """What a run did.

    Attributes:
        frames: frames that reached the sinks.
        dropped: frames a live source dropped because the stages were busy.
        seconds: from start to end.
        stopped: the user ended it before the source did.
        faces: faces in those frames, all together.
        propagated: how many of them were carried on from an earlier frame and not parsed.
        timing: see `Timing`.
    """

    frames: int = 0
    dropped: int = 0
    seconds: float = 0.0
    stopped: bool = False
    faces: int = 0
    propagated: int = 0
    timing: Timing = field(default_factory=Timing)

    @property
    def drop_rate(self) -> float:
        """Return the share of captured frames that were dropped, 0 to 1."""
        return self.dropped / max(1, self.frames + self.dropped)

    def to_dict(self) -> dict[str, Any]:
        """Return the report as JSON-ready data; see `Timing.summary`."""
        counts = {"frames": self.frames, "dropped": self.dropped, "drop_rate": round(self.drop_rate, 4)}
        run = {"seconds": round(self.seconds, 3), "stopped": self.stopped}
        faces = {"faces": self.faces, "propagated": self.propagated}
        return counts | run | faces | self.timing.summary()


class Pipeline:
    """Runs source -> stages -> sinks once.

    Args:
        source: opened; closed by `run`.
        stages: in order; the last gives a RenderedFrame.
        sinks: closed by `run`: finished when all went well, the user stopped or a live source was
            lost, else aborted.
        max_frames: stop the source after so many frames.
    """

    def __init__(
        self,
        source: Source,
        stages: Sequence[Stage],
        sinks: Sequence[Sink],
        max_frames: int | None = None,
    ) -> None:
        self.source, self.stages, self.sinks, self.max_frames = source, stages, sinks, max_frames
        live = source.info.live
        self._channels: list[Channel[Any]] = [
            Channel(1 if live else 2, drop_oldest=live and index == 0) for index in range(len(stages) + 1)
        ]
        self._failure: BaseException | None = None
        self._failure_lock = threading.Lock()
        self._stop = False
        self._whole = False
        self.report = Report()

    def stop(self) -> None:
        """Ask the run to end soon and keep what was put out; safe in a signal handler."""
        # Only a flag: a lock could be held by the very thread that the signal interrupted.
        self._stop = True

    def figures(self) -> list[str]:
        """Return how the run goes, now: lines for people, safe to ask from any thread."""
        report = self.report
        report.dropped = self._channels[0].dropped
        fps, summary = report.timing.fps(), report.timing.summary()
        lines = [f"{fps:.1f} fps, {report.dropped} dropped ({100.0 * report.drop_rate:.0f} %)"]
        if summary["latency"]:
            latency = summary["latency"]
            lines.append(
                f"latency {latency['p50']:.0f} ms, p95 {latency['p95']:.0f}, p99 {latency['p99']:.0f}"
            )
        for stage, times in summary["stages"].items():
            lines.append(f"{stage} {times['service']['p50']:.1f} ms, waits {times['wait']['p50']:.1f}")
        return lines

    def run(self) -> Report:
        """Run until the source ends, a sink or `stop` asks for the end, or something fails.

        Returns:
            The report.

        Raises:
            RealtimeError: the first failure of any stage, after every thread was joined.
        """
        started = self.report.timing.started = time.monotonic()
        threads = [threading.Thread(target=self._capture, name="capture", daemon=True)]
        for index, stage in enumerate(self.stages):
            threads.append(
                threading.Thread(target=self._work, args=(index, stage), name=stage.name, daemon=True)
            )
        for thread in threads:
            thread.start()
        try:
            self._consume()
        except BaseException as error:
            self._fail("output", None, error)
        self._end(threads)
        self.report.seconds = time.monotonic() - started
        self.report.dropped = self._channels[0].dropped
        if self._failure is not None:
            raise self._failure
        return self.report

    def _capture(self) -> None:
        index = None
        try:
            for count, frame in enumerate(self.source.frames()):
                index = frame.index
                if self._stop:
                    break
                self._channels[0].put(frame)
                if self.max_frames is not None and count + 1 >= self.max_frames:
                    break
            else:
                self._whole = True
            self._channels[0].close()
        except Closed:
            pass
        except BaseException as error:
            self._fail("capture", index, error)

    def _work(self, index: int, stage: Stage) -> None:
        inputs, outputs = self._channels[index], self._channels[index + 1]
        frame: int | None = None
        try:
            while True:
                waiting = time.monotonic()
                item = inputs.get()
                frame = _index_of(item)
                begun = time.monotonic()
                result = stage.work(item)
                self.report.timing.record(stage.name, begun - waiting, time.monotonic() - begun)
                outputs.put(result)
        except Closed:
            outputs.close()
        except BaseException as error:
            self._fail(stage.name, frame, error)

    def _consume(self) -> None:
        while not self._stop:
            waiting = time.monotonic()
            rendered = self._next()
            if rendered is None:
                return
            begun = time.monotonic()
            # A list: every sink gets the frame even after one has asked for the end.
            go_on = [sink.write(rendered) for sink in self.sinks]
            self.report.timing.record("output", begun - waiting, time.monotonic() - begun)
            self.report.timing.arrived(rendered.frame.captured_at)
            self.report.frames += 1
            self.report.faces += len(rendered.faces)
            self.report.propagated += sum(face.propagated for face in rendered.faces)
            self._stop |= not all(go_on)

    def _next(self) -> RenderedFrame | None:
        while not self._stop:
            try:
                return self._channels[-1].get(timeout=POLL_SECONDS)  # type: ignore[no-any-return]
            except TimeoutError:
                continue
            except Closed:
                return None
        return None

    def _end(self, threads: list[threading.Thread]) -> None:
        self.report.stopped = self._stop
        for channel in self._channels:
            channel.cancel()
        if isinstance(self.source, Interruptible):
            self.source.interrupt()
        deadline = time.monotonic() + JOIN_SECONDS
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        stuck = [thread.name for thread in threads if thread.is_alive()]
        if stuck:
            self._fail("stop", None, TimeoutError(f"still running: {', '.join(stuck)}"))
        if not threads[0].is_alive():
            # Native readers crash when they are closed in the middle of a read.
            self._safely(self.source.close)
        whole = self._whole and not self._stop
        # A camera that is unplugged must not take an hour's recording with it.
        lost_camera = self.source.info.live and isinstance(self._failure, SourceError)
        keep = self._failure is None or lost_camera
        for sink in self.sinks:
            self._safely(partial(sink.close, whole) if keep else sink.abort)

    def _safely(self, action: Callable[[], None]) -> None:
        try:
            action()
        except BaseException as error:
            self._fail("close", None, error)

    def _fail(self, stage: str, index: int | None, error: BaseException) -> None:
        with self._failure_lock:
            if self._failure is None:
                if isinstance(error, RealtimeError):
                    self._failure = error
                else:
                    self._failure = StageError(stage, index, error)
                    self._failure.__cause__ = error
        for channel in self._channels:
            channel.cancel()


def _index_of(item: Any) -> int:
    frame = item if isinstance(item, Frame) else item.frame
    return int(frame.index)
