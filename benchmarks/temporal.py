"""How well the labels of successive frames agree once motion is taken out by optical flow (DIS).

DIS: Kroeger, Timofte, Dai, Van Gool, "Fast Optical Flow using Dense Inverse Search", ECCV 2016.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np

from benchmarks.quality import Tally
from realtime.frames import Image, Plane
from stn_icnn.labels import IGNORE
from training.metrics import confusion

# Longer side in pixels, at most, at which flow is estimated (20 ms) and at which labels are compared: at the
# flow's own size 1.1 % of labels that only moved seem to change, instead of 0.6.
FLOW_SIDE, COMPARED_SIDE = 640, 1280
# DIS refuses pictures smaller than one of its patches.
_SMALLEST = 12
# A pixel whose warped colour differs by more levels in any channel shows something else: an occlusion.
PHOTOMETRIC_LEVELS = 24
# Frames that differ so in more than this share of their pixels do not correspond: a cut, a flash.
MOST_OCCLUDED = 0.5


@dataclass(frozen=True)
class Agreement:
    """How well two successive label maps agree.

    Attributes:
        iou: mean over the classes but the background that are present in either, 0 to 1; None where there
            are none.
        changed: pixels whose label changed, of those that are no background in either.
    """

    iou: float | None
    changed: Tally


def temporal_agreement(
    earlier: Image, earlier_labels: Image, later: Image, later_labels: Image
) -> Agreement | None:
    """Compare the label maps of two frames where both show the same.

    Args:
        earlier: (H, W, 3) uint8 RGB.
        earlier_labels: (H, W) uint8 class ids of it.
        later: the next frame, likewise.
        later_labels: of that, likewise.

    Returns:
        None where the frames do not correspond.
    """
    past, now = _shrink(earlier, COMPARED_SIDE), _shrink(later, COMPARED_SIDE)
    if min(_shrink(now, FLOW_SIDE).shape[:2]) < _SMALLEST or past.shape != now.shape:
        return None
    size = now.shape[1::-1]
    past_labels, labels = (
        np.asarray(cv2.resize(each, size, interpolation=cv2.INTER_NEAREST), np.uint8)
        for each in (earlier_labels, later_labels)
    )
    expected = warp_labels(past, past_labels, now)
    if np.count_nonzero(expected == IGNORE) > MOST_OCCLUDED * expected.size:
        return None
    return compare_labels(expected, labels)


def warp_labels(earlier: Image, labels: Image, later: Image) -> Image:
    """Bring the labels of a frame to where the next one shows the same.

    Args:
        earlier: (H, W, 3) uint8 RGB.
        labels: (H, W) uint8 class ids of it.
        later: the next frame, likewise.

    Returns:
        (H, W) uint8 class ids in the next frame's coordinates; IGNORE where that shows what is new.
    """
    x, y = _find_places(earlier, later)
    colours = cv2.remap(earlier, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    warped = cv2.remap(labels, x, y, cv2.INTER_NEAREST, borderMode=cv2.BORDER_CONSTANT, borderValue=IGNORE)
    occluded = cv2.absdiff(colours, later).max(axis=2) > PHOTOMETRIC_LEVELS
    warped[occluded] = IGNORE
    return np.asarray(warped, np.uint8)


def compare_labels(expected: Image, labels: Image) -> Agreement:
    """Compare two label maps (H, W) uint8 pixel by pixel, where the first is not IGNORE."""
    matrix = confusion(expected, labels)
    same = np.diag(matrix)
    either = matrix.sum(axis=0) + matrix.sum(axis=1) - same
    parts = np.flatnonzero(either[1:]) + 1
    iou = float((same[parts] / either[parts]).mean()) if len(parts) else None
    changed = int(matrix.sum() - same.sum())
    return Agreement(iou, Tally(changed, int(matrix.sum() - same[0])))


def _find_places(earlier: Image, later: Image) -> tuple[Plane, Plane]:
    """Return x and y, (H, W) float32 each, in the earlier frame of what each pixel of the later one shows."""
    height, width = later.shape[:2]
    before, now = (cv2.cvtColor(_shrink(each, FLOW_SIDE), cv2.COLOR_RGB2GRAY) for each in (earlier, later))
    flow = _dense_flow().calc(now, before, np.zeros((*now.shape, 2), np.float32))
    large = cv2.resize(flow, (width, height)) * (width / now.shape[1], height / now.shape[0])
    x = np.arange(width) + large[..., 0]
    y = np.arange(height)[:, None] + large[..., 1]
    return x.astype(np.float32), y.astype(np.float32)


@cache
def _dense_flow() -> cv2.DISOpticalFlow:
    return cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)


def _shrink(image: Image, longest: int) -> Image:
    """Return a frame whose longer side is at most so long, in pixels; never enlarged."""
    height, width = image.shape[:2]
    scale = min(1.0, longest / max(height, width))
    size = (max(1, round(scale * width)), max(1, round(scale * height)))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
