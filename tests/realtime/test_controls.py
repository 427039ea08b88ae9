"""The window's keys, without a display: OpenCV's window functions are replaced."""

from __future__ import annotations

import threading
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest

from realtime.effects.controls import Controls
from realtime.effects.hair import Hair
from realtime.effects.lips import Lips
from realtime.effects.rendering import Renderer
from realtime.errors import SinkError
from realtime.frames import Frame, Image, ParsedFrame, RenderedFrame
from realtime.media import SourceInfo
from realtime.sinks.keys import key_name
from realtime.sinks.view import HELP, View
from realtime.sinks.window import WindowSink
from tests.conftest import times

INFO = SourceInfo("t", 64, 48, Fraction(30), Fraction(1, 30))
UP, DOWN, LEFT, RIGHT = 0xFF52, 0xFF54, 0xFF51, 0xFF53


class Screen:
    """What stands in for the window toolkit: keys to give, pictures it was shown, sliders."""

    def __init__(self) -> None:
        self.keys: list[int] = []
        self.shown: list[Image] = []
        self.sliders: dict[str, int] = {}
        self.moved: dict[str, object] = {}

    def wait(self, _: int) -> int:
        return self.keys.pop(0) if self.keys else -1


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Screen:
    fake = Screen()

    def track(name: str, window: str, value: int, count: int, moved: object) -> None:
        fake.sliders[name], fake.moved[name] = value, moved

    monkeypatch.setenv("DISPLAY", ":9")
    monkeypatch.chdir(tmp_path)
    for name in ("namedWindow", "resizeWindow", "destroyWindow", "waitKey"):
        monkeypatch.setattr(cv2, name, lambda *_: -1)
    monkeypatch.setattr(cv2, "waitKeyEx", fake.wait)
    monkeypatch.setattr(cv2, "imshow", lambda _, image: fake.shown.append(image[..., ::-1].copy()))
    monkeypatch.setattr(cv2, "getWindowProperty", lambda *_: 1.0)
    monkeypatch.setattr(cv2, "createTrackbar", track)
    monkeypatch.setattr(cv2, "setTrackbarPos", lambda name, _, value: fake.sliders.update({name: value}))
    return fake


def rendered(index: int = 0, before: int = 40, after: int = 200) -> RenderedFrame:
    image = np.full((48, 64, 3), before, np.uint8)
    return RenderedFrame(Frame(image, index, Fraction(index, 30), 0.0), np.full_like(image, after))


def controls() -> Controls:
    return Controls((Lips(strength=0.5), Hair(strength=0.7)))


@pytest.mark.parametrize(
    ("code", "name"),
    [
        (-1, ""),
        (ord("b"), "b"),
        (ord("7"), "7"),
        (0x100000 + ord("b"), "b"),
        (UP, "up"),
        (0x100000 + UP, "up"),
        (0x250000, "left"),
        (0x280000, "down"),
        (63235, "right"),
        (0xFF97, "up"),
        (0xFFB1, "1"),
        (27, "escape"),
        (0xFFE1, ""),
    ],
)
def test_a_key_means_the_same_under_every_toolkit(code: int, name: str) -> None:
    assert key_name(code) == name


def test_number_keys_toggle_and_arrows_change_what_is_painted(screen: Screen) -> None:
    shared = controls()
    sink = WindowSink(INFO, shared)
    screen.keys = [ord("2")]
    assert sink.write(rendered())
    assert shared.effects() == (Lips(strength=0.5),)
    for code in (LEFT, UP, UP, UP, RIGHT, DOWN):
        sink.press(code)
    lips, hair = shared.slots()
    assert (lips.strength, lips.on) == (0.65, True)
    assert (hair.strength, hair.on, hair.chosen) == (0.65, True, True)
    assert screen.sliders == {"1 lips": 65, "2 hair": 65}


def test_strength_stays_between_0_and_1_and_no_effect_is_no_trouble() -> None:
    shared = controls()
    shared.change(100)
    assert shared.slots()[0].strength == 1.0
    shared.change(-100)
    assert shared.slots()[0].strength == 0.0
    empty = Controls(())
    empty.change(1)
    empty.choose(1)
    empty.toggle(0)
    shared.toggle(9)
    assert empty.effects() == ()
    assert len(shared.effects()) == 2


def test_a_slider_sets_its_effect(screen: Screen) -> None:
    shared = controls()
    WindowSink(INFO, shared)
    screen.moved["2 hair"](25)  # type: ignore[operator]
    assert shared.slots()[1].strength == 0.25
    assert shared.slots()[0].strength == 0.5


def test_the_renderer_follows_from_another_thread() -> None:
    shared = controls()
    renderer = Renderer(shared.effects)
    frame = Frame(np.full((8, 8, 3), 9, np.uint8), 0, Fraction(0), 0.0)
    stop, failures = threading.Event(), []

    def render() -> None:
        try:
            while not stop.is_set():
                renderer.render(ParsedFrame(frame, ()))
        except Exception as error:
            failures.append(error)

    thread = threading.Thread(target=render)
    thread.start()
    for step in range(300):
        shared.toggle(step % 2)
        shared.change(1 if step % 3 else -2)
    stop.set()
    thread.join(timeout=10)
    assert not thread.is_alive()
    assert not failures


@pytest.mark.parametrize("code", [ord("q"), 27])
def test_q_and_escape_end(code: int, screen: Screen) -> None:
    screen.keys = [code]
    assert not WindowSink(INFO, controls()).write(rendered())


def test_split_shows_before_on_the_left(screen: Screen) -> None:
    sink = WindowSink(INFO, controls())
    screen.keys = [ord("b")]
    sink.write(rendered(0))
    sink.write(rendered(1))
    assert (screen.shown[0] == 200).all()
    assert (screen.shown[1][:, :32] == 40).all()
    assert (screen.shown[1][:, 33:] == 200).all()


def test_mirror_exchanges_left_and_right() -> None:
    frame = rendered()
    frame.image[:, :10] = 0
    shown = View(mirror=True).compose(frame, [], [], "")
    assert (shown[:, -10:] == 0).all()
    assert (shown[:, :10] == 200).all()


def test_mirrored_and_split_before_stays_on_the_left() -> None:
    shown = View(split=True, mirror=True).compose(rendered(), [], [], "")
    assert (shown[:, :32] == 40).all()
    assert (shown[:, 33:] == 200).all()


def test_figures_effects_and_help_are_drawn_and_the_frame_is_not_touched(screen: Screen) -> None:
    asked = []

    def hud() -> list[str]:
        asked.append(1)
        return ["30.0 fps", "latency 40 / 60 ms"]

    large = SourceInfo("t", 640, 480, Fraction(30), Fraction(1, 30))
    sink = WindowSink(large, controls(), hud)
    image = np.full((480, 640, 3), 200, np.uint8)
    frame = RenderedFrame(Frame(image, 0, Fraction(0), 0.0), image.copy())
    for keys in ([ord("s")], [ord("h")], []):
        screen.keys = keys
        sink.write(frame)
    assert len(asked) == 2
    areas = [int((shown != 200).any(axis=2).sum()) for shown in screen.shown]
    assert areas[0] == 0 < areas[1] < areas[2]
    assert (frame.image == 200).all()
    assert len(HELP) == 10


def test_without_figures_of_its_own_the_window_shows_its_rate(screen: Screen) -> None:
    sink = WindowSink(SourceInfo("t", 640, 480, Fraction(30), Fraction(1, 30)), controls())
    assert sink._rate() == []
    sink.write(rendered(0))
    sink.write(rendered(1))
    assert sink._rate()[0].endswith(" fps")


def test_a_snapshot_is_the_painted_frame(
    screen: Screen, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sink = WindowSink(INFO, controls())
    screen.keys = [ord("p"), ord("p")]
    sink.write(rendered(0))
    sink.write(rendered(1))
    pictures = sorted(tmp_path.iterdir())
    assert len(pictures) == 2
    assert pictures[0].name.startswith("snapshot-")
    assert (np.asarray(cv2.imread(str(pictures[0]))) == 200).all()
    assert f"wrote {pictures[0].name}" in capsys.readouterr().err


def test_a_recording_starts_at_zero_and_plays(screen: Screen, tmp_path: Path) -> None:
    sink = WindowSink(INFO, controls())
    for index in range(10):
        screen.keys = [ord("r")] if index in (2, 6) else []
        sink.write(rendered(index))
    (video,) = tmp_path.iterdir()
    assert video.name.startswith("recording-")
    assert times(video) == [Fraction(index, 30) for index in range(4)]


def test_an_end_finishes_a_recording(screen: Screen, tmp_path: Path) -> None:
    sink = WindowSink(INFO, controls())
    sink.press(ord("r"))
    sink.write(rendered(0))
    sink.abort()
    (video,) = tmp_path.iterdir()
    assert len(times(video)) == 1


def test_what_cannot_be_written_is_told_and_the_show_goes_on(
    screen: Screen, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(path: Path) -> None:
        raise SinkError(f"{path}: no permission to write there")

    monkeypatch.setattr("realtime.sinks.capture.check_writable", refuse)
    sink = WindowSink(INFO, controls())
    for code in (ord("p"), ord("r")):
        screen.keys = [code]
        assert sink.write(rendered())
    assert capsys.readouterr().err.count("no permission") == 2


def test_a_still_picture_is_painted_anew_after_a_change(screen: Screen) -> None:
    still = SourceInfo("t", 64, 48, Fraction(1), Fraction(1), still=True)
    painted: list[int] = []

    def repaint() -> RenderedFrame:
        painted.append(1)
        return rendered(0, after=90)

    sink = WindowSink(still, controls(), repaint=repaint)
    screen.keys = [-1, UP, ord("m"), -1, ord("q")]
    assert not sink.write(rendered())
    assert len(painted) == 1
    assert (screen.shown[-1][20:] == 90).all()
