"""Masks of every frame, in a folder that gets its name when it is whole."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import IO, Protocol

import av

from realtime.errors import SinkError
from realtime.frames import RenderedFrame
from realtime.masks.sidecar import INFO, LINES, MaskInfo, frame_line
from realtime.media import SourceInfo
from realtime.sinks.mask_files import CocoMasks, NpzMasks, PngMasks
from realtime.sinks.mask_video import AlphaVideo
from realtime.sinks.sink import check_writable, temporary_name


class MaskFiles(Protocol):
    """What a format writes into the folder, frame by frame; errors of the system are the caller's."""

    def write(self, rendered: RenderedFrame) -> None:
        """Write a frame's masks."""
        ...

    def finish(self) -> None:
        """Make the files whole."""
        ...

    def abort(self) -> None:
        """Let go of the files, which are removed."""
        ...


_WRITERS: dict[str, Callable[[Path, SourceInfo], MaskFiles]] = {
    "png": lambda folder, info: PngMasks(folder),
    "npz": lambda folder, info: NpzMasks(folder),
    "coco": lambda folder, info: CocoMasks(folder),
    "alpha": AlphaVideo,
}
_FAILURES = (av.error.FFmpegError, OSError, ValueError, OverflowError)


class MaskSink:
    """Writes the masks and, beside them, each frame's time and faces.

    Args:
        path: the folder to make.
        kind: one of `realtime.masks.FORMATS`.
        info: of the source.
        replace: a folder of masks that is there already is replaced when the new one is whole.

    Raises:
        SinkError: if the folder can't be made there, or holds something.
    """

    def __init__(self, path: Path, kind: str, info: SourceInfo, replace: bool = False) -> None:
        check_free(path, replace)
        self._path, self._kind, self._info = path, kind, info
        self._temporary = temporary_name(path)
        self._files: MaskFiles | None = None
        self._lines: IO[str] | None = None
        self._count = 0
        self._size = (0, 0)

    def write(self, rendered: RenderedFrame) -> bool:
        """Write a frame's masks under the temporary name."""
        try:
            if self._files is None:
                self._open(rendered)
            assert self._files is not None
            assert self._lines is not None
            self._files.write(rendered)
            self._lines.write(frame_line(self._count, rendered.frame, rendered.faces))
        except _FAILURES as error:
            raise SinkError(f"{self._path}: cannot be written: {error}") from None
        self._count += 1
        return True

    def _open(self, rendered: RenderedFrame) -> None:
        height, width = rendered.frame.image.shape[:2]
        self._size = (width, height)
        self._temporary.mkdir()
        self._lines = (self._temporary / LINES).open("w", encoding="utf-8")
        self._files = _WRITERS[self._kind](self._temporary, self._info)

    def close(self, whole: bool = True) -> None:
        """Finish the files and give the folder its name."""
        if self._files is None:
            return
        assert self._lines is not None
        source, base = Path(self._info.name).name, self._info.time_base
        info = MaskInfo(self._kind, source, *self._size, base, self._count, whole)
        try:
            self._files.finish()
            self._lines.close()
            (self._temporary / INFO).write_text(info.to_json(), encoding="utf-8")
            _take_place(self._temporary, self._path)
        except _FAILURES as error:
            self.abort()
            raise SinkError(f"{self._path}: cannot be finished: {error}") from None
        self._files = None

    def abort(self) -> None:
        """Remove the temporary folder."""
        if self._files is not None:
            self._files.abort()
            self._files = None
        if self._lines is not None:
            try:
                self._lines.close()
            except OSError:
                # A full disk refuses the last lines; they go with the folder.
                self._lines = None
        shutil.rmtree(self._temporary, ignore_errors=True)


def check_free(path: Path, replace: bool = False) -> None:
    """Check, before any work, that a folder of masks can be made there.

    Raises:
        SinkError: if it can't, or what is there would be lost.
    """
    if path.is_dir():
        ours = replace and (path / INFO).is_file()
        if any(path.iterdir()) and not ours:
            raise SinkError(f"{path}: is not empty; give a new folder for the masks, or empty it")
    elif path.exists():
        raise SinkError(f"{path}: is a file; give a folder for the masks")
    check_writable(path / INFO if path.is_dir() else path)


def _take_place(folder: Path, path: Path) -> None:
    """Give a folder its name; one that was there is removed only when the new one has its place."""
    if not path.exists():
        os.rename(folder, path)
        return
    old = folder.with_name(f"{folder.name}.old")
    os.rename(path, old)
    os.rename(folder, path)
    shutil.rmtree(old, ignore_errors=True)
