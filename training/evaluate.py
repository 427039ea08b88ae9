"""Evaluation on a split, at the labels' own resolution: of the network, or of the whole pipeline."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor
from tqdm import tqdm

from stn_icnn.network import STNiCNN
from training.data import Faces, read_pair, read_split
from training.metrics import confusion, scores


class EvaluationError(Exception):
    """The pipeline can't be scored here; the message says why."""


@torch.no_grad()
def evaluate_network(
    network: STNiCNN, faces: Faces, device: str = "cpu", coarse_only: bool = False
) -> dict[str, Any]:
    """Score a network on aligned faces (protocol "network": the photo is the face crop).

    Probabilities are enlarged to the labels' size and only then turned into labels.

    Args:
        network: in evaluation mode.
        faces: at the resolution to score at.
        device: where the network is.
        coarse_only: score the coarse stage alone.

    Returns:
        `training.metrics.scores`, with "faces": how many were scored.
    """
    side = network.config.input_size
    ids = torch.tensor(network.config.classes, dtype=torch.uint8)
    matrix = np.zeros((19, 19), np.int64)
    for image, label in zip(faces.images, faces.labels, strict=True):
        shrunk = cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA)
        crops = torch.from_numpy(shrunk)[None].to(device)
        guess = _labels(_probabilities(network, crops, coarse_only), label.shape[0], ids)
        matrix += confusion(label, guess)
    return {"faces": len(faces.names), **scores(matrix)}


def evaluate_pipeline(weights: Path, root: Path, split: str) -> dict[str, Any]:
    """Score `realtime.FaceParser` on raw photos (protocol "pipeline"): detection and alignment count too.

    The largest face found is scored; where none is found, all is background.

    Args:
        weights: of the engine that `auto` chooses.
        root: folder of labelled faces.
        split: see `training.data.read_split`.

    Returns:
        `training.metrics.scores`, with "faces" and the number "found".

    Raises:
        DataError: on the first bad file.
        EvaluationError: if the pipeline can't run.
    """
    # Here, so that training itself does without all that the pipeline needs.
    from realtime import EngineError, FaceParser, RealtimeError

    matrix = np.zeros((19, 19), np.int64)
    names, found = read_split(root, split), 0
    try:
        parser = FaceParser(weights=weights)
    except (EngineError, RealtimeError) as error:
        raise EvaluationError(str(error)) from None
    with parser:
        for name in tqdm(names, desc=f"{root.name}/{split}", leave=False):
            image, label = read_pair(root, name)
            faces = parser.parse(image)
            found += bool(faces)
            matrix += confusion(label, faces[0].label_map() if faces else np.zeros_like(label))
    return {"faces": len(names), "found": found, **scores(matrix)}


def _probabilities(network: STNiCNN, crops: Tensor, coarse_only: bool) -> Tensor:
    if not coarse_only:
        return torch.as_tensor(network(crops))
    return torch.softmax(network.parse_coarse(network.normalise(crops)), dim=1)


def _labels(probabilities: Tensor, side: int, ids: Tensor) -> npt.NDArray[np.uint8]:
    enlarged = F.interpolate(probabilities, size=(side, side), mode="bilinear")
    return ids[enlarged.argmax(dim=1)[0].cpu()].numpy()
