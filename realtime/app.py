"""The application: builds source, stages and sinks from a configuration and runs them."""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType

import cv2

from engines import EngineError, load_engine
from realtime.config import RunConfig
from realtime.controls import Controls
from realtime.detection import FaceDetector
from realtime.errors import RealtimeError, SinkError, tell
from realtime.frames import DetectedFrame, Frame, ParsedFrame, RenderedFrame
from realtime.parsing import parse_faces
from realtime.pipeline import Pipeline, Report, Stage
from realtime.presets import save_preset
from realtime.quiet import native_chatter_hidden
from realtime.rendering import Renderer
from realtime.sinks import ContactSheetSink, NullSink, Sink, WindowSink, open_output
from realtime.sinks.sink import check_writable
from realtime.sources import SourceInfo, open_source


def run(config: RunConfig) -> int:
    """Run a configuration and tell the user how it went; return the exit code."""
    # Errors are told by us, in one line.
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    # The stages are threads already; OpenCV's own would fight them and the engine for the cores.
    cv2.setNumThreads(1)
    try:
        with native_chatter_hidden():
            report = _run(config)
    except (RealtimeError, EngineError) as error:
        return tell(error)
    except KeyboardInterrupt:
        # Before the pipeline ran: from there on a signal ends it in order.
        print("stopped before anything was done", file=sys.stderr)
        return 130
    _tell(config, report)
    return 0


def _run(config: RunConfig) -> Report:
    source = open_source(config.source)
    with contextlib.ExitStack() as undo:
        undo.callback(source.close)
        controls = Controls(config.parsed_effects)
        last: list[ParsedFrame] = []
        renderer = Renderer(controls.effects, config.compare)
        sinks = _open_sinks(config, source.info, undo, controls, lambda: renderer.render(last[0]))
        engine, line = load_engine(
            config.backend,
            config.weights,
            config.threads,
            config.precision,
            config.require_gpu,
            config.max_faces,
        )
        undo.callback(engine.close)
        print(line, file=sys.stderr, flush=True)
        detector = FaceDetector(max_faces=config.max_faces)
        undo.callback(detector.close)

        def detect(frame: Frame) -> DetectedFrame:
            return DetectedFrame(frame, detector.detect(frame.image))

        def parse(found: DetectedFrame) -> ParsedFrame:
            parsed = ParsedFrame(found.frame, parse_faces(found.frame.image, found.detections, engine))
            if source.info.still:
                last[:] = [parsed]
            return parsed

        stages = [Stage("detect", detect), Stage("parse", parse), Stage("render", renderer.render)]
        pipeline = Pipeline(source, stages, sinks, config.max_frames)
        with _stopping(pipeline):
            report = pipeline.run()
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
    undo: contextlib.ExitStack,
    controls: Controls,
    repaint: Callable[[], RenderedFrame],
) -> list[Sink]:
    sinks: list[Sink] = []
    if config.save_preset is not None:
        check_writable(config.save_preset)
    if config.output is not None:
        sinks.append(open_output(config.output, info))
    if config.contact_sheet is not None:
        sinks.append(ContactSheetSink(config.contact_sheet))
    if config.shows_window:
        sinks.append(WindowSink(info, controls, repaint=repaint))
        # Not left open when the engine can't be loaded.
        undo.callback(cv2.destroyAllWindows)
    return sinks or [NullSink()]


@contextlib.contextmanager
def _stopping(pipeline: Pipeline) -> Iterator[None]:
    """Let Ctrl-C and a polite kill end the run, with its output finished."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, frame: FrameType | None) -> None:
        pipeline.stop()

    saved = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in saved.items():
            signal.signal(number, handler)


def _tell(config: RunConfig, report: Report) -> None:
    fps = report.frames / report.seconds if report.seconds else 0.0
    dropped = f", {report.dropped} dropped" if report.dropped else ""
    stopped = ", stopped early" if report.stopped else ""
    print(f"{report.frames} frames in {report.seconds:.1f} s: {fps:.1f} fps{dropped}{stopped}")
    if config.stats:
        print(report.timing.table())
    for path in (config.output, config.contact_sheet, config.save_preset):
        if path is not None and report.frames:
            print(f"wrote {path}")
