"""Files shown or sent to others play at their own speed."""

from __future__ import annotations

import time

from realtime.frames import RenderedFrame
from realtime.media import SourceInfo

# A stop by the user is looked for between two frames, so no wait is longer, whatever the file says.
LONGEST_SECONDS = 1.0


class Pace:
    """Waits for the time of a file's frame; a live source has its own pace.

    Args:
        info: of the source.
    """

    def __init__(self, info: SourceInfo) -> None:
        self._live = info.live
        self._started: float | None = None

    def seconds(self, rendered: RenderedFrame) -> float:
        """Return how long it is until a frame's time, seconds, at least 0; the first is due at once."""
        if self._live:
            return 0.0
        now, due = time.monotonic(), float(rendered.frame.time)
        if self._started is None:
            self._started = now - due
        return max(0.0, self._started + due - now)

    def wait(self, rendered: RenderedFrame) -> None:
        """Sleep until a frame's time, a second at most."""
        time.sleep(min(LONGEST_SECONDS, self.seconds(rendered)))
