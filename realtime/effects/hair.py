"""Hair dye: strands stay, black hair can turn blonde and blonde black."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from realtime.effects.effect import Colour
from realtime.effects.geometry import without_specks
from realtime.effects.paint import blend, inside_bars
from realtime.effects.patch import EDGE_RADIUS, Patch
from realtime.effects.tone import grey_lightness, lab_of, ramp, rgb_table, statistics
from realtime.frames import Image, ParsedFace, Plane

# Pixels of the reduced picture over a face's crop.
DETAIL = 128.0
LEAST_AREA = 8.0
# Share of the way to the colour's lightness.
REACH = 0.9
# Bounds of the change of contrast between strands.
CONTRAST = (0.4, 1.9)
# How many times the contrast of the darker strands may be that of the lighter ones, and the reverse.
UNLIKE = 1.5
# L* of the lightest tenth of a well lit face crop: colours are dimmed as the scene is.
WELL_LIT = 70.0
LEAST_LIGHT = 0.3

# a* gained for each L* that a strand of a warm colour is darker than the colour itself.
WARM_SHADOWS = 0.15


@dataclass(frozen=True)
class Hair:
    """Dye the hair.

    Attributes:
        color: RGB, of the hair's mean; strands are lighter and darker around it.
        strength: 0 to 1.
        tips: RGB of the ends, to which the colour runs from the roots; None for one colour.
        highlights: lightens the strands that are light already, 0 to 1.
    """

    color: Colour = (106, 44, 112)
    strength: float = 0.7
    tips: Colour | None = None
    highlights: float = 0.0

    def apply(self, image: Image, faces: Sequence[ParsedFace]) -> None:
        """See `Effect.apply`."""
        if self.strength <= 0.0 or not faces:
            return
        picture = inside_bars(image)
        for face in faces:
            plane = without_specks(face.paint_plane("hair"))
            patch = Patch.around(image, face, plane, margin=EDGE_RADIUS, detail=DETAIL)
            if patch is not None:
                self._dye(image, patch, plane, picture)

    def _dye(self, image: Image, patch: Patch, plane: Plane, picture: tuple[slice, slice]) -> None:
        small_alpha = patch.sample(plane)
        if float(small_alpha.sum()) < LEAST_AREA:
            return
        lightness = grey_lightness()[cv2.cvtColor(patch.small, cv2.COLOR_RGB2GRAY)]
        mean, deviation = statistics(lightness, small_alpha)
        dim = min(1.0, max(LEAST_LIGHT, _light(patch.face, image) / WELL_LIT))
        alpha = patch.refined(plane)
        if self._lightens(mean):
            alpha *= self._no_halo(patch, small_alpha, mean, deviation)
        _clear_bars(alpha, patch, picture)
        painted = cv2.applyColorMap(patch.grey, self._table(self.color, mean, deviation, dim))
        if self.tips is not None:
            ends = cv2.applyColorMap(patch.grey, self._table(self.tips, mean, deviation, dim))
            share = patch.enlarge(_towards_tips(patch, plane))
            painted = cv2.blendLinear(ends, painted, share, 1.0 - share)
        blend(patch.pixels, alpha, np.asarray(painted, np.uint8), self.strength)

    def _lightens(self, mean: float) -> bool:
        return max(lab_of(colour)[0] for colour in (self.color, self.tips or self.color)) > mean

    @staticmethod
    def _no_halo(patch: Patch, alpha: Plane, mean: float, deviation: float) -> Plane:
        """Return (h, w) weights that leave out the light wall or forehead that dark hair's edge takes in."""
        inner = patch.enlarge(ramp(np.asarray(cv2.blur(alpha, (5, 5)), np.float32), 0.75, 1.0))
        light = ramp(grey_lightness(), mean + deviation + 2.0, mean + 2.0 * deviation + 6.0)
        foreign = cv2.LUT(patch.grey, light)
        return np.asarray(1.0 - foreign * (1.0 - inner), np.float32)

    def _table(self, colour: Colour, mean: float, deviation: float, dim: float) -> Image:
        """Return the dyed colour of each grey level: (256, 1, 3) uint8 RGB."""
        light, (goal, *chroma) = grey_lightness(), lab_of(colour)
        mean = float(np.clip(mean, 3.0, 97.0))
        reached = float(np.clip(mean + REACH * (goal * dim - mean), 8.0, 92.0))
        # So much that most strands find room between black and white, on either side of the mean.
        spread, wanted = 2.5 * deviation + 1.0, np.sqrt(reached / mean)
        down = float(np.clip(min(wanted, 0.75 * reached / spread), *CONTRAST))
        up = float(np.clip(min(wanted, (97.0 - reached) / spread), *CONTRAST))
        # A bend at the mean gives depth, a sharp one another texture.
        down, up = min(down, UNLIKE * up), min(up, UNLIKE * down)
        # Straight where there is room, else bent: nothing is clipped, so that no strand is lost.
        below, above = np.minimum(light, mean), np.maximum(light - mean, 0.0)
        power = down * mean / reached
        darker = np.maximum(reached * (below / mean) ** power, reached + down * (below - mean))
        bend = up * (100.0 - mean) / (100.0 - reached)
        lighter = (100.0 - reached) * (1.0 - (1.0 - above / (100.0 - mean)).clip(0.0) ** bend)
        dyed = darker + np.minimum(lighter, up * above)
        streak = ramp(light, mean, mean + 1.5 * deviation + 2.0)
        dyed = dyed + 0.5 * self.highlights * streak * (92.0 * dim - dyed).clip(0.0)
        # Darker strands of one dye have less chroma; what shines has the lamp's colour more than the dye's.
        share = np.minimum(1.15, (dyed / max(goal, 8.0)) ** 0.8)
        shine = ramp(light, mean + 2.5 * deviation + 2.0, mean + 5.0 * deviation + 6.0)
        share = share * (1.0 - 0.5 * shine) * (1.0 - 0.3 * self.highlights * streak)
        a, b = (value * share for value in chroma)
        # The shadows of warm colours are brown, not olive.
        a = a + WARM_SHADOWS * np.clip(b / max(abs(chroma[1]), 1.0), 0.0, 1.0) * (goal - dyed).clip(0.0)
        return rgb_table(np.stack([dyed, a, b], axis=1).astype(np.float32))


def _light(face: ParsedFace, image: Image) -> float:
    """Return how light the face's surroundings are: L* of their lightest tenth."""
    rows, columns = face.alignment.region(face.image_size)
    step = max(1, round(face.alignment.side / 32.0))
    few = np.ascontiguousarray(image[rows, columns][::step, ::step])
    return float(np.percentile(grey_lightness()[cv2.cvtColor(few, cv2.COLOR_RGB2GRAY)], 90))


def _clear_bars(alpha: Plane, patch: Patch, picture: tuple[slice, slice]) -> None:
    rows, columns = picture
    alpha[: max(0, rows.start - patch.rows.start)] = 0.0
    alpha[max(0, rows.stop - patch.rows.start) :] = 0.0
    alpha[:, : max(0, columns.start - patch.columns.start)] = 0.0
    alpha[:, max(0, columns.stop - patch.columns.start) :] = 0.0


def _towards_tips(patch: Patch, plane: Plane) -> Plane:
    """Return (sh, sw) float32: 0 at the roots, 1 at the ends, down the face."""
    weight = plane.sum(axis=1)
    whole = np.cumsum(weight) / weight.sum()
    roots, ends = (float(np.searchsorted(whole, share)) for share in (0.25, 0.92))
    down = np.arange(plane.shape[0], dtype=np.float32)
    line = ramp(down, roots, max(ends, roots + 4.0))
    return patch.sample(np.repeat(line[:, None], plane.shape[1], axis=1))
