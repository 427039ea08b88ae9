from __future__ import annotations

import pytest
import torch

from stn_icnn.icnn import ICNN, ICNNConfig, Interlink


def count(module: torch.nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def test_the_papers_stage_1_has_its_published_parameters() -> None:
    assert count(ICNN(ICNNConfig(), classes=9)) == 559_931


@pytest.mark.parametrize("side", [81, 128])
def test_the_papers_body_keeps_the_resolution_even_where_rows_are_odd(side: int) -> None:
    network = ICNN(ICNNConfig(), classes=2).eval()
    with torch.no_grad():
        assert network(torch.zeros(1, 3, side, side)).logits.shape == (1, 2, side, side)


def test_stride_2_halves_the_output() -> None:
    network = ICNN(ICNNConfig((4, 6, 8), 2, 3, 1, (3, 1), "relu", residual=True), classes=5).eval()
    with torch.no_grad():
        assert network(torch.zeros(2, 3, 64, 48)).logits.shape == (2, 5, 32, 24)


def test_interlinks_let_every_row_reach_the_output() -> None:
    network = ICNN(ICNNConfig((4, 4, 4), 1, 3, 1, (3, 1), "relu"), classes=2)
    network(torch.rand(2, 3, 32, 32)).logits.sum().backward()
    for stem in network.stem:
        gradient = next(iter(stem.parameters())).grad
        assert gradient is not None
        assert gradient.abs().sum() > 0


FINE = ICNNConfig((4, 6, 8), 4, 3, 1, (3, 1), "relu", residual=True, fine=5, head_width=7)


def test_fine_rows_run_at_a_quarter_and_their_logits_come_at_a_half() -> None:
    network = ICNN(FINE, classes=5).eval()
    rows: list[torch.Size] = []
    network.interlinks[0].register_forward_hook(lambda _, __, out: rows.extend(row.shape for row in out))
    with torch.no_grad():
        out = network(torch.zeros(2, 3, 64, 48))
    assert out.logits.shape == (2, 5, 32, 24)
    assert out.features.shape == (2, 4, 16, 12)
    assert [tuple(row[1:]) for row in rows] == [(4, 16, 12), (6, 8, 6), (8, 4, 3)]
    assert network.head[1].weight.shape == (5, 7, 1, 1), "the head is as wide as asked"


def test_fine_logits_see_detail_that_the_rows_cannot() -> None:
    torch.manual_seed(0)
    network = ICNN(FINE, classes=3)
    image = torch.rand(2, 3, 64, 64)
    network(image).logits.square().mean().backward()
    fine = next(iter(network.fine_head.parameters()))
    assert fine.grad is not None
    assert fine.grad.abs().sum() > 0
    network.eval()
    with torch.no_grad():
        before = network(image).logits
        fine.zero_()
        assert not torch.allclose(before, network(image).logits, atol=1e-4)


def test_rows_that_are_not_linked_do_not_see_each_other() -> None:
    def mixed(linked: bool) -> bool:
        torch.manual_seed(0)
        layer = Interlink(ICNNConfig((4, 4), 1, 3, 1, (3, 1), "relu", linked=linked)).eval()
        rows = [torch.rand(1, 4, 16, 16), torch.rand(1, 4, 8, 8)]
        with torch.no_grad():
            changed = layer([rows[0], rows[1] + 1.0])[0]
            return not torch.equal(layer(rows)[0], changed)

    assert mixed(linked=True)
    assert not mixed(linked=False)


@pytest.mark.parametrize(("stride", "fine"), [(3, 0), (4, 0), (2, 8)])
def test_impossible_shapes_are_refused(stride: int, fine: int) -> None:
    with pytest.raises(ValueError, match="stride"):
        ICNNConfig(stride=stride, fine=fine)
