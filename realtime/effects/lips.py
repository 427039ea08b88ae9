"""Lipstick: both lips, never the teeth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from realtime.effects.effect import Colour
from realtime.effects.light import brightness
from realtime.effects.paint import blend
from realtime.effects.patch import find_small
from realtime.effects.tone import Lab, lab_of, ramp, statistics, to_rgb
from realtime.frames import Image, ParsedFace, Plane

LIPS = ("u_lip", "l_lip")
# Below so much of alpha, in pixels of the image, there is nothing to measure a mean on.
LEAST_AREA = 8.0
# Share of the way to a darker and to a lighter colour's lightness: paint must not glow in a dim room.
DARKEN, LIGHTEN = 0.8, 0.3
# L* of one step of `contrast`, and how much the lips' own may become.
CONTRAST, CONTRASTS = 20.0, (0.75, 1.4)
# Share of the lips' own variation in hue and chroma that stays.
OWN_CHROMA = 0.6
# Alpha from which there is no skin in a pixel of the lips.
SURE = 0.95
# Gloss at which the lips shine as much as before.
AS_IT_IS = 0.4


@dataclass(frozen=True)
class Lips:
    """Recolour the lips.

    Attributes:
        color: RGB.
        strength: 0 to 1.
        gloss: 0 is matte, 0.4 leaves the shine as it is, 1 adds much.
        cover: 0 tints, so that the lips' own lightness shows through; 1 is opaque: they become as light as
            the colour, in the light of the scene.
        contrast: spread of their lightness, its standard deviation in L* over 20, 0 to 1; None: their own.
    """

    color: Colour = (179, 18, 63)
    strength: float = 0.7
    gloss: float = 0.4
    cover: float = 0.0
    contrast: float | None = None

    def apply(self, image: Image, faces: Sequence[ParsedFace]) -> None:
        """See `Effect.apply`."""
        for face in faces if self.strength > 0.0 else ():
            found = find_lips(image, face)
            if found is not None:
                pixels, lab, alpha = found
                lit = brightness(face, image) if self.cover > 0.0 else 1.0
                blend(pixels, alpha, to_rgb(self._painted(lab, alpha, lit)), self.strength)

    def _painted(self, lab: Lab, alpha: Plane, lit: float) -> Lab:
        light, *chroma = lab
        mean, deviation = statistics(light, alpha)
        if self.cover > 0.0:
            # The colour is that of the lips' middle: what their edge mixes with is not painted as much.
            alpha = middle(light, alpha)
            mean = statistics(light, alpha)[0]
        goal, *aims = lab_of(self.color)
        way = DARKEN if goal < mean else LIGHTEN
        reached = mean + way * (goal - mean)
        reached += self.cover * (lit * goal - reached)
        # A colour that is not given all its light isn't given all its chroma either.
        dim = min(1.0, reached / max(goal, 1.0))
        shine = shining(light, mean, deviation)
        painted = light + (reached - mean) * (1.0 - shine) + self._gloss(light)
        if self.contrast is not None:
            gain = float(np.clip(self.contrast * CONTRAST / max(deviation, 1.0), *CONTRASTS))
            painted = painted + ((gain - 1.0) * (light - mean)) * (1.0 - shine)
        tinted = []
        for plane, aim in zip(chroma, aims, strict=True):
            colour = (dim * aim - OWN_CHROMA * statistics(plane, alpha)[0]) + OWN_CHROMA * plane
            tinted.append(colour + 0.7 * shine * (plane - colour))
        return Lab(painted, *tinted)

    def _gloss(self, light: Plane) -> Plane:
        """Return what is added to lightness: ridges that already shine gain or lose."""
        gain = self.gloss - AS_IT_IS
        return ridges(light) * np.float32(2.0 * gain if gain > 0.0 else 1.1 * gain)


def find_lips(image: Image, face: ParsedFace) -> tuple[Image, Lab, Plane] | None:
    """Return the pixels around a face's lips, a view of the image, their CIELAB and the lips' alpha.

    Returns:
        (h, w, 3) uint8 RGB, a picture as large, and (h, w) float32, 0 to 1; None where they are not seen.
    """
    found = find_small(image, face, face.paint_plane(LIPS))
    if found is None:
        return None
    patch, lab, alpha = found
    alpha *= 1.0 - _teeth(lab, alpha, patch.enlarge(patch.sample(face.paint_plane("mouth"))))
    return (patch.pixels, lab, alpha) if float(alpha.sum()) > LEAST_AREA else None


def middle(light: Plane, alpha: Plane) -> Plane:
    """Return an alpha without the lips' edge, where skin shows through, and what reflects the lamp."""
    sure = np.where(alpha > SURE, alpha, np.float32(0.05) * alpha)
    sure[shining(light, *statistics(light, alpha)) > 0.05] = 0.0
    return np.asarray(sure, np.float32)


def ridges(light: Plane) -> Plane:
    """Return how much lighter than what is around it each pixel of the lips is, L*."""
    reach = 2 * max(1, round(0.15 * min(light.shape))) + 1
    return np.asarray(np.maximum(light - cv2.blur(light, (reach, reach)), 0.0), np.float32)


def shining(light: Plane, mean: float, deviation: float) -> Plane:
    """Return how much of each pixel reflects the lamp, 0 to 0.6: that much less of a colour is seen there."""
    return np.float32(0.6) * ramp(light, mean + 1.5 * deviation, mean + 3.5 * deviation + 4.0)


def _teeth(lab: Lab, alpha: Plane, mouth: Plane) -> Plane:
    """Return how surely each pixel is a tooth that the lips' alpha took in: pale, and by the open mouth."""
    if not mouth.any() or float(alpha.sum()) <= LEAST_AREA:
        return np.zeros_like(alpha)
    red, _ = statistics(lab.a, alpha)
    reach = 2 * max(1, round(0.12 * alpha.shape[0])) + 1
    near = cv2.blur(mouth, (reach, reach))
    pale = ramp(lab.a, 0.75 * red, 0.4 * red)
    return np.asarray(pale * np.minimum(1.0, 3.0 * near), np.float32)
