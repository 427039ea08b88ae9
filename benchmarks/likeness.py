"""How well the look of a photo is read: painted by each preset and read back, and carried to other people."""

from __future__ import annotations

import argparse
import contextlib
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from benchmarks.report import Figure, Result, Row
from engines.loader import available_cores
from realtime.effects import Effect, effect_name, parse_effect
from realtime.errors import RealtimeError, UsageError
from realtime.frames import Image, ParsedFace
from realtime.likeness import READERS, Look, PhotoError, read_look
from realtime.likeness.measures import measure
from realtime.likeness.norms import lips_redder
from realtime.parser import FaceParser
from realtime.presets import PRESETS, load_preset
from realtime.sinks.image import save_image
from realtime.sinks.sink import check_writable

HELP = "how well --like reads the look of a photo, and carries it to other people"
ROUNDS = None
# An effect that is read weaker than this counts as left out.
LEFT_OUT = 0.15
LIPS, HAIR = ("u_lip", "l_lip"), ("hair",)
# Of a photo that is painted the effects that say how it looks, and not what is behind it.
_NOT_WORN = ("background", "cutout", "pixelate", "overlay")
_LEAST_PIXELS = 30
_PAIRS, _TILE = 16, 256

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Photo:
    """A photo with one face.

    Attributes:
        image: (H, W, 3) uint8 RGB.
        face: parsed in it.
        look: read in it, unpainted.
    """

    image: Image
    face: ParsedFace
    look: Look


def configure(parser: argparse.ArgumentParser) -> None:
    """Add this benchmark's own flags."""
    parser.add_argument("--data", type=Path, help="folder of faces with val.txt, see docs/training.md")
    parser.add_argument("--split", default="val", help="default: val")
    parser.add_argument(
        "--norms", action="store_true", help="what is measured of the photos, and nothing else"
    )
    parser.add_argument("--most", type=int, default=60, help="photos, the first of the split (default 60)")
    parser.add_argument("--sheet", type=Path, metavar="FILE", help="write photo, face and result of 16 pairs")


def run(args: argparse.Namespace) -> Result:
    """Run it; see the docstring of the module.

    Raises:
        UsageError: if no data were given.
        RealtimeError: if they can't be read.
    """
    if args.data is None:
        raise UsageError("likeness needs photos of faces: --data DIR (images/ and val.txt)")
    if args.sheet is not None:
        check_writable(args.sheet)
    with FaceParser(max_faces=1, threads=args.threads or available_cores()) as parser:
        notes: list[str] = []
        seconds: list[float] = []
        photos = list(_photos(args.data, args.split, args.most, parser, notes, seconds))
        if args.norms:
            return Result("likeness", {"photos": len(photos)}, list(_norms(photos)), notes)
        if len(photos) < 2:
            raise RealtimeError(f"{args.data}: fewer than two photos whose look can be read")
        rows = [_unpainted(photos, seconds)]
        evening = list(_made_up("evening", photos, parser))
        rows += [
            _round_trip(name, evening if name == "evening" else _made_up(name, photos, parser))
            for name in PRESETS
        ]
        rows += _across(photos, [after for _, after in evening])
    if args.sheet is not None:
        save_image(args.sheet, _sheet(photos))
        notes.append(f"wrote {args.sheet}")
    return Result("likeness", {"photos": len(photos)}, rows, notes)


def _norms(photos: Sequence[Photo]) -> Iterator[Row]:
    """Return the percentiles of what is measured, from which `realtime.likeness.norms` was made."""
    found: dict[str, list[float]] = {}
    for photo in photos:
        seen = measure(photo.image, photo.face)
        assert seen is not None, "it has a look"
        values: dict[str, Any] = {"roughness": seen.roughness, "beard": seen.beard, "skin": seen.skin}
        values |= {
            "blush": seen.blush,
            "brows over skin": None if seen.brows is None else seen.brows / seen.skin[0],
        }
        if seen.lips is not None:
            redder = np.array([0.0, lips_redder(float(seen.skin[0])), 0.0])
            values["lips less skin"] = seen.lips.colour - seen.skin - redder
            values["gloss over contrast"] = seen.lips.shine
        if seen.eyes is not None:
            values |= {
                "lid less skin": seen.eyes.lid - seen.skin,
                "crease less skin": seen.eyes.crease - seen.skin,
            }
            values |= {"line": seen.eyes.line, "wing": seen.eyes.wing}
            values |= {"iris": seen.eyes.iris, "white": seen.eyes.sclera}
        for name, value in values.items():
            if value is not None:
                for axis, number in zip(
                    ("L", "a", "b") if np.ndim(value) else ("",), np.atleast_1d(value), strict=True
                ):
                    found.setdefault(f"{name} {axis}".strip(), []).append(float(number))
    for name, numbers in found.items():
        figures: dict[str, Figure] = {
            f"p{percent}": round(float(np.percentile(numbers, percent)), 2)
            for percent in (5, 10, 20, 50, 80, 90, 95)
        }
        yield Row("measures of photos as they are", name, figures=figures | {"faces": len(numbers)})


def _photos(
    data: Path, split: str, most: int, parser: FaceParser, notes: list[str], seconds: list[float]
) -> Iterator[Photo]:
    try:
        names = (data / f"{split}.txt").read_text(encoding="utf-8").split()[:most]
    except OSError as error:
        raise RealtimeError(f"{data / split}.txt: {error.strerror}") from None
    for name in names:
        picture = cv2.imread(str(data / "images" / f"{name}.jpg"))
        if picture is None:
            raise RealtimeError(f"{data / 'images' / name}.jpg: cannot be read as an image")
        image = np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), np.uint8)
        start = time.perf_counter()
        try:
            photo = _read(image, parser)
        except PhotoError as error:
            notes.append(f"{name}: left out: {error}")
            continue
        seconds.append(time.perf_counter() - start)
        yield photo


def _read(image: Image, parser: FaceParser) -> Photo:
    """Parse and read an image of one face.

    Raises:
        PhotoError: if no look can be read.
    """
    faces = parser.parse(image)
    look = read_look(image, faces)
    return Photo(image, faces[0], look)


def painted(photo: Photo, effects: Sequence[Effect]) -> Image:
    """Return a photo with effects painted on its face."""
    image = photo.image.copy()
    for effect in effects:
        effect.apply(image, [photo.face])
    return image


def _strength(look: Look, name: str) -> float:
    return next((effect.strength for effect in look.effects if effect_name(effect) == name), 0.0)


def _left_out(looks: Sequence[Look], name: str) -> float:
    return float(np.mean([_strength(look, name) < LEFT_OUT for look in looks]))


def _unpainted(photos: Sequence[Photo], seconds: Sequence[float]) -> Row:
    looks = [photo.look for photo in photos]
    figures: dict[str, Figure] = {f"{name}_left_out": round(_left_out(looks, name), 3) for name in READERS}
    figures["parse_and_read_ms"] = round(1e3 * float(np.median(seconds)), 1)
    return Row("photos as they are", "unpainted", figures=figures)


def _worn(preset: str) -> list[Effect]:
    effects = [parse_effect(text) for text in load_preset(preset).effects]
    return [effect for effect in effects if effect_name(effect) not in _NOT_WORN]


def _made_up(preset: str, photos: Sequence[Photo], parser: FaceParser) -> Iterator[tuple[Photo, Photo]]:
    """Return each photo, and what is read of it as if it were another once a preset was painted on it."""
    worn = _worn(preset)
    for photo in photos:
        with contextlib.suppress(PhotoError):
            yield photo, _read(painted(photo, worn), parser)


def _round_trip(preset: str, made_up: Iterable[tuple[Photo, Photo]]) -> Row:
    """Paint what was read of a made up photo on the unpainted one."""
    looks: list[Look] = []
    differences: dict[tuple[str, ...], list[float]] = {LIPS: [], HAIR: []}
    for photo, wanted in made_up:
        looks.append(wanted.look)
        result = painted(photo, wanted.look.effects)
        for part, found in differences.items():
            where = sure(photo.face, part)
            if where is not None:
                found.append(difference(mean_colour(wanted.image, where), mean_colour(result, where)))
    figures: dict[str, Figure] = {
        "lips_de2000": round(float(np.median(differences[LIPS])), 2),
        "hair_de2000": round(float(np.median(differences[HAIR])), 2),
    }
    names = {effect_name(effect) for effect in _worn(preset)}
    # Hair has a colour always, and is read always: see docs/effects.md.
    others = {other: _left_out(looks, other) for other in READERS if other not in names and other != "hair"}
    for other, share in others.items():
        figures[f"{other}_left_out"] = round(share, 3)
    return Row("painted by a preset, read, painted on the unpainted photo", preset, figures=figures)


def _across(photos: Sequence[Photo], made_up: Sequence[Photo]) -> list[Row]:
    """Carry the look of each photo to another person, as it is and painted by `evening`."""
    rows = []
    for name, sources in (("unpainted photos", photos), ("photos painted by evening", made_up)):
        kept: dict[str, list[float]] = {"lips": [], "hair": []}
        for index, source in enumerate(sources):
            for step in (1, 7, 13):
                target = photos[(index + step) % len(photos)]
                _compare(source, target, kept)
        figures: dict[str, Figure] = {}
        for part, ratios in kept.items():
            figures[f"{part}_distance_left"] = round(float(np.median(ratios)), 3) if ratios else None
            figures[f"{part}_pairs"] = len(ratios)
        rows.append(
            Row("to other people: CIELAB distance to the photo's, after over before", name, figures=figures)
        )
    return rows


def _compare(source: Photo, target: Photo, kept: dict[str, list[float]]) -> None:
    """Add how much of the distance to the photo is left, for each part whose look was read."""
    result = painted(target, source.look.effects)
    for part, classes in (("lips", LIPS), ("hair", HAIR)):
        there, here = sure(source.face, classes), sure(target.face, classes)
        if there is None or here is None or _strength(source.look, part) < 0.5:
            continue
        goal = mean_colour(source.image, there)
        before, after = (
            float(np.linalg.norm(mean_colour(image, here) - goal)) for image in (target.image, result)
        )
        kept[part].append(after / max(before, 1e-6))


def sure(face: ParsedFace, part: Sequence[str]) -> Mask | None:
    """Return (H, W) bool: where a part surely is; None where that is hardly anywhere."""
    where = np.asarray(face.probability(part) > 0.9)
    return where if np.count_nonzero(where) >= _LEAST_PIXELS else None


def mean_colour(image: Image, where: Mask) -> npt.NDArray[np.float64]:
    """Return the mean CIELAB (3,) of an image where a mask is."""
    pixels = image[where][None].astype(np.float32) / 255.0
    return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2LAB)[0].mean(axis=0), np.float64)


def difference(one: npt.NDArray[np.float64], other: npt.NDArray[np.float64]) -> float:
    """Return the CIEDE2000 difference of two CIELAB colours."""
    from skimage.color import deltaE_ciede2000

    return float(deltaE_ciede2000(one, other))


def _sheet(photos: Sequence[Photo]) -> Image:
    """Return pairs, four to a line: photo, face, and the face with the photo's look."""
    tiles = []
    for index in range(min(_PAIRS, len(photos) - 1)):
        source, target = photos[index], photos[(index + len(photos) // 2) % len(photos)]
        result = painted(target, source.look.effects)
        pictures = (source.image, target.image, result)
        tiles.append(
            np.hstack([cv2.resize(each, (_TILE, _TILE), interpolation=cv2.INTER_AREA) for each in pictures])
        )
    lines = [np.hstack(tiles[start : start + 2]) for start in range(0, len(tiles) - len(tiles) % 2, 2)]
    return np.asarray(np.vstack(lines or tiles), np.uint8)
