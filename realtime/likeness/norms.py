"""What faces look like that nobody painted for us, and from where on something is make-up.

From 239 training faces of CelebAMask-HQ, by `python -m benchmarks likeness --norms`: medians, and ramps
between percentiles. Those faces were photographed for the press, and many are made up: evidence begins
where one in ten has more, of lips where two in ten have. The ramps of lips and lids were set once more on 60
photos of val, painted by the shipped presets.
"""

from __future__ import annotations

from typing import NamedTuple


class Ramp(NamedTuple):
    """Evidence from a score: none below `start`, all of it from `full` on; falls where `full` is lower."""

    start: float
    full: float

    def of(self, score: float) -> float:
        """Return the evidence, 0 to 1, with a soft beginning and end."""
        share = min(1.0, max(0.0, (score - self.start) / (self.full - self.start)))
        return share * share * (3.0 - 2.0 * share)


# L*, a*, b* against the skin's: mean of what is natural; a* gained for each L* of the skin above that of
# `LIPS_LIGHT`; how far from all that is not yet unusual, and steps from there on.
LIPS, LIPS_REDDER, LIPS_FREE, LIPS_STEP = (-15.0, 12.5, -3.5), 0.3, (30.0, 6.0, 12.0), (8.0, 6.0, 4.0)
LIPS_LIGHT = 65.0
LIPS_SCORE = Ramp(0.3, 0.75)
# Ridges' mean over the deviation of L*: matte, usual and wet.
GLOSS_MATTE, GLOSS_WET = Ramp(0.07, 0.03), Ramp(0.3, 0.45)

LID, CREASE = (-31.0, -4.5, -7.5), (-21.5, -2.5, -5.0)
LID_STEP = (14.0, 4.6, 5.2)
LID_SCORE = Ramp(2.45, 3.6)

LINE_SCORE, WING_SCORE = Ramp(0.83, 0.92), Ramp(0.55, 0.75)

BLUSH = (7.5, 2.7, 1.5)
BLUSH_SCORE = Ramp(4.5, 6.5)

# Brows' L* over the skin's.
BROW_SCORE = Ramp(0.345, 0.25)

# How much bluer, greener or more colourful than nine irises in ten.
IRIS_BROWN, IRIS_STEP, IRIS_CHROMA = (-0.3, -3.0), 3.0, 21.0
IRIS_SCORE = Ramp(0.3, 1.6)

SMOOTH_SCORE = Ramp(0.69, 0.62)

# Difference in a* and b* from which roots and tips of hair are of two colours.
TWO_TONED = 14.0
LEAST_HAIR = 0.02

# Skin around the mouth so much darker than the cheeks is a beard.
BEARD = 18.0

# White of the eye and skin, a* and b*; how much they differ between people in one light, and between lights.
SCLERA, SKIN = (4.7, 5.0), (16.0, 21.0)
SCLERA_DEVIATION, SKIN_DEVIATION, CAST_DEVIATION = 5.0, 6.0, 8.0
CAST = Ramp(6.0, 12.0)

# a* and b* of a photograph in black and white, at most, mean over its face.
GREY = 3.0


def lips_redder(skin: float) -> float:
    """Return by how much more a* lips differ from a skin of this L* than from one of `LIPS_LIGHT`."""
    return LIPS_REDDER * (skin - LIPS_LIGHT)
