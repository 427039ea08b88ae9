"""A folder as source: every video in it, one after the other."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from realtime.config import RunConfig
from realtime.errors import RealtimeError, SinkError, SourceError, UsageError, tell
from realtime.sinks import CONTAINERS, parts_folder

# What counts as a video in a folder; the rest is passed over.
ENDINGS = frozenset(
    (
        *(".3gp", ".asf", ".avi", ".dv", ".f4v", ".flv", ".h264", ".h265", ".hevc", ".m2ts", ".m2v", ".m4v"),
        *(".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".mts", ".mxf", ".nut", ".ogm", ".ogv", ".ts", ".vob"),
        *(".webm", ".wmv", ".y4m"),
    )
)

# Runs one job; says whether it was stopped by the user.
RunOne = Callable[[RunConfig], bool]


def is_folder(source: str) -> bool:
    """Say whether a source, as users write it, is a folder."""
    return source != "demo" and not source.isdecimal() and "://" not in source and Path(source).is_dir()


def run_folder(config: RunConfig, run_one: RunOne) -> int:
    """Run a job for each video of a folder; one that fails gets its line and the others go on.

    Args:
        config: whose source is a folder; the output becomes one.
        run_one: runs a job with a single file as source and output; True if the user stopped it.

    Returns:
        the exit code: 1 if any failed.

    Raises:
        UsageError, SourceError, SinkError: if nothing can be begun.
    """
    jobs = folder_jobs(config)
    done = failed = 0
    for job in jobs:
        try:
            if run_one(job):
                break
            done += 1
        except RealtimeError as error:
            tell(error)
            failed += 1
    left = len(jobs) - done - failed
    if not left and not failed:
        _forget(jobs)
    parts = [f"{done} done", *([f"{failed} failed"] if failed else []), *([f"{left} left"] if left else [])]
    print(f"{len(jobs)} video{'s' if len(jobs) > 1 else ''}: {', '.join(parts)}")
    return 1 if failed else 0


def folder_jobs(config: RunConfig) -> list[RunConfig]:
    """Return a job for each video of the source folder, sorted by name; makes the output folder.

    Names stay; videos that can't keep their container become NAME.ENDING.mkv.
    """
    source, output = Path(config.source), config.output
    if config.stream is not None or config.virtual_camera is not None:
        raise UsageError(f"{source}: is a folder, and only files can be made of it")
    if output is None:
        raise UsageError(f"{source}: is a folder, and needs --output FOLDER")
    if config.contact_sheet is not None:
        raise UsageError("--contact-sheet is for a single source")
    if output.is_file() or (not output.exists() and output.suffix.lower() in CONTAINERS):
        raise UsageError(f"{output}: the source is a folder, so the output must be one")
    if output.exists() and output.samefile(source):
        raise UsageError(f"{output}: the output is the input itself; choose another folder")
    files = sorted(path for path in source.iterdir() if _is_video(path))
    if not files:
        raise SourceError(f"{source}: holds no video")
    try:
        output.mkdir(exist_ok=True)
    except OSError as error:
        raise SinkError(f"{output}: cannot be made: {error.strerror}") from None
    return [replace(config, source=str(file), output=output / _output_name(file)) for file in files]


def _is_video(path: Path) -> bool:
    return path.suffix.lower() in ENDINGS and not path.name.startswith(".") and path.is_file()


def _output_name(file: Path) -> str:
    return file.name if file.suffix.lower() in CONTAINERS else f"{file.name}.mkv"


def _forget(jobs: list[RunConfig]) -> None:
    """Remove what resumed jobs left to say that they are done."""
    for job in jobs:
        if job.resume and job.output is not None:
            shutil.rmtree(parts_folder(job.output), ignore_errors=True)
