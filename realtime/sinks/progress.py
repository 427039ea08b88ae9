"""A bar on the terminal: frames done, frames a second, time left."""

from __future__ import annotations

import shutil
import sys

from tqdm import tqdm

from realtime.frames import RenderedFrame
from realtime.media import SourceInfo


class _Bar(tqdm):  # type: ignore[type-arg]  # not generic at run time
    # No thread of its own, which would outlive the run.
    monitor_interval = 0


class ProgressSink:
    """Shows how far a file job has come, on stderr.

    Args:
        info: of the source; where it does not say how many frames it holds, its length and rate do.
        limit: the run ends after so many frames.
    """

    def __init__(self, info: SourceInfo, limit: int | None = None) -> None:
        self._name, self._total = _short(info.name), expected_frames(info, limit)
        self._bar: _Bar | None = None

    def write(self, rendered: RenderedFrame) -> bool:
        """Move the bar to this frame; one that was done before (a replay) leaves it where it is."""
        index = rendered.frame.index
        if self._bar is None:
            self._bar = self._begin(index)
        if index >= self._bar.n:
            self._bar.update(index + 1 - self._bar.n)
        return True

    def _begin(self, index: int) -> _Bar:
        # A resumed job begins later; what it skipped was not done at this speed. The size is asked for by
        # us: tqdm shows nothing where a terminal claims to have none.
        size = shutil.get_terminal_size()
        return _Bar(
            total=self._total,
            initial=index,
            desc=self._name,
            unit=" frames",
            file=sys.stderr,
            ncols=min(110, size.columns),
            nrows=size.lines,
        )

    def close(self, whole: bool = True) -> None:
        """Leave the bar as it stands."""
        if self._bar is not None:
            self._bar.close()

    def abort(self) -> None:
        """Leave the bar as it stands."""
        self.close(whole=False)


def expected_frames(info: SourceInfo, limit: int | None = None) -> int | None:
    """Return how many frames a run will have, about; None where nothing tells."""
    count = info.frames
    if count is None and info.seconds is not None:
        count = round(info.seconds * info.fps)
    if limit is None or count is None:
        return count
    return min(count, limit)


def _short(name: str) -> str:
    return name.replace("\\", "/").rsplit("/", 1)[-1]
