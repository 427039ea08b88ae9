"""The application: builds source, stages and sinks from a configuration and runs them."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import cv2

from engines import EngineError, load_engine
from realtime.config import RunConfig
from realtime.detection import FaceDetector
from realtime.errors import RealtimeError, tell
from realtime.pipeline import Pipeline, Report, Stage
from realtime.quiet import native_chatter_hidden
from realtime.rendering import Renderer
from realtime.sinks import ContactSheetSink, NullSink, Sink, WindowSink, open_output
from realtime.sinks.sink import check_writable, temporary_name
from realtime.sources import SourceInfo, open_source
from realtime.tracking import FaceTracker


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
        sinks = _open_sinks(config, source.info, undo)
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
        renderer = Renderer(config.parsed_effects, config.compare)

        tracker = FaceTracker(detector, engine, config.detect_every, config.smooth)
        stages = [Stage("parse", tracker.update), Stage("render", renderer.render)]
        pipeline = Pipeline(source, stages, sinks, config.max_frames)
        with _stopping(pipeline):
            return pipeline.run()


def _open_sinks(config: RunConfig, info: SourceInfo, undo: contextlib.ExitStack) -> list[Sink]:
    sinks: list[Sink] = []
    if config.stats_json is not None:
        check_writable(config.stats_json)
    if config.output is not None:
        sinks.append(open_output(config.output, info))
    if config.contact_sheet is not None:
        sinks.append(ContactSheetSink(config.contact_sheet))
    if config.shows_window:
        sinks.append(WindowSink(info))
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
    if config.stats_json is not None:
        _write_json(config.stats_json, report.to_dict())
    for path in (config.output, config.contact_sheet, config.stats_json):
        if path is not None and report.frames:
            print(f"wrote {path}")


def _write_json(path: Path, data: dict[str, Any]) -> None:
    temporary = temporary_name(path)
    temporary.write_text(json.dumps(data, indent=1) + "\n")
    os.replace(temporary, path)
