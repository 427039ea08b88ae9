"""The look of a photo: what was painted on it is read back, and what is unpainted or can't be read is not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from benchmarks.likeness import HAIR, LIPS, difference, mean_colour, sure
from realtime.effects import Effect, parse_effect
from realtime.effects.effect import Colour
from realtime.effects.tone import lab_of
from realtime.errors import RealtimeError, UsageError
from realtime.frames import Image, ParsedFace
from realtime.likeness import READERS, Look, PhotoError, read_look
from realtime.likeness.measures import measure
from realtime.likeness.norms import Ramp
from realtime.likeness.reading import Light
from realtime.parser import FaceParser
from realtime.presets import from_photo, from_photo_file, load_preset
from tests.realtime.faces import HEAD, parsed_face


@pytest.fixture(scope="module")
def parser() -> Iterator[FaceParser]:
    with FaceParser(threads=1, tta=1) as parser:
        yield parser


@pytest.fixture(scope="module")
def face(parser: FaceParser, portrait: Image) -> ParsedFace:
    return parser.parse(portrait)[0]


def painted(image: Image, face: ParsedFace, *effects: str | Effect) -> Image:
    result = image.copy()
    for effect in effects:
        (parse_effect(effect) if isinstance(effect, str) else effect).apply(result, [face])
    return result


def strength(look: Look, name: str) -> float:
    found = [
        one.strength for one, text in zip(look.effects, look.texts, strict=True) if text.startswith(name)
    ]
    return found[0] if found else 0.0


def colour_of(look: Look, name: str) -> Colour:
    text = next(text for text in look.texts if text.startswith(name))
    effect = parse_effect(text)
    return effect.color  # type: ignore[attr-defined, no-any-return]


@pytest.mark.parametrize("preset", ["evening", "neon"])
def test_a_painted_photo_gives_its_look_to_the_unpainted_one(
    preset: str, portrait: Image, face: ParsedFace, parser: FaceParser
) -> None:
    wanted = painted(portrait, face, *load_preset(preset).effects)
    look = from_photo(wanted, parse=parser.parse)
    result = painted(portrait, face, *look.effects)
    for part in (LIPS, HAIR):
        where = sure(face, part)
        assert where is not None
        # The face is 100 pixels wide; on larger ones it is less.
        assert difference(mean_colour(wanted, where), mean_colour(result, where)) < 6.0, part


def test_what_is_not_made_up_is_left_out(portrait: Image, parser: FaceParser) -> None:
    look = from_photo(portrait, parse=parser.parse)
    for name in ("blush", "eyeshadow", "eyes", "brows"):
        assert strength(look, name) < 0.15, name
    assert strength(look, "hair") == 1.0, "hair has a colour always"


@pytest.mark.parametrize("name", ["lips", "blush", "eyeshadow", "eyeliner", "eyes", "hair"])
def test_each_effect_is_noticed_where_it_is_strong(
    name: str, portrait: Image, face: ParsedFace, parser: FaceParser
) -> None:
    strong = {
        "lips": "lips:color=#8c0f2c,strength=0.9",
        "blush": "blush:color=#d03060,strength=0.9",
        "eyeshadow": "eyeshadow:color=#2040d0,strength=0.9",
        "eyeliner": "eyeliner:color=#000000,strength=1",
        "eyes": "eyes:color=#20a0c0,strength=1",
        "hair": "hair:color=#4060d0,strength=1",
    }
    plain, made_up = read_look(portrait, [face]), read_look(painted(portrait, face, strong[name]), [face])
    assert strength(made_up, name) > 0.3
    if name == "hair":
        assert lab_of(colour_of(made_up, name))[2] < lab_of(colour_of(plain, name))[2] - 15
    else:
        assert strength(made_up, name) > strength(plain, name) + 0.2


def test_an_orange_lamp_makes_no_orange_lips(portrait: Image, face: ParsedFace) -> None:
    made_up = painted(portrait, face, "lips:color=#a01840,strength=1")
    lamp = np.clip(made_up * np.array([1.0, 0.78, 0.45]), 0, 255).astype(np.uint8)
    plain, orange = (
        np.array(lab_of(colour_of(read_look(image, [face]), "lips"))) for image in (made_up, lamp)
    )
    lips = measure(lamp, face)
    assert lips is not None
    assert lips.lips is not None
    seen = lips.lips.colour
    assert np.hypot(*(orange - plain)[1:]) < 0.6 * np.hypot(*(seen - plain)[1:])


def test_a_dim_photo_gives_the_colours_of_a_lit_one(portrait: Image, face: ParsedFace) -> None:
    lit = painted(portrait, face, "lips:color=#c03050,strength=1")
    dim = np.asarray(cv2.convertScaleAbs(lit, alpha=0.55), np.uint8)
    bright, dark = (lab_of(colour_of(read_look(image, [face]), "lips"))[0] for image in (lit, dim))
    where = sure(face, LIPS)
    assert where is not None
    seen = [mean_colour(image, where)[0] for image in (lit, dim)]
    assert abs(dark - bright) < 0.7 * abs(seen[1] - seen[0])


def test_tips_of_another_colour_are_read(portrait: Image, face: ParsedFace) -> None:
    look = read_look(painted(portrait, face, "hair:color=#c81e78,tips=#2a90d0,strength=1"), [face])
    text = next(text for text in look.texts if text.startswith("hair"))
    tips = text.partition("tips=")[2][:7]
    assert tips != "none,sh"
    assert lab_of(parse_effect(f"lips:color={tips}").color)[2] < lab_of(colour_of(look, "hair"))[2]  # type: ignore[attr-defined]


def test_parts_can_be_chosen(portrait: Image, face: ParsedFace) -> None:
    made_up = painted(portrait, face, "lips:color=#8c0f2c,strength=0.9")
    look = read_look(made_up, [face], parts=("hair", "lips"))
    assert [text.partition(":")[0] for text in look.texts] == ["lips", "hair"], "in the order of painting"
    with pytest.raises(UsageError, match="unknown part 'nose': one or more of skin,blush"):
        read_look(made_up, [face], parts=("nose",))


def test_what_cannot_be_read_is_said(portrait: Image, face: ParsedFace) -> None:
    grey = np.repeat(portrait[..., 1:2], 3, axis=2)
    for image, faces, number, error, message in (
        (portrait, [], None, PhotoError, "no face is found"),
        (portrait, [face, face], None, UsageError, "2 faces are found: name one, 1 .* to 2"),
        (portrait, [face, face], 3, UsageError, "there is no face 3: found 2"),
        (portrait, [parsed_face(HEAD, (512, 512))], None, PhotoError, "60 pixels wide: at least 80"),
        (grey, [face], None, PhotoError, "black and white"),
    ):
        with pytest.raises(error, match=message):
            read_look(image, faces, number=number)
    assert read_look(portrait, [face, face], number=2).effects


def test_hidden_eyes_are_left_out_with_a_line(portrait: Image, face: ParsedFace) -> None:
    hidden = face.probabilities.copy()
    for eye in (4, 5):
        hidden[3] += hidden[eye]
        hidden[eye] = 0.0
    blind = ParsedFace(face.detection, face.alignment, hidden, face.classes, face.image_size, head=face.head)
    look = read_look(portrait, [blind])
    assert look.left_out == ("eyeshadow, eyeliner, eyes: left out, the eyes are behind dark glasses",)
    assert read_look(portrait, [blind], parts=("lips",)).left_out == ()


def test_files_that_are_no_photo_are_told_by_name(tmp_path: Path, parser: FaceParser) -> None:
    (tmp_path / "text.jpg").write_text("no picture")
    cv2.imwrite(str(tmp_path / "wall.png"), np.full((200, 200, 3), 120, np.uint8))
    for name, message in (
        ("", "is a folder; give one photo"),
        ("none.jpg", "no such file"),
        ("text.jpg", "cannot be read as an image"),
        ("wall.png", "no face is found in it"),
    ):
        with pytest.raises(RealtimeError, match=f"^{tmp_path / name}: {message}$") as caught:
            from_photo_file(tmp_path / name, parse=parser.parse)
        assert caught.value.exit_code == 1


def test_every_reader_is_an_effect_and_evidence_is_a_ramp() -> None:
    assert [type(parse_effect(name)).__name__.lower() for name in READERS] == list(READERS)
    rising, falling = Ramp(1.0, 3.0), Ramp(0.5, 0.1)
    assert [rising.of(score) for score in (0.0, 1.0, 2.0, 3.0, 9.0)] == [0.0, 0.0, 0.5, 1.0, 1.0]
    assert (falling.of(0.6), falling.of(0.0)) == (0.0, 1.0)
    assert Light((0.0, 0.0), 65.0, 0.5).neutral(np.array([20.0, 10.0, 5.0])).tolist() == [40.0, 20.0, 10.0]
