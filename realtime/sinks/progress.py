"""A bar on the terminal: frames done, frames a second, time left."""

from __future__ import annotations

import sys

from tqdm import tqdm

from realtime.frames import RenderedFrame
from realtime.sources import SourceInfo


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
        self._bar = _Bar(
            total=expected_frames(info, limit), unit=" frames", desc=_short(info.name), file=sys.stderr
        )
        self._begun = False

    def write(self, rendered: RenderedFrame) -> bool:
        """Move the bar to this frame; one that was done before (a replay) leaves it where it is."""
        if not self._begun:
            # A resumed job begins later, and what it skipped was not done at this speed.
            self._begun = True
            self._bar.reset()
            self._bar.initial = self._bar.n = rendered.frame.index
        done = rendered.frame.index + 1
        if done > self._bar.n:
            self._bar.update(done - self._bar.n)
        return True

    def close(self, whole: bool = True) -> None:
        """Leave the bar as it stands."""
        self._bar.close()

    def abort(self) -> None:
        """Leave the bar as it stands."""
        self._bar.close()


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
