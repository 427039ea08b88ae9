"""What a face in a photograph looks like, measured where the effects would paint it.

Colours are CIELAB: L* 0 to 100, a* and b* about -128 to 127.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from realtime.effects.brows import BROWS, find_brow
from realtime.effects.eyeliner import find_stroke
from realtime.effects.eyes import find_iris
from realtime.effects.eyeshadow import find_lid
from realtime.effects.geometry import EYES, cheeks, find_eye
from realtime.effects.hair import LEAST_AREA, find_hair, quantiles, towards_tips
from realtime.effects.lips import find_lips, middle, ridges
from realtime.effects.patch import Patch
from realtime.effects.skin import find_skin
from realtime.effects.tone import Lab, grey_lightness, statistics, to_lab
from realtime.frames import Image, ParsedFace, Plane
from realtime.frames.geometry import seen_from
from realtime.likeness.norms import TWO_TONED

LabColour = npt.NDArray[np.float64]
"""(3,) L*, a*, b*."""

# Length of the wing that is looked for, of `Eyeliner.wing`.
WING = 0.6
SHADES = 5
# Where roots end and tips begin, on the way that the effect goes from one to the other; and the share of the
# hair that each must have.
_ROOTS, _TIPS, _LEAST_ENDS = 0.2, 0.95, 0.06
# Smallest share of what is looked at, in pixels, that says anything.
_LEAST = 6.0


@dataclass(frozen=True)
class LipMeasures:
    """Lips.

    Attributes:
        colour: of their middle, without what reflects the lamp.
        deviation: of L*.
        gloss: mean of the ridges' L* over what is around them.
    """

    colour: LabColour
    deviation: float
    gloss: float

    @property
    def shine(self) -> float:
        """Return the gloss over the deviation: lips with more contrast have higher ridges anyway."""
        return self.gloss / max(self.deviation, 1.0)


@dataclass(frozen=True)
class HairMeasures:
    """Hair.

    Attributes:
        shades: (n, 3) from dark to light at even shares, as `realtime.effects.hair.quantiles` has them; of
            the roots alone where the tips are of another colour.
        tips: mean of the ends where they are of another colour than the roots, else None.
        area: in squares of the face crop's side.
    """

    shades: npt.NDArray[np.float64]
    tips: LabColour | None
    area: float


@dataclass(frozen=True)
class EyeMeasures:
    """Both eyes, or the one that is open.

    Attributes:
        lid, crease: colour of the upper lid at its edge and above.
        line: darkness of the line along the upper lid, 0 (as the skin) to 1 (black).
        ink: its colour.
        wing: likewise beyond the outer corner.
        iris, sclera: None where the eyes are too small.
    """

    lid: LabColour
    crease: LabColour
    line: float
    ink: LabColour
    wing: float
    iris: LabColour | None
    sclera: LabColour | None


@dataclass(frozen=True)
class Measures:
    """All of one face.

    Attributes:
        skin: median of it.
        roughness: mean difference in L* between the skin and its smoothed picture.
        beard: how much darker the skin around the mouth is than that of the cheeks, L*.
        blush: cheeks less the skin around them; None where they can't be placed.
        brows: their hairs; None where they are not seen.
        lips, hair, eyes: None where they are not seen.
    """

    skin: LabColour
    roughness: float
    beard: float
    blush: LabColour | None
    brows: LabColour | None
    lips: LipMeasures | None
    hair: HairMeasures | None
    eyes: EyeMeasures | None


def measure(image: Image, face: ParsedFace) -> Measures | None:
    """Measure a face; None where too little of its skin is seen.

    Args:
        image: (H, W, 3) uint8 RGB.
        face: in this image.
    """
    found = find_skin(image, face)
    if found is None:
        return None
    patch, weight, smooth = found
    sure = weight > 0.9
    if sure.sum() < 50:
        return None
    lab = to_lab(patch.small)
    skin = np.array([float(np.median(plane[sure])) for plane in lab])
    rough = float(np.abs(lab.light - to_lab(smooth).light)[sure].mean())
    return Measures(
        skin=skin,
        roughness=rough,
        beard=_beard(lab, patch, face, sure),
        blush=_blush(lab, patch, face, weight),
        brows=_brows(image, face),
        lips=_lips(image, face),
        hair=_hair(image, face),
        eyes=_eyes(image, face, skin),
    )


def mean_of(lab: Lab, weight: Plane) -> LabColour | None:
    """Return the mean colour by a weight (h, w); None where its sum says too little."""
    total = float(weight.sum())
    if total < _LEAST:
        return None
    return np.array([float((plane * weight).sum()) / total for plane in lab])


def _lips(image: Image, face: ParsedFace) -> LipMeasures | None:
    found = find_lips(image, face)
    if found is None:
        return None
    _, lab, alpha = found
    _, deviation = statistics(lab.light, alpha)
    colour = mean_of(lab, middle(lab.light, alpha))
    if colour is None:
        return None
    return LipMeasures(colour, deviation, float((ridges(lab.light) * alpha).sum() / alpha.sum()))


def _hair(image: Image, face: ParsedFace) -> HairMeasures | None:
    found = find_hair(image, face)
    if found is None:
        return None
    patch, plane = found
    alpha, lab = patch.sample(plane), to_lab(patch.small)
    # The hair's own colour, and not that of the wall behind its edge.
    alpha = np.where(cv2.erode(alpha, np.ones((3, 3), np.uint8)) > 0.9, alpha, 0.0).astype(np.float32)
    if float(alpha.sum()) < LEAST_AREA:
        return None
    grey = np.asarray(cv2.cvtColor(patch.small, cv2.COLOR_RGB2GRAY), np.uint8)
    area = float(alpha.sum()) * (patch.step / face.alignment.side) ** 2
    down, tips = towards_tips(patch, plane), None
    roots, ends = (np.asarray(alpha * where, np.float32) for where in (down < _ROOTS, down > _TIPS))
    if min(float(roots.sum()), float(ends.sum())) > max(_LEAST, _LEAST_ENDS * float(alpha.sum())):
        first, last = mean_of(lab, roots), mean_of(lab, ends)
        if first is not None and last is not None and np.hypot(*(last - first)[1:]) > TWO_TONED:
            alpha, tips = roots, last
    shades = _shades(lab, grey, alpha)
    return None if shades is None else HairMeasures(shades, tips, area)


def _shades(lab: Lab, grey: Image, alpha: Plane) -> npt.NDArray[np.float64] | None:
    whole, light, shades = mean_of(lab, alpha), grey_lightness()[grey], []
    if whole is None:
        return None
    for level in quantiles(grey, alpha, SHADES):
        near = mean_of(lab, np.asarray(alpha * np.exp(-0.5 * ((light - level) / 3.0) ** 2), np.float32))
        shades.append([float(level), *(whole if near is None else near)[1:]])
    return np.array(shades)


def _brows(image: Image, face: ParsedFace) -> LabColour | None:
    found = [find_brow(image, face, name) for name in BROWS]
    colours = [mean_of(lab, hairs**2) for _, lab, hairs in (each for each in found if each is not None)]
    seen = [colour for colour in colours if colour is not None]
    return np.mean(seen, axis=0) if seen else None


def _blush(lab: Lab, patch: Patch, face: ParsedFace, skin: Plane) -> LabColour | None:
    spots = cheeks(face)
    if spots is None:
        return None
    spot = patch.sample(spots)
    # The cheek's middle, and a ring about it: light and shade are nearly the same on both.
    inside = mean_of(lab, np.asarray(skin * np.clip(2.0 * spot - 1.0, 0.0, 1.0), np.float32))
    ring = mean_of(lab, np.asarray(skin * ((spot > 0.02) & (spot < 0.15)), np.float32))
    return None if inside is None or ring is None else inside - ring


def _beard(lab: Lab, patch: Patch, face: ParsedFace, sure: npt.NDArray[np.bool_]) -> float:
    """Return how much darker the skin below the lips is than that of the cheeks."""
    spots, lips = cheeks(face), face.plane(("u_lip", "l_lip", "mouth"))
    rows = np.flatnonzero(lips.max(axis=1) > 0.5)
    columns = np.flatnonzero(lips.max(axis=0) > 0.5)
    if spots is None or not len(rows):
        return 0.0
    chin = np.zeros_like(lips)
    chin[rows[0] - len(rows) // 2 : rows[-1] + 2 * len(rows), columns[0] : columns[-1] + 1] = 1.0
    below = (patch.sample(chin) > 0.5) & sure
    cheek = (patch.sample(spots) > 0.5) & sure
    if below.sum() < _LEAST or cheek.sum() < _LEAST:
        return 0.0
    return float(np.median(lab.light[cheek]) - np.median(lab.light[below]))


def _eyes(image: Image, face: ParsedFace, skin: LabColour) -> EyeMeasures | None:
    seen = [each for each in (_eye(image, face, name, skin) for name in EYES) if each is not None]
    if not seen:
        return None

    def mean(colours: list[LabColour | None]) -> LabColour | None:
        there = [colour for colour in colours if colour is not None]
        return np.mean(there, axis=0) if there else None

    return EyeMeasures(
        lid=np.mean([eye.lid for eye in seen], axis=0),
        crease=np.mean([eye.crease for eye in seen], axis=0),
        line=float(np.mean([eye.line for eye in seen])),
        ink=np.mean([eye.ink for eye in seen], axis=0),
        # A wing has two sides; a strand or a shadow beside one eye is none.
        wing=min(eye.wing for eye in seen),
        iris=mean([eye.iris for eye in seen]),
        sclera=mean([eye.sclera for eye in seen]),
    )


def _eye(image: Image, face: ParsedFace, name: str, skin: LabColour) -> EyeMeasures | None:
    eye = find_eye(face, name)
    if eye is None or eye.shown < 0.5:
        return None
    lid, line = find_lid(face, eye), find_stroke(face, eye, 0.0)
    winged = find_stroke(face, eye, WING)
    if lid is None or line is None or winged is None:
        return None
    where, alpha, low = lid
    lab = to_lab(np.ascontiguousarray(image[where]))
    edge = mean_of(lab, np.asarray(alpha * low, np.float32))
    crease = mean_of(lab, np.asarray(alpha * (1.0 - low), np.float32))
    if edge is None or crease is None:
        return None
    place, stroke = line
    inked = to_lab(np.ascontiguousarray(image[place]))
    dark, ink = _darkness(inked, stroke, float(skin[0]))
    # Of the winged stroke what the one without has not.
    wide, longer = winged
    longer[seen_from(place, wide)][stroke > 0.05] = 0.0
    wing, _ = _darkness(to_lab(np.ascontiguousarray(image[wide])), longer, float(crease[0]))
    iris = find_iris(image, face, name)
    return EyeMeasures(
        edge, crease, dark, ink, wing, *(_iris(iris.lab, iris.iris, iris.opening) if iris else (None, None))
    )


def _darkness(lab: Lab, weight: Plane, around: float) -> tuple[float, LabColour]:
    """Return how dark a stroke is against an L* around it, 0 to 1, and the colour of its darker half."""
    mean = mean_of(lab, weight)
    if mean is None:
        return 0.0, np.zeros(3)
    darker = mean_of(lab, np.asarray(weight * (lab.light <= mean[0]), np.float32))
    return float(np.clip(1.0 - mean[0] / max(around, 1.0), 0.0, 1.0)), mean if darker is None else darker


def _iris(lab: Lab, ring: Plane, opening: Plane) -> tuple[LabColour | None, LabColour | None]:
    """Return the colours of an iris and of the white about it."""
    white = opening * (opening > 0.9) * (ring < 0.05)
    white = white * (lab.light > statistics(lab.light, white)[0]) if float(white.sum()) > _LEAST else white
    return mean_of(lab, ring * opening), mean_of(lab, np.asarray(white, np.float32))
