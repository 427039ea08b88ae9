"""The exceptions of the pipeline: one tree, each with the exit code of the command line."""

from __future__ import annotations

import sys


class RealtimeError(Exception):
    """Base of all errors that users meet; the message is one line that says what to do."""

    exit_code = 1


class UsageError(RealtimeError):
    """The request itself makes no sense: unknown effect, bad colour, output over its own input."""

    exit_code = 2


class SourceError(RealtimeError):
    """Frames can't be had: no camera, no file, not a video, damaged."""


class SinkError(RealtimeError):
    """Frames can't be put out: no display, no space, no permission, unknown format."""


class ModelError(RealtimeError):
    """A model file is missing, damaged or can't be fetched."""


class StageError(RealtimeError):
    """A stage failed; names the stage and the frame. The failure itself is the cause."""

    def __init__(self, stage: str, index: int | None, error: BaseException) -> None:
        frame = "" if index is None else f" at frame {index}"
        super().__init__(f"{stage} failed{frame}: {type(error).__name__}: {error}")
        self.stage, self.index = stage, index


def report_error(error: Exception) -> int:
    """Report an error in one line on the terminal; return the exit code of the command line."""
    print(f"error: {error}", file=sys.stderr)
    return error.exit_code if isinstance(error, RealtimeError) else 1


def warn(text: str) -> None:
    """Tell the user in one line of something that is lost or mended while the work goes on."""
    print(f"warning: {text}", file=sys.stderr, flush=True)
