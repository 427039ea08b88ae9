"""The effects' cost on a 1280x720 frame, beside a full-frame Gaussian blur of the same run."""

from __future__ import annotations

import argparse
from collections.abc import Callable

import cv2
import numpy as np

from benchmarks.report import Result, compared
from benchmarks.statistics import Measured, interleave
from realtime.effects import EFFECTS, Effect, parse_effect
from realtime.frames import Image, ParsedFace
from realtime.parser import FaceParser
from realtime.sources.demo import DEMO_SIZE, demo_portrait

BASELINE = "GaussianBlur"
SIGMA = 7.0
# Height of the detector's box in pixels of the frame.
FACE_HEIGHT = 400.0
MAKE_UP = ("skin", "blush", "eyes", "brows", "lips")
HELP = "time each effect on a face of 400 pixels, beside a Gaussian blur of the frame"
ROUNDS = 50


def configure(parser: argparse.ArgumentParser) -> None:
    """Add this benchmark's own flags: none."""


def run(args: argparse.Namespace) -> Result:
    """Run it; see the docstring of the module."""
    threads = args.threads or 1
    cv2.setNumThreads(threads)
    rows = compared("1280x720, a face of 400 pixels", effect_costs(args.rounds))
    notes = [
        f"{BASELINE} is of the whole frame, sigma {SIGMA:g}; OpenCV: {threads} threads (the pipeline: 1)"
    ]
    return Result("effects", {"threads": threads, "rounds": args.rounds}, rows, notes)


def effect_costs(rounds: int) -> dict[str, Measured]:
    """Time every effect with its defaults, and the make-up of five together.

    Args:
        rounds: timed rounds; in each round every candidate runs once.

    Returns:
        By name; first the baseline: `cv2.GaussianBlur` of the whole frame.
    """
    frame, faces = face_of_400_pixels()
    canvas = frame.copy()

    def painting(effects: list[Effect]) -> Callable[[], object]:
        def paint() -> None:
            # None paints on what the one before left; the renderer copies every frame as well.
            np.copyto(canvas, frame)
            for effect in effects:
                effect.apply(canvas, faces)

        return paint

    candidates: dict[str, Callable[[], object]] = {
        BASELINE: lambda: cv2.GaussianBlur(frame, (0, 0), SIGMA),
        "copy alone": lambda: np.copyto(canvas, frame),
    }
    for name in EFFECTS:
        candidates[name] = painting([parse_effect(name)])
    candidates["make-up"] = painting([parse_effect(name) for name in MAKE_UP])
    return interleave(candidates, rounds, warm_up=3)


def face_of_400_pixels() -> tuple[Image, list[ParsedFace]]:
    """Return the demo's portrait as a 1280x720 frame with one face of 400 pixels, and that face."""
    portrait = demo_portrait()
    # Parsed once, as in a video, which is where their time counts.
    with FaceParser(max_faces=1, tta=1) as parser:
        box = parser.parse(portrait)[0].box
        scale = FACE_HEIGHT / (box[3] - box[1])
        middle = ((box[0] + box[2]) / 2.0, (box[1] + box[3]) / 2.0)
        matrix = np.array([[scale, 0.0, 0.0], [0.0, scale, 0.0]])
        matrix[:, 2] = np.array(DEMO_SIZE) / 2.0 - scale * np.array(middle)
        frame = cv2.warpAffine(
            portrait, matrix, DEMO_SIZE, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101
        )
        image = np.asarray(frame, np.uint8)
        return image, parser.parse(image)
