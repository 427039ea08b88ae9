from __future__ import annotations

import cv2
import numpy as np
import pytest

from realtime.faces.motion import MotionFinder, small_grey
from realtime.frames import Image

SIDE = 120


def texture(seed: int = 0, side: int = 200) -> Image:
    rough = np.random.default_rng(seed).integers(0, 256, (side // 8, side // 8), dtype=np.uint8)
    return np.asarray(cv2.resize(rough, (side, side), interpolation=cv2.INTER_CUBIC), np.uint8)


def window(image: Image, x: int, y: int) -> Image:
    return np.ascontiguousarray(image[y : y + SIDE, x : x + SIDE])


@pytest.mark.parametrize(("x", "y"), [(2, 0), (-1, 1), (0, -3)])
def test_flow_says_where_each_place_was(x: int, y: int) -> None:
    image = texture()
    past, now = window(image, 40, 40), window(image, 40 + x, 40 + y)
    motion = MotionFinder()(past, now)
    assert motion.flow is not None
    middle = motion.flow[20:-20, 20:-20].reshape(-1, 2)
    assert np.abs(np.median(middle, axis=0) - (x, y)).max() < 0.3
    assert np.median(motion.unexplained[10:-10, 10:-10]) == 0.0


def test_what_moves_in_one_corner_is_all_that_is_followed() -> None:
    past, moving = window(texture(), 0, 0), texture(1)
    now = past.copy()
    past[70:100, 70:100], now[70:100, 70:100] = moving[50:80, 50:80], moving[50:80, 48:78]
    motion = MotionFinder()(past, now)
    assert motion.moving is not None
    assert motion.moving[38:47, 38:47].mean() > 0.7
    assert not motion.moving[:25].any()
    assert not motion.moving[:, :25].any()


def test_noise_and_light_are_no_motion() -> None:
    rng, find = np.random.default_rng(0), MotionFinder()
    past = window(texture() // 2 + 60, 30, 30)
    noisy = np.clip(past + rng.normal(0, 2, past.shape), 0, 255).astype(np.uint8)
    for now in (past, noisy, past + 30):
        motion = find(past, np.asarray(now, np.uint8))
        assert motion.flow is None
        assert motion.unexplained.mean() < 0.01


def test_what_comes_from_nowhere_is_unexplained() -> None:
    past = window(texture(), 30, 30)
    now = past.copy()
    now[40:80, 40:80] = window(texture(5), 0, 0)[40:80, 40:80]
    unexplained = MotionFinder()(past, now).unexplained
    assert unexplained[22:38, 22:38].mean() > 0.5
    assert unexplained[:8].mean() < 0.1


def test_large_crops_are_halved_and_small_ones_are_compared_alone() -> None:
    assert small_grey(np.zeros((240, 240, 3), np.uint8)).shape == (120, 120)
    assert small_grey(np.zeros((128, 128, 3), np.uint8)).shape == (128, 128)
    image = texture()
    motion = MotionFinder()(image[:80, :80], image[2:82, :80])
    assert motion.flow is None
    assert motion.unexplained.mean() > 0.3
