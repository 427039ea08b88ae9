"""The page in a real Chromium: a made camera films the portrait, painted lips come back."""

from __future__ import annotations

import base64
import re
import time
from collections.abc import Callable, Iterator
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from benchmarks.browser import browser, camera_image, find_chromium, served, visit, write_camera
from realtime.effects import parse_effect
from realtime.errors import UsageError
from realtime.parser import FaceParser
from realtime.sources.demo import demo_portrait
from tests.conftest import Image, skip_or_fail

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page


@pytest.fixture(scope="module")
def served_page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Browser, str]]:
    try:
        find_chromium()
    except UsageError as error:
        skip_or_fail(str(error))
    camera = tmp_path_factory.mktemp("camera") / "camera.mjpeg"
    write_camera(camera, frames=1)
    flags = ("--effect", "lips:color=#0030ff,strength=1")
    with served(*flags) as (address, _), browser(camera) as running:
        yield running, address


@pytest.fixture
def page_of(served_page: tuple[Browser, str]) -> Iterator[tuple[Browser, str]]:
    yield served_page
    for context in served_page[0].contexts:
        context.close()


def shot(page: Page) -> Image:
    """Return the painted picture as the page has it, (480, 640, 3) uint8 RGB."""
    text = page.evaluate(
        """() => { const video = document.getElementById("painted");
        const canvas = document.createElement("canvas");
        [canvas.width, canvas.height] = [video.videoWidth, video.videoHeight];
        canvas.getContext("2d").drawImage(video, 0, 0);
        return canvas.toDataURL("image/png").split(",")[1]; }"""
    )
    data = np.frombuffer(base64.b64decode(text), np.uint8)
    image = cv2.imdecode(data, cv2.IMREAD_COLOR)
    assert image is not None
    return np.asarray(cv2.resize(image, (640, 480))[..., ::-1], np.uint8)


@cache
def lips() -> npt.NDArray[np.bool_]:
    """Where the made camera's one picture has lips, (480, 640)."""
    with FaceParser() as parser:
        face = parser.parse(camera_image(demo_portrait(), 0))[0]
        return face.probability(["u_lip", "l_lip"]) > 0.8


def blueness(page: Page, mirrored: bool = False) -> float:
    """How much bluer than red the lips are."""
    return blueness_of(shot(page)[:, ::-1] if mirrored else shot(page))


def blueness_of(image: Image) -> float:
    colour = image[lips()].astype(float).mean(axis=0)
    return float(colour[2] - colour[0])


def is_painted(page: Page) -> bool:
    return blueness(page, mirrored=True) > 20


def until(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "did not come to pass"


@pytest.mark.timeout(150)
def test_a_face_goes_in_and_painted_lips_come_out(page_of: tuple[Browser, str], tmp_path: Path) -> None:
    running, address = page_of
    page = visit(running, address)
    asked: list[str] = []
    complaints: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: complaints.append(message.text))
    until(lambda: blueness(page, mirrored=True) > 20)
    page.click("#mirror")
    bare = blueness_of(camera_image(demo_portrait(), 0))
    until(lambda: blueness(page) > 20)
    # The control of the colour, then the preset that paints nothing.
    page.locator("[data-effect=lips] input[type=color]").fill("#ff0000")
    until(lambda: blueness(page) < bare - 20)
    page.locator("input[value=none]").check(force=True)
    until(lambda: abs(blueness(page) - bare) < 10)
    page.locator("input[value=start]").check(force=True)
    until(lambda: blueness(page) > 20)
    # All of it as before, with the line at the right.
    page.locator("#split").fill("100")
    until(lambda: abs(blueness(page) - bare) < 10)
    page.locator("#split").fill("0")
    until(lambda: blueness(page) > 20)
    assert re.fullmatch(r"[0-9]+ ms", page.inner_text("#latency"))
    for button, name in (("#snapshot", r"snapshot-.*\.png"), ("#record", r"recording-.*\.(mp4|webm)")):
        page.click(button)
        if button == "#record":
            page.wait_for_timeout(1500)
        with page.expect_download() as download:
            page.click(button)
        assert re.fullmatch(name, download.value.suggested_filename)
        download.value.save_as(tmp_path / download.value.suggested_filename)
    picture = next(tmp_path.glob("snapshot-*"))
    image = cv2.imread(str(picture))
    assert image is not None
    assert image.std() > 20, "there is a picture in it"
    assert next(tmp_path.glob("recording-*")).stat().st_size > 10_000
    assert all(url.startswith((address, "blob:")) for url in asked)
    assert not complaints


@pytest.mark.timeout(150)
def test_a_photo_gives_its_look_and_what_is_none_is_told(
    page_of: tuple[Browser, str], tmp_path: Path, portrait: Image
) -> None:
    running, address = page_of
    page = visit(running, address)
    until(lambda: blueness(page, mirrored=True) > 20)
    photo = portrait.copy()
    with FaceParser() as parser:
        faces = parser.parse(photo)
    parse_effect("lips:color=#8c0f2c,strength=1").apply(photo, faces)
    cv2.imwrite(str(tmp_path / "red.png"), photo[..., ::-1])
    page.set_input_files("#photo", tmp_path / "red.png")
    until(lambda: page.inner_text("#photo-said") == "Read.")
    assert page.inner_text("#about") == "as in the photo"
    assert page.locator("[data-effect=lips] input[type=checkbox]").first.is_checked()
    assert page.locator("[data-effect=hair] .shades span").count() == 5
    until(lambda: blueness(page, mirrored=True) < -20)
    (tmp_path / "text.png").write_text("no picture")
    page.set_input_files("#photo", tmp_path / "text.png")
    until(lambda: page.inner_text("#photo-said") == "text.png can't be read as an image.")
    cv2.imwrite(str(tmp_path / "wall.png"), np.full((200, 200, 3), 120, np.uint8))
    page.set_input_files("#photo", tmp_path / "wall.png")
    until(lambda: page.inner_text("#photo-said") == "no face is found in it")


@pytest.mark.timeout(150)
def test_two_are_painted_a_third_is_told_and_gets_the_place_of_who_leaves(
    page_of: tuple[Browser, str],
) -> None:
    running, address = page_of
    first, second = visit(running, address), visit(running, address)
    for page in (first, second):
        until(partial(is_painted, page))
    # One's choice is not the other's.
    second.locator("input[value=none]").check(force=True)
    until(lambda: blueness(second, mirrored=True) < 0)
    assert blueness(first, mirrored=True) > 20
    third = running.new_context().new_page()
    third.goto(address)
    third.click("#start")
    third.locator("#message", has_text="All 2 places are taken.").wait_for(timeout=20_000)
    first.close()
    third.wait_for_selector("#status[data-state=on]", timeout=30_000)


@pytest.mark.timeout(150)
def test_a_server_that_comes_back_is_found_again(page_of: tuple[Browser, str]) -> None:
    running, _ = page_of
    with served() as (address, _):
        page = visit(running, address)
    page.locator("#message", has_text="Trying again").wait_for(timeout=30_000)
    with served("--serve", address.removeprefix("http://").strip("/")):
        page.wait_for_selector("#status[data-state=on]", timeout=40_000)


def test_the_keyboard_alone_will_do(page_of: tuple[Browser, str]) -> None:
    running, address = page_of
    page = running.new_context(viewport={"width": 390, "height": 800}).new_page()
    page.goto(address)
    page.wait_for_selector(".effect")
    reached = set()
    for _ in range(60):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.id || document.activeElement.type"))
    assert {"start", "split", "mirror", "radio", "checkbox", "color", "range"} <= reached
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), (
        "nothing is wider than a phone"
    )
    page.context.close()
