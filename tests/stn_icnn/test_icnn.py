from __future__ import annotations

import pytest
import torch

from stn_icnn.icnn import ICNN, ICNNConfig


def count(module: torch.nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def test_the_papers_stage_1_has_its_published_parameters() -> None:
    assert count(ICNN(ICNNConfig(), classes=9)) == 559_931


@pytest.mark.parametrize("side", [81, 128])
def test_the_papers_body_keeps_the_resolution_even_where_rows_are_odd(side: int) -> None:
    network = ICNN(ICNNConfig(), classes=2).eval()
    with torch.no_grad():
        assert network(torch.zeros(1, 3, side, side)).shape == (1, 2, side, side)


def test_stride_2_halves_the_output() -> None:
    network = ICNN(ICNNConfig((4, 6, 8), 2, 3, 1, (3, 1), "relu", residual=True), classes=5).eval()
    with torch.no_grad():
        assert network(torch.zeros(2, 3, 64, 48)).shape == (2, 5, 32, 24)


def test_interlinks_let_every_row_reach_the_output() -> None:
    network = ICNN(ICNNConfig((4, 4, 4), 1, 3, 1, (3, 1), "relu"), classes=2)
    network(torch.rand(2, 3, 32, 32)).sum().backward()
    for stem in network.stem:
        gradient = next(iter(stem.parameters())).grad
        assert gradient is not None
        assert gradient.abs().sum() > 0
