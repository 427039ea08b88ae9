"""A folder as source: every video in it, one after the other."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from realtime.app.config import RunConfig
from realtime.errors import RealtimeError, SinkError, SourceError, UsageError, report_error
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
            report_error(error)
            failed += 1
    left = len(jobs) - done - failed
    if not left and not failed:
        _forget(jobs)
    parts = [f"{done} done", *([f"{failed} failed"] if failed else []), *([f"{left} left"] if left else [])]
    print(f"{len(jobs)} video{'s' if len(jobs) > 1 else ''}: {', '.join(parts)}")
    return 1 if failed else 0


def folder_jobs(config: RunConfig) -> list[RunConfig]:
    """Return a job for each video of the source folder, sorted by name; makes their folders."""
    source = Path(config.source)
    if config.stream is not None or config.virtual_camera is not None:
        raise UsageError(f"{source}: is a folder, and only files can be made of it")
    if config.output is None and config.masks is None:
        raise UsageError(f"{source}: is a folder, and needs --output FOLDER or --masks FOLDER")
    if config.contact_sheet is not None:
        raise UsageError("--contact-sheet is for a single source")
    places = [place for place in (config.output, config.masks) if place is not None]
    for place in places:
        if place.is_file() or (not place.exists() and place.suffix.lower() in CONTAINERS):
            raise UsageError(f"{place}: the source is a folder, so the output must be one")
        if place.exists() and place.samefile(source):
            raise UsageError(f"{place}: the output is the input itself; choose another folder")
    files = videos_in(source)
    if not files:
        raise SourceError(f"{source}: holds no video")
    for place in places:
        make_folder(place)
    return [file_job(config, file, Path(file.name)) for file in files]


def videos_in(folder: Path) -> list[Path]:
    """Return the videos in a folder, not in those within, sorted by name."""
    return sorted(path for path in folder.iterdir() if _is_video(path))


def file_job(config: RunConfig, file: Path, name: Path) -> RunConfig:
    """Return the job for one file, of a configuration whose outputs are folders.

    Args:
        config: for many files.
        file: the source.
        name: what its outputs are called there, may have folders. Masks become a folder of that name; a
            video that can't keep its container becomes NAME.mkv.
    """
    video = name if name.suffix.lower() in CONTAINERS else name.with_name(f"{name.name}.mkv")
    output = None if config.output is None else config.output / video
    masks = None if config.masks is None else config.masks / name
    return replace(config, source=str(file), output=output, masks=masks)


def make_folder(place: Path) -> None:
    """Make a folder where there is none.

    Raises:
        SinkError: if that can't be done.
    """
    try:
        place.mkdir(exist_ok=True)
    except OSError as error:
        raise SinkError(f"{place}: cannot be made: {error.strerror}") from None


def _is_video(path: Path) -> bool:
    return path.suffix.lower() in ENDINGS and not path.name.startswith(".") and path.is_file()


def _forget(jobs: list[RunConfig]) -> None:
    """Remove what resumed jobs left to say that they are done."""
    for job in jobs:
        if job.resume and job.output is not None:
            shutil.rmtree(parts_folder(job.output), ignore_errors=True)
