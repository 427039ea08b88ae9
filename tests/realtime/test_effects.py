from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from realtime.effects import EFFECTS, describe_effects, format_effect, parse_effect
from realtime.effects.eyeshadow import Eyeshadow
from realtime.effects.hair import Hair
from realtime.effects.lips import Lips
from realtime.effects.overlay import Overlay
from realtime.errors import UsageError
from realtime.frames import Image, ParsedFace, Plane
from realtime.frames.geometry import Alignment
from realtime.presets import PRESETS
from tests.realtime.faces import parsed_face

OF_A_FACE = tuple(name for name in EFFECTS if name not in ("background", "cutout"))
PARTS = {
    "hair": (8, 6, 56, 20),
    "skin": (10, 20, 54, 40),
    "u_lip": (20, 40, 44, 44),
    "l_lip": (20, 44, 44, 50),
}


@pytest.fixture
def picture() -> Image:
    rng = np.random.default_rng(0)
    rough = rng.integers(0, 256, (120, 160, 3), dtype=np.uint8)
    return np.asarray(cv2.GaussianBlur(rough, (0, 0), 1.5), np.uint8)


@pytest.fixture
def face() -> ParsedFace:
    return parsed_face(PARTS)


@pytest.fixture(autouse=True)
def _segmenter(monkeypatch: pytest.MonkeyPatch) -> None:
    """A segmenter that takes the picture's left half for a person."""

    class Half:
        def segment(self, image: Image) -> Plane:
            mask = np.zeros((144, 256), np.float32)
            mask[:, :128] = 1.0
            return mask

    for module in ("person", "background", "cutout"):
        monkeypatch.setattr(f"realtime.effects.{module}.person_segmenter", Half)


@pytest.mark.parametrize("name", EFFECTS)
def test_strength_0_is_the_identity(name: str, picture: Image, face: ParsedFace) -> None:
    text = f"{name}:strength=0" + (",legend=no" if name == "overlay" else "")
    image = picture.copy()
    parse_effect(text).apply(image, [face])
    assert np.array_equal(image, picture)


@pytest.mark.parametrize("name", OF_A_FACE)
def test_no_face_no_change(name: str, picture: Image) -> None:
    image = picture.copy()
    parse_effect(name).apply(image, [])
    assert np.array_equal(image, picture)


@pytest.mark.parametrize(("name", "parts"), [("lips", ("u_lip", "l_lip")), ("hair", ("hair",))])
def test_its_parts_are_painted(name: str, parts: tuple[str, ...], picture: Image, face: ParsedFace) -> None:
    image = picture.copy()
    parse_effect(name).apply(image, [face])
    changed = (image != picture).any(axis=2)
    assert changed[face.probability(parts) > 0.95].mean() > 0.9


def test_lips_take_the_colour(picture: Image, face: ParsedFace) -> None:
    image = picture.copy()
    Lips(color=(179, 18, 63), strength=1.0).apply(image, [face])
    inside = face.probability(("u_lip", "l_lip")) > 0.99
    lab = cv2.cvtColor(image, cv2.COLOR_RGB2LAB).astype(float)
    target = cv2.cvtColor(np.array([[(179, 18, 63)]], np.uint8), cv2.COLOR_RGB2LAB)[0, 0]
    assert np.abs(lab[inside][:, 1:].mean(axis=0) - target[1:]).max() < 15


@pytest.mark.parametrize("text", ["background", "background:fill=#102030", "cutout"])
def test_what_is_behind_the_people_changes_and_they_stay(text: str) -> None:
    rng = np.random.default_rng(0)
    picture = rng.integers(0, 256, (90, 160, 3), dtype=np.uint8)
    image = picture.copy()
    parse_effect(f"{text}{',' if ':' in text else ':'}strength=1").apply(image, [])
    assert np.array_equal(image[:, :60], picture[:, :60])
    assert image[:, 100:].std(axis=(0, 1)).max() < 0.4 * picture[:, 100:].std()


def test_a_picture_can_be_put_behind(tmp_path: Path, picture: Image) -> None:
    behind = tmp_path / "behind.png"
    cv2.imwrite(str(behind), np.full((10, 30, 3), (30, 20, 10), np.uint8))
    image = picture.copy()
    parse_effect(f"background:fill={behind},strength=1").apply(image, [])
    assert np.array_equal(np.unique(image[:, 120:].reshape(-1, 3), axis=0), [[10, 20, 30]])


def test_a_face_stays_in_front_whatever_the_segmenter_says(picture: Image) -> None:
    face = parsed_face({"skin": (16, 16, 48, 48)}, alignment=Alignment((125.0, 60.0), 64.0, 0.0))
    image = picture.copy()
    parse_effect("background:fill=#000000,strength=1").apply(image, [face])
    assert np.array_equal(image[56:64, 121:129], picture[56:64, 121:129])


def test_the_black_bars_of_a_film_stay_black() -> None:
    image = np.full((90, 160, 3), 120, np.uint8)
    image[:12] = image[-12:] = 0
    parse_effect("background:strength=1").apply(image, [])
    assert image[:12].max() == image[-12:].max() == 0
    assert np.abs(image[12:-12].astype(int) - 120).max() <= 1


def test_a_background_that_is_no_picture_is_said() -> None:
    with pytest.raises(UsageError, match="neither blur, nor a colour as #rrggbb, nor an image file"):
        parse_effect("background:fill=none.png")


def test_black_bars_are_not_dyed(face: ParsedFace) -> None:
    image = np.full((120, 160, 3), 90, np.uint8)
    image[:40] = 0
    Hair(color=(255, 0, 0), strength=1.0).apply(image, [face])
    assert image[:40].max() == 0
    assert image[45, 80, 0] > 110


def test_painting_follows_soft_probabilities(face: ParsedFace) -> None:
    image = np.full((120, 160, 3), 120, np.uint8)
    face.probabilities[13, 6:20, 8:56] = np.linspace(0, 1, 48, dtype=np.float32)
    Hair(color=(255, 0, 0), strength=1.0).apply(image, [face])
    red = image[41, 56:104, 0].astype(int)
    assert red[0] == 120
    assert red[-10] > 150
    assert len(set(red.tolist())) > 8, "a soft ramp, not a hard mask"


def test_overlay_paints_every_part_and_names_it(picture: Image, face: ParsedFace) -> None:
    plain, named = picture.copy(), picture.copy()
    Overlay(legend=False).apply(plain, [face])
    Overlay().apply(named, [face])
    inside = face.probability("skin") > 0.95
    assert (plain != picture).any(axis=2)[inside].mean() > 0.9
    assert (named[:40, :40] != plain[:40, :40]).any(), "the legend is drawn"


@pytest.mark.parametrize("name", EFFECTS)
def test_faces_at_the_border_and_outside(name: str, picture: Image) -> None:
    for centre in ((0.0, 0.0), (159.0, 119.0), (-300.0, 50.0)):
        image = picture.copy()
        place = parsed_face(PARTS, alignment=Alignment(centre, 80.0, 0.5))
        parse_effect(name).apply(image, [place, place])


def test_options_are_read() -> None:
    assert parse_effect("lips:color=#0000ff,strength=0.25") == Lips((0, 0, 255), 0.25)
    assert parse_effect("hair") == Hair()
    assert parse_effect("overlay:legend=no") == Overlay(legend=False)
    assert parse_effect("hair:tips=none") == Hair()
    assert parse_effect("hair:tips=#010203") == Hair(tips=(1, 2, 3))
    assert parse_effect("hair:shades=#010203/#040506") == Hair(shades=((1, 2, 3), (4, 5, 6)))
    assert parse_effect("lips:contrast=0.5,cover=1") == Lips(cover=1.0, contrast=0.5)
    assert parse_effect("eyeshadow:upper=#010203") == Eyeshadow(upper=(1, 2, 3))


@pytest.mark.parametrize(
    "text",
    [
        *(*EFFECTS, "hair:tips=#0a0b0c,highlights=0.25", "overlay:legend=no", "background:fill=#00ff00"),
        *("hair:shades=#010203/#a0b0c0/#ffffff", "lips:cover=0.5,contrast=0.25", "eyeshadow:upper=#00ff00"),
    ],
)
def test_an_effect_is_written_as_it_is_read(text: str) -> None:
    effect = parse_effect(text)
    assert parse_effect(format_effect(effect)) == effect


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("beard", "unknown effect 'beard': one of skin, blush, "),
        ("", "unknown effect"),
        ("lips:colour=#ff0000", "bad option 'colour=#ff0000': one of color, strength, gloss"),
        ("lips:color", "bad option 'color'"),
        ("lips:color=red", "bad colour 'red'"),
        ("lips:color=#12345", "bad colour"),
        ("hair:strength=2", "bad number '2'"),
        ("hair:strength=nan", "bad number"),
        ("hair:shades=#010203", "bad shades '#010203': 2 to 9 colours"),
        ("hair:shades=#010203/blue", "bad colour 'blue'"),
        ("hair:shades=" + "/".join(["#010203"] * 10), "bad shades"),
        ("lips:contrast=2", "bad number '2'"),
        ("overlay:legend=maybe", "yes or no"),
    ],
)
def test_what_is_wrong_is_said(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message.replace("(", "\\(")):
        parse_effect(text)


def test_the_page_lists_every_effect_with_its_defaults_and_every_preset() -> None:
    text = (Path(__file__).parents[2] / "docs" / "effects.md").read_text()
    for line in describe_effects().splitlines():
        name, _, options = line.strip().partition(":")
        assert f"| `{name}` | `{options}` |" in text
    for preset in PRESETS:
        assert f"`{preset}`" in text


def test_the_help_lists_every_effect_with_defaults() -> None:
    text = describe_effects()
    assert "lips:color=#b3123f,strength=0.7,gloss=0.4" in text
    assert "hair:color=#6a2c70,strength=0.7,tips=none,highlights=0" in text
    assert "background:fill=blur,strength=0.6" in text
    assert "overlay:strength=0.6,legend=yes" in text


@pytest.mark.parametrize("name", EFFECTS)
def test_a_grey_picture_is_painted_too(name: str, picture: Image, face: ParsedFace) -> None:
    grey = np.repeat(picture[..., :1], 3, axis=2)
    parse_effect(name).apply(grey, [face])
    black = np.zeros_like(picture)
    parse_effect(name).apply(black, [face])
