"""The journal of a job that can be resumed: whose it is, and which segments are whole."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from realtime.errors import SinkError

NAME = "journal.json"


def parts_folder(output: Path) -> Path:
    """Return the hidden folder beside an output that holds its finished segments."""
    return output.with_name(f".{output.name}.parts")


class Journal:
    """Says in a folder of segments what has been done of which job.

    Args:
        output: the file that the job makes.
        job: names and values that must be the same for the job to go on: its source and settings.

    Raises:
        SinkError: if another run is at work in the folder, it belongs to another job or is damaged.
    """

    def __init__(self, output: Path, job: Mapping[str, Any]) -> None:
        self._output, self._job = output, dict(job)
        self.folder = parts_folder(output)
        self._lock = FileLock(self.folder / "lock")
        try:
            self.folder.mkdir(exist_ok=True)
            self._lock.acquire(timeout=0)
        except Timeout:
            raise SinkError(f"{output}: another run is at work on it") from None
        except OSError as error:
            raise SinkError(f"{self.folder}: cannot be made: {error.strerror}") from None
        self.segments: list[int] = []
        self.done: list[int] | None = None
        try:
            self._tidy()
            self._read()
        except SinkError:
            self._lock.release()
            raise

    @property
    def frames(self) -> int:
        """Return how many frames the finished segments hold."""
        return sum(self.segments)

    def segment(self, number: int) -> Path:
        """Return the file of a segment."""
        return self.folder / f"{number:06d}{self._output.suffix.lower()}"

    def add(self, frames: int) -> None:
        """Note that the next segment is whole.

        Raises:
            SinkError: if the disk does not take it.
        """
        try:
            with self.segment(len(self.segments)).open("rb") as file:
                os.fsync(file.fileno())
            self._write([*self.segments, frames])
        except OSError as error:
            raise SinkError(f"{self.folder}: cannot be written: {error.strerror}") from None
        self.segments.append(frames)

    def finished(self) -> bool:
        """Say whether the job was done before and its output is still the one it made."""
        return self.done is not None and self._output.exists() and self.done == _print_of(self._output)

    def finish(self, keep: bool) -> None:
        """Remove the segments: the output is whole; with `keep` that fact stays in the journal."""
        for number in range(len(self.segments)):
            self.segment(number).unlink(missing_ok=True)
        self.segments, self.done = [], _print_of(self._output)
        if keep:
            self._write([])
            self._lock.release()
        else:
            self.discard()

    def leave(self) -> None:
        """Leave the finished segments for a later run; remove the folder if there are none."""
        if not self._lock.is_locked:
            return
        if self.segments or self.done:
            self._lock.release()
        else:
            self.discard()

    def discard(self) -> None:
        """Remove the folder."""
        self._lock.release()
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def whole(self) -> Path:
        """Return the file that the segments are put together in."""
        return self.folder / f"whole{self._output.suffix.lower()}"

    def _tidy(self) -> None:
        """Remove what a killed run left unfinished."""
        for path in (*self.folder.glob(".*.part.*"), self.whole):
            path.unlink(missing_ok=True)

    def _read(self) -> None:
        path = self.folder / NAME
        if not path.exists():
            return
        try:
            data = json.loads(path.read_text())
            job, segments, done = dict(data["job"]), [int(n) for n in data["segments"]], data["done"]
        except (OSError, ValueError, KeyError, TypeError):
            raise SinkError(f"{path}: damaged; remove the folder {self.folder} to start anew") from None
        other = [name for name in {**job, **self._job} if job.get(name) != self._job.get(name)]
        if other and not segments:
            return
        if other:
            what = ", ".join(other)
            raise SinkError(
                f"{self._output}: begun by another job (differing: {what}); repeat that one, "
                f"or remove the folder {self.folder}"
            )
        self.segments, self.done = segments, done
        for number in range(len(segments)):
            if not self.segment(number).exists():
                del self.segments[number:]
                break

    def _write(self, segments: list[int]) -> None:
        path, new = self.folder / NAME, self.folder / f"{NAME}.new"
        with new.open("w") as file:
            json.dump({"job": self._job, "segments": segments, "done": self.done}, file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        os.replace(new, path)


def _print_of(path: Path) -> list[int]:
    facts = path.stat()
    return [facts.st_size, facts.st_mtime_ns]
