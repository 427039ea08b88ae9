"""How the cost grows with the faces in the picture, and with the picture's size."""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack

import numpy as np

from benchmarks.clips import SIZES, portraits, to_and_fro
from benchmarks.report import Figure, Result, Row, compared
from benchmarks.statistics import interleave
from engines import Engine, load_engine
from engines.engine import Crops, Probabilities
from engines.loader import available_cores
from realtime.faces.detector import FaceDetector
from realtime.faces.tracker import FaceTracker
from realtime.frames import Detection, Image
from realtime.pipeline.threads import hold_opencv

HELP = "cost against faces (1 to 8) and frame size (480p to 4K)"
ROUNDS = 40
WARM_UP = 3
FACES_SIZE = "1080p"
# Few, as they are held in memory for all candidates at once.
FRAMES = 6


def configure(parser: argparse.ArgumentParser) -> None:
    """Add this benchmark's own flags."""
    parser.add_argument("--faces", nargs="+", type=int, default=[1, 2, 4, 6, 8], help="faces (1 to 8)")
    parser.add_argument("--sizes", nargs="+", default=list(SIZES), choices=list(SIZES), help="default: all")


def run(args: argparse.Namespace) -> Result:
    """Run it; see the docstring of the module."""
    hold_opencv()
    threads = args.threads or available_cores()
    engine, line = load_engine(threads=threads, max_batch=max([1, *args.faces]))
    with ExitStack() as undo:
        undo.callback(engine.close)
        pictures = {_faces(n): (portraits(n, SIZES[FACES_SIZE], FRAMES), n) for n in args.faces}
        rows = follow(f"faces, at {FACES_SIZE}", pictures, engine, args.rounds)
        pictures = {size: (portraits(1, SIZES[size], FRAMES), 1) for size in args.sizes}
        rows += follow("frame size, one face", pictures, engine, args.rounds)
    notes = [
        line,
        "every face is parsed in every frame (--propagate 0)",
        "network ms: median of the frames; detection ms: mean of the frames, as few are searched",
    ]
    return Result("growth", {"threads": threads, "rounds": args.rounds}, rows, notes)


def follow(
    group: str, pictures: Mapping[str, tuple[Sequence[Image], int]], engine: Engine, rounds: int
) -> list[Row]:
    """Follow the faces of several films in turns, frame by frame.

    Args:
        group: name of the comparison.
        pictures: by candidate: the film, played to and fro, and its number of faces.
        engine: see `engines.Engine`.
        rounds: timed frames of each.
    """
    followers = {name: _Follower(images, faces, engine) for name, (images, faces) in pictures.items()}
    try:
        measured = interleave(followers, rounds, WARM_UP)
        figures = {name: follower.figures() for name, follower in followers.items()}
    finally:
        for follower in followers.values():
            follower.close()
    whole = {name: {"whole_ms": round(times.median * 1e3, 2)} for name, times in measured.items()}
    return compared(group, measured, {name: figures[name] | whole[name] for name in measured})


class TimedEngine:
    """An engine that notes how long it took: the latest entry of `seconds` grows."""

    def __init__(self, engine: Engine) -> None:
        self.spec, self.precision, self.description = engine.spec, engine.precision, engine.description
        self.seconds = [0.0]
        self._engine = engine

    def infer(self, crops: Crops) -> Probabilities:
        """See `Engine.infer`."""
        begun = time.perf_counter()
        try:
            return self._engine.infer(crops)
        finally:
            self.seconds[-1] += time.perf_counter() - begun

    def close(self) -> None:
        """Leave the engine open: it is another's."""


class TimedDetector(FaceDetector):
    """A detector that notes how long it took: the latest entry of `seconds` grows."""

    seconds: list[float]

    def search(self, image: Image) -> list[Detection]:
        """See `FaceDetector.search`."""
        begun = time.perf_counter()
        try:
            return super().search(image)
        finally:
            # The detector searches once while it is made.
            self.__dict__.setdefault("seconds", [0.0])[-1] += time.perf_counter() - begun


class _Follower:
    def __init__(self, images: Sequence[Image], faces: int, engine: Engine) -> None:
        self._frames = to_and_fro(images)
        self._size = images[0].shape[:2]
        self._engine = TimedEngine(engine)
        self._detector = TimedDetector(max_faces=faces)
        # Portraits slide as no face does: carried on, they would hardly ever be parsed.
        self._tracker = FaceTracker(self._detector, self._engine, propagation=0.0)
        self._found: list[int] = []

    def __call__(self) -> None:
        self._detector.seconds.append(0.0)
        self._engine.seconds.append(0.0)
        self._found.append(len(self._tracker.update(next(self._frames)).faces))

    def figures(self) -> dict[str, Figure]:
        height, width = self._size
        # The first entry is of before the first frame.
        network, detection = (
            np.array(seconds[1 + WARM_UP :]) * 1e3
            for seconds in (self._engine.seconds, self._detector.seconds)
        )
        return {
            "faces": round(float(np.mean(self._found[WARM_UP:])), 2),
            "megapixels": round(height * width / 1e6, 2),
            "network_ms": round(float(np.median(network)), 2),
            "detection_ms": round(float(np.mean(detection)), 2),
        }

    def close(self) -> None:
        self._detector.close()


def _faces(count: int) -> str:
    return f"{count} face" + "s" * (count > 1)
