from __future__ import annotations

import pytest
import torch

from stn_icnn.network import Pictures, STNiCNN
from tests.conftest import make_network, tiny_config
from training.losses import LabelTools
from training.phases import phase_loss


def half_faces(side: int) -> torch.Tensor:
    """Labels of two faces whose edge lies between an even and an odd row: inside a pixel of half the side."""
    label = torch.zeros(2, side, side, dtype=torch.uint8)
    label[:, side // 2 + 1 :] = 1
    return label


def noise(network: STNiCNN) -> Pictures:
    return network.split(torch.randint(0, 256, (2, *[network.config.input_size] * 2, 3), dtype=torch.uint8))


@pytest.mark.parametrize("phase", ["parts", "end_to_end"])
@pytest.mark.parametrize("fine", [False, True])
def test_composed_logits_are_judged_at_half_the_side_or_at_the_whole(
    phase: str, fine: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = make_network(tiny_config())
    side = network.config.input_size
    compose, sides = STNiCNN.compose, []

    def watched(*args: object) -> torch.Tensor:
        logits = compose(*args)  # type: ignore[arg-type]
        sides.append(logits.shape[-1])
        return logits

    monkeypatch.setattr(STNiCNN, "compose", watched)
    loss = phase_loss(phase, network, LabelTools(network), fine)(noise(network), half_faces(side))
    assert sides == [side if fine else side // 2]
    loss.backward()  # type: ignore[no-untyped-call]
    gradients = [p.grad for p in network.part_nets.parameters()]
    assert all(g is not None and g.isfinite().all() for g in gradients)
    assert any(g is not None and g.abs().max() > 0 for g in gradients)


def test_the_coarse_stage_is_judged_alike_either_way() -> None:
    network = make_network(tiny_config())
    side = network.config.input_size
    pictures, label = noise(network), half_faces(side)
    losses = [
        phase_loss("coarse", network, LabelTools(network), fine)(pictures, label) for fine in (False, True)
    ]
    assert losses[0] == losses[1]
