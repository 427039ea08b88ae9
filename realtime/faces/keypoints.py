"""Keypoints: where eyes, mouth and nose of a parsed face lie; they say where its next crop goes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from realtime.faces.alignment import align
from realtime.frames import Detection, Plane
from realtime.frames.geometry import Alignment, Matrix, Points, transformed
from stn_icnn.labels import CLASS_ID

_PARTS = (("r_eye",), ("l_eye",), ("u_lip", "mouth", "l_lip"), ("nose",))
# Least sum of squared probabilities, in shares of the crop, for which a part's centre is believed: a
# sixth of what an open eye or thin lips have.
_LEAST = (4e-4, 4e-4, 1e-3, 2e-3)
# How far, in sides of the crop, a part is looked for from where it is expected (standard deviation of a
# soft window): a neighbour's eyes must not pull.
_REACH = 0.12


def find_keypoints(
    probabilities: Plane, classes: Sequence[int], alignment: Alignment, expected: Points
) -> Points:
    """Return the centres of right eye, left eye, mouth and nose, by the parsing.

    Args:
        probabilities: (C, O, O) float32.
        classes: class id of each channel.
        alignment: of the crop that was parsed.
        expected: (4, 2) where they are thought to be, in pixels of the image; NaN where nobody knows.

    Returns:
        (4, 2) float64, x and y in pixels of the image; NaN for a part that isn't seen.
    """
    side = probabilities.shape[-1]
    line = np.arange(side, dtype=np.float32)
    places = transformed(expected, alignment.to_crop(side))
    found = np.full((4, 2), np.nan)
    windows = np.exp(-0.5 * ((line - places[..., None]) / (_REACH * side)) ** 2).astype(np.float32)
    windows[np.isnan(places)] = 1.0
    for row, (names, least) in enumerate(zip(_PARTS, _LEAST, strict=True)):
        channels = [classes.index(CLASS_ID[name]) for name in names if CLASS_ID[name] in classes]
        # One alone isn't copied.
        plane = probabilities[channels[0]] if len(channels) == 1 else probabilities[channels].sum(axis=0)
        # Squared, so that a haze far from the part doesn't pull.
        weight = plane * plane
        # The window is x times y: two products with vectors weigh the plane by it.
        x, y = windows[row]
        columns, rows = (y @ weight) * x, (weight @ x) * y
        mass = float(columns.sum())
        if mass > least * side * side:
            found[row] = (columns @ line / mass, rows @ line / mass)
    return transformed(found, alignment.to_image(side))


def detected_keypoints(detection: Detection) -> Points:
    """Return a detection's keypoints (4, 2); the nose, which it has not, is NaN."""
    eyes_and_mouth = (detection.right_eye, detection.left_eye, detection.mouth)
    return np.array([*eyes_and_mouth, (np.nan, np.nan)], np.float64)


def complete_keypoints(keypoints: Points, before: Points) -> Points:
    """Fill in keypoints that aren't seen: they are thought to have moved with those that are.

    Args:
        keypoints: (4, 2), NaN where not seen.
        before: (4, 2) of the frame before; its nose may be NaN.

    Returns:
        (4, 2); what neither knows stays NaN.
    """
    seen = ~np.isnan(keypoints[:, 0])
    common = seen & ~np.isnan(before[:, 0])
    filled = keypoints.copy()
    missing = ~seen
    if not missing.any():
        return filled
    filled[missing] = transformed(before[missing], similarity(before[common], keypoints[common]))
    return filled


def similarity(before: Points, after: Points) -> Matrix:
    """Return the (2, 3) map by shift, turn and scale that best (least squares) brings points to others.

    Args:
        before: (n, 2); of none the map is the identity, of one a shift.
        after: (n, 2).
    """
    if not len(before):
        return np.eye(2, 3)
    old, new = before.mean(axis=0), after.mean(axis=0)
    # As complex numbers, turn and scale are one factor.
    x, y = (before - old) @ (1.0, 1j), (after - new) @ (1.0, 1j)
    spread = float((x * x.conj()).real.sum())
    factor = complex(x.conj() @ y) / spread if spread > 1e-9 else complex(1.0)
    turn = np.array([[factor.real, -factor.imag], [factor.imag, factor.real]])
    return np.column_stack([turn, new - turn @ old])


def align_keypoints(keypoints: Points) -> Alignment:
    """Return the face crop of keypoints whose eyes and mouth are known."""
    right_eye, left_eye, mouth = ((float(x), float(y)) for x, y in keypoints[:3])
    return align(right_eye, left_eye, mouth)
