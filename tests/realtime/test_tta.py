"""Several looks at a face: how they are cut out, brought back and averaged."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from engines.engine import Crops, EngineSpec, LockedEngine, Probabilities
from realtime import FaceParser
from realtime.app.config import RunConfig
from realtime.faces.parsing import parse_crops
from realtime.faces.tta import MAX_TTA, parse_augmented
from realtime.faces.warping import moved
from realtime.frames import Detection, Image, ParsedFace, Plane
from realtime.frames.geometry import Alignment
from realtime.frames.halvings import Halvings
from stn_icnn.labels import CLASS_ID
from stn_icnn.packing import Packing

SIDE = 64
CLASSES = tuple(CLASS_ID[name] for name in ("background", "l_eye", "r_eye", "hair"))


def colour_engine() -> tuple[LockedEngine, list[Crops]]:
    """Parse by colour, side by side: red is the eye of its side, green is hair; keep what was seen."""
    seen: list[Crops] = []

    def infer(crops: Crops) -> Probabilities:
        seen.append(crops)
        planes = np.zeros((len(crops), 4, SIDE, SIDE), np.float32)
        red, green = (crops[..., c] / np.float32(255.0) for c in (0, 1))
        right_half = np.arange(SIDE) >= SIDE // 2
        # The subject's left eye lies on the right of the crop.
        planes[:, 1], planes[:, 2], planes[:, 3] = red * right_half, red * ~right_half, green
        planes[:, 0] = 1.0 - planes[:, 1:].sum(axis=1)
        return planes

    return LockedEngine("colours", EngineSpec(Packing(SIDE, SIDE), CLASSES), "fp32", "colours", infer), seen


def picture() -> Image:
    """A red eye on the right, a larger one on the left, and green hair on top."""
    image = np.zeros((200, 200, 3), np.uint8)
    image[60:80] = (0, 255, 0)
    cv2.circle(image, (120, 100), 6, (255, 0, 0), -1)
    cv2.circle(image, (80, 100), 9, (255, 0, 0), -1)
    return image


def parsed(image: Image, engine: LockedEngine) -> ParsedFace:
    alignment = Alignment((100.0, 100.0), 96.0, 0.05)
    planes = engine.infer(alignment.crop(image, SIDE)[None])[0]
    detection = Detection((60.0, 60.0, 140.0, 140.0), 0.9, (80.0, 100.0), (120.0, 100.0), (100.0, 130.0))
    return ParsedFace(detection, alignment, planes, CLASSES, (200, 200))


def in_crop(face: ParsedFace, alignment: Alignment) -> Plane:
    """Return a face's probabilities (C, SIDE, SIDE) in a crop of its own or another."""
    planes = face.probabilities
    side = round(SIDE * face.alignment.side / alignment.side)
    shrunk = [cv2.resize(plane, (side, side), interpolation=cv2.INTER_AREA) for plane in planes]
    return moved(np.asarray(shrunk, np.float32), face.alignment, alignment, SIDE)


@pytest.mark.parametrize("tta", range(1, MAX_TTA + 1))
def test_the_mean_of_looks_that_agree_is_what_one_says(tta: int) -> None:
    image = picture()
    engine, seen = colour_engine()
    face = parsed(image, engine)
    (mean,) = parse_augmented(Halvings(image), [face], engine, tta)
    assert len(seen) == tta + (tta > 1), "one more for what lies beyond the crop"
    np.testing.assert_allclose(mean.probabilities.sum(axis=0), 1.0, atol=1e-5)
    # Sides stay sides, and places stay places: edges alone differ.
    shrunk = in_crop(mean, face.alignment)
    difference = np.abs(shrunk - face.probabilities)
    assert difference.mean() < 0.01
    for one, many in zip(face.probabilities, shrunk, strict=True):
        assert ((one > 0.5) != (many > 0.5)).sum() < 0.02 * SIDE * SIDE


def test_many_looks_smear_no_edges() -> None:
    image = np.zeros((400, 400, 3), np.uint8)
    cv2.circle(image, (240, 200), 70, (255, 0, 0), -1)
    engine, _ = colour_engine()
    # Each pixel of a look is six of the picture.
    alignment = Alignment((200.0, 200.0), 6.0 * SIDE, 0.05)
    planes = engine.infer(alignment.crop(image, SIDE)[None])[0]
    face = ParsedFace(parsed(picture(), engine).detection, alignment, planes, CLASSES, (400, 400))

    def error(tta: int) -> float:
        (mean,) = parse_augmented(Halvings(image), [face], engine, tta)
        return float(np.abs(mean.probability(("l_eye", "r_eye")) - image[..., 0] / 255.0).sum())

    assert error(MAX_TTA) < 1.02 * error(1)


def test_what_lies_beyond_the_crop_is_seen_by_a_wider_look() -> None:
    image = picture()
    # Hair just beyond the crop, which ends at x = 150 or so.
    image[80:120, 151:156] = (0, 255, 0)
    engine, _ = colour_engine()
    face = parsed(image, engine)
    assert face.probability("hair")[90:110, 152:].max() == 0.0
    for tta in (2, MAX_TTA):
        (mean,) = parse_augmented(Halvings(image), [face], engine, tta)
        assert mean.probability("hair")[92:108, 152:154].min() > 0.5
    # Inside, where it disagrees with the other parsings, it has no say.
    wrong = np.zeros_like(face.probabilities)
    wrong[0] = 1.0
    blind = LockedEngine(
        "nothing", engine.spec, "fp32", "nothing", lambda crops: np.stack([wrong] * len(crops))
    )
    (mean,) = parse_augmented(Halvings(image), [face], blind, 2)
    inner = in_crop(mean, face.alignment)[:, 8:-8, 8:-8]
    assert np.abs(inner[3] - 0.5 * face.probabilities[3, 8:-8, 8:-8]).mean() < 0.02


def test_what_one_look_gets_wrong_the_others_outvote() -> None:
    image = picture()
    engine, _ = colour_engine()
    face = parsed(image, engine)
    wrong = face.probabilities.copy()
    wrong[:, 40:50, 40:50] = np.array([0.0, 0.0, 0.0, 1.0], np.float32)[:, None, None]
    face = ParsedFace(face.detection, face.alignment, wrong, face.classes, face.image_size)
    (mean,) = parse_augmented(Halvings(image), [face], engine, MAX_TTA)
    assert in_crop(mean, face.alignment)[3, 42:48, 42:48].max() < 0.5


def test_every_face_gets_its_own_mean() -> None:
    image = picture()
    engine, seen = colour_engine()
    face = parsed(image, engine)
    aside = Alignment((60.0, 100.0), 80.0, 0.0)
    planes = engine.infer(aside.crop(image, SIDE)[None])[0]
    other = ParsedFace(face.detection, aside, planes, CLASSES, (200, 200))
    together = parse_augmented(Halvings(image), [face, other], engine, MAX_TTA)
    assert [crops.shape[0] for crops in seen[2:]] == [2] * MAX_TTA
    for one, mean in zip((face, other), together, strict=True):
        (alone,) = parse_augmented(Halvings(image), [one], engine, MAX_TTA)
        np.testing.assert_allclose(mean.probabilities, alone.probabilities, atol=1e-6)
    assert parse_augmented(Halvings(image), [], engine, MAX_TTA) == []
    (same,) = parse_augmented(Halvings(image), [face], engine, 1)
    assert same is face, "one look costs nothing"


def test_a_parser_takes_as_many_looks_as_it_is_told(portrait: Image) -> None:
    with pytest.raises(ValueError, match="tta is 0, must be from 1 to 6"):
        FaceParser(tta=0)
    with FaceParser(tta=1, threads=2) as quick, FaceParser(threads=2) as careful:
        (one,), (many,) = quick.parse(portrait), careful.parse(portrait)
    assert many.alignment == one.alignment
    assert many.head is not None
    assert one.head is not None
    assert many.head.shape[-1] == 2 * one.head.shape[-1]
    assert many.alignment.face_side == pytest.approx(one.alignment.side)
    # Twice as fine: each look has a grid of its own.
    assert many.probabilities.shape[-1] == 2 * one.probabilities.shape[-1]
    agreement = (one.label_map() == many.label_map()).mean()
    assert 0.97 < agreement < 1.0


def test_images_are_looked_at_often_and_frames_once_unless_asked() -> None:
    assert RunConfig().tta_for(still=True) == MAX_TTA
    assert RunConfig().tta_for(still=False) == 1
    assert RunConfig(tta=2).tta_for(still=True) == RunConfig(tta=2).tta_for(still=False) == 2


def head_engine() -> LockedEngine:
    """Says hair where a picture is green, of the face crop and of the head."""
    packing = Packing(SIDE, SIDE, 48, 24)

    def maps(picture: Image, side: int) -> Plane:
        green = cv2.resize(picture[..., 1], (side, side), interpolation=cv2.INTER_AREA) / np.float32(255.0)
        red = cv2.resize(picture[..., 0], (side, side), interpolation=cv2.INTER_AREA) / np.float32(255.0)
        right = np.arange(side) >= side // 2
        return np.stack([1.0 - green - red, red * right, red * ~right, green]).astype(np.float32)

    def infer(crops: Crops) -> Probabilities:
        outputs = []
        for face, head in map(packing.pictures, crops):
            assert head is not None
            parts = [maps(face, SIDE).reshape(4, -1), maps(head, 24).reshape(4, -1)]
            outputs.append(np.concatenate(parts, axis=1))
        return np.stack(outputs)

    return LockedEngine("heads", EngineSpec(packing, CLASSES), "fp32", "heads", infer)


@pytest.mark.parametrize("tta", [2, MAX_TTA])
def test_heads_are_averaged_like_faces(tta: int) -> None:
    image, engine = picture(), head_engine()
    # Hair beyond the crop, which ends at y = 52 or so.
    image[20:30, 90:110] = (0, 255, 0)
    face = parsed(image, colour_engine()[0])
    ((one,), _) = parse_crops(Halvings(image), [face.detection], [face.alignment], engine)
    assert one.head is not None
    (mean,) = parse_augmented(Halvings(image), [one], engine, tta)
    assert mean.head is not None
    assert mean.alignment == one.alignment, "what lies beyond is the head's"
    assert mean.head.shape == (4, 48, 48)
    np.testing.assert_allclose(mean.head.sum(axis=0), 1.0, atol=1e-5)
    for each in (one, mean):
        hair = each.probability("hair")
        assert hair[22:28, 95:105].min() > 0.4
        assert hair[38:44, 95:105].max() < 0.1
