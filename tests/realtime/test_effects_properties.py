"""What holds for every effect, whatever the picture, the faces and the options."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from realtime.effects import EFFECTS, parse_effect
from realtime.frames import Detection, Image, ParsedFace
from realtime.frames.geometry import Alignment
from stn_icnn.labels import CLASSES
from tests.realtime.faces import HEAD, parsed_face

OF_A_FACE = tuple(name for name in EFFECTS if name not in ("background", "cutout"))
QUICK = settings(
    max_examples=25, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck), database=None
)


@st.composite
def pictures(draw: st.DrawFn) -> Image:
    height, width = draw(st.integers(1, 90)), draw(st.integers(1, 120))
    kind = draw(st.sampled_from(["noise", "black", "white", "ramp"]))
    if kind == "noise":
        rng = np.random.default_rng(draw(st.integers(0, 99)))
        return rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
    if kind == "ramp":
        ramp = np.linspace(0, 255, width, dtype=np.uint8)
        return np.repeat(np.repeat(ramp[None, :, None], 3, axis=2), height, axis=0)
    return np.full((height, width, 3), 255 if kind == "white" else 0, np.uint8)


@st.composite
def faces(draw: st.DrawFn, image_size: tuple[int, int]) -> ParsedFace:
    """A face of any place, size and roll, whose parts are boxes or single pixels or missing."""
    height, width = image_size
    side = draw(st.sampled_from([16, 32, 64]))
    logits = np.zeros((len(CLASSES), side, side), np.float32)
    for class_id in draw(st.sets(st.integers(0, len(CLASSES) - 1))):
        left, top = draw(st.integers(0, side - 1)), draw(st.integers(0, side - 1))
        w, h = draw(st.integers(0, side)), draw(st.integers(0, side))
        logits[class_id, top : top + h, left : left + w] = draw(st.sampled_from([1.0, 4.0, 30.0]))
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=0)
    centre = (draw(st.floats(-60, width + 60)), draw(st.floats(-60, height + 60)))
    place = Alignment(centre, draw(st.floats(1.0, 300.0)), draw(st.floats(-3.2, 3.2)))
    x, y = centre
    reach = place.side / 4
    detection = Detection((x - reach, y - reach, x + reach, y + reach), 0.9, (x, y), (x, y), (x, y))
    return ParsedFace(
        detection, place, probabilities.astype(np.float32), tuple(range(len(CLASSES))), image_size
    )


@st.composite
def scenes(draw: st.DrawFn) -> tuple[Image, list[ParsedFace]]:
    image = draw(pictures())
    height, width = image.shape[:2]
    return image, draw(st.lists(faces((height, width)), max_size=3))


@st.composite
def options(draw: st.DrawFn, name: str) -> str:
    """Any good options of an effect."""
    share = st.sampled_from(["0", "0.3", "1"])
    colour = st.sampled_from(["#000000", "#ffffff", "#ff0000", "#208040"])
    written = [f"strength={draw(st.sampled_from(['0.05', '0.5', '1']))}"]
    has = EFFECTS[name].__dataclass_fields__
    written += [f"{key}={draw(share)}" for key in ("gloss", "even", "highlights", "wing") if key in has]
    written += [f"{key}={draw(colour)}" for key in ("color", "tips") if key in has]
    return f"{name}:{','.join(written)}"


@pytest.mark.parametrize("name", OF_A_FACE)
@QUICK
@given(data=st.data())
def test_any_scene_is_painted_inside_its_bounds(name: str, data: st.DataObject) -> None:
    image, found = data.draw(scenes())
    effect = parse_effect(data.draw(options(name)))
    # A view into a larger picture, whose rim must never be written to.
    wide = np.full((image.shape[0] + 4, image.shape[1] + 4, 3), 77, np.uint8)
    wide[2:-2, 2:-2] = image
    whole = np.ascontiguousarray(image)
    effect.apply(whole, found)
    assert whole.shape == image.shape
    assert whole.dtype == np.uint8
    effect.apply(wide[2:-2, 2:-2], found)
    assert (wide[:2] == 77).all()
    assert (wide[:, -2:] == 77).all()
    if name != "overlay":
        assert np.array_equal(wide[2:-2, 2:-2], whole)


@pytest.mark.parametrize("name", OF_A_FACE)
@QUICK
@given(data=st.data())
def test_strength_0_is_the_identity_and_the_same_scene_paints_the_same(
    name: str, data: st.DataObject
) -> None:
    image, found = data.draw(scenes())
    same = image.copy()
    parse_effect(f"{name}:strength=0{',legend=no' if name == 'overlay' else ''}").apply(same, found)
    assert np.array_equal(same, image)
    once, twice = image.copy(), image.copy()
    for picture in (once, twice):
        parse_effect(name).apply(picture, found)
    assert np.array_equal(once, twice)


@pytest.mark.parametrize("name", OF_A_FACE)
def test_a_finer_parsing_paints_the_same(name: str) -> None:
    rng = np.random.default_rng(4)
    noise = cv2.GaussianBlur(rng.uniform(40.0, 215.0, (256, 256, 3)).astype(np.float32), (0, 0), 8.0)
    image = np.clip(10.0 * (noise - 127.0) + 127.0, 0.0, 255.0).astype(np.uint8)
    place = Alignment((127.5, 127.5), 256.0, 0.0)
    open_mouth = {"mouth": (54, 86, 74, 96), "l_lip": (50, 96, 78, 101)}
    coarse = parsed_face(HEAD | open_mouth, (256, 256), place, side=128)
    planes = [cv2.GaussianBlur(plane, (0, 0), 1.0) for plane in coarse.probabilities]
    finer = [cv2.resize(plane, (256, 256), interpolation=cv2.INTER_LINEAR) for plane in planes]
    painted = []
    for probabilities in (planes, finer):
        canvas = image.copy()
        face = replace(coarse, probabilities=np.asarray(probabilities, np.float32))
        parse_effect(name).apply(canvas, [face])
        painted.append(canvas.astype(np.int16))
    changed = np.abs(painted[0] - image).sum()
    assert changed > 0
    assert np.abs(painted[0] - painted[1]).sum() < 0.2 * changed
