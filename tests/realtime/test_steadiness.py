"""The real detector, engine and weights on the portrait: how still its masks hold."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest

from engines import load_engine
from realtime.faces.detector import FaceDetector
from realtime.faces.keypoints import align_keypoints, detected_keypoints
from realtime.faces.parsing import parse_crops
from realtime.faces.propagation import PROPAGATION
from realtime.faces.smoothing import STRENGTH
from realtime.faces.tracker import FaceTracker
from realtime.frames import Frame, Image
from realtime.frames.halvings import Halvings

pytestmark = pytest.mark.timeout(60)


def changed(labels: list[Image]) -> float:
    """Return how many pixels change their label from frame to frame."""
    return float(np.mean([(one != other).sum() for one, other in pairwise(labels)]))


def test_a_still_picture_with_sensor_noise_flickers_60_percent_less(portrait: Image) -> None:
    rng = np.random.default_rng(0)
    noisy = [
        np.clip(portrait + rng.normal(0.0, 5.0, portrait.shape), 0, 255).astype(np.uint8) for _ in range(16)
    ]
    frames = [Frame(image, index, Fraction(index, 30), 0.0) for index, image in enumerate(noisy)]
    engine, _ = load_engine()
    detector = FaceDetector()
    try:
        plain = []
        for image in noisy:
            found = detector.detect(image)[0]
            (face,), _ = parse_crops(
                Halvings(image), [found], [align_keypoints(detected_keypoints(found))], engine
            )
            plain.append(face.label_map())
        shown = {}
        none, smooth, shipped = (0.0, 0.0), (0.75, 0.0), (STRENGTH, PROPAGATION)
        for smoothing, propagation in (none, smooth, shipped):
            tracker = FaceTracker(detector, engine, smoothing=smoothing, propagation=propagation)
            shown[smoothing, propagation] = [tracker.update(frame).faces[0].label_map() for frame in frames]
    finally:
        detector.close()
        engine.close()
    assert changed(shown[none][4:]) < changed(plain), "a crop that rests is steadier already"
    for setting in (smooth, shipped):
        assert changed(shown[setting][4:]) < 0.4 * changed(shown[none][4:])
        whole = (plain[-1] == shown[setting][-1]).mean()
        assert whole > 0.98, "and the mask is the same"
