from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from stn_icnn.config import PAPER
from stn_icnn.labels import IGNORE
from tests.conftest import make_network, tiny_config
from training.data import NOT_HAIR
from training.losses import LabelTools, Objective, class_weights, segmentation_loss


def logits_of(target: torch.Tensor, classes: int, sure: float) -> torch.Tensor:
    return torch.nn.functional.one_hot(target, classes).movedim(-1, 1).float() * sure


def test_the_right_answer_costs_nothing_and_a_wrong_one_much() -> None:
    target = torch.randint(0, 4, (2, 16, 16))
    assert segmentation_loss(logits_of(target, 4, 30.0), target) < 1e-3
    assert segmentation_loss(logits_of((target + 1) % 4, 4, 30.0), target) > 10


def test_unknown_pixels_cost_nothing_and_pull_at_nothing() -> None:
    target = torch.randint(0, 4, (1, 8, 8))
    target[:, :4] = IGNORE
    logits = torch.randn(1, 4, 8, 8, requires_grad=True)
    segmentation_loss(logits, target).backward()  # type: ignore[no-untyped-call]
    assert logits.grad is not None
    assert logits.grad[:, :, :4].abs().max() == 0
    assert logits.grad[:, :, 4:].abs().max() > 0


def test_a_pixel_answers_to_all_the_finer_labels_in_it() -> None:
    """Three of four say 1: the loss is least where the probability is three quarters, wherever they lie."""
    target = torch.tensor([[[1, 1], [0, 1]]])
    logits = torch.zeros(1, 2, 1, 1, requires_grad=True)
    optimizer = torch.optim.Adam([logits], 0.1)
    for _ in range(300):
        optimizer.zero_grad()
        segmentation_loss(logits, target, Objective(dice=0.0)).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    assert float(torch.softmax(logits.detach(), dim=1)[0, 1, 0, 0]) == pytest.approx(0.75, abs=0.01)


def test_finer_labels_cost_as_much_as_the_same_ones_at_the_logits_size() -> None:
    target = torch.randint(0, 4, (2, 8, 8))
    target[0, :3] = IGNORE
    target[1, :3] = NOT_HAIR
    logits = torch.randn(2, 4, 8, 8)
    fine = target.repeat_interleave(2, dim=1).repeat_interleave(2, dim=2)
    objective = Objective(torch.tensor([1.0, 2.0, 0.5, 1.0]), hair=3)
    # 4 times the NOT_HAIR pixels, 4 times the others: the shares stay.
    assert segmentation_loss(logits, fine, objective) == pytest.approx(
        float(segmentation_loss(logits, target, objective)), rel=1e-5
    )


def test_a_small_class_weighs_as_much_as_a_large_one() -> None:
    target = torch.zeros(1, 32, 32, dtype=torch.int64)
    target[:, :2, :2] = 1
    missed = logits_of(torch.zeros_like(target), 2, 10.0)
    assert segmentation_loss(missed, target) > 0.3, "a plain mean over pixels would be 0.04"


def test_a_pixel_known_not_to_be_hair_speaks_of_hair_alone() -> None:
    target = torch.full((1, 4, 4), NOT_HAIR)
    logits = torch.zeros(1, 3, 4, 4)
    logits[:, 2] = 1.0
    logits.requires_grad_()
    loss = segmentation_loss(logits, target, Objective(hair=2))
    assert segmentation_loss(logits.detach(), target) == 0, "without hair it says nothing"
    share = float(torch.softmax(logits.detach(), dim=1)[0, 2, 0, 0])
    assert float(loss.detach()) == pytest.approx(-np.log(1.0 - share), rel=1e-4)
    loss.backward()  # type: ignore[no-untyped-call]
    assert logits.grad is not None
    assert (logits.grad[:, 2] > 0).all(), "hair is pushed down"
    assert torch.allclose(logits.grad[:, 0], logits.grad[:, 1]), "the others are treated alike"


def test_a_heavy_class_pulls_harder() -> None:
    target = torch.randint(0, 2, (1, 8, 8))
    wrong_one = logits_of(torch.zeros_like(target), 2, 3.0)
    weights = torch.tensor([1.0, 4.0])
    plain = segmentation_loss(wrong_one, target, Objective(dice=0.0))
    heavy = segmentation_loss(wrong_one, target, Objective(weights, dice=0.0))
    assert heavy > 1.2 * plain


def test_class_weights_rise_as_classes_get_rarer() -> None:
    weights = class_weights(np.array([0.5, 0.05, 0.005, 0.0]), 0.3)
    assert (np.diff(weights) > 0).all()
    assert weights[1] == pytest.approx(1.0)
    assert weights[3] == 5.0
    assert class_weights(np.array([0.9, 0.1]), 0.0).tolist() == [1.0, 1.0]
    assert class_weights(np.array([0.9, 0.1]), 0.0, {"skin": 4.0}).tolist() == [1.0, 4.0]


def test_labels_become_channels() -> None:
    network = make_network(tiny_config())
    label = torch.tensor([[[0, 13], [18, IGNORE]]], dtype=torch.uint8)
    assert LabelTools(network).channels(label).tolist() == [[[0, 13], [18, IGNORE]]]
    unhairy = torch.full((1, 2, 2), NOT_HAIR, dtype=torch.uint8)
    assert LabelTools(network).channels(unhairy)[0, 0].tolist() == [NOT_HAIR] * 2
    bald = make_network(replace(PAPER, name="bald", coarse=tiny_config().coarse))
    assert LabelTools(bald).channels(unhairy)[0, 0].tolist() == [IGNORE] * 2


def test_the_part_loss_falls_when_the_parts_are_right() -> None:
    for kind in (("residual", "moments"), ("replace", "conv")):
        network = make_network(tiny_config(*kind))
        tools = LabelTools(network)
        crops = torch.randint(0, 256, (2, 64, 64, 3), dtype=torch.uint8)
        target = torch.zeros(2, 64, 64, dtype=torch.int64)
        optimizer = torch.optim.Adam(network.parameters(), 1e-2)
        losses = []
        for _ in range(8):
            loss = tools.part_loss(network.parse(network.normalise(crops)), target)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            losses.append(float(loss.detach()))
        assert losses[-1] < 0.8 * losses[0]
