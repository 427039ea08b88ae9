"""Whiter teeth, where the mouth shows them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from realtime.effects.paint import blend
from realtime.effects.patch import EDGE_RADIUS, FINE_DETAIL, Patch
from realtime.effects.tone import Lab, ramp, to_lab, to_rgb
from realtime.frames import Image, ParsedFace, Plane

LEAST_AREA = 8.0


@dataclass(frozen=True)
class Teeth:
    """Take the yellow out of the teeth and lighten them a little.

    Attributes:
        strength: 0 to 1.
    """

    strength: float = 0.6

    def apply(self, image: Image, faces: Sequence[ParsedFace]) -> None:
        """See `Effect.apply`."""
        for face in faces if self.strength > 0.0 else ():
            plane = face.paint_plane("mouth")
            patch = Patch.around(image, face, plane, margin=EDGE_RADIUS / 2.0, detail=FINE_DETAIL)
            if patch is None:
                continue
            alpha = patch.refined(plane)
            if float(alpha.sum()) < LEAST_AREA:
                continue
            light, a, b = lab = to_lab(patch.pixels)
            alpha = alpha * _tooth(lab, alpha)
            paler = b - 0.75 * np.maximum(b - 1.0, 0.0)
            painted = Lab(light + 0.18 * np.maximum(96.0 - light, 0.0), 0.85 * a, paler)
            blend(patch.pixels, alpha, to_rgb(painted), self.strength)


def _tooth(lab: Lab, alpha: Plane) -> Plane:
    """Return how surely each pixel is a tooth: light for this mouth, and neither gum nor tongue."""
    light, red, _ = lab
    inside = light[alpha > 0.5]
    top = float(np.percentile(inside, 90)) if inside.size else 100.0
    # In a mouth that is dark throughout there are no teeth to see.
    lit = min(1.0, max(0.0, (top - 25.0) / 15.0))
    return np.asarray(lit * ramp(light, 0.5 * top, 0.75 * top) * ramp(red, 22.0, 14.0), np.float32)
