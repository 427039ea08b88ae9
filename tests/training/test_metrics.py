from __future__ import annotations

import math

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from training.metrics import BoundaryTally, confusion, f1, scores


def test_confusion_counts_by_truth_and_guess_and_leaves_unknown_out() -> None:
    truth = np.array([[0, 1, 1, 255]], np.uint8)
    guess = np.array([[0, 1, 2, 2]], np.uint8)
    matrix = confusion(truth, guess)
    assert matrix.sum() == 3
    assert matrix[0, 0] == matrix[1, 1] == matrix[1, 2] == 1


def test_f1_against_the_definition() -> None:
    rng = np.random.default_rng(0)
    truth, guess = (rng.integers(0, 19, 5000, dtype=np.uint8) for _ in range(2))
    matrix = confusion(truth, guess)
    for class_id in range(19):
        hit = ((truth == class_id) & (guess == class_id)).sum()
        precision, recall = hit / (guess == class_id).sum(), hit / (truth == class_id).sum()
        assert f1(matrix, (class_id,)) == pytest.approx(2 * precision * recall / (precision + recall))


def test_a_pooled_group_forgives_confusion_inside_it() -> None:
    matrix = confusion(np.array([4, 5], np.uint8), np.array([5, 4], np.uint8))
    assert f1(matrix, (4,)) == 0.0
    assert f1(matrix, (4, 5)) == 1.0


def test_perfect_and_absent_classes() -> None:
    labels = np.array([0, 0, 1, 13], np.uint8)
    result = scores(confusion(labels, labels))
    assert result["mean_f1_19"] == result["mean_iou_19"] == result["pixel_accuracy"] == 1.0
    assert math.isnan(result["classes"]["hat"])
    assert math.isnan(result["paper_overall_f1"])
    assert result["classes"]["hair"] == 1.0


def disc(radius: int, x: int = 256) -> npt.NDArray[np.uint8]:
    label = np.zeros((512, 512), np.uint8)
    return np.asarray(cv2.circle(label, (x, 256), radius, (13,), -1), np.uint8)


@pytest.mark.parametrize(("off", "least", "most"), [(0, 1.0, 1.0), (2, 0.97, 1.0), (5, 0.0, 0.0)])
def test_boundaries_may_be_two_pixels_off(off: int, least: float, most: float) -> None:
    tally = BoundaryTally()
    tally.add(disc(100), disc(100 + off))
    assert least <= tally.scores()["boundary_classes"]["hair"] <= most


def test_boundaries_are_pooled_and_the_unknown_left_out() -> None:
    tally = BoundaryTally()
    truth = disc(100)
    truth[:, :256] = 255
    guess = disc(100)
    guess[:, :200] = 0
    tally.add(truth, guess)
    assert tally.scores()["boundary_classes"]["hair"] > 0.99
    tally.add(disc(100), np.zeros((512, 512), np.uint8))
    result = tally.scores()
    assert 0.3 < result["boundary_classes"]["hair"] < 0.6, "half is found, a third of all"
    assert math.isnan(result["boundary_classes"]["hat"])
    assert math.isnan(BoundaryTally().scores()["boundary_f1_19"])
