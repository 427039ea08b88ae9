"""Segmentation scores from one confusion matrix, pooled over all pixels of a split."""

from __future__ import annotations

from typing import Any

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
