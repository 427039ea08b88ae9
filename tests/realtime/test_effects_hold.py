"""What every effect must keep: other pixels, texture, teeth and whites, a steady picture."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from skimage.color import deltaE_ciede2000, rgb2lab

from realtime import FaceParser
from realtime.effects import EFFECTS, parse_effect
from realtime.effects.effect import parse_colour
from realtime.effects.tone import lab_of
from realtime.frames import Image, ParsedFace
from realtime.likeness.reading import rgb
from tests.realtime.faces import HEAD, parsed_face

# Parts each effect may touch, and how far beyond them, over the side of the face's crop.
REACH = {
    "skin": (("skin", "nose"), 0.03),
    "blush": (("skin",), 0.03),
    "eyeshadow": (("skin", "eye_g", "l_eye", "r_eye"), 0.03),
    "eyeliner": (("l_eye", "r_eye"), 0.1),
    "eyes": (("l_eye", "r_eye"), 0.02),
    "brows": (("l_brow", "r_brow"), 0.05),
    "lips": (("u_lip", "l_lip"), 0.05),
    "teeth": (("mouth",), 0.05),
    "hair": (("hair",), 0.05),
}
FACE_EFFECTS = tuple(REACH)
Mask = npt.NDArray[np.bool_]


@pytest.fixture(scope="module")
def noisy() -> Image:
    rng = np.random.default_rng(3)
    return rng.integers(0, 256, (240, 320, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def person(face_frame: Image) -> ParsedFace:
    with FaceParser(max_faces=1, threads=1) as parser:
        return parser.parse(face_frame)[0]


def painted(text: str, image: Image, *faces: ParsedFace) -> Image:
    result = image.copy()
    parse_effect(text).apply(result, faces)
    return result


def core(face: ParsedFace, *parts: str, pixels: int = 3) -> Mask:
    sure = (face.probability(parts) > 0.9).astype(np.uint8)
    return np.asarray(cv2.erode(sure, np.ones((pixels, pixels), np.uint8)) > 0)


def high_pass(image: Image) -> npt.NDArray[np.float64]:
    light = rgb2lab(image)[..., 0]
    return np.asarray(light - cv2.GaussianBlur(light, (0, 0), 4.0))


def kept_texture(before: Image, after: Image, where: Mask) -> float:
    return float(np.corrcoef(high_pass(before)[where], high_pass(after)[where])[0, 1])


def lightness(image: Image, where: Mask) -> float:
    return float(rgb2lab(image)[..., 0][where].mean())


@pytest.mark.parametrize("name", FACE_EFFECTS)
def test_pixels_beyond_the_feather_are_bit_identical(name: str, noisy: Image) -> None:
    face = parsed_face(HEAD, (240, 320), side=128)
    parts, reach = REACH[name]
    radius = int(np.ceil(reach * face.alignment.side))
    inside = (face.probability(parts) > 0).astype(np.uint8)
    near = cv2.dilate(inside, np.ones((2 * radius + 1, 2 * radius + 1), np.uint8)) > 0
    after = painted(f"{name}:strength=1", noisy, face)
    assert np.array_equal(after[~near], noisy[~near])
    assert (after != noisy).any()


# Flat and dark, wide and light, two colours: what the hair of photos is like.
DARK, LIGHT, RAINBOW = (
    "#0a0806/#100d0a/#16120e",
    "#3a2a18/#8a6a40/#c8a878/#f0dcb8",
    "#301020/#c02080/#f080c0/#ffe0f0",
)


@pytest.mark.parametrize("shades", ["none", DARK, LIGHT, RAINBOW])
@pytest.mark.parametrize("color", ["#e6c878", "#1e140f", "#6a2c70"])
def test_dyed_hair_keeps_its_strands(color: str, shades: str, face_frame: Image, person: ParsedFace) -> None:
    after = painted(f"hair:color={color},shades={shades},strength=1", face_frame, person)
    assert kept_texture(face_frame, after, core(person, "hair", pixels=9)) >= 0.9


@pytest.mark.parametrize("shades", [DARK, LIGHT, RAINBOW])
def test_hair_takes_on_the_spread_of_shades(shades: str, face_frame: Image, person: ParsedFace) -> None:
    colours = [lab_of(parse_colour(text)) for text in shades.split("/")]
    middle = "#{:02x}{:02x}{:02x}".format(*rgb(np.mean(colours, axis=0)))
    after = painted(f"hair:color={middle},shades={shades},strength=1", face_frame, person)
    hair = rgb2lab(after)[core(person, "hair", pixels=9)]
    mean = np.mean(colours, axis=0)
    assert np.abs(hair.mean(axis=0) - mean).max() < 6.0
    # As far as its own strands allow.
    own = rgb2lab(face_frame)[core(person, "hair", pixels=9)][:, 0]
    wanted = colours[-1][0] - colours[0][0]
    reached, before = (np.subtract(*np.percentile(light, (90, 10))) for light in (hair[:, 0], own))
    assert abs(reached - wanted) < max(6.0, 0.6 * abs(before - wanted))


@pytest.mark.parametrize(
    "text",
    [
        *("lips:strength=1,gloss=0", "lips:strength=1", "lips:strength=1,gloss=1"),
        *("lips:strength=1,cover=1", "lips:strength=1,cover=1,contrast=0.2", "lips:strength=1,contrast=0.9"),
    ],
)
@pytest.mark.parametrize("color", ["#b3123f", "#5a1030", "#e08080"])
def test_painted_lips_keep_their_creases(
    text: str, color: str, face_frame: Image, person: ParsedFace
) -> None:
    after = painted(f"{text},color={color}", face_frame, person)
    assert kept_texture(face_frame, after, core(person, "u_lip", "l_lip")) >= 0.9


@pytest.mark.parametrize("text", ["blush:strength=1", "skin:strength=0.4"])
def test_tinted_and_smoothed_skin_keeps_its_pores(text: str, face_frame: Image, person: ParsedFace) -> None:
    after = painted(text, face_frame, person)
    assert kept_texture(face_frame, after, core(person, "skin", pixels=9)) >= 0.9


def test_smoothing_takes_blotches_and_leaves_edges() -> None:
    face = parsed_face({"skin": (8, 8, 120, 120)}, (300, 300), side=128)
    rng = np.random.default_rng(0)
    blotches = cv2.GaussianBlur(rng.normal(0, 1, (300, 300)).astype(np.float32), (0, 0), 1.5)
    light = 150.0 + 4.0 * blotches / blotches.std()
    light[:, 150:] -= 80.0
    image = np.repeat(np.clip(light, 0, 255).astype(np.uint8)[..., None], 3, axis=2)
    after = painted("skin:strength=1,even=0", image, face)
    flat = (slice(120, 180), slice(100, 135))
    assert after[flat].std() < 0.5 * image[flat].std()
    edge = (slice(120, 180), slice(148, 152))
    assert np.abs(after[edge].astype(int) - image[edge]).mean() < 3.0


def test_teeth_and_whites_of_the_eyes_stay(face_frame: Image, person: ParsedFace) -> None:
    after = face_frame
    for text in ("lips:strength=1", "lips:strength=1,cover=1", "eyes:strength=1"):
        after = painted(text, after, person)
    change = deltaE_ciede2000(rgb2lab(face_frame), rgb2lab(after))
    light, red = (rgb2lab(face_frame)[..., channel] for channel in (0, 1))
    teeth = core(person, "mouth", pixels=1) & (light > 70) & (red < 12)
    whites = core(person, "l_eye", "r_eye", pixels=1) & (light > 65)
    assert teeth.sum() > 200
    assert whites.sum() > 50
    assert change[teeth].mean() < 2.0
    assert change[whites].mean() < 2.0


def strands(level: float, seed: int = 0) -> Image:
    """Hair of a grey level: fine vertical strands."""
    rng = np.random.default_rng(seed)
    lines = cv2.GaussianBlur(rng.normal(0, 1, (240, 320)).astype(np.float32), (0, 0), 1.0, sigmaY=8.0)
    light = level * (1.0 + 0.15 * lines / lines.std())
    return np.repeat(np.clip(light, 1, 254).astype(np.uint8)[..., None], 3, axis=2)


@pytest.mark.parametrize(("level", "color", "change"), [(24, "#d8b890", 25.0), (190, "#120c0a", -25.0)])
def test_black_hair_turns_blonde_and_blonde_black(level: float, color: str, change: float) -> None:
    face = parsed_face({"hair": (10, 10, 118, 118), "skin": (10, 10, 40, 118)}, (240, 320), side=128)
    image = strands(level)
    # A lit face beside it: the scene is not dark, the hair is.
    image[:, :136] = 210
    after = painted(f"hair:color={color},strength=1", image, face)
    inside = core(face, "hair", pixels=15)
    moved = lightness(after, inside) - lightness(image, inside)
    assert moved * np.sign(change) >= abs(change)
    assert kept_texture(image, after, inside) >= 0.9


def test_specks_apart_are_not_dyed_but_a_second_strand_is() -> None:
    face = parsed_face({"hair": (10, 10, 70, 60)}, (240, 320), side=128)
    hair = face.plane("hair")
    hair[100:106, 100:106] = 1.0
    hair[80:120, 20:40] = 1.0
    image = strands(90.0)
    changed = (painted("hair:strength=1", image, face) != image).any(axis=2)
    assert not changed[150:170, 190:210].any()
    assert changed[145:170, 120:132].mean() > 0.9


def test_ends_of_the_hair_take_the_second_colour() -> None:
    face = parsed_face({"hair": (10, 10, 118, 118)}, (240, 320), side=128)
    image = strands(90.0)
    after = painted("hair:color=#ff0000,tips=#0000ff,strength=1", image, face).astype(int)
    top, bottom = after[80:90, 140:180].mean(axis=(0, 1)), after[160:168, 140:180].mean(axis=(0, 1))
    assert top[0] > top[2] + 30
    assert bottom[2] > bottom[0] + 30


def test_gloss_adds_to_the_shine_and_matte_takes_of_it(face_frame: Image, person: ParsedFace) -> None:
    inside = core(person, "l_lip")
    dim = (face_frame * 0.6).astype(np.uint8)
    peaks = [
        float(np.percentile(painted(f"lips:gloss={gloss}", dim, person)[inside], 99))
        for gloss in (0.0, 0.4, 1.0)
    ]
    assert peaks[0] < peaks[1] < peaks[2]


def eye_picture() -> tuple[Image, ParsedFace, Mask, Mask]:
    """A large eye with a brown iris, a pupil and a catch-light; masks of iris and white."""
    box = HEAD["r_eye"]
    face = parsed_face(HEAD, (480, 640), side=128)
    scale = 3.0
    face = parsed_face(HEAD, (480, 640), face.alignment.__class__((319.5, 239.5), 128 * scale, 0.0), 128)
    x = 319.5 + ((box[0] + box[2] - 1) / 2 - 63.5) * scale
    y = 239.5 + ((box[1] + box[3] - 1) / 2 - 63.5) * scale
    image = np.full((480, 640, 3), (205, 160, 140), np.uint8)
    opening = face.probability("r_eye") > 0.5
    image[opening] = (225, 222, 220)
    rows, columns = np.mgrid[:480, :640]
    distance = np.hypot(rows - y, columns - x)
    image[opening & (distance < 9.0)] = (92, 58, 36)
    image[distance < 3.0] = (15, 12, 12)
    image[np.hypot(rows - y + 3, columns - x + 3) < 1.8] = 250
    return image, face, opening & (distance < 7.5) & (distance > 4.5), opening & (distance > 13.0)


def test_the_iris_is_found_and_tinted_and_its_catch_light_stays() -> None:
    image, face, iris, white = eye_picture()
    after = painted("eyes:color=#2060c0,strength=1", image, face)
    blue_before, blue = (rgb2lab(picture)[iris][:, 2].mean() for picture in (image, after))
    assert blue < blue_before - 15
    assert np.array_equal(after[white], image[white])
    light = (image == 250).all(axis=2)
    assert np.abs(after[light].astype(int) - image[light]).max() < 12


def test_teeth_get_whiter_and_the_tongue_stays() -> None:
    face = parsed_face({"mouth": (40, 60, 88, 80)}, (240, 320), side=128)
    image = np.full((240, 320, 3), (190, 140, 120), np.uint8)
    image[118:128, 130:190] = (215, 200, 160)
    image[128:136, 130:190] = (150, 60, 65)
    before, after = rgb2lab(image), rgb2lab(painted("teeth:strength=1", image, face))
    tooth, tongue = (slice(120, 126), slice(140, 180)), (slice(130, 134), slice(140, 180))
    assert after[tooth][..., 2].mean() < before[tooth][..., 2].mean() - 8
    assert after[tooth][..., 0].mean() > before[tooth][..., 0].mean()
    assert np.abs(after[tongue] - before[tongue]).max() < 2.0


def test_a_mosaic_leaves_nothing_of_the_face(face_frame: Image, person: ParsedFace) -> None:
    after = painted("pixelate", face_frame, person)
    inside = core(person, "nose", "l_eye", "r_eye", "mouth", "l_brow", "r_brow")
    shades = len(np.unique(after[inside], axis=0))
    assert shades < 60 < len(np.unique(face_frame[inside], axis=0)) / 10
    x0, y0, _, _ = (int(v) for v in person.box)
    assert np.array_equal(after[:, : x0 - 150], face_frame[:, : x0 - 150])
    assert np.array_equal(after[: y0 - 150], face_frame[: y0 - 150])


@pytest.mark.parametrize("name", FACE_EFFECTS)
def test_sensor_noise_does_not_make_it_flicker(name: str, face_frame: Image, person: ParsedFace) -> None:
    rng = np.random.default_rng(1)
    x0, y0, x1, y1 = (int(v) for v in person.box)
    rows, columns = slice(y0 - 60, y1 + 20), slice(x0 - 30, x1 + 30)
    changes = []
    for _ in range(6):
        noise = rng.normal(0.0, 2.0, face_frame.shape)
        still = np.clip(face_frame + noise, 0, 255).astype(np.uint8)
        after = painted(f"{name}:strength=1", still, person)
        changes.append(after[rows, columns].astype(np.float32) - still[rows, columns])
    parts, _ = REACH[name]
    inside = (person.probability(parts) > 0.5)[rows, columns]
    assert float(np.std(changes, axis=0)[inside].mean()) < 0.01 * 255


def test_a_shut_eye_gets_neither_iris_nor_liner(face_frame: Image) -> None:
    shut = {**HEAD, "r_eye": (36, 56, 50, 57), "l_eye": (78, 56, 92, 57)}
    face = parsed_face(shut, (720, 1280), side=128)
    for name in ("eyes", "eyeliner"):
        assert np.array_equal(painted(f"{name}:strength=1", face_frame, face), face_frame)


def test_blush_lies_on_both_cheeks_and_nowhere_near_the_nose(noisy: Image) -> None:
    face = parsed_face(HEAD, (240, 320), side=128)
    flat = np.full_like(noisy, (205, 160, 140))
    change = np.abs(painted("blush:strength=1", flat, face).astype(int) - flat).sum(axis=2)
    columns = np.flatnonzero(change.max(axis=0) > 20)
    assert columns.min() < 140
    assert columns.max() > 180
    assert change[:, 157:163].max() < change.max() / 3


def test_every_effect_is_held_to_its_parts() -> None:
    assert set(FACE_EFFECTS) | {"background", "cutout", "pixelate", "overlay"} == set(EFFECTS)
