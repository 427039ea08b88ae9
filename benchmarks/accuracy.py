"""Accuracy of trained networks on labelled faces, beside their time and size."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from benchmarks.report import Figure, Result, Row, compared
from benchmarks.statistics import interleave
from engines import Engine, EngineUnavailable, load_engine
from engines.loader import available_cores
from realtime.errors import RealtimeError, UsageError
from realtime.faces.tta import MAX_TTA
from stn_icnn.checkpoint import SHIPPED

if TYPE_CHECKING:
    from training.augment import Sample

HELP = "score trained networks on labelled faces, beside their time"
ROUNDS = 20
WARM_UP = 5
PRECISIONS = ("fp32", "int8")


def configure(parser: argparse.ArgumentParser) -> None:
    """Add this benchmark's own flags."""
    parser.add_argument("--data", type=Path, help="folder of labelled faces, see docs/training.md")
    parser.add_argument("--split", default="val", help="default: val")
    parser.add_argument(
        "--weights", nargs="+", type=Path, default=[SHIPPED], help="default: the shipped ones"
    )
    parser.add_argument("--pipeline", action="store_true", help="also score raw photos, detection included")
    parser.add_argument("--most", type=int, default=None, help="score so many faces at most")


def run(args: argparse.Namespace) -> Result:
    """Run it; see the docstring of the module.

    Raises:
        UsageError: if no data were given.
        RealtimeError: if they can't be read.
    """
    if args.data is None:
        raise UsageError(
            "accuracy needs labelled faces: --data DIR (images/, labels/ and val.txt, see docs/training.md)"
        )
    threads = args.threads or available_cores()
    notes: list[str] = []
    engines = dict(_engines(args.weights, threads, notes))
    figures = {name: score(engine, _faces(args)) for name, engine in engines.items()}
    measured = interleave({name: _call(engine) for name, engine in engines.items()}, args.rounds, WARM_UP)
    rows = compared("aligned faces: the photo is the crop", measured, figures)
    if args.pipeline:
        rows += _through_the_pipeline(args)
    for engine in engines.values():
        engine.close()
    settings = {"threads": threads, "rounds": args.rounds, "split": args.split}
    return Result("accuracy", settings, rows, notes)


def score(engine: Engine, faces: Iterable[Sample]) -> dict[str, Figure]:
    """Score an engine on aligned faces at their labels' resolution, 0 to 1.

    Args:
        engine: see `engines.Engine`.
        faces: photos in the framing of the training faces, with their label maps.

    Returns:
        See `training.metrics.scores`: the means, and how many faces were scored.
    """
    from training.metrics import BoundaryTally, confusion, scores

    ids, spec = np.array(engine.spec.classes, np.uint8), engine.spec
    side = spec.packing.input_size
    matrix, edges, count = np.zeros((19, 19), np.int64), BoundaryTally(), 0
    for image, label in faces:
        crop = cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA)
        packed = spec.packing.pack_crop(np.asarray(crop, np.uint8))
        planes = spec.packing.maps(engine.infer(packed[None])[0]).face
        # Enlarged as probabilities, which only then become labels.
        height, width = label.shape
        large = np.stack([cv2.resize(plane, (width, height)) for plane in planes])
        guess = ids[large.argmax(axis=0)]
        matrix += confusion(label, guess)
        edges.add(label, guess)
        count += 1
    return _told(scores(matrix) | edges.scores()) | {"faces": count}


def _told(found: Mapping[str, Any]) -> dict[str, Figure]:
    names = {"mean_f1": "mean_f1_19", "overall_f1": "paper_overall_f1", "boundary_f1": "boundary_f1_19"}
    return {short: round(float(found[name]), 4) for short, name in names.items()}


def _faces(args: argparse.Namespace) -> Iterator[Sample]:
    # Here, so that the other benchmarks run without torch.
    from training.data import DataError, read_pair, read_split

    try:
        for name in read_split(args.data, args.split)[: args.most]:
            yield read_pair(args.data, name)
    except DataError as error:
        raise RealtimeError(f"{args.data}: {error}") from None


def _through_the_pipeline(args: argparse.Namespace) -> list[Row]:
    """Score detection and alignment too, by `training.evaluate.evaluate_pipeline`, on the whole split."""
    from training.data import DataError
    from training.evaluate import EvaluationError, evaluate_pipeline

    rows = []
    for path in args.weights:
        for precision, tta in product(PRECISIONS, (1, MAX_TTA)):
            try:
                found = evaluate_pipeline(path, args.data, args.split, precision, tta)
            except (DataError, EvaluationError) as error:
                raise RealtimeError(f"{args.data}: {error}") from None
            figures = _told(found) | {"faces": found["faces"], "found": found["found"]}
            name = f"{path.stem} {precision}" + (f", TTA of {tta}" if tta > 1 else "")
            rows.append(Row("raw photos, through the detector", name, figures=figures))
    return rows


def _engines(weights: Sequence[Path], threads: int, notes: list[str]) -> Iterator[tuple[str, Engine]]:
    for path in weights:
        for precision in PRECISIONS:
            try:
                engine, line = load_engine("openvino", path, threads, precision)
            except EngineUnavailable as error:
                notes.append(f"{path.stem} {precision}: not measured: {error}")
                continue
            notes.append(line)
            yield f"{path.stem} {precision}", engine


def _call(engine: Engine) -> Callable[[], object]:
    shape = (1, *engine.spec.input_shape)
    return partial(engine.infer, np.random.default_rng(0).integers(0, 256, shape, np.uint8))
