from __future__ import annotations

import cv2
import numpy as np
import pytest

from realtime.faces.alignment import FRAMING, align
from realtime.frames.geometry import Alignment


def test_upright_faces_are_framed_as_the_training_faces() -> None:
    # In CelebAMask-HQ's 512-pixel frame the eyes lie about 128 apart, the mouth 142 below.
    alignment = align(right_eye=(194.0, 240.0), left_eye=(318.0, 240.0), mouth=(256.0, 382.0))
    assert alignment.roll == pytest.approx(0.0)
    assert alignment.side / FRAMING == pytest.approx(512, rel=0.02)
    assert alignment.centre == pytest.approx((256.0, 254.2))


@pytest.mark.parametrize("degrees", [-120, -30, 0, 45, 90])
def test_a_turned_face_gives_the_same_crop(degrees: float) -> None:
    turn = cv2.getRotationMatrix2D((300.0, 300.0), degrees, 1.0)

    def turned(x: float, y: float) -> tuple[float, float]:
        point = turn @ np.array([x, y, 1.0])
        return float(point[0]), float(point[1])

    plain = align((260.0, 280.0), (340.0, 280.0), (300.0, 370.0))
    other = align(turned(260, 280), turned(340, 280), turned(300, 370))
    image = cv2.GaussianBlur(np.random.default_rng(0).integers(0, 256, (600, 600, 3), np.uint8), (0, 0), 6)
    moved = cv2.warpAffine(image, turn, (600, 600), flags=cv2.INTER_CUBIC)
    first = plain.crop(np.asarray(image, np.uint8), 64).astype(int)
    second = other.crop(np.asarray(moved, np.uint8), 64).astype(int)
    assert np.abs(first - second).mean() < 1.5


def test_to_crop_and_to_image_are_inverse_and_share_pixel_centres() -> None:
    alignment = Alignment((100.5, 80.5), 64.0, 0.0)
    assert np.allclose(alignment.to_image(64) @ [0, 0, 1], [69.0, 49.0])
    alignment = Alignment((100.0, 80.0), 50.0, 0.7)
    there = np.vstack([alignment.to_crop(32), [0, 0, 1]])
    back = np.vstack([alignment.to_image(32), [0, 0, 1]])
    assert np.allclose(there @ back, np.eye(3))


def test_a_crop_of_the_images_own_size_is_a_copy() -> None:
    image = np.random.default_rng(0).integers(0, 256, (90, 120, 3), dtype=np.uint8)
    assert np.array_equal(Alignment((49.5, 39.5), 32.0, 0.0).crop(image, 32), image[24:56, 34:66])


def test_beyond_the_image_its_border_is_repeated() -> None:
    image = np.zeros((40, 40, 3), np.uint8)
    image[:, 0] = 200
    crop = Alignment((0.0, 19.5), 40.0, 0.0).crop(image, 40)
    assert crop[:, :19].min() == 200
    assert crop[:, 22:].max() == 0


def test_large_faces_are_averaged_and_not_sampled() -> None:
    stripes = np.zeros((800, 800, 3), np.uint8)
    stripes[:, ::2] = 255
    crop = Alignment((400.0, 400.0), 640.0, 0.0).crop(stripes, 64)
    assert np.abs(crop.astype(int) - 127).max() < 20


def test_the_region_is_clipped_to_the_image() -> None:
    rows, columns = Alignment((10.0, 10.0), 40.0, 0.0).region((100, 100))
    assert (rows.start, columns.start) == (0, 0)
    assert 30 <= rows.stop <= 32
    rows, columns = Alignment((-100.0, 10.0), 40.0, 0.3).region((100, 100))
    assert columns.stop <= columns.start


def test_a_crop_says_which_of_its_pixels_lie_in_the_image() -> None:
    square = Alignment((10.0, 20.0), 40.0, 0.0)
    shown = square.shows(40, (slice(0, 30), slice(0, 100)))
    # From x = -9.5 and y = 0.5 on.
    assert shown[:29, 10:].all()
    assert not shown[30:].any()
    assert not shown[:, :9].any()
    turned = Alignment((10.0, 20.0), 40.0, np.pi / 2.0).shows(40, (slice(0, 30), slice(0, 100)))
    assert turned.sum() == pytest.approx(shown.sum(), abs=60)
    assert not turned[-9:].any(), "its lower side lies left of the image"
