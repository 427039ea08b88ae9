"""What every use of mediapipe's vision tasks shares; the only file that imports mediapipe."""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np

from realtime.frames import Image
from realtime.native_logs import hide_native_logs

# Read by the libraries inside mediapipe when it is imported: only errors are worth a user's line.
os.environ.setdefault("GLOG_minloglevel", "2")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")


class VisionTask:
    """One of mediapipe's vision tasks, made without its chatter and freed also when the interpreter ends.

    Args:
        make: makes it, given the module `mediapipe.tasks`.
    """

    def __init__(self, make: Callable[[Any], Any]) -> None:
        with hide_native_logs():
            import mediapipe

            self._task = make(mediapipe.tasks)
        self._image, self._format = mediapipe.Image, mediapipe.ImageFormat.SRGB
        self._finalizer = weakref.finalize(self, _release, self._task)

    def _picture(self, image: Image) -> Any:
        """Return an image (H, W, 3) uint8 RGB as the task takes it."""
        # On an array that is not contiguous mediapipe finds nothing, without a word.
        return self._image(image_format=self._format, data=np.ascontiguousarray(image))

    def close(self) -> None:
        """Free the task."""
        with hide_native_logs():
            self._finalizer()


def _release(task: Any) -> None:
    """Close a mediapipe task, also when the interpreter is already ending."""
    try:
        task.close()
    except RuntimeError:
        # mediapipe closes through a thread pool, which is gone by then; without its handle the
        # task's own destructor doesn't try again, with a trace on the terminal.
        task._handle = None
