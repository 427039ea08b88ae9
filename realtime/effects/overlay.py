"""Coloured parts with a legend: what the parser sees."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from realtime.effects.effect import Colour
from realtime.effects.paint import lay_over
from realtime.frames import Image, ParsedFace, Plane
from stn_icnn.labels import PALETTE, legend

# A class is in the legend from this share of a face crop, or of the head's square, on.
SHOWN = 1.0 / 2000.0


@dataclass(frozen=True)
class Overlay:
    """Paint each part in its colour.

    Attributes:
        strength: 0 to 1.
        legend: list the parts' names and colours in the corner.
    """

    strength: float = 0.6
    legend: bool = True

    def apply(self, image: Image, faces: Sequence[ParsedFace]) -> None:
        """See `Effect.apply`."""
        shown: set[int] = set()
        # The smallest first, so that the nearest face lies on top.
        for face in reversed(faces):
            shown |= self._paint(image, face)
        if self.legend and shown:
            _draw_legend(image, sorted(shown))

    def _paint(self, image: Image, face: ParsedFace) -> set[int]:
        warped = face.warp(self._picture(face))
        if warped is not None:
            lay_over(image[warped[1]], warped[0])
        shown: set[int] = set()
        # Every second pixel tells as well.
        step = max(1, face.probabilities.shape[-1] // 72)
        for planes in (face.probabilities[:, ::step, ::step], face.head):
            if planes is not None:
                share = (planes > 0.5).mean(axis=(1, 2))
                shown |= {i for i, part in zip(face.classes, share, strict=True) if i and part > SHOWN}
        return shown

    def _picture(self, face: ParsedFace) -> Image:
        """Return the parts' colours times their opacity, (P, P, 4) uint8 in crop coordinates."""
        mixed = self._mixed(face.probabilities, face.classes)
        if face.head is not None:
            outer = self._mixed(face.head, face.classes)
            mixed = face.joined(mixed, outer)
        return np.asarray(mixed * face.faded(np.ones(mixed.shape[:2], np.float32))[..., None], np.uint8)

    def _mixed(self, probabilities: Plane, class_ids: Sequence[int]) -> Plane:
        channels, side = probabilities.shape[:2]
        # The cube makes the mix of colours at an edge narrow and still soft.
        weights = probabilities * probabilities * probabilities
        weights *= np.float32(255.0 * self.strength) / weights.sum(axis=0)
        classes = np.array(class_ids)
        # The palette's background is black.
        mix = np.column_stack([PALETTE[classes] / 255.0, classes != 0]).astype(np.float32)
        return np.asarray(weights.reshape(channels, -1).T @ mix, np.float32).reshape(side, side, 4)


def _draw_legend(image: Image, class_ids: Sequence[int]) -> None:
    unit = max(10, image.shape[0] // 40)
    font, scale = cv2.FONT_HERSHEY_SIMPLEX, unit / 26.0
    width = max(cv2.getTextSize(legend(i), font, scale, 1)[0][0] for i in class_ids) + 2 * unit
    panel = image[: unit * (len(class_ids) + 1), : width + unit]
    panel[:] = panel // 3
    for line, class_id in enumerate(class_ids):
        y = unit // 2 + line * unit
        colour: Colour = tuple(int(value) for value in PALETTE[class_id])  # type: ignore[assignment]
        cv2.rectangle(image, (unit // 2, y + 1), (unit // 2 + unit, y + unit - 2), colour, -1)
        place = (2 * unit, y + unit - unit // 5)
        cv2.putText(image, legend(class_id), place, font, scale, (255, 255, 255), 1, cv2.LINE_AA)
