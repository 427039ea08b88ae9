from __future__ import annotations

import numpy as np
import torch

from stn_icnn.config import FACE, REALTIME
from stn_icnn.packing import HEAD_WIDTH, Packing, Pictures
from tests.conftest import head_config, make_network

HEAD = Packing(8, 4, 6, 3)


def test_pictures_come_back_as_they_went_in() -> None:
    rng = np.random.default_rng(0)
    face, head = (rng.integers(0, 256, (side, side, 3), np.uint8) for side in (8, 6))
    packed = HEAD.pack(Pictures(face, head))
    assert packed.shape == HEAD.input_shape == (8 * 8 + 6 * 6, 3)
    again = HEAD.pictures(packed)
    assert again.head is not None
    assert np.array_equal(again.face, face)
    assert np.array_equal(again.head, head)
    plain = Packing(8, 4)
    assert plain.pack(Pictures(face, None)) is face
    assert plain.pictures(face).head is None


def test_maps_are_taken_apart_as_the_network_puts_them_together() -> None:
    network = make_network(head_config())
    packing = network.config.packing
    squares = torch.randint(0, 256, (2, *[packing.square_size] * 2, 3), dtype=torch.uint8)
    packed = np.stack([packing.pack_square(square.numpy()) for square in squares])
    with torch.no_grad():
        output = network(torch.from_numpy(packed)).numpy()
        parsing = network.parse(network.split(squares))
    assert output.shape == (2, *packing.output_shape(19))
    assert np.allclose(output.sum(axis=1), 1.0, atol=1e-5)
    for index in range(2):
        maps = packing.maps(output[index])
        assert maps.head is not None
        face, head = (torch.softmax(x[index], 0).numpy() for x in (parsing.logits, parsing.coarse_logits))
        # The head's picture is rounded to bytes on the way in.
        assert np.abs(maps.face - face).max() < 0.02
        assert np.abs(maps.head - head).max() < 0.02


def test_a_square_is_packed_as_its_middle_and_a_smaller_picture() -> None:
    square = np.zeros((16, 16, 3), np.uint8)
    square[4:12, 4:12] = 200
    pictures = HEAD.pictures(HEAD.pack_square(square))
    assert pictures.head is not None
    assert (pictures.face == 200).all()
    # Pixels 1.5 to 4.5 of 6.
    assert (pictures.head[2:4, 2:4] == 200).all()
    assert (pictures.head[1, 1] > 0).all()
    assert (pictures.head[0] == 0).all()


def test_beyond_a_photo_its_border_goes_on() -> None:
    crop = np.full((8, 8, 3), 50, np.uint8)
    crop[0] = 90
    pictures = HEAD.pictures(HEAD.pack_crop(crop))
    assert pictures.head is not None
    assert np.array_equal(pictures.face, crop)
    assert (pictures.head[0] == 90).all()
    assert (pictures.head[-1] == 50).all()


def test_the_packing_comes_from_a_configuration_as_plain_data() -> None:
    own = REALTIME.packing
    assert own == Packing.of(REALTIME.to_dict())
    assert own.width == HEAD_WIDTH
    assert own.head_size == own.head_input // 2 == REALTIME.coarse_size // 2
    plain = FACE.packing
    assert plain.width == 1
    assert plain.input_shape == (256, 256, 3)
    assert plain.output_shape(19) == (19, 144, 144)
