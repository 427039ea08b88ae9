"""What flows through the pipeline: Frame -> ParsedFrame -> RenderedFrame.

Result and frame never part: each type carries the one before, so that a mask is always drawn on the
frame it was computed from. Images are shared between the types and must not be written to.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from typing import TypeVar

import cv2
import numpy as np
import numpy.typing as npt

from realtime.frames.geometry import BORDER_FADE, HEAD_FADE, Alignment, seen_from
from realtime.frames.letterbox import Region
from stn_icnn.labels import CLASS_ID
from stn_icnn.packing import HEAD_WIDTH

Image = npt.NDArray[np.uint8]
Plane = npt.NDArray[np.float32]

Value = TypeVar("Value", np.uint8, np.float32)

# Probabilities at which paint starts and is full: a faint doubt must not tint the wall behind.
ALPHA_RAMP = (0.25, 0.75)
# Parts that hardly ever reach beyond the face crop.
_INNER = {"skin", "nose", "eye_g", "l_eye", "r_eye", "l_brow", "r_brow", "mouth", "u_lip", "l_lip"}
# Share of the face crop's side over which its parsing gives way to the head's.
_SEAM = 0.1


@dataclass(frozen=True, slots=True)
class Frame:
    """One picture of a source.

    Attributes:
        image: (H, W, 3) uint8 RGB, contiguous.
        index: position in the source, from 0; gaps show frames that were dropped.
        time: seconds since the source's zero, exact, from the frame's PTS.
        captured_at: `time.monotonic()` at capture.
        duration: how long the source shows it, seconds; None where that is unknown.
    """

    image: Image
    index: int
    time: Fraction
    captured_at: float
    duration: Fraction | None = None

    def __post_init__(self) -> None:
        image = self.image
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
            raise ValueError(f"a frame's image is uint8 (H, W, 3), not {image.dtype} {image.shape}")


@dataclass(frozen=True, slots=True)
class Detection:
    """One face found.

    Attributes:
        box: x0, y0, x1, y1 in pixels of the image; may reach beyond it.
        score: confidence, 0 to 1.
        right_eye, left_eye, mouth: keypoints (x, y) in pixels; right is the subject's own.
    """

    box: tuple[float, float, float, float]
    score: float
    right_eye: tuple[float, float]
    left_eye: tuple[float, float]
    mouth: tuple[float, float]

    @property
    def area(self) -> float:
        """Return the box's area in square pixels."""
        x0, y0, x1, y1 = self.box
        return (x1 - x0) * (y1 - y0)


@dataclass(frozen=True, slots=True)
class PartAlpha:
    """How much of each pixel belongs to some parts, where it is not zero.

    Attributes:
        alpha: (h, w) float32, 0 to 1.
        x, y: image coordinates of its first pixel.
    """

    alpha: Plane
    x: int
    y: int

    @property
    def region(self) -> tuple[slice, slice]:
        """Return the rows and columns of the image that `alpha` covers."""
        height, width = self.alpha.shape
        return slice(self.y, self.y + height), slice(self.x, self.x + width)


@dataclass(frozen=True, slots=True)
class ParsedFace:
    """One face and its parsing, in the coordinates of its crop until the last step.

    A plane in crop coordinates has the pixels of `probabilities`: one of side O is the face crop, a larger
    one reaches beyond it on all sides.

    Attributes:
        detection: where the detector saw it.
        alignment: between image and face crop.
        probabilities: (C, O, O) float32, summing to 1 over C.
        classes: class id of each channel.
        image_size: (height, width) of the image in pixels.
        track_id: the same for the same person from frame to frame; 0 where nothing is followed.
        head: (C, H, H) float32, summing to 1 over C, of the square about the crop that is `HEAD_WIDTH` times
            as wide; None where no more than the crop was seen.
        content: rows and columns of the image that are no film's black bars, beyond which nothing is seen;
            None for all.
        propagated: its parsing is an earlier frame's, carried on along the motion.
    """

    detection: Detection
    alignment: Alignment
    probabilities: Plane
    classes: tuple[int, ...]
    image_size: tuple[int, int]
    track_id: int = 0
    head: Plane | None = None
    content: Region | None = None
    propagated: bool = False

    @property
    def square(self) -> Alignment:
        """Return where all that was seen lies: the face crop, or the wider square about it."""
        return self.alignment if self.head is None else self.alignment.widened(HEAD_WIDTH)

    @property
    def box(self) -> tuple[float, float, float, float]:
        """Return the detector's box: x0, y0, x1, y1 in pixels."""
        return self.detection.box

    @property
    def score(self) -> float:
        """Return the detector's confidence, 0 to 1."""
        return self.detection.score

    def label_map(self) -> Image:
        """Return (H, W) uint8 class ids in image coordinates; 0 beyond what was seen."""
        labels = np.zeros(self.image_size, np.uint8)
        found = self.label_patch()
        if found is not None:
            patch, region = found
            labels[region] = patch
        return labels

    def label_patch(self) -> tuple[Image, tuple[slice, slice]] | None:
        """Return what `label_map` holds where the square lies, (h, w) uint8, and its rows and columns.

        Enlarged as probabilities, and only then compared: edges stay smooth. None where nothing is seen.
        """
        first = self._whole([0])
        covered = self._covered(first.shape[-1])
        if covered is None:
            return None
        best = self.sample(first, *covered)
        best_id = np.full(best.shape, self.classes[0], np.uint8)
        for channel, class_id in enumerate(self.classes[1:], start=1):
            # Beyond its region a class is so unlikely that another one is the likeliest.
            plane = self._whole([channel])
            region = self.region(plane)
            if region is None:
                continue
            region = _within(region, covered)
            inside = seen_from(region, covered)
            value, so_far = self.sample(plane, *region), best[inside]
            best_id[inside][value > so_far] = class_id
            np.maximum(so_far, value, out=so_far)
        best_id[best <= 0.0] = 0
        return best_id, covered

    def probability(self, part: str | Iterable[str]) -> Plane:
        """Return the probability of a class, or of several together, in image coordinates.

        Args:
            part: a class name of `stn_icnn.labels.CLASSES`, or several.

        Returns:
            (H, W) float32, 0 to 1; 0 beyond what was seen.

        Raises:
            ValueError: on a name that is not a class.
        """
        plane = np.zeros(self.image_size, np.float32)
        found = self._region_of(self.whole(part))
        if found is not None:
            plane[found.region] = found.alpha
        return plane

    def alpha(self, part: str | Iterable[str]) -> PartAlpha | None:
        """Return a soft alpha for painting: `probability`, steepened, faded at the border of what was seen.

        Only the region of the image where it isn't zero is computed; None where there is none.
        """
        return self._region_of(self.paint_plane(part))

    def paint_plane(self, part: str | Iterable[str]) -> Plane:
        """Return (P, P) float32 in crop coordinates: what `alpha` brings into the image.

        P is O for parts that lie in the face crop, else the side of `whole`.
        """
        low, high = ALPHA_RAMP
        inner = {part} <= _INNER if isinstance(part, str) else set(part) <= _INNER
        plane = self.plane(part) if inner else self.whole(part)
        steep = np.clip((plane - low) * (1.0 / (high - low)), 0.0, 1.0)
        return self.faded(np.asarray(steep, np.float32))

    def faded(self, plane: Plane) -> Plane:
        """Return a plane (P, P) in crop coordinates, faded at its border: no straight edge shows."""
        side = plane.shape[-1]
        share = BORDER_FADE if side == self.probabilities.shape[-1] else HEAD_FADE
        return np.asarray(plane * _fade(side, share), np.float32)

    def region(self, plane: Plane, margin: float = 0.0) -> tuple[slice, slice] | None:
        """Return the rows and columns of the image where a plane in crop coordinates is not zero.

        Args:
            plane: (P, P) float32, 0 to 1.
            margin: how much wider, in sides of the crop.

        Returns:
            None where nothing of it is seen.
        """
        left, top, width, height = cv2.boundingRect((plane > 1.0 / 512.0).view(np.uint8))
        if not width:
            return None
        more = 1.0 + margin * self.probabilities.shape[-1]
        box = (left - more, top - more, left + width + more, top + height + more)
        return self._covered(plane.shape[-1], box)

    def sample(
        self, plane: npt.NDArray[Value], rows: slice, columns: slice, size: tuple[int, int] | None = None
    ) -> npt.NDArray[Value]:
        """Bring a plane in crop coordinates into a rectangle of the image, also at another size.

        Args:
            plane: (P, P) or (P, P, 3), uint8 or float32.
            rows: of the image.
            columns: of the image.
            size: (height, width) of the answer in pixels; None for the rectangle's own.
        """
        height, width = rows.stop - rows.start, columns.stop - columns.start
        size = size or (height, width)
        matrix = self._placed(plane.shape[0]).to_image(plane.shape[0])
        # The middle of a large pixel is not the middle of its first small one: hence the halves.
        shrink = np.array([size[1] / width, size[0] / height])
        matrix[:, 2] += 0.5 - np.array([columns.start, rows.start])
        matrix = matrix * shrink[:, None]
        matrix[:, 2] -= 0.5
        warped = cv2.warpAffine(plane, matrix, size[::-1], flags=cv2.INTER_LINEAR)
        return np.asarray(warped, plane.dtype)

    def warp(self, picture: Image) -> tuple[Image, tuple[slice, slice]] | None:
        """Bring a picture in crop coordinates into the image.

        Args:
            picture: (P, P, 4) uint8; OpenCV warps four channels twice as fast as three.

        Returns:
            (h, w, 4) uint8, 0 outside of it, with its rows and columns of the image; None where it lies
            outside the image.
        """
        covered = self._covered(picture.shape[0])
        if covered is None:
            return None
        rows, columns = covered
        height, width = rows.stop - rows.start, columns.stop - columns.start
        # Turned where there are few pixels, then enlarged: that is what costs less.
        shrink = max(1, int(self.alignment.side / self.probabilities.shape[-1] / 2.0))
        small = self.sample(picture, rows, columns, (-(-height // shrink), -(-width // shrink)))
        large = cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)
        return np.asarray(large, np.uint8), covered

    def plane(self, part: str | Iterable[str]) -> Plane:
        """Return the probability of a class, or of several together, in crop coordinates.

        Returns:
            (O, O) float32, 0 to 1, not to be written to.

        Raises:
            ValueError: on a name that is not a class.
        """
        return self._sum(self.probabilities, self._channels(part))

    def whole(self, part: str | Iterable[str]) -> Plane:
        """Return the probability of a class, or of several together, over all that was seen.

        Returns:
            (P, P) float32, 0 to 1, in crop coordinates: P is `HEAD_WIDTH` times O where the head was seen,
            else O. Not to be written to.

        Raises:
            ValueError: on a name that is not a class.
        """
        return self._whole(self._channels(part))

    def _channels(self, part: str | Iterable[str]) -> list[int]:
        names = [part] if isinstance(part, str) else list(part)
        unknown = [name for name in names if name not in CLASS_ID]
        if unknown:
            raise ValueError(f"no such class: {', '.join(unknown)}")
        return [self.classes.index(CLASS_ID[n]) for n in names if CLASS_ID[n] in self.classes]

    @staticmethod
    def _sum(planes: Plane, channels: list[int]) -> Plane:
        if len(channels) == 1:
            return np.asarray(planes[channels[0]], np.float32)
        return np.asarray(planes[channels].sum(axis=0), np.float32)

    def _whole(self, channels: list[int]) -> Plane:
        inner = self._sum(self.probabilities, channels)
        return inner if self.head is None else self.joined(inner, self._sum(self.head, channels))

    @staticmethod
    def joined(inner: Plane, outer: Plane) -> Plane:
        """Return what (O, O[, n]) of the face crop and (H, H[, n]) of the head show together, (P, P[, n])."""
        side = inner.shape[0]
        wide = HEAD_WIDTH * side
        large = np.asarray(cv2.resize(outer, (wide, wide), interpolation=cv2.INTER_LINEAR), np.float32)
        start = (wide - side) // 2
        middle = large[start : start + side, start : start + side]
        # The face's own parsing is finer, and gives way softly where it ends.
        weight = _fade(side, _SEAM)
        middle += (weight if inner.ndim == 2 else weight[..., None]) * (inner - middle)
        return large

    def _placed(self, side: int) -> Alignment:
        """Return where a plane of a side in crop coordinates lies."""
        own = self.probabilities.shape[-1]
        return self.alignment if side == own else self.alignment.widened(side / own)

    def _region_of(self, plane: Plane) -> PartAlpha | None:
        covered = self.region(plane)
        if covered is None:
            return None
        rows, columns = covered
        return PartAlpha(self.sample(plane, rows, columns), columns.start, rows.start)

    def _covered(
        self, side: int, box: tuple[float, float, float, float] | None = None
    ) -> tuple[slice, slice] | None:
        """Return `Alignment.region` of a plane's side, or of a box in it; None where nothing is seen."""
        rows, columns = self._placed(side).region(self.image_size, box, side)
        if self.content is not None:
            rows, columns = _within((rows, columns), self.content)
        if rows.stop <= rows.start or columns.stop <= columns.start:
            return None
        return rows, columns


@dataclass(frozen=True, slots=True)
class ParsedFrame:
    """A frame and its parsed faces, largest first."""

    frame: Frame
    faces: tuple[ParsedFace, ...]


@dataclass(frozen=True, slots=True)
class RenderedFrame:
    """A frame and what is shown of it.

    Attributes:
        frame: as captured.
        image: (H, W, 3) uint8 RGB with the effects painted.
        cutout: (H, W, 4) uint8 RGB and opacity, where an effect cuts the background away; `image` then
            shows it before a plain colour.
        faces: as parsed, largest first.
    """

    frame: Frame
    image: Image
    cutout: Image | None = None
    faces: tuple[ParsedFace, ...] = ()


def _within(region: tuple[slice, slice], outer: tuple[slice, slice]) -> tuple[slice, slice]:
    """Return what two rectangles of the image share."""
    rows, columns = (
        slice(max(a.start, b.start), min(a.stop, b.stop)) for a, b in zip(region, outer, strict=True)
    )
    return rows, columns


@cache
def _fade(side: int, share: float) -> Plane:
    """Return (side, side) weights that fall to zero over a share of the side at the border."""
    line = np.linspace(-1.0, 1.0, side, dtype=np.float32)
    ramp = np.clip((1.0 - np.abs(line)) / (2.0 * share), 0.0, 1.0)
    return np.outer(ramp, ramp).astype(np.float32)
