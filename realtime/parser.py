"""FaceParser: the Python API on single images."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from types import TracebackType

import numpy as np

from engines import Engine, load_engine
from realtime.faces.detector import FaceDetector
from realtime.faces.tracker import FaceTracker
from realtime.faces.tta import MAX_TTA
from realtime.frames import Frame, Image, ParsedFace
from realtime.people import PersonGate


def parse_still(detector: FaceDetector, engine: Engine, image: Image, tta: int = MAX_TTA) -> list[ParsedFace]:
    """Parse one image as `FaceParser` does, with a detector and an engine that are there.

    Args:
        detector: used by nobody else meanwhile.
        engine: see `engines.Engine`.
        image: (H, W, 3) uint8 RGB.
        tta: see `FaceParser`.
    """
    tracker = FaceTracker(detector, engine, smoothing=0.0, thorough=True, tta=tta, gate=PersonGate())
    return _parse(tracker, image)


def _parse(tracker: FaceTracker, image: Image) -> list[ParsedFace]:
    faces = tracker.update(Frame(image, 0, Fraction(0), time.monotonic())).faces
    return [replace(face, track_id=0) for face in faces]


class FaceParser:
    """Finds and parses the faces of images; a context manager, safe to call from any thread.

    Takes its time over each image, as nothing is known of it yet: see `FaceTracker`'s `thorough`. For the
    frames of a video `FaceTracker` itself is faster and steadier.

    Args:
        backend: "auto" or a name of `engines.BACKENDS`.
        weights: a .safetensors file with its manifest; None for the shipped weights.
        max_faces: at most so many faces an image, the largest.
        min_score: faces the detector is less sure of are left out, 0 to 1.
        threads: CPU threads of the engine; None for one a core.
        precision: "auto", "fp32", "fp16" or "int8".
        require_gpu: refuse to run on the CPU.
        tta: parsings that are averaged for each face, 1 to 6: more are better and take longer.

    Raises:
        ValueError: if `tta` is something else.
        EngineError: if the engine can't be loaded.
        ModelError: if the face detector's model can't be had.
    """

    def __init__(
        self,
        backend: str = "auto",
        weights: Path | str | None = None,
        max_faces: int = 4,
        min_score: float = 0.5,
        threads: int | None = None,
        precision: str = "auto",
        require_gpu: bool = False,
        tta: int = MAX_TTA,
    ) -> None:
        if not 1 <= tta <= MAX_TTA:
            raise ValueError(f"tta is {tta}, must be from 1 to {MAX_TTA}")
        path = None if weights is None else Path(weights)
        self._engine, self.description = load_engine(
            backend, path, threads, precision, require_gpu, max_faces
        )
        self._lock = threading.Lock()
        self._closed = False
        try:
            self._detector = FaceDetector(min_score, max_faces)
            self._tracker = FaceTracker(
                self._detector, self._engine, smoothing=0.0, thorough=True, tta=tta, gate=PersonGate()
            )
        except BaseException:
            self._engine.close()
            raise

    def parse(self, image: Image) -> list[ParsedFace]:
        """Parse an image.

        Args:
            image: (H, W, 3) uint8 RGB.

        Returns:
            One item a face, largest first; empty where there is none.

        Raises:
            ValueError: on another dtype or shape, or after `close`.
        """
        if not isinstance(image, np.ndarray) or image.dtype != np.uint8 or image.ndim != 3:
            raise ValueError("image must be a uint8 array (H, W, 3) in RGB")
        if image.shape[2] != 3 or not image.size:
            raise ValueError(f"image must be (H, W, 3) in RGB, not {image.shape}")
        with self._lock:
            if self._closed:
                raise ValueError("this FaceParser is closed")
            self._tracker.reset()
            return _parse(self._tracker, image)

    def close(self) -> None:
        """Free detector and engine; a second call does nothing."""
        with self._lock:
            if not self._closed:
                self._closed = True
                self._detector.close()
                self._engine.close()

    def __enter__(self) -> FaceParser:
        """Return itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close it."""
        self.close()
