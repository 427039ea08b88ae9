from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from realtime.frames import Image
from realtime.frames.geometry import Alignment, Square, cut
from realtime.frames.halvings import Halvings, halved


def soft(height: int, width: int) -> Image:
    noise = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    smooth = np.asarray(cv2.GaussianBlur(noise, (0, 0), 9), np.float32)
    return np.asarray(255.0 * (smooth - smooth.min()) / np.ptp(smooth), np.uint8)


def exact(image: Image, alignment: Alignment, size: int) -> Image:
    """Each pixel of a crop as the mean of 64 samples spread over its area."""
    fine = alignment.to_image(8 * size)
    flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    many = cv2.warpAffine(image, fine, (8 * size, 8 * size), flags=flags, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(cv2.resize(many, (size, size), interpolation=cv2.INTER_AREA), np.uint8)


@pytest.mark.parametrize("sharp", [True, False])
@pytest.mark.parametrize("factor", [0.5, 1.0, 1.3, 1.5, 2.0, 2.9, 4.0, 7.5])
@pytest.mark.parametrize("roll", [0.0, 0.6, -2.0])
def test_a_crop_shows_what_lies_there_at_every_scale(factor: float, roll: float, sharp: bool) -> None:
    image = soft(600, 640)
    here = Alignment((322.3, 301.8), 40 * factor, roll)
    crop = cut(image, [Square(here, 40, sharp)])[0].astype(int)

    def error(x: float, y: float) -> float:
        """Of a place so many of the crop's pixels away."""
        there = replace(here, centre=(here.centre[0] + x * factor, here.centre[1] + y * factor))
        return float(np.abs(crop - exact(image, there, 40).astype(int)).mean())

    quarter = [error(0.25, 0.0), error(-0.25, 0.0), error(0.0, 0.25), error(0.0, -0.25)]
    assert error(0.0, 0.0) < (0.75 if sharp else 0.95) * min(quarter)


def test_squares_cut_together_are_as_those_cut_alone() -> None:
    image = soft(400, 500)
    face = Alignment((210.0, 190.0), 130.0, 0.2)
    squares = [Square(face, 60), Square(face.widened(2.0), 40, sharp=False)]
    together = cut(image, squares)
    for square, crop in zip(squares, together, strict=True):
        (alone,) = cut(image, [square])
        # They may be halved from another pixel on.
        assert np.abs(crop.astype(int) - alone.astype(int)).max() <= 3


@pytest.mark.parametrize("centre", [(-900.0, 20.0), (20.0, -900.0), (1500.0, 20.0), (20.0, 1500.0)])
def test_a_crop_far_beyond_the_image_repeats_its_border(centre: tuple[float, float]) -> None:
    image = np.full((41, 57, 3), 90, np.uint8)
    crop = Alignment(centre, 300.0, 0.3).crop(image, 32)
    assert crop.shape == (32, 32, 3)
    assert (crop == 90).all()


@pytest.mark.parametrize("shape", [(1, 1), (1, 50), (50, 1), (3, 3)])
def test_tiny_images_are_cut_like_others(shape: tuple[int, int]) -> None:
    image = np.full((*shape, 3), 130, np.uint8)
    crop = Alignment((shape[1] / 2, shape[0] / 2), 400.0, 0.0).crop(image, 32)
    assert (crop == 130).all()


def test_halves_are_means_and_an_odd_last_line_is_left_out() -> None:
    pixels = np.zeros((3, 5, 3), np.uint8)
    pixels[0, 0], pixels[:, 4] = 100, 255
    assert halved(pixels)[:, :, 0].tolist() == [[25, 0]]
    assert halved(np.full((1, 1, 3), 7, np.uint8)).tolist() == [[[7, 7, 7]]]
    assert halved(np.full((4, 1), 7, np.uint8)).tolist() == [[7], [7]]


def test_a_part_is_halved_once_for_all_crops(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []

    def counting(pixels: Image) -> Image:
        sizes.append(pixels.shape[1])
        return halved(pixels)

    monkeypatch.setattr("realtime.frames.halvings.halved", counting)
    halvings = Halvings(soft(256, 256))
    matrix = Alignment((128.0, 128.0), 200.0, 0.0).to_image(25)
    halvings.sample(matrix, 25, sharp=False)
    halvings.sample(matrix, 25, sharp=False)
    assert sizes == [256, 128, 64]
