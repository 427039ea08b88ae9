from __future__ import annotations

from itertools import pairwise

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from realtime.faces.crop_smoothing import CropSmoother, OneEuro, distance
from realtime.faces.cuts import CutDetector
from realtime.faces.smoothing import ParsingSmoother
from realtime.faces.warping import moved
from realtime.frames import Image, Plane
from realtime.frames.geometry import Alignment

HERE = Alignment((100.0, 80.0), 64.0, 0.0)
FRAME = 1.0 / 30.0
# Skin and hair.
CLASSES = (1, 13)


def noisy(values: Plane, rng: np.random.Generator) -> Plane:
    """Two classes whose border lies near `values` = 0.5, with noise on the logits."""
    second = 1.0 / (1.0 + np.exp(-8.0 * (values - 0.5) - rng.normal(0, 0.3, values.shape)))
    return np.stack([1.0 - second, second]).astype(np.float32)


def picture(values: Plane, rng: np.random.Generator, noise: float = 3.0) -> Image:
    grey = 40.0 + 160.0 * (values > 0.5) + rng.normal(0, noise, values.shape)
    return np.repeat(np.clip(grey, 0, 255).astype(np.uint8)[..., None], 3, axis=2)


def edge(at: float, side: int = 64) -> Plane:
    """Class 1 right of `at`; a soft border, as a network gives, a little slanted."""
    x = np.arange(side, dtype=np.float32)
    slant = np.linspace(-2.0, 2.0, side)[:, None]
    return np.asarray(np.clip(0.5 + (x + slant - at) / 8.0, 0.0, 1.0), np.float32)


def flips(labels: list[npt.NDArray[np.intp]]) -> float:
    return float(np.mean([(a != b).mean() for a, b in pairwise(labels)]))


def test_a_still_face_flickers_at_least_60_percent_less() -> None:
    rng = np.random.default_rng(0)
    smoother = ParsingSmoother(0.75)
    raw, steady = [], []
    for _ in range(40):
        planes = noisy(edge(30), rng)
        raw.append(planes.argmax(axis=0))
        crop = cv2.resize(picture(edge(30), rng), (128, 128))
        steady.append(smoother(planes, np.asarray(crop, np.uint8), HERE, FRAME, CLASSES).argmax(axis=0))
    assert flips(steady[5:]) < 0.4 * flips(raw[5:])


def test_what_moves_is_never_late() -> None:
    rng = np.random.default_rng(0)
    smoother = ParsingSmoother(0.75)
    for step in range(15):
        at = 10.0 + 3.0 * step
        planes = np.stack([1.0 - edge(at), edge(at)]).astype(np.float32)
        crop = cv2.resize(picture(edge(at), rng), (128, 128))
        steady = smoother(planes, np.asarray(crop, np.uint8), HERE, FRAME, CLASSES)
        assert np.abs(np.argmax(steady[:, 32] > 0.5, axis=1)[1] - np.argmax(planes[1, 32] > 0.5)) <= 1, step


def test_a_sure_change_counts_at_once_even_where_the_picture_is_still() -> None:
    smoother = ParsingSmoother(0.9)
    crop = np.full((64, 64, 3), 90, np.uint8)
    one = np.stack([np.ones((32, 32)), np.zeros((32, 32))]).astype(np.float32)
    smoother(one, crop, HERE, FRAME, CLASSES)
    assert np.array_equal(smoother(one[::-1].copy(), crop, HERE, FRAME, CLASSES), one[::-1])


def test_the_past_follows_what_moves_in_the_crop() -> None:
    rng = np.random.default_rng(0)
    rough = rng.integers(0, 256, (30, 40, 3), dtype=np.uint8)
    wide = np.asarray(cv2.resize(rough, (400, 240), interpolation=cv2.INTER_CUBIC), np.uint8)
    smoother, still = ParsingSmoother(0.88), ParsingSmoother(0.88)
    raw, steady, left_behind = [], [], []
    for step in range(20):
        # Everything moves by two pixels of the crop, which are one of the maps.
        crop = np.ascontiguousarray(wide[:, 2 * step : 2 * step + 240])
        planes = noisy(edge(60.0 - step, 120), rng)
        unrelated = np.ascontiguousarray(np.roll(wide, 97 * step, axis=1)[:, :240])
        here = slice(40 - step, 80 - step)
        raw.append(planes.argmax(axis=0)[:, here])
        steady.append(smoother(planes, crop, HERE, FRAME, CLASSES).argmax(axis=0)[:, here])
        left_behind.append(still(planes, unrelated, HERE, FRAME, CLASSES).argmax(axis=0)[:, here])
    assert flips(steady[3:]) < 0.7 * flips(raw[3:])
    assert flips(left_behind[3:]) > 0.9 * flips(raw[3:]), "a picture that is another one each time"


@pytest.mark.parametrize(("classes", "kept"), [((1, 13), 0.675), ((1, 4), 0.1125), ((1, 3), 0.9)])
def test_a_change_counts_sooner_of_an_eye_and_not_of_glasses(classes: tuple[int, int], kept: float) -> None:
    crop = np.full((64, 64, 3), 90, np.uint8)
    first = np.stack([np.full((8, 8), 0.75), np.full((8, 8), 0.25)]).astype(np.float32)
    smoother = ParsingSmoother(0.9)
    smoother(first, crop, HERE, 0.0, classes)
    # Half of the probability moves.
    mean = smoother(np.ascontiguousarray(first[::-1]), crop, HERE, FRAME, classes)
    assert (mean[0, 4, 4] - 0.25) / 0.5 == pytest.approx(kept, abs=1e-3)


def test_strength_0_changes_nothing_and_a_slow_camera_keeps_less_of_the_past() -> None:
    crop = np.full((64, 64, 3), 90, np.uint8)
    first = np.stack([np.full((8, 8), 0.6), np.full((8, 8), 0.4)]).astype(np.float32)
    second = np.stack([np.full((8, 8), 0.5), np.full((8, 8), 0.5)]).astype(np.float32)

    def mean(strength: float, seconds: float) -> float:
        smoother = ParsingSmoother(strength)
        smoother(first, crop, HERE, 0.0, CLASSES)
        return float(smoother(second, crop, HERE, seconds, CLASSES)[0, 4, 4])

    assert mean(0.0, FRAME) == 0.5
    assert mean(0.75, FRAME) == pytest.approx(0.575, abs=1e-3)
    assert mean(0.75, 2 * FRAME) == pytest.approx(0.5 + 0.1 * 0.75**2, abs=1e-3)


def test_the_past_follows_its_crop() -> None:
    planes = np.zeros((1, 64, 64), np.float32)
    planes[0, 20:30, 10:20] = 1.0
    there = Alignment((104.0, 78.0), 64.0, 0.0)
    expected = np.zeros_like(planes)
    expected[0, 22:32, 6:16] = 1.0
    assert np.abs(moved(planes, HERE, there) - expected).max() < 1e-4


def test_one_euro_is_steady_at_rest_and_quick_in_motion() -> None:
    rng = np.random.default_rng(0)
    still = OneEuro()
    values = [still(np.array([100.0 + rng.normal(0, 0.2)]), FRAME, 100.0)[0] for _ in range(60)]
    assert np.std(values[10:]) < 0.09
    fast = OneEuro()
    late = [10.0 * step - fast(np.array([10.0 * step]), FRAME, 100.0)[0] for step in range(30)]
    assert max(late[5:]) < 10.0, "less than a frame behind"


def test_a_crop_that_hardly_moves_stays_and_turns_go_the_short_way() -> None:
    smooth = CropSmoother()
    first = smooth(HERE, 0.0)
    assert smooth(Alignment((100.1, 80.1), 64.1, 0.001), FRAME) == first
    assert smooth(Alignment((120.0, 80.0), 64.0, 0.0), FRAME) != first
    half = CropSmoother()
    half(Alignment((100.0, 80.0), 64.0, 3.13), 0.0)
    turned = half(Alignment((100.0, 80.0), 64.0, -3.13), FRAME)
    assert abs(abs(turned.roll) - np.pi) < 0.05


def test_distance_is_that_of_the_farthest_corner_in_sides() -> None:
    assert distance(HERE, HERE) == 0.0
    assert distance(HERE, Alignment((106.4, 80.0), 64.0, 0.0)) == pytest.approx(0.1)
    assert distance(HERE, Alignment((100.0, 80.0), 32.0, 0.0)) == pytest.approx(0.5**0.5 / 2, abs=0.02)


def test_cuts_are_told_from_motion_and_light() -> None:
    rng = np.random.default_rng(0)
    rough = cv2.resize(rng.integers(0, 256, (9, 16, 3), dtype=np.uint8), (320, 180))
    one = np.asarray(rough, np.uint8)
    other = np.asarray(cv2.resize(rng.integers(0, 256, (9, 16, 3), dtype=np.uint8), (320, 180)), np.uint8)
    cut = CutDetector()
    assert not cut(one), "the first frame is no cut"
    assert not cut(np.roll(one, 6, axis=1))
    assert not cut(np.clip(one.astype(int) + 60, 0, 255).astype(np.uint8)), "a flash"
    assert cut(other)
    assert not cut(other)
