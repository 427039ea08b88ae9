"""From what was measured to effects: each has evidence, and what has none is left out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import cv2
import numpy as np

from realtime.effects import Effect
from realtime.effects import blush as blushes
from realtime.effects import eyeshadow as eyeshadows
from realtime.effects.blush import Blush
from realtime.effects.brows import Brows
from realtime.effects.effect import Colour
from realtime.effects.eyeliner import Eyeliner
from realtime.effects.eyes import Eyes
from realtime.effects.eyeshadow import Eyeshadow
from realtime.effects.hair import FADING, Hair
from realtime.effects.lips import AS_IT_IS, CONTRAST, Lips
from realtime.effects.skin import Skin
from realtime.likeness import norms
from realtime.likeness.measures import WING, LabColour, Measures

# An effect weaker than this is left out.
LEAST_STRENGTH = 0.05
# How much of the paint lies on what is measured of lids and cheeks.
_LID_COVER, _CHEEK_COVER = 0.7, 0.68
# Lips gain so much more b* than a* at most by paint; in brown light, or in shade, more.
_BROWN = 10.0
# Chroma by which a blush differs from the skin.
_BLUSH_CHROMA = 32.0


@dataclass(frozen=True)
class Light:
    """The light of a photograph.

    Attributes:
        cast: a* and b* that it adds to what is as light as the skin.
        skin: L* of the skin.
        brightness: see `realtime.effects.light.brightness`.
    """

    cast: tuple[float, float]
    skin: float
    brightness: float

    @classmethod
    def of(cls, found: Measures, brightness: float) -> Light:
        """Judge it by the skin and the white of the eyes.

        People differ, and so do lights: the likeliest cast is found by how much each does, and a small one is
        taken for none.
        """
        given = [(found.skin[1:] - norms.SKIN, norms.SKIN_DEVIATION)]
        if found.eyes is not None and found.eyes.sclera is not None:
            given.append((found.eyes.sclera[1:] - norms.SCLERA, norms.SCLERA_DEVIATION))
        weight = norms.CAST_DEVIATION**-2 + sum(deviation**-2 for _, deviation in given)
        cast = sum((shift * deviation**-2 for shift, deviation in given), np.zeros(2)) / weight
        cast = cast * norms.CAST.of(float(np.hypot(*cast)))
        return cls((float(cast[0]), float(cast[1])), float(found.skin[0]), brightness)

    def neutral(self, colour: LabColour) -> LabColour:
        """Return a colour as it is in plain, full light."""
        share = min(1.2, float(colour[0]) / max(self.skin, 1.0))
        shifted = colour - share * np.array([0.0, *self.cast])
        return np.array([shifted[0] / self.brightness, *(shifted[1:] / self.brightness)])


Reader = Callable[[Measures, Light], Effect | None]


def read_lips(found: Measures, light: Light) -> Effect | None:
    """Return the lipstick."""
    lips = found.lips
    if lips is None:
        return None
    apart = lips.colour - found.skin - norms.LIPS
    apart[1] -= norms.lips_redder(float(found.skin[0]))
    darker, redder, yellower = map(float, (-apart[0], apart[1], apart[2]))
    # Bluer, or yellower as far as redder too, as orange is.
    tinted = max(-yellower, min(yellower, redder + _BROWN))
    beyond = (np.array([darker, redder, tinted]) - norms.LIPS_FREE) / norms.LIPS_STEP
    # In a beard's shade they are darker, and less colourful, without paint.
    score = float(beyond[1] if found.beard > norms.BEARD else beyond.max())
    gloss = AS_IT_IS * (1.0 - norms.GLOSS_MATTE.of(lips.shine)) + 0.4 * norms.GLOSS_WET.of(lips.shine)
    return Lips(
        color=rgb(light.neutral(lips.colour)),
        strength=norms.LIPS_SCORE.of(score),
        gloss=round(gloss, 2),
        cover=1.0,
        contrast=round(min(1.0, lips.deviation / CONTRAST), 2),
    )


def read_hair(found: Measures, light: Light) -> Effect | None:
    """Return the hair's colours, painted or not: whose look is wanted is wanted with the hair."""
    hair = found.hair
    if hair is None or hair.area < norms.LEAST_HAIR:
        return None
    plain = [light.neutral(shade) for shade in hair.shades]
    # Less dim than the light, as the effect's colours fade.
    scale = light.brightness ** (1.0 - FADING)
    shades = [np.array([shade[0], *(shade[1:] * scale)]) for shade in plain]
    tips = None if hair.tips is None else rgb(light.neutral(hair.tips))
    middle = rgb(np.mean(shades, axis=0))
    return Hair(color=middle, strength=1.0, tips=tips, shades=tuple(rgb(shade) for shade in shades))


def read_brows(found: Measures, light: Light) -> Effect | None:
    """Return the brows' colour where they are darker than brows are."""
    if found.brows is None:
        return None
    dark = norms.BROW_SCORE.of(float(found.brows[0] / max(found.skin[0], 1.0)))
    return Brows(color=rgb(light.neutral(found.brows)), strength=0.6 * dark)


def read_eyeshadow(found: Measures, light: Light) -> Effect | None:
    """Return the colours of the lids where they differ from the skin as lids don't."""
    if found.eyes is None:
        return None
    strength, colours = 0.0, []
    steps = np.array(norms.LID_STEP)
    for seen, usual in ((found.eyes.lid, norms.LID), (found.eyes.crease, norms.CREASE)):
        own = found.skin + usual
        apart = seen - own
        # Lids lie in the shade: being dark alone counts only where they are very dark.
        beyond = np.array([max(0.0, -apart[0] - 2.0 * steps[0]), *apart[1:]]) / steps
        strength = max(strength, norms.LID_SCORE.of(float(np.linalg.norm(beyond))))
        colours.append((own, apart))
    share = 0.8 * strength
    darken, tint = eyeshadows.REACH
    goals = []
    for own, apart in colours:
        cover = _LID_COVER * max(share, 0.3)
        darker = min(0.0, float(apart[0])) / (darken * cover)
        goals.append(rgb(light.neutral(own + np.array([darker, *(apart[1:] / (tint * cover))]))))
    return Eyeshadow(color=goals[0], strength=share, upper=goals[1])


def read_eyeliner(found: Measures, light: Light) -> Effect | None:
    """Return the line along the lids."""
    if found.eyes is None:
        return None
    strength = 0.85 * norms.LINE_SCORE.of(found.eyes.line)
    wing = WING * norms.WING_SCORE.of(found.eyes.wing)
    return Eyeliner(color=rgb(light.neutral(found.eyes.ink)), strength=strength, wing=round(wing, 2))


def read_blush(found: Measures, light: Light) -> Effect | None:
    """Return the cheeks' colour where they are redder than cheeks are."""
    if found.blush is None or found.beard > norms.BEARD:
        return None
    evidence = norms.BLUSH_SCORE.of(float(found.blush[1] - 0.5 * found.blush[2]))
    apart = found.blush[1:] - norms.BLUSH[1:]
    chroma = max(float(np.hypot(*apart)), 1e-3)
    goal = found.skin + np.array([0.0, *(apart * _BLUSH_CHROMA / chroma)])
    strength = chroma / (blushes.TINT * _CHEEK_COVER * _BLUSH_CHROMA)
    return Blush(color=rgb(light.neutral(goal)), strength=evidence * min(0.8, strength))


def read_eyes(found: Measures, light: Light) -> Effect | None:
    """Return the irises' colour where they are blue, green or unusually colourful."""
    if found.eyes is None or found.eyes.iris is None:
        return None
    iris = light.neutral(found.eyes.iris)
    chroma = float(np.hypot(*iris[1:]))
    beyond = (norms.IRIS_BROWN[0] - iris[1], norms.IRIS_BROWN[1] - iris[2], chroma - norms.IRIS_CHROMA)
    strength = 0.7 * norms.IRIS_SCORE.of(max(beyond) / norms.IRIS_STEP)
    return Eyes(color=rgb(np.array([max(35.0, iris[0]), *(iris[1:] * 1.2)])), strength=strength)


def read_skin(found: Measures, light: Light) -> Effect | None:
    """Return how even the skin is, where it is smoother than skin is."""
    if found.beard > norms.BEARD:
        return None
    return Skin(strength=0.5 * norms.SMOOTH_SCORE.of(found.roughness), even=0.4)


READERS: Mapping[str, Reader] = {
    "skin": read_skin,
    "blush": read_blush,
    "eyeshadow": read_eyeshadow,
    "eyeliner": read_eyeliner,
    "eyes": read_eyes,
    "brows": read_brows,
    "lips": read_lips,
    "hair": read_hair,
}
"""By the effect's name, in the order of painting."""


def rgb(colour: LabColour) -> Colour:
    """Return the sRGB colour, 0 to 255, of CIELAB; with less chroma where RGB has not so much."""
    light = float(np.clip(colour[0], 0.0, 100.0))
    share = 1.0
    while True:
        lab = np.array([[[light, *(share * colour[1:])]]], np.float32)
        value = cv2.cvtColor(lab, cv2.COLOR_LAB2RGB)[0, 0]
        back = cv2.cvtColor(np.clip(value, 0.0, 1.0)[None, None], cv2.COLOR_RGB2LAB)[0, 0]
        if share <= 0.0 or float(np.abs(back - lab[0, 0]).max()) < 1.0:
            red, green, blue = (round(255.0 * float(part)) for part in np.clip(value, 0.0, 1.0))
            return red, green, blue
        share = max(0.0, share - 0.05)
