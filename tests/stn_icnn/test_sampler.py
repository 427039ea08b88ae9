from __future__ import annotations

import pytest
import torch

from stn_icnn.sampler import crop, make_theta, paste


def theta_of(x0: int, y0: int, size: tuple[int, int], image: tuple[int, int]) -> torch.Tensor:
    """The theta that takes `size` pixels from (x0, y0), one to one."""
    (height, width), (rows, columns) = size, image
    scale = torch.tensor([[(width - 1) / (columns - 1), (height - 1) / (rows - 1)]])
    centre = torch.tensor(
        [[2 * (x0 + (width - 1) / 2) / (columns - 1) - 1, 2 * (y0 + (height - 1) / 2) / (rows - 1) - 1]]
    )
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
