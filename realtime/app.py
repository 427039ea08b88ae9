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

import cv2

from engines import Engine, EngineError, load_engine
from realtime.config import RunConfig
from realtime.controls import Controls
from realtime.detection import FaceDetector
from realtime.errors import RealtimeError, SinkError, tell
from realtime.folder import is_folder, run_folder
from realtime.frames import Frame, ParsedFrame, RenderedFrame
from realtime.pipeline import Pipeline, Report, Stage
from realtime.presets import save_preset
from realtime.quiet import native_chatter_hidden
from realtime.rendering import Renderer
from realtime.resume import resume_job
from realtime.serve import serve
from realtime.sinks import ContactSheetSink, NullSink, ProgressSink, Sink, WindowSink, open_output
from realtime.sinks.sink import check_writable, write_text
from realtime.sources import ReplayingSource, SourceInfo, open_source
from realtime.tracking import FaceTracker


def run(config: RunConfig) -> int:
    """Run a configuration and tell the user how it went; return the exit code."""
    # Errors are told by us, in one line.
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    # The stages are threads already; OpenCV's own would fight them and the engine for the cores.
    cv2.setNumThreads(1)
    try:
        with native_chatter_hidden(), _leaving_at_once(), contextlib.ExitStack() as undo:
            engine = _Engine(config, undo)
            if config.serving is not None:
                serve(config.serving, config, engine.get)
                return 0
            if is_folder(config.source):
                return run_folder(config, lambda job: _run_of_many(job, engine))
            report = _run(config, engine)
    except (RealtimeError, EngineError) as error:
        return tell(error)
    _tell(config, report)
    return 0


class _Engine:
    """The engine, loaded when the first source is open; closed with `undo`."""

    def __init__(self, config: RunConfig, undo: contextlib.ExitStack) -> None:
        self._config, self._undo = config, undo
        self._loaded: Engine | None = None

    def get(self) -> Engine:
        if self._loaded is None:
            config = self._config
            self._loaded, line = load_engine(
                config.backend,
                config.weights,
                config.threads,
                config.precision,
                config.require_gpu,
                config.max_faces,
            )
            self._undo.callback(self._loaded.close)
            print(line, file=sys.stderr, flush=True)
        return self._loaded


@dataclass(frozen=True)
class WindowParts:
    """What a window shows and changes beside the frames; see `WindowSink`."""

    controls: Controls
    figures: Callable[[], list[str]]
    repaint: Callable[[], RenderedFrame]


def _run_of_many(job: RunConfig, engine: _Engine) -> bool:
    report = _run(job, engine, keep_journal=True)
    _tell(job, report)
    return report is not None and report.stopped


def _run(config: RunConfig, engines: _Engine, keep_journal: bool = False) -> Report | None:
    """Run one job; None if an earlier run has done it."""
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
        engine = engines.get()
        detector = FaceDetector(max_faces=config.max_faces)
        undo.callback(detector.close)

        tracker = FaceTracker(detector, engine, config.detect_every, config.smooth)

        def parse(frame: Frame) -> ParsedFrame:
            parsed = tracker.update(frame)
            if source.info.still:
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
    if config.contact_sheet is not None:
        sinks.append(ContactSheetSink(config.contact_sheet))
    if config.shows_window:
        sinks.append(WindowSink(info, window.controls, window.figures, window.repaint))
        # Not left open when the engine can't be loaded.
        undo.callback(cv2.destroyAllWindows)
    if not info.still and config.shows_progress(info.live, sys.stderr.isatty()):
        progress = ProgressSink(info, config.max_frames)
        undo.callback(progress.abort)
        sinks.append(progress)
    return sinks or [NullSink()]


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

    return _on_signals((signal.SIGINT,), leave)


def _stopping(pipeline: Pipeline) -> AbstractContextManager[None]:
    """Let Ctrl-C and a polite kill end the run, with its output finished."""
    return _on_signals((signal.SIGINT, signal.SIGTERM), pipeline.stop)


@contextlib.contextmanager
def _on_signals(numbers: Sequence[signal.Signals], action: Callable[[], None]) -> Iterator[None]:
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


def _tell(config: RunConfig, report: Report | None) -> None:
    if report is None:
        print(f"{config.output}: was done before")
        return
    fps = report.frames / report.seconds if report.seconds else 0.0
    dropped = f", {report.dropped} dropped" if report.dropped else ""
    stopped = ", stopped early" if report.stopped else ""
    print(f"{report.frames} frames in {report.seconds:.1f} s: {fps:.1f} fps{dropped}{stopped}")
    if config.stats:
        print(report.timing.table())
    if config.stats_json is not None:
        write_text(config.stats_json, json.dumps(report.to_dict(), indent=1) + "\n")
    if config.resume and report.stopped:
        print(f"{config.output} is not whole yet; the same command goes on with it")
        return
    for path in (config.output, config.contact_sheet, config.stats_json, config.save_preset):
        if path is not None and report.frames:
            print(f"wrote {path}")
