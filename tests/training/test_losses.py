from __future__ import annotations

import torch

from stn_icnn.labels import IGNORE
from tests.conftest import make_network, tiny_config
from training.losses import LabelTools, segmentation_loss


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


def test_a_small_class_weighs_as_much_as_a_large_one() -> None:
    target = torch.zeros(1, 32, 32, dtype=torch.int64)
    target[:, :2, :2] = 1
    missed = logits_of(torch.zeros_like(target), 2, 10.0)
    assert segmentation_loss(missed, target) > 0.3, "a plain mean over pixels would be 0.04"


def test_labels_become_channels() -> None:
    network = make_network(tiny_config())
    label = torch.tensor([[[0, 13], [18, IGNORE]]], dtype=torch.uint8)
    assert LabelTools(network).channels(label).tolist() == [[[0, 13], [18, IGNORE]]]
    assert LabelTools(network).channels(label, 4).shape == (1, 4, 4)


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
