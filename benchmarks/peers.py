"""What others would use instead, in the same run: FaceLandmarker, a segmenter, BiSeNet, config `paper`."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.agreement import agreement
from benchmarks.clips import clip_frames, to_and_fro
from benchmarks.landmarker import Landmarker
from benchmarks.machine import held_on_cores
from benchmarks.networks import bisenet, paper
from benchmarks.report import Result, Row, compared
from benchmarks.selfie import SelfieSegmenter
from benchmarks.statistics import interleave
from engines import EngineError, load_engine
from engines.loader import available_cores
from realtime.errors import ModelError
from realtime.faces.detector import FaceDetector
from realtime.faces.propagation import PROPAGATION
from realtime.faces.smoothing import STRENGTH
from realtime.faces.tracker import FaceTracker
from realtime.frames import Image
from realtime.people.segmenter import person_segmenter
from realtime.pipeline.threads import hold_opencv

HELP = "beside FaceLandmarker, a person segmenter, BiSeNet-ResNet18 and the paper's network"
ROUNDS = 10
# Frames of a turn: our detector searches every thirtieth at the least, which must count with its share.
BLOCK = 30
WARM_UP = 5
CLIP_FRAMES = 120

Calls = dict[str, Callable[[], object]]


def configure(parser: argparse.ArgumentParser) -> None:
    """Add this benchmark's own flags."""
    parser.add_argument("--clip", help="a video with one face; default: the demo's portrait, moving")
    parser.add_argument("--landmarker", type=Path, metavar="FILE", help="MediaPipe's face_landmarker.task")
    parser.add_argument(
        "--landmarks-data", type=Path, metavar="DIR", help="images/ and points/ of 68: agreement, too"
    )
    parser.add_argument("--most", type=int, default=None, help="photos of --landmarks-data at most")
    parser.add_argument(
        "--network-rounds", type=int, default=30, help="rounds of the networks alone (default 30)"
    )


def run(args: argparse.Namespace) -> Result:
    """Run it; see the docstring of the module."""
    hold_opencv()
    threads = args.threads or available_cores()
    notes: list[str] = []
    # MediaPipe takes no number of threads: the same cores for all is the one setting that binds both.
    with held_on_cores(threads):
        rows = _frames(args, threads, notes)
        rows += _networks(args.network_rounds, threads, notes)
    if args.landmarks_data is not None:
        rows += agreement(args.landmarks_data, args.landmarker, args.most, threads, notes)
    notes.append(
        f"threads: the process is held on {threads} cores; OpenVINO gets {threads} threads for ours, BiSeNet "
        "and paper alike; MediaPipe has no setting and chooses by itself within those cores; OpenCV 1"
    )
    notes.append("BiSeNet and paper: random weights (int8 ranges from random pixels), for time alone")
    settings = {
        "threads": threads,
        "rounds": args.rounds,
        "block": BLOCK,
        "clip": Path(args.clip or "demo").name,
    }
    return Result("peers", settings, rows, notes)


def _frames(args: argparse.Namespace, threads: int, notes: list[str]) -> list[Row]:
    """Compare what a frame takes, from the picture to masks or points, a block of frames at a turn."""
    images = clip_frames(args.clip, CLIP_FRAMES)
    height, width = images[0].shape[:2]
    with ExitStack() as undo:
        # A portrait slides as no face does: carried on, it would hardly ever be parsed.
        ours = partial(_ours, images, threads, undo, propagation=PROPAGATION if args.clip else 0.0)
        calls: Calls = {"ours": ours(notes)}
        calls["ours, smooth 0"] = ours([], smoothing=0.0)
        if args.clip:
            calls["ours, propagate 0"] = ours([], propagation=0.0)
        for add in (_add_landmarker, _add_segmenter):
            try:
                add(calls, images, args.landmarker, undo)
            except ModelError as error:
                notes.append(str(error))
        # FaceLandmarker is what is compared with; where it is missing, ours is.
        order = sorted(calls, key=lambda name: name != "FaceLandmarker")
        measured = interleave({name: calls[name] for name in order}, args.rounds, WARM_UP, BLOCK)
    return compared(f"a frame of {width}x{height}, one face", measured)


def _ours(
    images: Sequence[Image],
    threads: int,
    undo: ExitStack,
    notes: list[str],
    smoothing: float = STRENGTH,
    propagation: float = PROPAGATION,
) -> Callable[[], object]:
    """Return detect, follow, align, parse: `FaceTracker` for one face, which also averages over time."""
    engine, line = load_engine(threads=threads, max_batch=1)
    notes.append(f"ours: detect, follow, align, parse; {line}")
    undo.callback(engine.close)
    detector = undo.enter_context(closing(FaceDetector(max_faces=1)))
    tracker = FaceTracker(detector, engine, smoothing=smoothing, propagation=propagation)
    frames = to_and_fro(images)
    return lambda: tracker.update(next(frames))


def _add_landmarker(calls: Calls, images: Sequence[Image], model: Path | None, undo: ExitStack) -> None:
    landmarker = undo.enter_context(closing(Landmarker(model, video=True)))
    frames = to_and_fro(images)
    calls["FaceLandmarker"] = lambda: landmarker.find(next(frames).image)


def _add_segmenter(calls: Calls, images: Sequence[Image], model: Path | None, undo: ExitStack) -> None:
    theirs, ours = undo.enter_context(closing(SelfieSegmenter())), person_segmenter()
    frames, others = to_and_fro(images), to_and_fro(images)
    calls["selfie segmenter"] = lambda: theirs.segment(next(frames).image)
    calls["its network, as we run it"] = lambda: ours.segment(next(others).image)


def _networks(rounds: int, threads: int, notes: list[str]) -> list[Row]:
    """Compare the networks alone, one face, all by OpenVINO."""
    rng = np.random.default_rng(0)

    def pixels(*shape: int) -> Image:
        return rng.integers(0, 256, (1, *shape), np.uint8)

    calls: Calls = {}
    for precision in ("int8", "fp32"):
        engine, _ = load_engine("openvino", None, threads, precision, max_batch=1)
        calls[f"ours {precision}"] = partial(engine.infer, pixels(*engine.spec.input_shape))
    try:
        infer, side = paper(threads)
        calls["paper fp32"] = partial(infer, pixels(side, side, 3))
        calls["BiSeNet-ResNet18 512 fp32"] = partial(bisenet(False, threads), pixels(512, 512, 3))
        calls["BiSeNet-ResNet18 512 int8"] = partial(bisenet(True, threads), pixels(512, 512, 3))
    except EngineError as error:
        notes.append(f"not measured: {error}")
    return compared("networks alone, one face, OpenVINO", interleave(calls, rounds, 3))
