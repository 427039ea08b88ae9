"""Segmentation scores pooled over all pixels of a split: regions, and their boundaries."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from stn_icnn.labels import CLASSES, IGNORE, PAPER_GROUPS, PAPER_OVERALL

Counts = npt.NDArray[np.int64]


def confusion(truth: npt.NDArray[np.uint8], guess: npt.NDArray[np.uint8]) -> Counts:
    """Count pixels by (true class, guessed class): (19, 19) int64; IGNORE in truth is left out."""
    known = truth != IGNORE
    count = len(CLASSES)
    index = truth[known].astype(np.int64) * count + guess[known]
    return np.bincount(index, minlength=count * count).reshape(count, count)


def f1(matrix: Counts, group: tuple[int, ...]) -> float:
    """Return the F1 of a group of classes pooled into one foreground; NaN where it never occurs."""
    inside = list(group)
    overlap = matrix[np.ix_(inside, inside)].sum()
    total = matrix[inside].sum() + matrix[:, inside].sum()
    return float(2.0 * overlap / total) if total else float("nan")


class BoundaryTally:
    """Boundary F1 by class: the share of boundary pixels that have a true (guessed) one close by.

    "Close" is 2 pixels where the image's longer side is 512, as boundary measures of face parsing
    and of DAVIS (Perazzi et al., CVPR 2016) have it.
    """

    def __init__(self) -> None:
        # By class: guessed boundary pixels, those of them with a true one close by, and vice versa.
        self.counts = np.zeros((len(CLASSES), 4), np.int64)

    def add(self, truth: npt.NDArray[np.uint8], guess: npt.NDArray[np.uint8]) -> None:
        """Count the boundaries of one face: two (H, W) label maps, IGNORE in truth left out."""
        radius = max(1, round(2 * max(truth.shape) / 512))
        near = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
        known = (truth != IGNORE).astype(np.uint8)
        # Where the label is unknown there is no boundary, nor right beside it.
        known = np.asarray(cv2.erode(known, near), np.uint8)
        for class_id in np.union1d(np.unique(truth), np.unique(guess)):
            if class_id >= len(CLASSES):
                continue
            edges = [_edge((label == class_id).astype(np.uint8)) & known for label in (guess, truth)]
            wide = [cv2.dilate(edge, near) for edge in edges]
            masks = (edges[0], edges[0] & wide[1], edges[1], edges[1] & wide[0])
            self.counts[class_id] += np.array([np.count_nonzero(mask) for mask in masks])

    def scores(self) -> dict[str, Any]:
        """Return the boundary F1 of each class and its mean over those that occur, 0 to 1."""
        per_class = {}
        for name, (guessed, right, true, found) in zip(CLASSES, self.counts, strict=True):
            if not guessed and not true:
                per_class[name] = float("nan")
                continue
            precision, recall = right / max(1, guessed), found / max(1, true)
            per_class[name] = float(2 * precision * recall / max(1e-9, precision + recall))
        mean = float(np.nanmean(list(per_class.values()))) if self.counts.any() else float("nan")
        return {"boundary_f1_19": mean, "boundary_classes": per_class}


def _edge(mask: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Return a mask's own pixels that touch another; the image's border is no edge."""
    inner = cv2.erode(mask, np.ones((3, 3), np.uint8), borderType=cv2.BORDER_REPLICATE)
    return np.asarray(cv2.subtract(mask, inner), np.uint8)


def scores(matrix: Counts) -> dict[str, Any]:
    """Return per-class F1 and its means, mean IoU and the papers' groups, all 0 to 1.

    A class that is neither in the labels nor guessed is left out of every mean.
    """
    per_class = {name: f1(matrix, (index,)) for index, name in enumerate(CLASSES)}
    values = np.array(list(per_class.values()))
    iou = values / (2.0 - values)
    return {
        "mean_f1_19": float(np.nanmean(values)),
        "mean_f1_18": float(np.nanmean(values[1:])),
        "paper_overall_f1": f1(matrix, PAPER_OVERALL),
        "mean_iou_19": float(np.nanmean(iou)),
        "pixel_accuracy": float(np.trace(matrix) / max(1, matrix.sum())),
        "groups": {name: f1(matrix, group) for name, group in PAPER_GROUPS.items()},
        "classes": per_class,
    }
