"""A crop that is steady over time, without lag: One-Euro for its place, its side and its roll.

Nothing here delays: a crop that is a little off its face is still parsed from the newest frame.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from realtime.frames.geometry import Alignment

# Largest move of a crop's corner, in sides, for which the crop stays where it was.
_HOLD = 0.008


class OneEuro:
    """The One-Euro filter: steady at rest, quick in motion.

    Source: Casiez, Roussel, Vogel, "1 euro filter", CHI 2012.

    Args:
        min_cutoff: cut-off frequency at rest in Hz; lower is steadier.
        beta: by how many Hz the cut-off rises for each unit of speed.
        derivative_cutoff: of the speed's own low-pass, Hz.
    """

    def __init__(self, min_cutoff: float = 0.8, beta: float = 12.0, derivative_cutoff: float = 2.0) -> None:
        self.min_cutoff, self.beta, self.derivative_cutoff = min_cutoff, beta, derivative_cutoff
        self._value: npt.NDArray[np.float64] | None = None
        self._speed = np.zeros(1)

    def __call__(
        self, value: npt.NDArray[np.float64], seconds: float, unit: float = 1.0
    ) -> npt.NDArray[np.float64]:
        """Return the filtered value.

        Args:
            value: (n,) any unit.
            seconds: since the last value.
            unit: what one unit of speed is measured in, in units of `value` a second.
        """
        if self._value is None or seconds <= 0.0:
            self._value, self._speed = value.copy(), np.zeros_like(value)
            return value
        speed = (value - self._value) / seconds
        self._speed = self._speed + _share(self.derivative_cutoff, seconds) * (speed - self._speed)
        cutoff = self.min_cutoff + self.beta * float(np.abs(self._speed).max()) / unit
        self._value = self._value + _share(cutoff, seconds) * (value - self._value)
        return self._value


def _share(cutoff: float, seconds: float) -> float:
    """Return the weight of the new value in a low-pass of first order."""
    return 1.0 / (1.0 + 1.0 / (2.0 * math.pi * cutoff * seconds))


class CropSmoother:
    """Steadies one face's crop; a face at rest keeps its very crop, so that nothing is resampled."""

    def __init__(self) -> None:
        self._filter = OneEuro()
        self._crop: Alignment | None = None

    def __call__(self, wanted: Alignment, seconds: float) -> Alignment:
        """Return the crop to use for a frame, `seconds` after the last one."""
        roll = wanted.roll
        if self._crop is not None:
            # Turns are followed the short way round.
            turns = round((roll - self._crop.roll) / math.tau)
            roll -= turns * math.tau
        value = np.array([*wanted.centre, wanted.side, roll * wanted.side])
        x, y, side, arc = self._filter(value, seconds, wanted.side).tolist()
        smooth = Alignment((x, y), max(side, 1.0), arc / max(side, 1.0))
        if self._crop is None or distance(smooth, self._crop) > _HOLD:
            self._crop = smooth
        return self._crop


def distance(one: Alignment, other: Alignment) -> float:
    """Return the largest distance between two crops' corners, in sides of the first."""
    corners = np.array([[-0.5, -0.5, 1], [1.5, -0.5, 1], [-0.5, 1.5, 1], [1.5, 1.5, 1]])
    moved = corners @ (one.to_image(2) - other.to_image(2)).T
    return float(np.hypot(*moved.T).max()) / one.side
