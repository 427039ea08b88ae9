"""What visitors share: one engine, the threads, detectors that are free, and how many may come."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from engines import Engine
from realtime.effects import Effect
from realtime.faces.detector import FaceDetector
from realtime.faces.propagation import PROPAGATION
from realtime.faces.smoothing import STRENGTH
from realtime.frames import Image
from realtime.likeness import Look
from realtime.parser import parse_still
from realtime.presets import from_photo


class Room:
    """Shared by all visitors; `close` frees the detectors and threads, not the engine.

    Args:
        engine: see `engines.Engine`; any thread may use it.
        make_detector: returns one more; a detector serves one visitor at a time.
        effects: what a visitor looks like at first.
        places: visitors at once.
        detect_every: frames from one search for faces to the next.
        smooth: see `FaceTracker`.
        tta: see `FaceTracker`.
        propagate: see `FaceTracker.propagation`.
    """

    def __init__(
        self,
        engine: Engine,
        make_detector: Callable[[], FaceDetector],
        effects: Sequence[Effect],
        places: int,
        detect_every: int = 5,
        smooth: float = STRENGTH,
        tta: int = 1,
        propagate: float = PROPAGATION,
    ) -> None:
        self.engine, self.effects, self.places = engine, effects, places
        self.detect_every, self.smooth, self.tta = detect_every, smooth, tta
        self.propagate = propagate
        # Each visitor keeps one busy as long as it stays, and needs another for what takes long.
        self.threads = ThreadPoolExecutor(2 * places, thread_name_prefix="visitor")
        self._make_detector = make_detector
        self._free: list[FaceDetector] = []
        self._lock = threading.Lock()

    def borrow(self) -> FaceDetector:
        """Return a detector that nobody uses; takes a while when it has to be loaded.

        Raises:
            ModelError: if its model can't be had.
        """
        # One at a time: loading hides native chatter by exchanging a file descriptor of the process.
        with self._lock:
            return self._free.pop() if self._free else self._make_detector()

    def give_back(self, detector: FaceDetector) -> None:
        """Take a detector for the next visitor."""
        self._free.append(detector)

    def read_look(self, image: Image) -> Look:
        """Read the look of the largest face in a photo; takes some tenths of a second.

        Args:
            image: (H, W, 3) uint8 RGB.

        Raises:
            PhotoError: if there is none to read, see `realtime.presets.from_photo`.
            ModelError: if the detector's model can't be had.
        """
        detector = self.borrow()
        try:
            return from_photo(image, face=1, parse=partial(parse_still, detector, self.engine))
        finally:
            self.give_back(detector)

    def close(self) -> None:
        """Free the detectors and end the threads."""
        self.threads.shutdown()
        with self._lock:
            while self._free:
                self._free.pop().close()
