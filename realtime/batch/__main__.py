"""Parse and paint many files at once, on one machine or on a Ray cluster; what is done is not done again."""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from pathlib import Path
from typing import Any

from engines import EngineError
from engines.loader import available_cores
from realtime.app.arguments import add_effects, add_engine, add_files
from realtime.app.config import RunConfig
from realtime.app.likeness import take_effects
from realtime.app.run import on_signals
from realtime.batch.cluster import RayCrew
from realtime.batch.crew import Crew, Foreman
from realtime.batch.inputs import Task, find_files, make_tasks
from realtime.batch.processes import ProcessCrew
from realtime.batch.record import Record, Row, write_report
from realtime.batch.worker import Outcome, Worker
from realtime.errors import RealtimeError, UsageError, report_error


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m realtime.batch", description=__doc__)
    add = parser.add_argument
    add("inputs", nargs="+", metavar="INPUT", help="file, folder, pattern such as 'clips/**/*.mp4', or @LIST")
    add("--output-dir", type=Path, required=True, metavar="FOLDER", help="for videos and report.csv")
    add("--no-video", action="store_true", help="write no videos, only --masks")
    add("--keep-folders", action="store_true", help="outputs lie in folders as the inputs do")
    add("--jobs", type=int, metavar="N", help="files at once (default: as many as there are cores)")
    add("--ray", metavar="ADDRESS", help="work on a Ray cluster: HOST:PORT, or auto")
    add("--attempts", type=int, default=3, metavar="N", help="tries of a file whose worker is lost (3)")
    add_files(parser)
    add_engine(parser)
    add_effects(parser)
    parser.set_defaults(threads=1)
    return parser


class Batch:
    """One run over many files.

    Args:
        options: as the command line gave them.
        config: for all files.
    """

    def __init__(self, options: argparse.Namespace, config: RunConfig) -> None:
        self._options, self._config = options, config
        self._tasks = make_tasks(find_files(options.inputs), config, options.keep_folders)
        self._folder: Path = options.output_dir
        self._record = Record(self._folder)
        self._rows: dict[str, Row] = {}
        self._stop = threading.Event()

    def run(self) -> int:
        """Do what is left; return the exit code."""
        try:
            left = self._what_is_left()
            with on_signals((signal.SIGINT, signal.SIGTERM), self._stop.set):
                if left:
                    crew = self._crew(len(left))
                    attempts = self._options.attempts
                    Foreman(crew, attempts, self._told, _say, self._stop.is_set).run(left)
        finally:
            self._record.close()
            rows = [self._rows.get(task.file, Row(task.file, "left")) for task in self._tasks]
            report = write_report(self._folder, rows)
        return _sum_up(rows, report)

    def _what_is_left(self) -> list[Task]:
        for task in self._tasks:
            row = self._record.done(task)
            if row is not None:
                self._rows[task.file] = row
        left = [task for task in self._tasks if task.file not in self._rows]
        # The largest first: at the end nobody waits for a long one that was begun last.
        return sorted(left, key=_size, reverse=True)

    def _crew(self, tasks: int) -> Crew:
        options = self._options
        if options.ray is not None:
            crew = RayCrew(self._config, options.jobs, options.ray, Worker)
            crew.start(tasks)
            return crew
        jobs = options.jobs or max(1, available_cores() // (self._config.threads or 1))
        return ProcessCrew(self._config, min(jobs, tasks), Worker)

    def _told(self, task: Task, outcome: Outcome) -> None:
        error = outcome.error
        if not error:
            try:
                self._record.note(task, outcome)
            except RealtimeError as failure:
                error = str(failure)
        status = "failed" if error else "done"
        self._rows[task.file] = Row(task.file, status, outcome.frames, outcome.seconds, error)
        for line in outcome.warnings:
            _say(line)
        what = f"failed: {error}" if error else f"{outcome.frames} frames in {outcome.seconds:.1f} s"
        print(f"[{len(self._rows)}/{len(self._tasks)}] {task.file}: {what}", flush=True)


def _size(task: Task) -> int:
    path = Path(task.config.source)
    return path.stat().st_size if path.exists() else 0


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _sum_up(rows: list[Row], report: Path) -> int:
    counts = {status: sum(row.status == status for row in rows) for status in ("done", "failed", "left")}
    before = sum(row.status == "done before" for row in rows)
    parts = [f"{counts['done']} done"]
    parts += [f"{before} done before"] if before else []
    parts += [f"{counts[status]} {status}" for status in ("failed", "left") if counts[status]]
    print(f"{len(rows)} file{'s' if len(rows) > 1 else ''}: {', '.join(parts)}; {report}")
    return 1 if counts["failed"] or counts["left"] else 0


def _config(options: argparse.Namespace) -> RunConfig:
    values: dict[str, Any] = dict(vars(options))
    for name in ("inputs", "output_dir", "no_video", "keep_folders", "jobs", "ray", "attempts"):
        del values[name]
    if options.no_video and options.masks is None:
        raise UsageError("--no-video without --masks: there is nothing to write")
    for name in ("jobs", "attempts"):
        value = getattr(options, name)
        if value is not None and value < 1:
            raise UsageError(f"--{name} {value}: at least 1")
    if options.output_dir.is_file():
        raise UsageError(f"{options.output_dir}: is a file; give a folder")
    output = None if options.no_video else options.output_dir
    effects = take_effects(values)
    return RunConfig(effects=effects, output=output, progress=False, display=False, **values)


def main(argv: list[str] | None = None) -> int:
    """Run the command line; return the exit code: 0, 2 for usage, 1 if any file failed or is left."""
    options = _parser().parse_args(argv)
    try:
        return Batch(options, _config(options)).run()
    except (RealtimeError, EngineError) as error:
        return report_error(error)


if __name__ == "__main__":
    sys.exit(main())
