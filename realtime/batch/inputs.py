"""Which files a batch is made of, and what their outputs are called."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from realtime.app.config import RunConfig
from realtime.app.folder import file_job, videos_in
from realtime.errors import SourceError, UsageError


@dataclass(frozen=True)
class Task:
    """One file of a batch.

    Attributes:
        file: as the user wrote it.
        config: the job, with absolute paths.
    """

    file: str
    config: RunConfig

    @property
    def outputs(self) -> tuple[Path, ...]:
        """Return what it makes: a video, a folder of masks, or both."""
        return tuple(path for path in (self.config.output, self.config.masks) if path is not None)


def find_files(inputs: Sequence[str]) -> list[str]:
    """Return the files that users mean, each once, in their order.

    Args:
        inputs: files, folders (the videos in them, not those further down), patterns with * ? [ and **,
            and @LIST: a text file of such lines.

    Raises:
        UsageError: if a pattern or a folder holds nothing.
        SourceError: if a list can't be read.
    """
    found: dict[str, str] = {}
    for text in inputs:
        for file in _files(text):
            found.setdefault(os.path.realpath(file), file)
    return list(found.values())


def _files(text: str) -> list[str]:
    path = Path(text)
    if text.startswith("@") and not path.exists():
        return find_files(_lines(Path(text[1:])))
    if path.is_dir():
        found = [str(file) for file in videos_in(path)]
        if not found:
            raise UsageError(f"{text}: holds no video")
        return found
    if path.exists() or not glob.has_magic(text):
        # One that is missing gets its row in the report, like any that can't be read.
        return [text]
    found = sorted(name for name in glob.glob(text, recursive=True) if Path(name).is_file())
    if not found:
        raise UsageError(f"{text}: no file is named like this")
    return found


def _lines(path: Path) -> list[str]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise SourceError(f"{path}: the list cannot be read: {error}") from None
    files = [line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#")]
    if not files:
        raise UsageError(f"{path}: the list is empty")
    return files


def make_tasks(files: Sequence[str], config: RunConfig, keep_folders: bool = False) -> list[Task]:
    """Return a task for each file.

    Args:
        files: see `find_files`.
        config: whose outputs are folders.
        keep_folders: outputs lie in folders like the files', below the one that all files share.

    Raises:
        UsageError: if two outputs would have one name.
    """
    paths = [Path(os.path.abspath(file)) for file in files]
    root = Path(os.path.commonpath([path.parent for path in paths]))
    whole = replace(
        config, output=_absolute(config.output), masks=_absolute(config.masks), replace_masks=True
    )
    tasks = [
        Task(file, file_job(whole, path, path.relative_to(root) if keep_folders else Path(path.name)))
        for file, path in zip(files, paths, strict=True)
    ]
    _check_names(tasks, keep_folders)
    return tasks


def _absolute(path: Path | None) -> Path | None:
    return None if path is None else Path(os.path.abspath(path))


def _check_names(tasks: Iterable[Task], keep_folders: bool) -> None:
    seen: dict[Path, str] = {}
    for task in tasks:
        for path in task.outputs:
            other = seen.setdefault(path, task.file)
            if other != task.file:
                way = "give one of them another name" if keep_folders else "use --keep-folders"
                raise UsageError(f"{other} and {task.file} would both become {path.name}; {way}")
