"""What every sink is, and the care that files are written with."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

from realtime.errors import SinkError
from realtime.frames import RenderedFrame


class Sink(Protocol):
    """Takes rendered frames on the caller's thread, in order."""

    def write(self, rendered: RenderedFrame) -> bool:
        """Put a frame out; False asks for the end of the run.

        Raises:
            SinkError: when it can't.
        """
        ...

    def close(self, whole: bool = True) -> None:
        """Finish: what was written becomes visible under its name.

        Args:
            whole: every frame of the source was written; else the run was ended before.
        """
        ...

    def abort(self) -> None:
        """Give up: nothing half-done is left behind."""
        ...


class NullSink:
    """Counts for nothing: for measuring."""

    def write(self, rendered: RenderedFrame) -> bool:
        """Drop the frame."""
        return True

    def close(self, whole: bool = True) -> None:
        """Nothing is held."""

    def abort(self) -> None:
        """Nothing is held."""


def check_writable(path: Path) -> None:
    """Check that a file can be made there, before any work is done.

    Raises:
        SinkError: if it can't.
    """
    if path.is_dir():
        raise SinkError(f"{path}: is a folder; give a file name")
    if not path.parent.is_dir():
        raise SinkError(f"{path}: no such folder {path.parent}")
    if not os.access(path.parent, os.W_OK) or (path.exists() and not os.access(path, os.W_OK)):
        raise SinkError(f"{path}: no permission to write there")
    probe = temporary_name(path)
    try:
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise SinkError(f"{path}: cannot be written: {error.strerror}") from None


def temporary_name(path: Path) -> Path:
    """Return the hidden name beside `path` that an unfinished file bears."""
    # The ending stays: writers choose the format by it.
    return path.with_name(f".{path.stem}.{os.getpid()}.part{path.suffix}")


def write_text(path: Path, text: str) -> None:
    """Write a text file, UTF-8, under a temporary name first.

    Raises:
        SinkError: if it can't be written.
    """
    temporary = temporary_name(path)
    try:
        temporary.write_text(text, encoding="utf-8")
        os.replace(temporary, path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise SinkError(f"{path}: cannot be written: {error.strerror}") from None


def one_of(endings: Iterable[str]) -> str:
    """Return the endings as a list for people."""
    return ", ".join(endings)
