"""The application: builds source, stages and sinks from a configuration and runs them."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import TypeVar

import cv2

from engines import Engine, EngineError, load_engine
from realtime.app.config import RunConfig
from realtime.app.folder import is_folder, run_folder
from realtime.app.resume import resume_job
from realtime.effects import need_the_whole_head
from realtime.effects.controls import Controls
from realtime.effects.rendering import Renderer
from realtime.errors import RealtimeError, SinkError, report_error
from realtime.faces.detector import FaceDetector
from realtime.faces.tracker import FaceTracker
from realtime.frames import Frame, ParsedFrame, RenderedFrame
from realtime.masks import FORMATS
from realtime.media import SourceInfo
from realtime.native_logs import hide_native_logs
from realtime.people import PersonGate
from realtime.pipeline import Pipeline, Report, Stage
from realtime.pipeline.threads import engine_threads, hold_opencv
from realtime.presets import save_preset
from realtime.serve import serve
from realtime.sinks import ContactSheetSink, MaskSink, NullSink, ProgressSink, Sink, WindowSink, open_output
from realtime.sinks.sink import check_writable, write_text
from realtime.sinks.stream import StreamSink
from realtime.sinks.virtual import VirtualCameraSink
from realtime.sources import ReplayingSource, open_source

Opened = TypeVar("Opened", bound=Sink)


def run(config: RunConfig) -> int:
    """Run a configuration and tell the user how it went; return the exit code."""
    # Errors are told by us, in one line.
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    hold_opencv()
    try:
        with hide_native_logs(), _leaving_at_once(), contextlib.ExitStack() as undo:
            engine = LazyEngine(config, undo)
            if config.serving is not None:
                serve(config.serving, config, engine.get)
                return 0
            if is_folder(config.source):
                return run_folder(config, lambda job: _run_and_report(job, engine))
            report = run_job(config, engine)
    except (RealtimeError, EngineError) as error:
        return report_error(error)
    _print_report(config, report)
    return 0


class LazyEngine:
    """The engine, loaded when the first source is open; closed with `undo`.

    Attributes:
        line: what runs, and why; empty until it is loaded.
    """

    def __init__(self, config: RunConfig, undo: contextlib.ExitStack, announce: bool = True) -> None:
        self._config, self._undo, self._announce = config, undo, announce
        self.line = ""
        self._loaded: Engine | None = None

    def get(self, throughput: bool = False) -> Engine:
        """Return it; print its line where that is wanted.

        Args:
            throughput: see `engine_threads`; it counts where it is loaded now and no number was asked for.
        """
        if self._loaded is None:
            config = self._config
            self._loaded, self.line = load_engine(
                config.backend,
                config.weights,
                config.threads or engine_threads(throughput),
                config.precision,
                config.require_gpu,
                config.max_faces,
            )
            self._undo.callback(self._loaded.close)
            if self._announce:
                print(self.line, file=sys.stderr, flush=True)
        return self._loaded


@dataclass(frozen=True)
class WindowParts:
    """What a window shows and changes beside the frames; see `WindowSink`."""

    controls: Controls
    figures: Callable[[], list[str]]
    repaint: Callable[[], RenderedFrame]


def _run_and_report(job: RunConfig, engine: LazyEngine) -> bool:
    report = run_job(job, engine, keep_journal=True)
    _print_report(job, report)
    return report is not None and report.stopped


def run_job(config: RunConfig, engines: LazyEngine, keep_journal: bool = False) -> Report | None:
    """Run one job: a source, and what comes out of it.

    Args:
        config: of the job.
        engines: shared by many jobs.
        keep_journal: see `resume_job`.

    Returns:
        What was done; None if an earlier run has done it.

    Raises:
        RealtimeError, EngineError: if it fails; nothing half-done is left then.
    """
    source = open_source(config.source, config.live)
    with contextlib.ExitStack() as undo:
        undo.callback(source.close)
        replay: ReplayingSource | None = None
        output: Sink | None = None
        if config.resume:
            source, output = replay, resumable = resume_job(config, source, keep_journal)
            undo.callback(resumable.abort)
            if resumable.finished:
                return None
        elif config.output is not None:
            output = open_output(config.output, source.info, config.encoding)
        controls = Controls(config.parsed_effects)
        last: list[ParsedFrame] = []
        renderer = Renderer(controls.effects, config.compare)
        window = WindowParts(controls, lambda: pipeline.figures(), lambda: renderer.render(last[0]))
        sinks = _open_sinks(config, source.info, output, undo, window)
        still, live = source.info.still, source.info.live
        engine = engines.get(throughput=not (still or live) and config.tta_for(still) == 1)
        detector = FaceDetector(max_faces=config.max_faces)
        undo.callback(detector.close)

        gate = PersonGate(lambda: config.masks is not None or need_the_whole_head(controls.effects()))
        gate.prepare()
        tracker = FaceTracker(
            detector,
            engine,
            config.detect_every,
            config.smooth,
            still,
            config.tta_for(still),
            gate,
            config.propagate,
        )

        def parse(frame: Frame) -> ParsedFrame:
            parsed = tracker.update(frame)
            if still:
                last[:] = [parsed]
            return parsed

        stages = [Stage("parse", parse), Stage("render", renderer.render)]
        # A replaying source counts its own: frames come several times.
        pipeline = Pipeline(source, stages, sinks, None if replay else config.max_frames)
        with _stopping(pipeline):
            report = pipeline.run()
        report.frames -= replay.replayed if replay else 0
        if config.save_preset is not None:
            _save_effects(config.save_preset, controls)
        return report


def _save_effects(path: Path, controls: Controls) -> None:
    effects = controls.effects()
    if not effects:
        raise SinkError(f"{path}: no effect was on at the end, so there is nothing to save")
    save_preset(path, effects)


def _open_sinks(
    config: RunConfig,
    info: SourceInfo,
    output: Sink | None,
    undo: contextlib.ExitStack,
    window: WindowParts,
) -> list[Sink]:
    for path in (config.stats_json, config.save_preset):
        if path is not None:
            check_writable(path)
    sinks = [] if output is None else [output]
    size = (info.width * (2 if config.compare else 1), info.height)
    if config.stream is not None:
        sinks.append(_undone(StreamSink(config.stream, info, size, config.reconnect), undo))
    if config.virtual_camera is not None:
        sinks.append(_undone(VirtualCameraSink(config.virtual_camera, info, size), undo))
    if config.contact_sheet is not None:
        sinks.append(ContactSheetSink(config.contact_sheet))
    if config.masks is not None:
        kind = config.mask_format or FORMATS[0]
        sinks.append(MaskSink(config.masks, kind, info, config.replace_masks))
    if config.shows_window:
        sinks.append(WindowSink(info, window.controls, window.figures, window.repaint))
        # Not left open when the engine can't be loaded.
        undo.callback(cv2.destroyAllWindows)
    if not info.still and config.shows_progress(info.live, sys.stderr.isatty()):
        progress = ProgressSink(info, config.max_frames)
        undo.callback(progress.abort)
        sinks.append(progress)
    return sinks or [NullSink()]


def _undone(sink: Opened, undo: contextlib.ExitStack) -> Opened:
    """Return a sink that already holds something, which is let go when the engine can't be loaded."""
    undo.callback(sink.abort)
    return sink


def _leaving_at_once() -> AbstractContextManager[None]:
    """Let Ctrl-C end the process while no pipeline runs: there is nothing to finish yet.

    Not by KeyboardInterrupt, which is lost where it strikes inside a callback of an import, or breaks the
    import so that an engine seems to be missing.
    """

    def leave() -> None:
        # Not by print, which may be what was interrupted.
        with contextlib.suppress(OSError, ValueError):
            os.write(sys.stderr.fileno(), b"stopped before anything was done\n")
        os._exit(130)

    return on_signals((signal.SIGINT,), leave)


def _stopping(pipeline: Pipeline) -> AbstractContextManager[None]:
    """Let Ctrl-C and a polite kill end the run, with its output finished."""
    return on_signals((signal.SIGINT, signal.SIGTERM), pipeline.stop)


@contextlib.contextmanager
def on_signals(numbers: Sequence[signal.Signals], action: Callable[[], None]) -> Iterator[None]:
    """Do something on signals instead of what was done before; on the main thread alone, as Python asks."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def handle(number: int, frame: FrameType | None) -> None:
        action()

    saved = {number: signal.signal(number, handle) for number in numbers}
    try:
        yield
    finally:
        for number, handler in saved.items():
            signal.signal(number, handler)


def _print_report(config: RunConfig, report: Report | None) -> None:
    if report is None:
        print(f"{config.output}: was done before")
        return
    fps = report.frames / report.seconds if report.seconds else 0.0
    dropped = f", {report.dropped} dropped" if report.dropped else ""
    stopped = ", stopped early" if report.stopped else ""
    print(f"{report.frames} frames in {report.seconds:.1f} s: {fps:.1f} fps{dropped}{stopped}")
    if config.stats:
        print(report.timing.table())
        print(f"{report.faces} faces, {report.propagated} of them carried on from an earlier frame")
    if config.stats_json is not None:
        write_text(config.stats_json, json.dumps(report.to_dict(), indent=1) + "\n")
    if config.resume and report.stopped:
        print(f"{config.output} is not whole yet; the same command goes on with it")
        return
    for path in (config.output, config.contact_sheet, config.masks, config.stats_json, config.save_preset):
        if path is not None and report.frames:
            print(f"wrote {path}")
