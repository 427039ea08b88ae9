"""Drawn backdrops: what rooms and gardens put behind a head and portraits seldom show.

Leaves as dark as hair, dark walls, shelves full of things, white on white: where a parser takes what lies
behind for hair, clothes or another face.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import numpy.typing as npt

Image = npt.NDArray[np.uint8]


def draw_backdrop(side: int, rng: np.random.Generator) -> Image:
    """Return a backdrop (side, side, 3) uint8 RGB of a random kind, sharp or out of focus."""
    kinds: tuple[Callable[[int, np.random.Generator], Image], ...] = (_leaves, _wall, _shelves, _streaks)
    # At half the side: few backdrops are sharp, and this is drawn in a quarter of the time.
    small = kinds[rng.integers(len(kinds))]((side + 1) // 2, rng)
    image = np.asarray(cv2.resize(small, (side, side), interpolation=cv2.INTER_LINEAR), np.uint8)
    if rng.random() < 0.6:
        image = np.asarray(cv2.GaussianBlur(image, (0, 0), side * rng.uniform(0.002, 0.03)), np.uint8)
    return image


def _colour(rng: np.random.Generator, low: float, high: float, tint: float = 25.0) -> npt.NDArray[np.float64]:
    return np.clip(rng.uniform(low, high) + rng.normal(0.0, tint, 3), 0, 255)


def _shaded(image: npt.NDArray[np.float64], rng: np.random.Generator) -> Image:
    """Return an image in light that falls off to a side, with the noise of a camera."""
    side = image.shape[0]
    ramp = np.linspace(-1.0, 1.0, side)
    light = 1.0 + rng.normal(0, 0.2) * ramp[:, None] + rng.normal(0, 0.2) * ramp[None, :]
    noise = rng.normal(0.0, rng.uniform(0.0, 6.0), image.shape)
    return np.clip(image * light[..., None] + noise, 0, 255).astype(np.uint8)


def _leaves(side: int, rng: np.random.Generator) -> Image:
    """Leaves or blades in all directions, from black-green to sunlit."""
    image = np.empty((side, side, 3), np.uint8)
    image[:] = _colour(rng, 5, 70, 10)
    base, spread = _colour(rng, 20, 120, 12) + np.array([-8.0, 18.0, -12.0]), rng.uniform(8, 45)
    size, thin = side * rng.uniform(0.01, 0.05), rng.uniform(0.15, 0.5)
    for _ in range(int(rng.integers(300, 1200))):
        x, y = rng.uniform(0, side, 2)
        axes = (max(1, int(size * rng.uniform(0.5, 1.6))), max(1, int(size * thin)))
        tone = np.clip(base + rng.normal(0, spread) + rng.normal(0, 6, 3), 0, 255)
        colour = tuple(float(value) for value in tone)
        cv2.ellipse(image, (int(x), int(y)), axes, rng.uniform(0, 180), 0, 360, colour, -1, cv2.LINE_AA)
    return _shaded(image.astype(np.float64), rng)


def _wall(side: int, rng: np.random.Generator) -> Image:
    """A wall: black, white or of any colour, with a frame or a door edge now and then."""
    low, high = ((0, 40), (225, 255), (0, 255))[rng.integers(3)]
    image = np.full((side, side, 3), _colour(rng, low, high, 6.0 if high - low < 50 else 30.0))
    for _ in range(int(rng.integers(0, 4))):
        corner, extent = rng.uniform(-0.2, 1.0, 2) * side, rng.uniform(0.05, 0.8, 2) * side
        ends = [(int(x), int(y)) for x, y in (corner, corner + extent)]
        colour = tuple(float(value) for value in _colour(rng, 0, 255))
        cv2.rectangle(image, ends[0], ends[1], colour, -1 if rng.random() < 0.5 else int(rng.integers(1, 8)))
    return _shaded(image, rng)


def _shelves(side: int, rng: np.random.Generator) -> Image:
    """Shelves with books and round things, some the size and colour of faces."""
    image = np.full((side, side, 3), _colour(rng, 10, 160))
    height = side * rng.uniform(0.12, 0.3)
    for bottom in np.arange(height * rng.uniform(0.2, 1.0), side + height, height):
        x = 0.0
        while x < side:
            width, tall = side * rng.uniform(0.012, 0.06), height * rng.uniform(0.4, 0.9)
            colour = tuple(float(value) for value in _colour(rng, 10, 240, 40))
            if rng.random() < 0.12:
                # Plates, heads of dolls, clocks.
                skin = (210.0, 165.0, 140.0) if rng.random() < 0.4 else colour
                radius = int(0.45 * tall)
                cv2.circle(image, (int(x + radius), int(bottom - radius)), radius, skin, -1, cv2.LINE_AA)
                x += 2.2 * radius
            elif rng.random() < 0.85:
                cv2.rectangle(image, (int(x), int(bottom - tall)), (int(x + width), int(bottom)), colour, -1)
                x += width
            else:
                x += 2.0 * width
        board = tuple(float(value) for value in _colour(rng, 20, 220, 15))
        cv2.line(image, (0, int(bottom)), (side, int(bottom)), board, max(1, int(0.06 * height)))
    return _shaded(image, rng)


def _streaks(side: int, rng: np.random.Generator) -> Image:
    """Noise stretched along one direction: curtains, fur, wood, dry grass, much like hair."""
    noise = rng.normal(0.0, 1.0, (side, side)).astype(np.float32)
    long, thin = side * rng.uniform(0.03, 0.15), rng.uniform(0.6, 3.0)
    noise = np.asarray(cv2.GaussianBlur(noise, (0, 0), sigmaX=thin, sigmaY=long), np.float32)
    turn = cv2.getRotationMatrix2D((side / 2, side / 2), rng.uniform(0, 180), 1.5)
    noise = np.asarray(cv2.warpAffine(noise, turn, (side, side), borderMode=cv2.BORDER_REFLECT), np.float32)
    noise /= max(float(noise.std()), 1e-6)
    return _shaded(_colour(rng, 10, 200) + rng.uniform(5, 40) * noise[..., None].astype(np.float64), rng)
