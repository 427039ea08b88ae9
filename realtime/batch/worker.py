"""What does the jobs of a batch, one after the other: a process of its own, with an engine loaded once."""

from __future__ import annotations

import contextlib
import io
import os
import re
import shutil
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import cv2

from engines import EngineError
from realtime.app.config import RunConfig
from realtime.app.run import LazyEngine, run_job
from realtime.errors import RealtimeError, SinkError, SourceError, UsageError
from realtime.native_logs import hide_native_logs
from realtime.pipeline import Report
from realtime.pipeline.threads import hold_opencv

# Of a job's warnings, which a damaged file may give without end.
WARNINGS = 5
# What keeps a worker from beginning, for a reason that the user can mend.
START_ERRORS = (RealtimeError, EngineError)


@dataclass(frozen=True)
class Outcome:
    """What became of a job.

    Attributes:
        frames: written.
        seconds: it took.
        error: one line; empty where all went well.
        again: it may go better another time: the file and the request are not to blame.
        warnings: lines.
    """

    frames: int = 0
    seconds: float = 0.0
    error: str = ""
    again: bool = False
    warnings: tuple[str, ...] = ()


class Worker:
    """Does jobs.

    Args:
        config: any job's: all share the engine.
        folder: relative names are meant from there.

    Raises:
        RealtimeError, EngineError: if no engine can be loaded.
    """

    def __init__(self, config: RunConfig, folder: str) -> None:
        # As in the front door: we tell errors, and the stages are threads already.
        cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
        hold_opencv()
        os.chdir(folder)
        self._undo = contextlib.ExitStack()
        self._undo.enter_context(hide_native_logs())
        self._engine = LazyEngine(config, self._undo, announce=False)
        self._engine.get()
        self.line = self._engine.line

    def do(self, job: RunConfig) -> Outcome:
        """Do a job; never raises but for what ends the process."""
        started, said, result = time.monotonic(), io.StringIO(), _Result()
        with contextlib.redirect_stderr(said):
            # Not on the main thread, where a polite kill would have a half-done output finished.
            thread = threading.Thread(target=self._run, args=(job, result), name="job")
            thread.start()
            thread.join()
        frames = result.report.frames if result.report is not None else 0
        warnings = tuple(line for line in said.getvalue().splitlines() if line)[:WARNINGS]
        error, seconds = result.error, time.monotonic() - started
        if error is None:
            return Outcome(frames, seconds, warnings=warnings)
        again = not isinstance(error, (SourceError, UsageError))
        text = " ".join(str(error).split()) or type(error).__name__
        return Outcome(frames, seconds, text, again, warnings)

    def _run(self, job: RunConfig, result: _Result) -> None:
        try:
            for place in (job.output, job.masks):
                if place is not None:
                    make_parents(place)
                    remove_leftovers(place)
            result.report = run_job(job, self._engine)
        except Exception as error:
            result.error = error

    def close(self) -> None:
        """Free the engine."""
        self._undo.close()


@dataclass
class _Result:
    """What the job's thread leaves behind."""

    report: Report | None = None
    error: Exception | None = None


def make_parents(place: Path) -> None:
    """Make the folders that an output lies in.

    Raises:
        SinkError: if that can't be done.
    """
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SinkError(f"{place.parent}: cannot be made: {error.strerror}") from None


def remove_leftovers(place: Path) -> None:
    """Remove what a killed worker left unfinished of an output, which has the names of `temporary_name`."""
    pattern = re.compile(rf"\.{re.escape(place.stem)}\.\d+\.part{re.escape(place.suffix)}(\.old)?")
    if not place.parent.is_dir():
        return
    for path in place.parent.iterdir():
        if pattern.fullmatch(path.name):
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)
