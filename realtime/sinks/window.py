"""The window, by OpenCV."""

from __future__ import annotations

import contextlib
import os
import sys
import time

import cv2

from realtime.errors import SinkError
from realtime.frames import RenderedFrame
from realtime.sources import SourceInfo

WINDOW = "STN-iCNN face parsing"
QUIT_KEYS = {ord("q"), 27}


class WindowSink:
    """Shows frames in a window; files play at their own speed. q or Esc ends.

    Raises:
        SinkError: if there is no display.
    """

    def __init__(self, info: SourceInfo) -> None:
        if sys.platform.startswith("linux") and not _has_display():
            raise SinkError("no display here; use --no-display with --output FILE or --stats")
        self._info = info
        self._started: float | None = None
        try:
            cv2.namedWindow(WINDOW, cv2.WINDOW_NORMAL | cv2.WINDOW_KEEPRATIO | cv2.WINDOW_GUI_NORMAL)
            cv2.resizeWindow(WINDOW, min(info.width, 1280), min(info.height, 720))
        except cv2.error as error:
            raise SinkError(f"no window can be opened here ({error}); use --no-display") from None

    def write(self, rendered: RenderedFrame) -> bool:
        """Show a frame when its time has come."""
        cv2.imshow(WINDOW, cv2.cvtColor(rendered.image, cv2.COLOR_RGB2BGR))
        if self._info.still:
            while (key := cv2.waitKey(100)) < 0 and self._open():
                pass
            return False
        key = cv2.waitKey(self._pause(rendered)) & 0xFF
        return key not in QUIT_KEYS and self._open()

    def _pause(self, rendered: RenderedFrame) -> int:
        now = time.monotonic()
        due = float(rendered.frame.time)
        if self._started is None:
            self._started = now - due
        if self._info.live:
            return 1
        return max(1, round((self._started + due - now) * 1000))

    def _open(self) -> bool:
        try:
            return cv2.getWindowProperty(WINDOW, cv2.WND_PROP_VISIBLE) >= 1
        except cv2.error:
            # The window toolkit ends with its last window.
            return False

    def close(self, whole: bool = True) -> None:
        """Close the window."""
        with contextlib.suppress(cv2.error):
            cv2.destroyWindow(WINDOW)
            cv2.waitKey(1)

    def abort(self) -> None:
        """Close the window."""
        self.close(whole=False)


def _has_display() -> bool:
    # OpenCV's wheel aborts the whole process without one.
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
