"""Bringing planes to a newer crop: from one square to another, and along optical flow."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from realtime.faces.motion import Motion, grid, sample
from realtime.frames import Plane
from realtime.frames.geometry import Alignment

# Share of the crop that moves below which only that is sampled anew.
_FEW = 0.3
# Pixels' worth of probability that a class has at least where it is present.
_PRESENT = 0.5


def moved(planes: Plane, past: Alignment, now: Alignment, side: int | None = None) -> Plane:
    """Bring planes (C, O, O) from one crop's coordinates into another's; zero where it did not see.

    Args:
        planes: float32.
        past: the crop that they are of.
        now: the crop that they are brought into.
        side: of the answer's planes; None for O.
    """
    own = planes.shape[-1]
    side = side or own
    return sampled(planes, places_in(own, past, now, side))


def places_in(own: int, past: Alignment, now: Alignment, side: int, flow: Plane | None = None) -> Plane:
    """Return where in a past crop the pixels of another lie: (side, side, 2) float32, x and y.

    Args:
        own: side of the past crop's planes in pixels.
        past: where that lies.
        now: where the other lies.
        side: of its planes in pixels.
        flow: (s, s, 2) float32: how far from each place of it, in pixels of s, what it shows was before.
    """
    places = _followed(side, flow)
    if past == now and own == side:
        return places
    return np.asarray(cv2.transform(places, past.to_crop(own) @ np.vstack([now.to_image(side), [0, 0, 1]])))


def _followed(side: int, flow: Plane | None) -> Plane:
    """Return where in a crop what its pixels show was before: (side, side, 2) float32; see `places_in`."""
    places = grid(side)
    return places if flow is None else places + cv2.resize(flow, (side, side)) * np.float32(side / len(flow))


def little_moves(motion: Motion) -> bool:
    """Say whether so little moves that the rest is better left as it is: sampled anew it would be blurred."""
    return motion.moving is not None and motion.moving.mean() < _FEW


def what_moves(planes: Plane, motion: Motion) -> tuple[npt.NDArray[np.intp], Plane]:
    """Return the pixels of a crop that stayed where it was that show what moved, and what they were before.

    Args:
        planes: (C, O, O) float32 of the crop before.
        motion: with a flow.

    Returns:
        (n,) indices of its flat pixels, and (C, n) float32.
    """
    assert motion.moving is not None
    side, flow = planes.shape[-1], motion.flow
    moving = cv2.resize(motion.moving.view(np.uint8), (side, side), interpolation=cv2.INTER_NEAREST)
    indices = np.flatnonzero(moving)
    return indices, _looked_up(planes, _followed(side, flow).reshape(-1, 2)[indices])


def _looked_up(planes: Plane, places: Plane) -> Plane:
    """Return planes (C, O, O) at places (n, 2), as (C, n)."""
    count, side = planes.shape[:2]
    # All planes below each other are one image, sampled in one call.
    below = np.repeat(np.clip(places, 0.0, side - 1.0)[None], count, axis=0)
    below[..., 1] += side * np.arange(count, dtype=np.float32)[:, None]
    return sample(planes.reshape(-1, side), below)


def sampled(planes: Plane, places: Plane, out: Plane | None = None) -> Plane:
    """Return planes (C, O, O) at places (h, w, 2), as (C, h, w); a class that isn't there stays so."""
    if out is None:
        out = np.empty((len(planes), *places.shape[:2]), np.float32)
    present = planes.reshape(len(planes), -1) @ np.ones(planes[0].size, np.float32) > _PRESENT
    out[~present] = 0.0
    (indices,) = np.nonzero(present)
    for start in range(0, len(indices), 4):
        # Four at once: OpenCV samples them in little more time than one.
        group = indices[start : start + 4]
        four = cv2.merge([planes[index] for index in group])
        cv2.split(sample(four, places), [out[index] for index in group])
    return out
