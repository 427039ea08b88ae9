"""What a batch remembers: which files are done, for a later run, and the report for people."""

from __future__ import annotations

import contextlib
import csv
import hashlib
import io
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from realtime.app.resume import describe_job
from realtime.batch.inputs import Task
from realtime.batch.worker import Outcome
from realtime.errors import SinkError
from realtime.masks.sidecar import INFO
from realtime.sinks.sink import write_text

FOLDER, REPORT = ".batch", "report.csv"
COLUMNS = ("file", "status", "frames", "seconds", "error")


@dataclass(frozen=True)
class Row:
    """A line of the report.

    Attributes:
        file: as the user wrote it.
        status: "done", "done before", "failed" or "left".
        frames: written.
        seconds: it took, in the run that did it.
        error: one line.
    """

    file: str
    status: str
    frames: int = 0
    seconds: float = 0.0
    error: str = ""


class Record:
    """Remembers in a hidden folder of the output folder which files are done.

    Args:
        folder: of the batch's outputs; made if it is not there.

    Raises:
        SinkError: if nothing can be written there, or another batch is at work in it.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder / FOLDER
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._lock = FileLock(self._folder / "lock")
            self._lock.acquire(timeout=0)
        except Timeout:
            raise SinkError(f"{folder}: another batch is at work there") from None
        except OSError as error:
            raise SinkError(f"{folder}: cannot be written: {error.strerror}") from None

    def done(self, task: Task) -> Row | None:
        """Return what an earlier run did of a task; None where it has to be done (again)."""
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            data = json.loads(self._place(task).read_text(encoding="utf-8"))
            if data["job"] == _job_of(task) and data["outputs"] == _prints_of(task):
                return Row(task.file, "done before", data["frames"], data["seconds"])
        return None

    def note(self, task: Task, outcome: Outcome) -> None:
        """Note that a task is done.

        Raises:
            SinkError: if that can't be written.
        """
        try:
            facts = {"job": _job_of(task), "outputs": _prints_of(task)}
        except OSError as error:
            raise SinkError(f"{task.file}: gone while it was worked on: {error}") from None
        done = {"frames": outcome.frames, "seconds": round(outcome.seconds, 3)}
        write_text(self._place(task), json.dumps({"file": task.file, **done, **facts}, indent=1) + "\n")

    def close(self) -> None:
        """Let other batches in."""
        self._lock.release()

    def _place(self, task: Task) -> Path:
        # By what is made: the same file may be written in several ways.
        name = "\n".join(str(path) for path in task.outputs)
        return self._folder / f"{hashlib.sha256(name.encode()).hexdigest()[:32]}.json"


def _job_of(task: Task) -> dict[str, Any]:
    job: dict[str, Any] = dict(describe_job(task.config, Path(task.config.source)))
    # What may differ in the last digits is still done.
    del job["threads"]
    if task.config.masks is not None:
        job["masks"] = str(task.config.mask_format)
    return job


def _prints_of(task: Task) -> dict[str, list[int]]:
    """Return size and time of each output; a folder of masks is known by its `masks.json`."""
    prints = {}
    for path in task.outputs:
        facts = (path / INFO if path == task.config.masks else path).stat()
        prints[str(path)] = [facts.st_size, facts.st_mtime_ns]
    return prints


def write_report(folder: Path, rows: Iterable[Row]) -> Path:
    """Write `report.csv`; return its path.

    Raises:
        SinkError: if it can't be written.
    """
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(COLUMNS)
    for row in rows:
        table.writerow([row.file, row.status, row.frames, f"{row.seconds:.2f}", row.error])
    path = folder / REPORT
    write_text(path, text.getvalue())
    return path
