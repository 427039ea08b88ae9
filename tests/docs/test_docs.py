"""The pages for users: commands that work, Python that runs, links that lead somewhere, flags told of."""

from __future__ import annotations

import argparse
import itertools
import re
import shlex
import sys
import types
from collections.abc import Iterator
from operator import attrgetter
from pathlib import Path
from typing import Any

import cv2
import pytest

import realtime.app.run
from engines import load_engine
from realtime.effects import EFFECTS
from realtime.errors import UsageError
from realtime.frames import RenderedFrame
from realtime.models import MODELS, is_whole
from realtime.presets import PRESETS
from realtime.sources import cameras
from tests.conftest import Image, VideoMaker
from tests.docs.pages import PAGES, ROOT, Command, anchors, blocks, commands, links, prose
from tests.docs.rules import parsers, try_command

pytestmark = pytest.mark.timeout(90)

_name = attrgetter("name")

LONGEST_LINE, MOST_LONG_LINES = 110, 20
LONGEST_CARD = 250


@pytest.fixture(scope="module")
def engine() -> Iterator[tuple[Any, str]]:
    """One engine for all commands: loading it each time would take most of the time."""
    loaded, line = load_engine("openvino", max_batch=4)
    yield loaded, line
    loaded.close()


class Window:
    """Shows nothing and asks for the end after a few frames, as nobody can press q."""

    def __init__(self, *_: object) -> None:
        self.left = 3

    def write(self, rendered: RenderedFrame) -> bool:
        self.left -= 1
        return self.left > 0

    def close(self, whole: bool = True) -> None:
        pass

    def abort(self) -> None:
        pass


class WebCamera:
    """A camera that gives one picture again and again."""

    picture: Image

    def __init__(self, device: int | str) -> None:
        pass

    def isOpened(self) -> bool:  # noqa: N802 - OpenCV's name
        return True

    def set(self, name: int, value: float) -> bool:
        return True

    def get(self, name: int) -> float:
        return 30.0

    def read(self) -> tuple[bool, Image]:
        return True, self.picture

    def release(self) -> None:
        pass


class VirtualCamera:
    device = "/dev/video10"

    def __init__(self, *_: object, **__: object) -> None:
        pass

    def send(self, image: Image) -> None:
        pass

    def close(self) -> None:
        pass


@pytest.fixture
def scratch(
    tmp_path: Path,
    make_video: VideoMaker,
    portrait: Image,
    engine: tuple[Any, str],
    monkeypatch: pytest.MonkeyPatch,
) -> Path:
    """A folder with video.mp4 and photo.jpg to work in, a camera, a window and a virtual camera."""
    make_video("video.mp4", frames=12, audio=True)
    cv2.imwrite(str(tmp_path / "photo.jpg"), portrait[..., ::-1])
    monkeypatch.chdir(tmp_path)

    class Lasting:
        """The engine, which a run must not close."""

        close = staticmethod(lambda: None)

        def __getattr__(self, name: str) -> Any:
            return getattr(engine[0], name)

    monkeypatch.setattr(realtime.app.run, "load_engine", lambda *_: (Lasting(), engine[1]))
    monkeypatch.setattr(realtime.app.run, "WindowSink", Window)
    monkeypatch.setattr(WebCamera, "picture", portrait[..., ::-1].copy(), raising=False)
    monkeypatch.setattr(cv2, "VideoCapture", WebCamera)
    monkeypatch.setattr(cameras, "find_cameras", lambda: [cameras.Camera("/dev/video0", "a camera")])
    module: Any = types.ModuleType("pyvirtualcam")
    module.Camera, module.PixelFormat = VirtualCamera, types.SimpleNamespace(RGB=None)
    monkeypatch.setitem(sys.modules, "pyvirtualcam", module)
    return tmp_path


@pytest.mark.parametrize("command", commands(), ids=str)
def test_a_command_works(command: Command, scratch: Path) -> None:
    if "setup" in command.words and not all(map(is_whole, MODELS)):
        pytest.skip("would download")
    # A flag that isn't there ends in argparse's SystemExit.
    assert try_command(command.words, scratch) in ("run", "read")


def test_the_pages_commands_are_found() -> None:
    kinds = [command.words[:2] for command in commands()]
    assert kinds.count(["python", "run_webcam.py"]) > 20
    assert ["make", "test"] in kinds
    assert Command("a page", "tool --color=#b3123f  # a comment").words == ["tool", "--color=#b3123f"]


@pytest.mark.parametrize(
    "line",
    [
        "python run_webcam.py --sauce video.mp4",
        "python run_webcam.py --source video.mp4 --effect lipstick --output painted.mp4",
        "python run_webcam.py --source udp://127.0.0.1:5 --smooth 7",
        "python -m engines rebuild",
        "python -m brushes",
        "pip install '.[gpu]'",
        "make coffee",
        "sudo modprobe v4l2loopback video_nr=10",
        "convert photo.jpg photo.png",
    ],
)
def test_a_command_that_does_not_work_is_noticed(line: str, scratch: Path) -> None:
    with pytest.raises((AssertionError, SystemExit, UsageError)):
        try_command(Command("a page", line).words, scratch)


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page, "python")], ids=_name)
def test_python_runs(page: Path, scratch: Path, capsys: pytest.CaptureFixture[str]) -> None:
    if page.stem == "masks":
        # What is read there its first command wrote.
        try_command(shlex.split(blocks(page, "sh")[0].splitlines()[0]), scratch)
    names: dict[str, Any] = {"__name__": page.stem}
    for number, block in enumerate(blocks(page, "python")):
        exec(compile(block, f"{page.name}, block {number + 1}", "exec"), names)
    assert capsys.readouterr().out, "the examples print something"


@pytest.mark.parametrize("page", [*PAGES, ROOT / "CONTRIBUTING.md"], ids=_name)
def test_links_lead_somewhere(page: Path) -> None:
    for link in links(page):
        if "://" in link:
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        assert target.exists(), f"{page.name} links to {link}"
        assert not anchor or anchor in anchors(target), f"{page.name} links to {link}"


def test_every_page_is_in_the_index() -> None:
    index = {link.partition("#")[0] for link in links(ROOT / "docs" / "README.md")}
    assert {page.name for page in PAGES if page.name != "README.md"} <= index


def test_lines_are_short_and_the_model_card_is_one() -> None:
    folders = (ROOT, ROOT / "docs", ROOT / "examples", ROOT / ".github", ROOT / ".github" / "ISSUE_TEMPLATE")
    pages = [page for folder in folders for page in sorted(folder.glob("*.md"))]
    long = [f"{page.name}: {line}" for page in pages for line in prose(page) if len(line) > LONGEST_LINE]
    assert len(long) <= MOST_LONG_LINES, "\n".join(long)
    card = (ROOT / "docs" / "model.md").read_text(encoding="utf-8")
    assert len(card.splitlines()) <= LONGEST_CARD


def _flags(parser: argparse.ArgumentParser) -> Iterator[str]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for one in action.choices.values():
                yield from _flags(one)
        yield from (word for word in action.option_strings if word.startswith("--") and word != "--help")


@pytest.mark.parametrize("name", list(parsers()))
def test_every_flag_is_told(name: str) -> None:
    text = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)
    told = set(re.findall(r"--[a-z][a-z-]*", text))
    missing = set(_flags(parsers()[name])) - told
    assert not missing, f"{name}: in no page: {sorted(missing)}"


def test_no_page_tells_of_a_flag_that_is_not_there() -> None:
    known = set(itertools.chain.from_iterable(_flags(parser) for parser in parsers().values()))
    # Of other programs.
    known |= {
        "--help",
        "--cask",
        "--device",
        "--head",
        "--port",
        "--address",
        "--dest",
        "--no-index",
        "--find-links",
    }
    for page in PAGES:
        # Not the dashes within a word.
        for flag in re.findall(r"(?<![\w-])--[a-z][a-z-]*", page.read_text(encoding="utf-8")):
            assert flag in known, f"{page.name} tells of {flag}"


def test_presets_and_effects_of_the_pages_are_real() -> None:
    flags = (ROOT / "docs" / "flags.md").read_text(encoding="utf-8")
    assert all(f"`{preset}`" in flags for preset in PRESETS)
    effects = (ROOT / "docs" / "effects.md").read_text(encoding="utf-8")
    assert all(f"| `{effect}` |" in effects for effect in EFFECTS)
