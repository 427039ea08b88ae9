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
# A class that is nowhere as likely as this is not there: nothing of it would be painted.
_PRESENT = 0.05


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


def brought(
    planes: Plane, past: Alignment, now: Alignment, motion: Motion, out: Plane | None = None
) -> tuple[Plane, Plane | np.float32]:
    """Bring planes to where a newer crop shows the same.

    Args:
        planes: (C, O, O) float32 of the past crop, summing to 1 over C.
        past: where that lies.
        now: where the newer one lies.
        motion: from the past one's picture to the newer one's.
        out: (C, O, O) float32 to write to; None for new memory.

    Returns:
        (C, O, O) float32, `planes` itself where nothing moved; and how much the past knows of each place:
        (O, O) float32, 0 to 1, or 1 of all.
    """
    side = planes.shape[-1]
    if past == now:
        if motion.moving is None:
            return planes, np.float32(1.0)
        if motion.moving.mean() < _FEW:
            # The rest stays as it is: sampled anew it would be blurred.
            found = np.empty_like(planes) if out is None else out
            np.copyto(found, planes)
            indices, values = _what_moves(planes, motion.moving, motion.flow)
            found.reshape(len(found), -1)[:, indices] = values
            return found, np.float32(1.0)
    found = sampled(planes, places_in(side, past, now, side, motion.flow), out)
    # Where the past knows nothing (outside its crop) it sums to less than 1.
    known = np.ones(len(found), np.float32) @ found.reshape(len(found), -1)
    return found, known.reshape(side, side)


def _what_moves(
    planes: Plane, moving: npt.NDArray[np.bool_], flow: Plane | None
) -> tuple[npt.NDArray[np.intp], Plane]:
    """Return (n,) indices of a crop's flat pixels that show what moved, and (C, n): what they were before."""
    side = planes.shape[-1]
    shown = cv2.resize(moving.view(np.uint8), (side, side), interpolation=cv2.INTER_NEAREST)
    indices = np.flatnonzero(shown)
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
    present = planes.max(axis=(1, 2)) > _PRESENT
    out[~present] = 0.0
    (indices,) = np.nonzero(present)
    for start in range(0, len(indices), 4):
        # Four at once: OpenCV samples them in little more time than one.
        group = indices[start : start + 4]
        four = cv2.merge([planes[index] for index in group])
        cv2.split(sample(four, places), [out[index] for index in group])
    return out
