"""The rectangle of the image around some parts of a face, also at a reduced size.

What varies slowly is computed on the reduced picture; only the last step touches every pixel.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
import numpy.typing as npt

from realtime.effects.tone import Lab, to_lab
from realtime.frames import Image, ParsedFace, Plane
from realtime.frames.geometry import whole_steps
from realtime.frames.halvings import halved_to

Value = npt.NDArray[np.uint8] | npt.NDArray[np.float32]

# Radius of the edge search, in sides of the square that frames the face: as far as the parser's edges err.
EDGE_RADIUS = 0.014
# Reduced pixels over the side of a face's crop on which the edges of small parts are searched.
FINE_DETAIL = 256.0
# Variance of lightness (0 to 1) that counts as an edge.
EDGE_VARIANCE = 4e-4
# Refined alpha below and above it is nothing and all: the filter leaves a faint veil around the part.
VEIL = (0.12, 0.85)


@dataclass(frozen=True)
class Patch:
    """A rectangle of an image that holds some parts of a face.

    Attributes:
        pixels: (h, w, 3) uint8 RGB, a view: writing to it paints.
        face: whose it is.
        rows, columns: where in the image.
        step: side, in pixels of the image, of a pixel of the reduced picture.
    """

    pixels: Image
    face: ParsedFace
    rows: slice
    columns: slice
    step: int

    @classmethod
    def around(
        cls, image: Image, face: ParsedFace, plane: Plane, margin: float = 0.0, detail: float = 1e9
    ) -> Patch | None:
        """Return the patch that holds what is not zero of a plane in crop coordinates.

        Args:
            image: (H, W, 3) uint8 RGB.
            face: of this image.
            plane: (O, O) float32, 0 to 1.
            margin: in sides of the crop; `EDGE_RADIUS` finds all of an edge.
            detail: pixels of the reduced picture over the side of the square that frames the face, at least.

        Returns:
            None where nothing of it is in the image.
        """
        found = face.region(plane, margin)
        if found is None:
            return None
        # A power of two, as OpenCV averages by halves in a third of the time of other steps.
        step = 2 ** int(math.log2(max(1.0, face.alignment.face_side / detail)))
        rows = whole_steps(found[0], step, image.shape[0])
        columns = whole_steps(found[1], step, image.shape[1])
        return cls(image[rows, columns], face, rows, columns, step)

    @property
    def size(self) -> tuple[int, int]:
        """Return height and width in pixels of the image."""
        return self.pixels.shape[0], self.pixels.shape[1]

    @property
    def small_size(self) -> tuple[int, int]:
        """Return height and width of the reduced picture."""
        return -(-self.size[0] // self.step), -(-self.size[1] // self.step)

    @cached_property
    def small(self) -> Image:
        """Return the reduced picture, (sh, sw, 3) uint8 RGB."""
        return self.pixels.copy() if self.step == 1 else self._reduced(self.pixels)

    @cached_property
    def grey(self) -> Image:
        """Return (h, w) uint8 luma of the pixels as they were when first asked for."""
        return np.asarray(cv2.cvtColor(self.pixels, cv2.COLOR_RGB2GRAY), np.uint8)

    @cached_property
    def small_grey(self) -> Image:
        """Return (sh, sw) uint8: `grey` of the reduced picture."""
        return self._reduced(self.grey)

    def _reduced(self, pixels: Image) -> Image:
        height, width = self.size
        if height % self.step or width % self.step:
            # The whole image, no side of which need be so many steps long.
            reduced = cv2.resize(pixels, self.small_size[::-1], interpolation=cv2.INTER_AREA)
            return np.asarray(reduced, np.uint8)
        return halved_to(pixels, width // self.step)

    def sample(self, plane: Plane) -> Plane:
        """Bring a plane in crop coordinates into the reduced picture: (sh, sw) float32."""
        return self.face.sample(plane, self.rows, self.columns, self.small_size)

    def enlarge(self, small: Plane) -> Plane:
        """Bring what was computed on the reduced picture to the full size."""
        if self.step == 1:
            return small
        return np.asarray(cv2.resize(small, self.size[::-1], interpolation=cv2.INTER_LINEAR), small.dtype)

    def refined(self, plane: Plane) -> Plane:
        """Return the alpha (h, w) float32, 0 to 1, of a plane in crop coordinates, at the image's edges.

        Guided filter (He, Sun, Tang: "Guided image filtering", 2010) with lightness as the guide: its linear
        model is fitted on the reduced picture and evaluated on the full one.
        """
        radius = EDGE_RADIUS * self.face.alignment.face_side / self.step
        slope, offset = local_model(self.small_grey, self.sample(plane), max(1, round(radius)))
        low, high = VEIL
        scale = np.float32(1.0 / (high - low))
        slope *= scale
        offset -= np.float32(low)
        offset *= scale
        alpha = self.enlarge(slope)
        cv2.multiply(alpha, self.grey, dst=alpha, dtype=cv2.CV_32F)
        alpha += self.enlarge(offset)
        return np.clip(alpha, 0.0, 1.0, out=alpha)


def find_small(image: Image, face: ParsedFace, plane: Plane) -> tuple[Patch, Lab, Plane] | None:
    """Return the patch of a small part, its pixels' CIELAB and its refined alpha (h, w); None where unseen.

    Args:
        image: (H, W, 3) uint8 RGB.
        face: of this image.
        plane: (O, O) float32, 0 to 1, in crop coordinates.
    """
    patch = Patch.around(image, face, plane, margin=EDGE_RADIUS, detail=FINE_DETAIL)
    return None if patch is None else (patch, to_lab(patch.pixels), patch.refined(plane))


def local_model(guide: Image, plane: Plane, radius: int) -> tuple[Plane, Plane]:
    """Return slope and offset, per pixel, of the plane as a linear function of the guide's 0 to 255."""
    side = (2 * radius + 1, 2 * radius + 1)
    # About the middle, or single precision would lose the variance.
    grey = guide.astype(np.float32) - np.float32(128.0)
    planes = (grey, plane, grey * grey, grey * plane)
    grey_mean, plane_mean, variance, slope = (np.asarray(cv2.blur(p, side), np.float32) for p in planes)
    # In place from here on: new pictures cost more than the sums in them.
    variance -= grey_mean * grey_mean
    variance += np.float32(EDGE_VARIANCE * 255.0**2)
    slope -= grey_mean * plane_mean
    slope /= variance
    grey_mean += np.float32(128.0)
    grey_mean *= slope
    plane_mean -= grey_mean
    return np.asarray(cv2.blur(slope, side), np.float32), np.asarray(cv2.blur(plane_mean, side), np.float32)
