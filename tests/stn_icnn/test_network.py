from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch
from torch import nn

from stn_icnn.config import NAMED, PAPER, PARTS, REALTIME, NetworkConfig
from stn_icnn.icnn import ICNN, PIXEL_SCALE, ICNNConfig, PixelConv2d
from stn_icnn.network import Stage, STNiCNN, middle
from tests.conftest import head_config, make_network, tiny_config

KINDS = [("residual", "moments"), ("replace", "conv")]


def crops(count: int, side: int = 64) -> torch.Tensor:
    generator = torch.Generator().manual_seed(3)
    return torch.randint(0, 256, (count, side, side, 3), dtype=torch.uint8, generator=generator)


def test_the_papers_network_has_its_published_parameters() -> None:
    network = STNiCNN(PAPER)
    coarse = sum(p.numel() for p in network.coarse.parameters())
    parts = {name: sum(p.numel() for p in net.parameters()) for name, net in network.part_nets.items()}
    assert coarse == 559_931
    assert parts == {"brow": 545_588, "eye": 545_588, "nose": 545_588, "mouth": 548_376}
    assert 2.745e6 < sum(p.numel() for p in network.parameters()) < 2.755e6


@pytest.mark.parametrize("config", NAMED.values(), ids=NAMED)
def test_configurations_survive_json(config: NetworkConfig) -> None:
    assert NetworkConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


@pytest.mark.parametrize("kind", KINDS)
def test_output_is_a_distribution_over_the_classes(kind: tuple[str, str]) -> None:
    network = make_network(tiny_config(*kind))
    with torch.no_grad():
        probabilities = network(crops(3))
    assert probabilities.shape == (3, 19, 32, 32)
    assert probabilities.dtype == torch.float32
    assert probabilities.min() >= 0
    assert torch.allclose(probabilities.sum(dim=1), torch.ones(3, 32, 32), atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_a_batch_equals_its_faces_one_by_one(kind: tuple[str, str]) -> None:
    network = make_network(tiny_config(*kind))
    batch = crops(4)
    with torch.no_grad():
        together = network(batch)
        alone = torch.cat([network(face[None]) for face in batch])
    assert torch.allclose(together, alone, atol=1e-5)


def test_gradients_reach_the_coarse_stage_through_the_sampler_alone() -> None:
    """The point of the paper: what the part parsers want moves the coarse stage."""
    network = make_network(tiny_config("replace", "conv"))
    torch.nn.init.normal_(network.localizer.regress.weight, 0, 0.1)  # type: ignore[union-attr,arg-type]
    parsing = network.parse(network.normalise(crops(2)))
    # Part logits of "replace" see the image only; theta is the one way to the coarse stage.
    loss = sum(logits.square().mean() for logits in parsing.part_logits.values())
    assert isinstance(loss, torch.Tensor)
    loss.backward()  # type: ignore[no-untyped-call]
    gradient = next(network.coarse.parameters()).grad
    assert gradient is not None
    assert gradient.abs().sum() > 0


def test_no_gradient_reaches_the_coarse_stage_once_theta_is_cut() -> None:
    network = make_network(tiny_config("replace", "conv"))
    pictures = network.normalise(crops(2))
    coarse = network.parse_coarse(pictures)
    theta = network.localizer(coarse.probabilities).detach()
    parts = network.parse_parts(pictures, Stage(*(each.detach() for each in coarse)), theta)
    sum(part.sum() for part in parts.values()).backward()  # type: ignore[union-attr]
    assert next(network.coarse.parameters()).grad is None


@pytest.mark.parametrize("pair", [("l_eye", "r_eye"), ("l_brow", "r_brow")])
@pytest.mark.parametrize("features", [False, True])
def test_a_right_part_is_the_left_net_on_the_mirrored_image(pair: tuple[str, str], features: bool) -> None:
    network = make_network(replace(tiny_config(), features=features))
    left, right = pair
    pictures = network.normalise(crops(1))
    planes = torch.softmax(torch.randn(1, 19, 16, 16), dim=1)
    shown = torch.randn(1, 4, 16, 16)
    swap = list(range(19))
    for a, b in ((4, 5), (6, 7), (8, 9)):
        swap[a], swap[b] = b, a
    theta = torch.zeros(1, 6, 2, 3)
    theta[..., 0, 0], theta[..., 1, 1] = 0.3, 0.25
    theta[:, :, 0, 2] = torch.tensor([0.3, -0.3, 0.25, -0.25, 0.0, 0.0])
    mirrored = theta.clone()
    mirrored[..., 0, 2] *= -1
    order = [list(PARTS).index(name) for name in ("r_brow", "l_brow", "r_eye", "l_eye", "nose", "mouth")]
    with torch.no_grad():
        seen = network.parse_parts(pictures, Stage(planes, planes, shown), theta)
        coarse = Stage(planes, planes[:, swap].flip(-1), shown.flip(-1))
        other = network.parse_parts(
            pictures._replace(face=pictures.face.flip(-1)), coarse, mirrored[:, order]
        )
    assert torch.allclose(seen[right], other[left], atol=1e-5)
    assert seen[right].std() > 0


def test_parts_see_the_features_of_the_coarse_stage_where_asked() -> None:
    def seen(features: bool) -> bool:
        network = make_network(replace(tiny_config(), features=features))
        pictures = network.normalise(crops(1))
        coarse = network.parse_coarse(pictures)
        theta = network.localizer(coarse.probabilities)
        with torch.no_grad():
            before = network.parse_parts(pictures, coarse, theta)["nose"]
            changed = coarse._replace(features=coarse.features + 1.0)
            return not torch.equal(before, network.parse_parts(pictures, changed, theta)["nose"])

    assert seen(features=True)
    assert not seen(features=False)


def test_parts_correct_the_coarse_logits_only_where_they_are_pasted() -> None:
    network = make_network(tiny_config())
    theta = torch.zeros(1, 6, 2, 3)
    theta[..., 0, 0] = theta[..., 1, 1] = 0.2
    coarse = torch.randn(1, 19, 16, 16)
    ones = {name: torch.ones(1, len(part.class_names), 8, 12) for name, part in PARTS.items()}
    zeros = {name: torch.zeros_like(y) for name, y in ones.items()}
    with torch.no_grad():
        change = network.compose(coarse, theta, ones) - network.compose(coarse, theta, zeros)
    assert change[0, 4, 16, 16] > 0.9
    assert change[0, :, :, :8].abs().max() == 0
    assert change[0, 1].abs().max() == 0, "skin belongs to no part"


def test_the_realtime_network_is_smaller_than_the_papers() -> None:
    ours, papers = (sum(p.numel() for p in STNiCNN(config).parameters()) for config in (REALTIME, PAPER))
    assert ours < papers


def test_without_part_nets_the_coarse_stage_is_all() -> None:
    network = make_network(replace(tiny_config(), part_nets={}))
    with torch.no_grad():
        parsing = network.parse(network.normalise(crops(2)))
        coarse = torch.nn.functional.interpolate(parsing.coarse_logits, size=(32, 32), mode="bilinear")
    assert torch.equal(parsing.logits, coarse)
    assert parsing.part_logits == {}
    assert network(crops(2)).shape == (2, 19, 32, 32)


def test_a_fine_coarse_stage_is_localised_at_half_its_resolution() -> None:
    fine = ICNNConfig((4, 6, 8), 4, 3, 1, (3, 1), "relu", residual=True, fine=4)
    network = make_network(replace(tiny_config(), coarse_size=64, coarse=fine))
    coarse = network.parse_coarse(network.normalise(crops(2)))
    assert coarse.logits.shape == (2, 19, 32, 32)
    assert coarse.probabilities.shape == (2, 19, 16, 16)
    assert network(crops(2)).shape == (2, 19, 32, 32)


def test_the_head_tells_the_face_stage_what_is_around_it_once_that_is_learnt() -> None:
    network = make_network(head_config())
    face = network.face
    assert isinstance(face, ICNN)
    pictures = network.split(torch.randint(0, 256, (1, 128, 128, 3), dtype=torch.uint8))
    coarse = network.parse_coarse(pictures)
    louder = coarse._replace(features=coarse.features + 1.0)
    with torch.no_grad():
        one, other = (network.parse_face(pictures, known).logits for known in (coarse, louder))
        assert not torch.equal(one, other)
        for parameter in face.context.parameters():
            parameter.zero_()
        one, other = (network.parse_face(pictures, known).logits for known in (coarse, louder))
        assert torch.equal(one, other)


def test_a_new_face_stage_starts_without_the_heads_word() -> None:
    network = STNiCNN(head_config())
    assert isinstance(network.face, ICNN)
    assert not any(parameter.any() for parameter in network.face.context.parameters())


def test_a_convolution_of_pixels_is_one_of_scaled_pixels() -> None:
    torch.manual_seed(0)
    plain, pixels = nn.Conv2d(3, 4, 3, 2, 1), PixelConv2d(3, 4, 3, 2, 1)
    pixels.load_state_dict(plain.state_dict())
    image = torch.randint(0, 256, (1, 3, 8, 8)).float()
    assert torch.allclose(pixels(image), plain(image * PIXEL_SCALE), atol=1e-5)


def test_a_face_stage_needs_a_fine_coarse_stage_and_parts_that_correct() -> None:
    with pytest.raises(ValueError, match="face stage"):
        replace(tiny_config(), face=head_config().face)
    with pytest.raises(ValueError, match="face stage"):
        replace(head_config(), composition="replace")


def test_the_face_crop_is_the_middle_of_what_is_seen() -> None:
    x = torch.arange(64).reshape(1, 8, 8)
    assert torch.equal(middle(x), x[:, 2:6, 2:6])
