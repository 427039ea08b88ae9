from __future__ import annotations

import pytest
import torch

from stn_icnn.sampler import crop, make_theta, paste


def theta_of(x0: int, y0: int, size: tuple[int, int], image: tuple[int, int]) -> torch.Tensor:
    """The theta that takes `size` pixels from (x0, y0), one to one."""
    (height, width), (rows, columns) = size, image
    scale = torch.tensor([[width / columns, height / rows]])
    centre = torch.tensor([[(2 * x0 + width) / columns - 1, (2 * y0 + height) / rows - 1]])
    return make_theta(scale, centre)


def test_a_one_to_one_crop_at_integer_places_copies_pixels() -> None:
    image = torch.rand(1, 3, 128, 160)
    theta = theta_of(30, 17, (81, 81), (128, 160))
    assert torch.allclose(crop(image, theta, (81, 81)), image[:, :, 17:98, 30:111], atol=2e-5)


def test_nearest_crops_copy_exactly() -> None:
    image = torch.randint(0, 19, (1, 1, 64, 64)).float()
    theta = theta_of(9, 20, (33, 21), (64, 64))
    assert torch.equal(crop(image, theta, (33, 21), "nearest"), image[:, :, 20:53, 9:30])


def test_crop_then_paste_is_the_identity_inside_the_box() -> None:
    image = torch.rand(1, 2, 96, 96)
    theta = theta_of(20, 31, (40, 48), (96, 96))
    pasted = paste(crop(image, theta, (40, 48)), theta, (96, 96))
    assert torch.allclose(pasted[:, :, 31:71, 20:68], image[:, :, 31:71, 20:68], atol=1e-4)
    pasted[:, :, 31:71, 20:68] = 0
    assert pasted.abs().max() < 1e-3, "nothing is pasted outside the box"


def test_a_scaled_crop_pasted_back_keeps_smooth_content() -> None:
    line = torch.linspace(0, 1, 128)
    image = (line[None, :] + line[:, None])[None, None]
    theta = make_theta(torch.tensor([[0.4, 0.3]]), torch.tensor([[0.1, -0.2]]))
    pasted = paste(crop(image, theta, (64, 64)), theta, (128, 128))
    inside = pasted > 0.3
    assert (pasted - image)[inside].abs().median() < 1e-3


def test_one_theta_means_one_place_at_every_resolution() -> None:
    """A ramp, its shrunk copy and its labels: crops of all three show the same values."""
    large = torch.linspace(0.0, 1.0, 129)[1:].expand(1, 1, 128, 128) - 0.5 / 128
    theta = make_theta(torch.tensor([[0.3, 0.2]]), torch.tensor([[0.45, -0.5]]))
    small = torch.nn.functional.avg_pool2d(large, 4)
    assert torch.allclose(crop(large, theta, (8, 12)), crop(small, theta, (8, 12)), atol=1e-6)


def test_a_negative_scale_mirrors_and_pastes_back_upright() -> None:
    image = torch.rand(1, 2, 64, 64)
    theta = theta_of(9, 20, (30, 22), (64, 64))
    mirrored = theta * torch.tensor([[-1.0, 1.0, 1.0], [1.0, 1.0, 1.0]])
    seen = crop(image, mirrored, (30, 22))
    assert torch.allclose(seen, crop(image, theta, (30, 22)).flip(-1), atol=1e-5)
    pasted = paste(seen, mirrored, (64, 64))[:, :, 21:49, 10:30]
    assert torch.allclose(pasted, image[:, :, 21:49, 10:30], atol=1e-4)


@pytest.mark.parametrize("mode", ["crop", "paste"])
def test_outside_is_zero(mode: str) -> None:
    theta = make_theta(torch.tensor([[0.2, 0.2]]), torch.tensor([[3.0, 3.0]]))
    sample = crop if mode == "crop" else paste
    assert sample(torch.ones(1, 1, 32, 32), theta, (16, 16)).abs().max() == 0


def test_gradients_reach_theta() -> None:
    theta = make_theta(torch.tensor([[0.5, 0.5]]), torch.tensor([[0.0, 0.0]])).requires_grad_()
    crop(torch.rand(1, 1, 32, 32), theta, (16, 16)).sum().backward()  # type: ignore[no-untyped-call]
    assert theta.grad is not None
    assert theta.grad[0, 0, 0] != 0
    assert theta.grad[0, 1, 2] != 0


def test_places_computed_by_lines_are_the_same() -> None:
    torch.manual_seed(0)
    theta = make_theta(torch.rand(3, 2) * 0.4 + 0.2, torch.rand(3, 2) - 0.5)
    image, part = torch.rand(3, 2, 20, 24), torch.rand(3, 2, 7, 9)
    for by_pairs, by_lines in (
        [crop(image, theta, (7, 9), by_lines=lines) for lines in (False, True)],
        [paste(part, theta, (20, 24), by_lines=lines) for lines in (False, True)],
    ):
        assert torch.equal(by_pairs, by_lines)
