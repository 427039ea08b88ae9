from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from realtime.frames import Image
from realtime.frames.geometry import Alignment, Square
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
    crop = Square(here, 40, sharp).cut(Halvings(image)).astype(int)

    def error(x: float, y: float) -> float:
        """Of a place so many of the crop's pixels away."""
        there = replace(here, centre=(here.centre[0] + x * factor, here.centre[1] + y * factor))
        return float(np.abs(crop - exact(image, there, 40).astype(int)).mean())

    quarter = [error(0.25, 0.0), error(-0.25, 0.0), error(0.0, 0.25), error(0.0, -0.25)]
    assert error(0.0, 0.0) < (0.75 if sharp else 0.95) * min(quarter)


@pytest.mark.parametrize("face_side", [40.0, 130.0, 330.0])
def test_squares_of_one_image_are_as_those_cut_alone(face_side: float) -> None:
    image = soft(400, 500)
    face = Alignment((210.0, 190.0), face_side, 0.2)
    squares = [Square(face, 20), Square(face.widened(2.0), 16, sharp=False)]
    shared = Halvings(image)
    shared.at_least(100, 80)
    for square in squares:
        # They may be halved from another pixel on.
        difference = square.cut(shared).astype(int) - square.cut(Halvings(image))
        assert np.abs(difference).max() <= 3


def test_beyond_the_content_nothing_is_seen_at_any_scale() -> None:
    image = soft(300, 400) // 2 + 64
    content = slice(37, 250), slice(21, 390)
    bars = np.zeros_like(image)
    bars[content] = image[content]
    (rows, columns), inside = content, np.ascontiguousarray(image[content])
    for side in (60.0, 200.0, 900.0):
        here = Alignment((60.0, 60.0), side, 0.3)
        there = replace(here, centre=(60.0 - columns.start, 60.0 - rows.start))
        seen = Halvings(bars, content)
        assert seen.at_least(200, 150).shape == (150, 200, 3), "who wants all of it gets the bars, too"
        crop = Square(here, 30).cut(seen).astype(int)
        assert np.array_equal(crop, Square(there, 30).cut(Halvings(inside)))


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


def test_what_is_halved_serves_all_that_lies_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    widths: list[int] = []

    def counting(pixels: Image) -> Image:
        widths.append(pixels.shape[1])
        return halved(pixels)

    monkeypatch.setattr("realtime.frames.halvings.halved", counting)
    large, small = (Alignment((128.0, 128.0), side, 0.0) for side in (200.0, 90.0))
    seen = Halvings(soft(256, 256))
    for face in (large, large, small):
        Square(face, 25, sharp=False).cut(seen)
    assert seen.at_least(64, 64).shape == (64, 64, 3)
    assert seen.at_least(100, 100).shape == (128, 128, 3)
    assert seen.at_least(257, 1).shape == (256, 256, 3)
    assert widths == [256, 128, 64], "of a large part all is halved, and everybody gets it"
    widths.clear()
    seen = Halvings(soft(256, 256))
    Square(small, 25, sharp=False).cut(seen)
    Square(small.widened(0.8), 25, sharp=False).cut(seen)
    assert len(widths) == 2, "a small part alone, and what lies in it"
    assert max(widths) < 128
