"""Hair dye: strands stay, black hair can turn blonde and blonde black."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import cv2
import numpy as np
import numpy.typing as npt

from realtime.effects.effect import Colour, Shades
from realtime.effects.geometry import without_specks
from realtime.effects.light import brightness
from realtime.effects.paint import blend
from realtime.effects.patch import EDGE_RADIUS, Patch
from realtime.effects.tone import grey_lightness, lab_of, ramp, rgb_table, statistics
from realtime.frames import Image, ParsedFace, Plane
from realtime.frames.letterbox import inside_bars

Shading = npt.NDArray[np.float64]

# Pixels of the reduced picture over a face's crop.
DETAIL = 128.0
LEAST_AREA = 8.0
# Share of the way to the colour's lightness.
REACH = 0.9
# Bounds of the change of contrast between strands.
CONTRAST = (0.4, 1.9)
# How many times the contrast of the darker strands may be that of the lighter ones, and the reverse.
UNLIKE = 1.5
# Least and greatest share of the hair's pixels that shades stand for.
SHARES = (0.1, 0.9)
# L* that shades lie between.
LIMITS = (3.0, 95.0)
# L* below and above which shades bend towards black and white.
BENDS = (6.0, 90.0)
# Chroma falls with the light by this power.
FADING = 0.8
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
        shades: RGB of the strands from dark to light: the hair takes on their spread of lightness and of
            chroma about `color`, as far as its own strands allow; None: as its own strands vary.
    """

    color: Colour = (106, 44, 112)
    strength: float = 0.7
    tips: Colour | None = None
    highlights: float = 0.0
    shades: Shades | None = None

    def apply(self, image: Image, faces: Sequence[ParsedFace]) -> None:
        """See `Effect.apply`."""
        if self.strength <= 0.0 or not faces:
            return
        picture = inside_bars(image)
        for face in faces:
            found = find_hair(image, face)
            if found is not None:
                self._dye(image, *found, picture)

    def _dye(self, image: Image, patch: Patch, plane: Plane, picture: tuple[slice, slice]) -> None:
        small_alpha = patch.sample(plane)
        if float(small_alpha.sum()) < LEAST_AREA:
            return
        grey = patch.small_grey
        mean, deviation = statistics(grey_lightness()[grey], small_alpha)
        dim = brightness(patch.face, image)
        alpha = patch.refined(plane)
        if self._lightens(mean):
            alpha *= self._no_halo(patch, small_alpha, mean, deviation)
        _clear_bars(alpha, patch, picture)
        table = partial(self._table, mean=mean, deviation=deviation, dim=dim)
        if self.shades is not None:
            own = quantiles(grey, small_alpha, len(self.shades))
            table = partial(self._shaded, shades=self.shades, own=own, dim=dim)
        painted = cv2.applyColorMap(patch.grey, table(self.color))
        if self.tips is not None:
            ends = cv2.applyColorMap(patch.grey, table(self.tips))
            share = patch.enlarge(towards_tips(patch, plane))
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
        dyed = self._lightened(dyed, streak, dim)
        # Darker strands of one dye have less chroma; what shines has the lamp's colour more than the dye's.
        share = np.minimum(1.15, (dyed / max(goal, 8.0)) ** 0.8)
        shine = ramp(light, mean + 2.5 * deviation + 2.0, mean + 5.0 * deviation + 6.0)
        share = share * (1.0 - 0.5 * shine) * (1.0 - 0.3 * self.highlights * streak)
        a, b = (value * share for value in chroma)
        # The shadows of warm colours are brown, not olive.
        a = a + WARM_SHADOWS * np.clip(b / max(abs(chroma[1]), 1.0), 0.0, 1.0) * (goal - dyed).clip(0.0)
        return rgb_table(np.stack([dyed, a, b], axis=1).astype(np.float32))

    def _lightened(self, dyed: Plane, streak: Plane, dim: float) -> Plane:
        return np.asarray(dyed + 0.5 * self.highlights * streak * (92.0 * dim - dyed).clip(0.0), np.float32)

    def _shaded(self, colour: Colour, shades: Shades, own: Plane, dim: float) -> Image:
        """Return the dyed colour of each grey level, (256, 1, 3) uint8 RGB: quantile by quantile.

        Args:
            colour: RGB of the middle.
            shades: what is met.
            own: (n,) L* of the hair's own quantiles.
            dim: see `brightness`.
        """
        light = grey_lightness()
        wanted = _around(np.array([lab_of(shade) for shade in shades]), np.array(lab_of(colour)), dim)
        goals = wanted[:, 0]
        streak = ramp(light, float(own[len(own) // 2]), float(own[-1]) + 2.0)
        dyed = self._lightened(_curve(own, goals), streak, dim)
        # Darker than all of them there is less chroma; what shines has the lamp's colour more than the dye's.
        share = np.minimum(1.0, (dyed / max(float(goals[0]), 3.0)) ** FADING) * dim**FADING
        share = share * (1.0 - 0.5 * ramp(dyed, float(goals[-1]) + 4.0, float(goals[-1]) + 24.0))
        share = share * (1.0 - 0.3 * self.highlights * streak)
        a, b = (np.interp(dyed, goals, plane) * share for plane in wanted[:, 1:].T)
        return rgb_table(np.stack([dyed, a, b], axis=1).astype(np.float32))


def _around(shades: Shading, colour: Shading, dim: float) -> Shading:
    """Return shades (n, 3) CIELAB whose middle is a colour (3,), with L* as the light has it, ascending.

    Moved to near black or white they are brought together, so that none is clipped.
    """
    moved = shades - shades.mean(axis=0) + colour
    light, (darkest, lightest) = moved[:, 0] * dim, LIMITS
    middle = float(np.clip(light.mean(), darkest + 3.0, lightest - 3.0))
    below, above = light.mean() - light.min(), light.max() - light.mean()
    fit = min(1.0, (middle - darkest) / max(below, 1e-3), (lightest - middle) / max(above, 1e-3))
    light = middle + fit * (light - light.mean())
    moved[:, 0] = np.maximum.accumulate(light + 1e-3 * np.arange(len(light)))
    return np.asarray(moved, np.float64)


def _curve(own: Plane, goals: Shading) -> Plane:
    """Return (256,) float32: the L* that each grey level becomes, so that quantiles meet their goals.

    Args:
        own: (n,) L* of the hair's own quantiles.
        goals: (n,) likewise, wanted.
    """
    # As for one colour: contrast may grow and shrink so much, and not much more on one side.
    slope = float(np.clip((goals[-1] - goals[0]) / (own[-1] - own[0] + 1.0), *CONTRAST))
    steps = np.clip(np.diff(goals), slope / UNLIKE * np.diff(own), slope * UNLIKE * np.diff(own))
    line = np.concatenate([[0.0], np.cumsum(steps)])
    line += goals.mean() - line.mean()
    light, (low, high) = grey_lightness(), BENDS
    dyed = np.interp(light, own, line) + slope * (light - np.clip(light, own[0], own[-1]))
    # Nothing is clipped, so that no strand is lost: near black and white it bends.
    dyed = np.where(dyed < low, low * np.exp(np.minimum(dyed - low, 0.0) / low), dyed)
    over = np.maximum(dyed - high, 0.0) / (100.0 - high)
    dyed = np.where(over > 0.0, 100.0 - (100.0 - high) * np.exp(-over), dyed).astype(np.float32)
    # Bends between the quantiles are no edges.
    smooth = cv2.GaussianBlur(dyed[:, None], (1, 0), 0.0, sigmaY=3.0, borderType=cv2.BORDER_REPLICATE)
    return np.asarray(smooth[:, 0], np.float32)


def find_hair(image: Image, face: ParsedFace) -> tuple[Patch, Plane] | None:
    """Return the patch of a face's hair and its plane (P, P) in crop coordinates; None without any."""
    plane = without_specks(face.paint_plane("hair"))
    patch = Patch.around(image, face, plane, margin=EDGE_RADIUS, detail=DETAIL)
    return None if patch is None else (patch, plane)


def quantiles(grey: Image, alpha: Plane, count: int) -> Plane:
    """Return (count,) float32: L* at even shares of a part's pixels, from `SHARES`' first to its last.

    Args:
        grey: (h, w) uint8.
        alpha: (h, w) float32, whose sum is above 0.
        count: how many.
    """
    weights = np.bincount(grey.ravel(), weights=alpha.ravel(), minlength=256)
    sums = np.cumsum(weights) - 0.5 * weights
    levels = np.interp(np.linspace(*SHARES, count) * float(weights.sum()), sums, np.arange(256))
    return np.asarray(np.interp(levels, np.arange(256), grey_lightness()), np.float32)


def _clear_bars(alpha: Plane, patch: Patch, picture: tuple[slice, slice]) -> None:
    rows, columns = picture
    alpha[: max(0, rows.start - patch.rows.start)] = 0.0
    alpha[max(0, rows.stop - patch.rows.start) :] = 0.0
    alpha[:, : max(0, columns.start - patch.columns.start)] = 0.0
    alpha[:, max(0, columns.stop - patch.columns.start) :] = 0.0


def towards_tips(patch: Patch, plane: Plane) -> Plane:
    """Return (sh, sw) float32: 0 at the roots, 1 at the ends, down the face."""
    weight = plane.sum(axis=1)
    whole = np.cumsum(weight) / weight.sum()
    roots, ends = (float(np.searchsorted(whole, share)) for share in (0.25, 0.92))
    down = np.arange(plane.shape[0], dtype=np.float32)
    line = ramp(down, roots, max(ends, roots + 4.0))
    return patch.sample(np.repeat(line[:, None], plane.shape[1], axis=1))
