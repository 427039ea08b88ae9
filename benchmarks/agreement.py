"""Eyes and lips against 68 points a face: our labels, and FaceLandmarker's polygons."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from benchmarks.landmarker import RINGS, Landmarker
from benchmarks.report import Figure, Row
from realtime.errors import RealtimeError
from realtime.faces.tta import MAX_TTA
from realtime.frames import Image
from realtime.parser import FaceParser
from stn_icnn.labels import CLASS_ID

Points = npt.NDArray[np.float64]
Labels = npt.NDArray[np.uint8]
Scores = tuple[float, float, float, float]
"""Found (0 or 1), and the overlaps of lips, whole mouth and eyes."""
GROUP = "agreement with 68 points (intersection over union, means)"


def agreement(data: Path, model: Path | None, most: int | None, threads: int, notes: list[str]) -> list[Row]:
    """Score both on the same photos in the wild.

    Args:
        data: holds images/NAME.jpg and points/NAME.txt.
        model: face_landmarker.task, or None.
        most: so many photos at most, evenly spread.
        threads: CPU threads of our engine.
        notes: gets what was not measured.

    Raises:
        RealtimeError: if the data can't be read.
    """
    paths = sorted((data / "points").glob("*.txt"))
    if not paths:
        raise RealtimeError(f"{data / 'points'}: no NAME.txt there")
    paths = paths[:: max(1, len(paths) // (most or len(paths)))][:most]
    rows = []
    # As in a video, which is what is timed beside it, and as images are parsed.
    for name, tta in (("ours", 1), (f"ours, TTA of {MAX_TTA}", MAX_TTA)):
        with FaceParser(max_faces=4, threads=threads, tta=tta) as parser:
            rows.append(_row(name, _scores(paths, data, partial(_ours, parser))))
    try:
        with closing(Landmarker(model, video=False)) as landmarker:
            scores = _scores(paths, data, lambda image, points: _theirs(landmarker, image))
            rows.append(_row("FaceLandmarker", scores))
    except RealtimeError as error:
        notes.append(f"agreement: {error}")
    return rows


def draw_polygons(points: Points, size: tuple[int, int]) -> Labels:
    """Draw FaceLandmarker's eyes, lips and inner mouth as a label map.

    Args:
        points: (478, 2) x and y in pixels.
        size: (height, width).
    """
    label = np.zeros(size, np.uint8)
    order = (("r_eye", "r_eye"), ("l_eye", "l_eye"), ("lips", "u_lip"), ("mouth", "mouth"))
    for ring, name in order:
        # Four more bits, so that corners need not fall on whole pixels.
        corners = np.round(points[list(RINGS[ring])] * 16.0).astype(np.int32)
        cv2.fillPoly(label, [corners], (CLASS_ID[name],), shift=4)
    return label


def _scores(paths: list[Path], data: Path, label: Callable[[Image, Points], Labels | None]) -> list[Scores]:
    # Here, so that the other benchmarks run without torch.
    from training.data import DataError, read_image
    from training.evaluate import overlaps
    from training.framing import outline_masks, read_points

    rows: list[Scores] = []
    try:
        for path in paths:
            image, points = read_image(data / "images" / f"{path.stem}.jpg"), read_points(path)
            found = label(image, points)
            truth = outline_masks(points, image.shape[:2])
            rows.append((0.0, 0.0, 0.0, 0.0) if found is None else (1.0, *overlaps(found, truth)))
    except DataError as error:
        raise RealtimeError(f"{data}: {error}") from None
    return rows


def _ours(parser: FaceParser, image: Image, points: Points) -> Labels | None:
    from training.evaluate import face_meant

    face = face_meant(parser.parse(image), points)
    return None if face is None else face.label_map()


def _theirs(landmarker: Landmarker, image: Image) -> Labels | None:
    found = landmarker.find(image)
    return None if found is None else draw_polygons(found, image.shape[:2])


def _row(name: str, scores: list[Scores]) -> Row:
    found, lips, mouth, eyes = (round(float(value), 4) for value in np.mean(scores, axis=0))
    figures: dict[str, Figure] = {"faces": len(scores), "found": round(found * len(scores))}
    return Row(GROUP, name, figures=figures | {"eyes_iou": eyes, "lips_iou": lips, "whole_mouth_iou": mouth})
