"""Lipstick: both lips, never the teeth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from realtime.effects.effect import Colour
from realtime.effects.paint import blend
from realtime.effects.patch import EDGE_RADIUS, FINE_DETAIL, Patch
from realtime.effects.tone import Lab, lab_of, ramp, statistics, to_lab, to_rgb
from realtime.frames import Image, ParsedFace, Plane

LIPS = ("u_lip", "l_lip")
# Below so much of alpha, in pixels of the image, there is nothing to measure a mean on.
LEAST_AREA = 8.0
# Share of the way to a darker and to a lighter colour's lightness: paint must not glow in a dim room.
DARKEN, LIGHTEN = 0.8, 0.3
# Share of the lips' own variation in hue and chroma that stays.
OWN_CHROMA = 0.6
# Gloss at which the lips shine as much as before.
AS_IT_IS = 0.4


@dataclass(frozen=True)
class Lips:
    """Recolour the lips.

    Attributes:
        color: RGB.
        strength: 0 to 1.
        gloss: 0 is matte, 0.4 leaves the shine as it is, 1 adds much.
    """

    color: Colour = (179, 18, 63)
    strength: float = 0.7
    gloss: float = 0.4

    def apply(self, image: Image, faces: Sequence[ParsedFace]) -> None:
        """See `Effect.apply`."""
        for face in faces if self.strength > 0.0 else ():
            plane = face.paint_plane(LIPS)
            patch = Patch.around(image, face, plane, margin=EDGE_RADIUS, detail=FINE_DETAIL)
            if patch is None:
                continue
            alpha = patch.refined(plane)
            lab = to_lab(patch.pixels)
            alpha *= 1.0 - _teeth(lab, alpha, patch.enlarge(patch.sample(face.paint_plane("mouth"))))
            if float(alpha.sum()) > LEAST_AREA:
                blend(patch.pixels, alpha, to_rgb(self._painted(lab, alpha)), self.strength)

    def _painted(self, lab: Lab, alpha: Plane) -> Lab:
        light, *chroma = lab
        mean, deviation = statistics(light, alpha)
        goal, *aims = lab_of(self.color)
        reached = mean + (DARKEN if goal < mean else LIGHTEN) * (goal - mean)
        # A colour that is not given all its light isn't given all its chroma either.
        dim = min(1.0, reached / max(goal, 1.0))
        # What reflects the lamp lies over the colour: it takes less of it.
        shine = 0.6 * ramp(light, mean + 1.5 * deviation, mean + 3.5 * deviation + 4.0)
        painted = light + (reached - mean) * (1.0 - shine) + self._gloss(light)
        tinted = []
        for plane, aim in zip(chroma, aims, strict=True):
            colour = (dim * aim - OWN_CHROMA * statistics(plane, alpha)[0]) + OWN_CHROMA * plane
            tinted.append(colour + 0.7 * shine * (plane - colour))
        return Lab(painted, *tinted)

    def _gloss(self, light: Plane) -> Plane:
        """Return what is added to lightness: ridges that already shine gain or lose."""
        gain = self.gloss - AS_IT_IS
        reach = 2 * max(1, round(0.15 * min(light.shape))) + 1
        ridges = np.maximum(light - cv2.blur(light, (reach, reach)), 0.0)
        return np.asarray(ridges * (2.0 * gain if gain > 0.0 else 1.1 * gain), np.float32)


def _teeth(lab: Lab, alpha: Plane, mouth: Plane) -> Plane:
    """Return how surely each pixel is a tooth that the lips' alpha took in: pale, and by the open mouth."""
    if not mouth.any() or float(alpha.sum()) <= LEAST_AREA:
        return np.zeros_like(alpha)
    red, _ = statistics(lab.a, alpha)
    reach = 2 * max(1, round(0.12 * alpha.shape[0])) + 1
    near = cv2.blur(mouth, (reach, reach))
    pale = ramp(lab.a, 0.75 * red, 0.4 * red)
    return np.asarray(pale * np.minimum(1.0, 3.0 * near), np.float32)
