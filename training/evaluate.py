"""Evaluation on a split, at the labels' own resolution: of the network, or of the whole pipeline."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode
from tqdm import tqdm

from stn_icnn.labels import CLASS_ID, IGNORE
from stn_icnn.network import STNiCNN, middle
from training.data import DataError, Faces, read_image, read_pair, read_split
from training.framing import outline_masks, read_points
from training.losses import LabelTools
from training.metrics import BoundaryTally, confusion, scores

if TYPE_CHECKING:
    from realtime import FaceParser
    from realtime.frames import ParsedFace


class EvaluationError(Exception):
    """The pipeline can't be scored here; the message says why."""


@torch.no_grad()
def evaluate_network(
    network: STNiCNN, faces: Faces, device: str = "cpu", stages: str = "all"
) -> dict[str, Any]:
    """Score a network on aligned faces (protocol "network": the photo is the face crop).

    Probabilities are enlarged to the labels' size and only then turned into labels.

    Args:
        network: in evaluation mode.
        faces: at the resolution to score at.
        device: where the network is.
        stages: "all"; "coarse" for the coarse stage alone; "true-crops" for parts cropped where the labels
            are and not where the localizer finds them.

    Returns:
        `training.metrics.scores`, with "faces": how many were scored.
    """
    side, packing = network.config.input_size, network.config.packing
    ids = torch.tensor(network.config.classes, dtype=torch.uint8)
    tools = LabelTools(network)
    matrix, edges = np.zeros((19, 19), np.int64), BoundaryTally()
    for image, label in zip(faces.images, faces.labels, strict=True):
        shrunk = cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA)
        crops = torch.from_numpy(packing.pack_crop(np.asarray(shrunk, np.uint8)))[None].to(device)
        theta = tools.theta(torch.from_numpy(label)[None].to(device)) if stages == "true-crops" else None
        guess = _labels(_probabilities(network, crops, stages, theta), label.shape[0], ids)
        matrix += confusion(label, guess)
        edges.add(label, guess)
    return {"faces": len(faces.names), **scores(matrix), **edges.scores()}


def count_macs(network: STNiCNN) -> int:
    """Return the multiply-accumulates of one face: convolutions and matrix products, nothing else."""
    shape = network.config.packing.input_shape
    device = next(network.parameters()).device
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(torch.zeros(1, *shape, dtype=torch.uint8, device=device))
    return int(counter.get_total_flops()) // 2


def evaluate_pipeline(
    weights: Path, root: Path, split: str, precision: str = "auto", tta: int = 6
) -> dict[str, Any]:
    """Score `realtime.FaceParser` on raw photos (protocol "pipeline"): detection and alignment count too.

    The largest face found is scored; where none is found, all is background.

    Args:
        weights: of the engine that `auto` chooses.
        root: folder of labelled faces.
        split: see `training.data.read_split`.
        precision: of the engine, see `engines.load_engine`.
        tta: at each face, see `FaceParser`.

    Returns:
        `training.metrics.scores`, with "faces" and the number "found".

    Raises:
        DataError: on the first bad file.
        EvaluationError: if the pipeline can't run.
    """
    matrix, edges = np.zeros((19, 19), np.int64), BoundaryTally()
    names, found = read_split(root, split), 0
    with _parser(weights, precision, tta) as parser:
        for name in tqdm(names, desc=f"{root.name}/{split}", leave=False):
            image, label = read_pair(root, name)
            faces = parser.parse(image)
            found += bool(faces)
            guess = faces[0].label_map() if faces else np.zeros_like(label)
            matrix += confusion(label, guess)
            edges.add(label, guess)
    return {"faces": len(names), "found": found, **scores(matrix), **edges.scores()}


def evaluate_hair(
    weights: Path, root: Path, names: Sequence[str], precision: str = "auto", tta: int = 6
) -> dict[str, Any]:
    """Score the hair of `realtime.FaceParser` on photos of any pose in which it finds a face.

    Args:
        weights: of the engine that `auto` chooses.
        root: holds images/NAME.jpg and labels/NAME.png, where 13 is the hair of everybody in the photo.
        names: of the photos.
        precision: of the engine, see `engines.load_engine`.
        tta: at each face, see `FaceParser`.

    Returns:
        "faces" and "found", and over the pixels of those found "hair_f1", "hair_precision", "hair_recall".

    Raises:
        DataError: on the first bad file.
        EvaluationError: if the pipeline can't run.
    """
    both = guessed = true = found = 0
    with _parser(weights, precision, tta) as parser:
        for name in tqdm(names, desc=root.name, leave=False):
            image, label = read_pair(root, name)
            faces = parser.parse(image)
            if not faces:
                continue
            found += 1
            guess = np.any([face.label_map() == CLASS_ID["hair"] for face in faces], axis=0)
            truth, known = label == CLASS_ID["hair"], label != IGNORE
            both += int((guess & truth).sum())
            guessed, true = guessed + int((guess & known).sum()), true + int(truth.sum())
    shares = {"hair_precision": both / max(1, guessed), "hair_recall": both / max(1, true)}
    return {"faces": len(names), "found": found, "hair_f1": 2.0 * both / max(1, guessed + true), **shares}


def evaluate_points(
    weights: Path, root: Path, precision: str = "auto", offset: float = 0.0, tta: int = 6
) -> dict[str, Any]:
    """Score `realtime.FaceParser` on in-the-wild faces that have 68 points instead of labels.

    The face meant is the found one whose eyes lie nearest to the points', at most half the distance
    of the eyes away; where there is none, the face is not found and scores 0.

    Args:
        weights: of the engine that `auto` chooses.
        root: holds images/NAME.jpg and points/NAME.txt.
        precision: of the engine, see `engines.load_engine`.
        offset: in pixels, added to the points' x and y; -1 where they count pixels from 1.
        tta: at each face, see `FaceParser`.

    Returns:
        "faces", "found" (counts), and the means over all faces of the intersection over union of
        "lips" (between outer and inner outline), "mouth" (all inside the outer outline) and "eyes"
        (the mean of both).

    Raises:
        DataError: if there are no points, or naming the bad file.
        EvaluationError: if the pipeline can't run.
    """
    paths = sorted((root / "points").glob("*.txt"))
    if not paths:
        raise DataError(f"{root / 'points'}: no NAME.txt there")
    rows = []
    with _parser(weights, precision, tta) as parser:
        for path in tqdm(paths, desc=root.name, leave=False):
            image = read_image(root / "images" / f"{path.stem}.jpg")
            points = read_points(path) + offset
            face = face_meant(parser.parse(image), points)
            if face is None:
                rows.append((0.0, 0.0, 0.0, 0.0))
                continue
            rows.append((1.0, *overlaps(face.label_map(), outline_masks(points, image.shape[:2]))))
    found, lips, mouth, eyes = np.mean(rows, axis=0).tolist()
    shares = {"lips_iou": lips, "mouth_iou": mouth, "eyes_iou": eyes}
    return {"faces": len(paths), "found": round(found * len(paths)), **shares}


def face_meant(faces: list[ParsedFace], points: npt.NDArray[np.float64]) -> ParsedFace | None:
    """Return the face whose eyes lie nearest to the points' (68, 2), or None where none is near them."""
    right, left = points[36:42].mean(axis=0), points[42:48].mean(axis=0)
    reach = 0.5 * float(np.hypot(*(left - right)))

    def distance(face: ParsedFace) -> float:
        seen = face.detection
        return max(float(np.hypot(*(seen.right_eye - right))), float(np.hypot(*(seen.left_eye - left))))

    nearest = min(faces, key=distance, default=None)
    return nearest if nearest is not None and distance(nearest) <= reach else None


def overlaps(
    label: npt.NDArray[np.uint8], outlines: dict[str, npt.NDArray[np.bool_]]
) -> tuple[float, float, float]:
    """Return the intersection over union, 0 to 1, of lips, the whole mouth, and the eyes' mean.

    Args:
        label: (H, W) uint8 label map of one face.
        outlines: its true masks, of `training.label.outline_masks`.
    """
    lips, mouth = [CLASS_ID["u_lip"], CLASS_ID["l_lip"]], CLASS_ID["mouth"]

    def iou(ids: list[int], truth: npt.NDArray[np.bool_]) -> float:
        guess = np.isin(label, ids)
        return float((guess & truth).sum() / max(1, (guess | truth).sum()))

    eyes = [iou([CLASS_ID[name]], outlines[name]) for name in ("l_eye", "r_eye")]
    between = outlines["lips"] & ~outlines["mouth"]
    return iou(lips, between), iou([*lips, mouth], outlines["lips"]), sum(eyes) / 2.0


def _parser(weights: Path, precision: str, tta: int) -> FaceParser:
    # Here, so that training itself does without all that the pipeline needs.
    from realtime import EngineError, FaceParser, RealtimeError

    try:
        return FaceParser(weights=weights, precision=precision, tta=tta)
    except (EngineError, RealtimeError) as error:
        raise EvaluationError(str(error)) from None


def _probabilities(network: STNiCNN, crops: Tensor, stages: str, theta: Tensor | None) -> Tensor:
    pictures = network.normalise(crops)
    if stages == "all":
        return torch.softmax(network.parse(pictures).logits, dim=1)
    coarse = network.parse_coarse(pictures)
    logits = coarse.logits if network.face is None else middle(coarse.logits)
    if theta is not None:
        face = network.parse_face(pictures, coarse)
        logits = network.compose(face.logits, theta, network.parse_parts(pictures, face, theta))
    return torch.softmax(logits, dim=1)


def _labels(probabilities: Tensor, side: int, ids: Tensor) -> npt.NDArray[np.uint8]:
    enlarged = F.interpolate(probabilities, size=(side, side), mode="bilinear")
    return ids[enlarged.argmax(dim=1)[0].cpu()].numpy()
