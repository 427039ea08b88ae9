from __future__ import annotations

import torch

from stn_icnn.localizer import ConvLocalizer, MomentLocalizer, PartPrior, PriorLocalizer

PRIORS = [PartPrior((0.3, -0.2), (0.1, 0.05)), PartPrior((0.0, 0.5), (0.1, 0.05))]


def box_map(x0: int, x1: int, y0: int, y1: int) -> torch.Tensor:
    """Probabilities (1, 2, 64, 64): class 1 fills a box."""
    part = torch.zeros(64, 64)
    part[y0:y1, x0:x1] = 1.0
    return torch.stack([1 - part, part])[None]


def test_moments_find_the_centre_and_cover_the_extent() -> None:
    localizer = MomentLocalizer([[1]], PRIORS[:1])
    theta = localizer(box_map(20, 40, 10, 18))[0, 0]
    centre = (2 * 30 / 64 - 1, 2 * 14 / 64 - 1)
    assert abs(theta[0, 2] - centre[0]) < 0.005
    assert abs(theta[1, 2] - centre[1]) < 0.02
    half_width = 20 / 64
    assert half_width < theta[0, 0] < 2 * half_width
    assert theta[0, 1] == theta[1, 0] == 0, "scale and translation only"


def test_an_absent_part_stays_where_it_usually_is() -> None:
    localizer = MomentLocalizer([[1]], PRIORS[:1])
    haze = torch.full((1, 2, 64, 64), 1e-3)
    theta = localizer(haze)[0, 0]
    assert abs(theta[0, 2] - 0.3) < 0.02
    assert abs(theta[1, 2] + 0.2) < 0.02


def test_the_convolutional_localizer_is_as_small_as_the_papers_and_starts_at_the_priors() -> None:
    localizer = ConvLocalizer(9, PRIORS).eval()
    layers = [m for m in localizer.modules() if isinstance(m, torch.nn.Conv2d)]
    assert len(layers) == 16
    assert sum(p.numel() for p in ConvLocalizer(9, PRIORS * 3).parameters()) < 6_000
    theta = localizer(torch.rand(2, 9, 128, 128))
    assert theta.shape == (2, 2, 2, 3)
    assert torch.allclose(theta[:, 0, :, 2], torch.tensor([0.3, -0.2]))


def test_prior_crops_look_at_nothing() -> None:
    localizer = PriorLocalizer(PRIORS)
    theta = localizer(box_map(20, 40, 10, 18))
    assert torch.equal(theta, localizer(box_map(0, 5, 50, 60)))
    assert theta.shape == (1, 2, 2, 3)
    assert theta[0, 0, 0, 2] == torch.tensor(0.3)
    assert theta[0, 0, 0, 0] > 0.26
