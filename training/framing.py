"""Photos as squares about a face, before a teacher labels them: where it lies, and what is known there."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from stn_icnn.labels import IGNORE
from training.data import DataError, read_image

if TYPE_CHECKING:
    from realtime.frames import Detection
    from realtime.frames.geometry import Alignment

Image = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]
Points = npt.NDArray[np.float64]

SIDE = 384
"""Side in pixels of a square as wide as the training faces' frame."""
WIDE_SIDE = 512
"""Side in pixels of a square that is wider."""
# By iBUG 300-W point numbers.
OUTLINES: dict[str, tuple[int, ...]] = {
    "r_eye": tuple(range(36, 42)),
    "l_eye": tuple(range(42, 48)),
    "lips": tuple(range(48, 60)),
    "mouth": tuple(range(60, 68)),
}
# A head's middle above that of its frame, and how far around it is its own, in sides of the frame.
_HEAD_UP, _HEAD_REACH = 0.1, 1.2
# The segmenter is believed where it sees this much of the face as a person; between these of its values
# what is no person turns into what may be one.
_SEEN, _PERSON = 0.8, (0.05, 0.3)
# Detections below this are often no faces: a true one must not lose its hair to them.
_SURE_FACE = 0.7


class Known(NamedTuple):
    """A square of a photo, and what is known about it before a teacher looks.

    Attributes:
        image: (S, S, 3) uint8 RGB.
        outside: (S, S) bool, places beyond the photo.
        hair: (S, S) uint8: 13 is hair, 255 unknown, anything else not hair; None where nothing is known.
        outlines: of `outline_masks`; None where there are no points.
        person: (S, S) float32, 0 where nobody is and 1 where somebody may be; None where nothing is known.
        others: (S, S) bool, places nearer to another face than to this one; None where nobody looked.
    """

    image: Image
    outside: Mask
    hair: Image | None = None
    outlines: dict[str, Mask] | None = None
    person: npt.NDArray[np.float32] | None = None
    others: Mask | None = None


def outline_masks(points: Points, size: tuple[int, int]) -> dict[str, Mask]:
    """Draw the eyes, the outer lips and the inner mouth that 68 points outline.

    Args:
        points: (68, 2) x and y in pixels, in iBUG 300-W order.
        size: (height, width) of the masks.

    Returns:
        By the names of `OUTLINES`, (height, width) bool.
    """
    masks = {}
    for name, indices in OUTLINES.items():
        mask = np.zeros(size, np.uint8)
        # Four more bits, so that corners need not fall on whole pixels.
        corners = np.round(points[list(indices)] * 16.0).astype(np.int32)
        cv2.fillPoly(mask, [corners], (1,), shift=4)
        masks[name] = mask.astype(bool)
    return masks


def read_points(path: Path) -> Points:
    """Read 68 points, one "x y" a line.

    Raises:
        DataError: if the file is missing or holds anything else.
    """
    return _read_numbers(path, (68, 2), "68 lines of x y")


def _read_numbers(path: Path, shape: tuple[int, ...], what: str) -> Points:
    name = f"{path.parent.name}/{path.name}"
    try:
        numbers = np.loadtxt(path, dtype=np.float64)
    except (OSError, ValueError) as error:
        raise DataError(f"{name}: cannot be read ({error})") from None
    if numbers.shape != shape or not np.isfinite(numbers).all():
        raise DataError(f"{name}: {what} expected, found shape {numbers.shape}")
    return numbers


def framed(source: Path, path: Path, surroundings: Surroundings | None) -> Known | None:
    """Frame a photo of a folder.

    By its 68 points where the folder has points/; else by the face found in it, if more than the frame is
    asked for; else the photo is taken to be in the framing of the training faces already.

    Args:
        source: the folder.
        path: the photo, images/NAME.jpg of the folder or NAME.jpg.
        surroundings: finds faces and people in a square wider than the frame; None for the frame.

    Returns:
        What is known of it; None where a face should be found and is not.

    Raises:
        DataError: naming the bad file.
    """
    if (source / "points").is_dir():
        return _by_points(source, path, surroundings)
    if surroundings is None:
        return _aligned(source, path)
    image = read_image(path)
    alignment = surroundings.align(image)
    if alignment is None:
        return None
    known = _cut(image, alignment, WIDE_SIDE)
    hair = _hair(source, path)
    if hair is not None:
        if hair.shape != image.shape[:2]:
            raise DataError(f"labels/{path.stem}.png: {hair.shape}, its image {image.shape[:2]}")
        known = known._replace(hair=_warped(hair, alignment, WIDE_SIDE, IGNORE))
    return surroundings.told(known)


def _by_points(source: Path, path: Path, surroundings: Surroundings | None) -> Known:
    """Frame an in-the-wild photo by its 68 points, and by the part of it that valid/ says is one."""
    # Here, so that training itself does without what the pipeline needs.
    from realtime.faces.alignment import align

    image, points = read_image(path), read_points(source / "points" / f"{path.stem}.txt")
    valid = source / "valid" / f"{path.stem}.txt"
    if valid.is_file():
        x0, y0, x1, y1 = _read_numbers(valid, (4,), "x0 y0 x1 y1").round().astype(int)
        image, points = np.ascontiguousarray(image[y0:y1, x0:x1]), points - (x0, y0)
    if not image.size:
        raise DataError(f"valid/{path.stem}.txt: nothing of the photo is in it")
    right, left = points[36:42].mean(axis=0), points[42:48].mean(axis=0)
    mouth = (points[48] + points[54]) / 2.0
    eyes = ((right[0], right[1]), (left[0], left[1]))
    frames, side = (surroundings.frames, WIDE_SIDE) if surroundings else (1.0, SIDE)
    alignment = align(*eyes, (mouth[0], mouth[1]), framing=frames)
    matrix = alignment.to_crop(side)
    outlines = outline_masks(points @ matrix[:, :2].T + matrix[:, 2], (side, side))
    known = _cut(image, alignment, side)._replace(outlines=outlines)
    return surroundings.told(known) if surroundings else known


def _aligned(source: Path, path: Path) -> Known:
    """Take a photo that is framed already, with its hair labels where there are some."""
    small = cv2.resize(read_image(path), (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    hair = _hair(source, path)
    if hair is not None:
        hair = np.asarray(cv2.resize(hair, (SIDE, SIDE), interpolation=cv2.INTER_NEAREST_EXACT), np.uint8)
    return Known(np.asarray(small, np.uint8), np.zeros((SIDE, SIDE), bool), hair)


def _hair(source: Path, path: Path) -> Image | None:
    """Return the hair labels of a photo, (H, W) uint8, where it has some."""
    label_path = source / "labels" / f"{path.stem}.png"
    if not label_path.is_file():
        return None
    known = cv2.imread(str(label_path), cv2.IMREAD_GRAYSCALE)
    if known is None:
        raise DataError(f"labels/{label_path.name}: unreadable")
    return np.asarray(known, np.uint8)


def _cut(image: Image, alignment: Alignment, side: int) -> Known:
    covered = _warped(np.full(image.shape[:2], 255, np.uint8), alignment, side, 0)
    return Known(alignment.crop(image, side), covered < 255)


def _warped(label: Image, alignment: Alignment, side: int, beyond: int) -> Image:
    size, matrix = (side, side), alignment.to_crop(side)
    warped = cv2.warpAffine(label, matrix, size, flags=cv2.INTER_NEAREST, borderValue=(beyond,))
    return np.asarray(warped, np.uint8)


class Surroundings:
    """Finds the faces and the people in squares wider than the training faces' frame.

    Args:
        frames: side of the squares in sides of that frame.
    """

    def __init__(self, frames: float) -> None:
        # Here, so that training itself does without what the pipeline needs.
        from realtime.faces import FaceDetector
        from realtime.people import person_segmenter

        self.frames = frames
        self._detector, self._segmenter = FaceDetector(), person_segmenter()

    def align(self, image: Image) -> Alignment | None:
        """Return the square about the largest face of an image (H, W, 3), None where there is none."""
        faces = self._detector.detect(image)
        return _alignment(faces[0], self.frames) if faces else None

    def told(self, known: Known) -> Known:
        """Return what is known, with what a person segmenter and a face detector say of the square."""
        return known._replace(person=self._person(known.image), others=self._others(known.image))

    def _person(self, image: Image) -> npt.NDArray[np.float32] | None:
        side = image.shape[0]
        seen = cv2.resize(self._segmenter.segment(image), (side, side), interpolation=cv2.INTER_LINEAR)
        face = round(0.3 * side / self.frames)
        middle = slice(side // 2 - face, side // 2 + face)
        if seen[middle, middle].mean() < _SEEN:
            return None
        low, high = _PERSON
        # Its mask is coarse: what lies close to a person may be of it.
        near = cv2.dilate(seen, np.ones((9, 9), np.uint8))
        return np.asarray(np.clip((near - low) / (high - low), 0.0, 1.0), np.float32)

    def _others(self, image: Image) -> Mask:
        """Return the places that lie in another head's reach, and nearer to it than to the middle one."""
        side = image.shape[0]
        y, x = np.mgrid[:side, :side]
        frame, middle = side / self.frames, (side - 1) / 2.0

        def distance(centre: tuple[float, float], frame: float) -> Points:
            return np.asarray(np.hypot(x - centre[0], y - centre[1] + _HEAD_UP * frame) / frame)

        own, others = distance((middle, middle), frame), np.zeros((side, side), bool)
        for face in self._detector.detect(image):
            found = _alignment(face, 1.0)
            if (
                face.score < _SURE_FACE
                or np.hypot(found.centre[0] - middle, found.centre[1] - middle) < 0.35 * frame
            ):
                continue
            its = distance(found.centre, found.side)
            others |= (its < own) & (its < _HEAD_REACH)
        return others


def _alignment(face: Detection, frames: float) -> Alignment:
    from realtime.faces.alignment import align

    return align(face.right_eye, face.left_eye, face.mouth, framing=frames)
