"""The window, by OpenCV, with the keys and sliders that change effects while it runs."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections import deque
from collections.abc import Callable

import cv2

from realtime.effects.controls import Controls
from realtime.errors import SinkError
from realtime.frames import RenderedFrame
from realtime.media import SourceInfo
from realtime.sinks.capture import Recorder, take_snapshot
from realtime.sinks.keys import dispatch, key_name
from realtime.sinks.pace import Pace
from realtime.sinks.view import View

WINDOW = "STN-iCNN face parsing"
QUIT_KEYS = {"q", "escape"}
# How long a message stays, in seconds, and how many frames the shown rate is a mean of.
MESSAGE_SECONDS, RATE_FRAMES = 3.0, 30
# More sliders than these would leave no room for the picture.
MOST_SLIDERS, SLIDER_HEIGHT = 8, 21


class WindowSink:
    """Shows frames in a window; files play at their own speed. q or Esc ends, h shows the keys.

    Args:
        info: of the source.
        controls: the effects that keys and sliders change; None for none.
        hud: lines of figures to show on `s`; None for the window's own frame rate.
        repaint: paints a still source's frame anew after a change; None where frames keep coming.

    Raises:
        SinkError: if there is no display.
    """

    def __init__(
        self,
        info: SourceInfo,
        controls: Controls | None = None,
        hud: Callable[[], list[str]] | None = None,
        repaint: Callable[[], RenderedFrame] | None = None,
    ) -> None:
        if not has_display():
            raise SinkError("no display here; use --no-display with --output FILE or --stats")
        self._info, self._repaint = info, repaint
        self._controls = controls or Controls(())
        self._hud = hud or self._rate
        self._pace = Pace(info)
        self._view, self._recorder = View(), Recorder(info)
        self._message, self._message_until = "", 0.0
        self._shown: deque[float] = deque(maxlen=RATE_FRAMES)
        self._rendered: RenderedFrame | None = None
        try:
            cv2.namedWindow(WINDOW, cv2.WINDOW_NORMAL | cv2.WINDOW_KEEPRATIO | cv2.WINDOW_GUI_NORMAL)
        except cv2.error as error:
            raise SinkError(f"no window can be opened here ({error}); use --no-display") from None
        self._sliders = self._make_sliders()
        # The sliders take their room from the picture's.
        height = min(info.height, 720) + SLIDER_HEIGHT * len(self._sliders)
        cv2.resizeWindow(WINDOW, min(info.width, 1280), height)

    def write(self, rendered: RenderedFrame) -> bool:
        """Show a frame when its time has come."""
        self._rendered = rendered
        self._shown.append(time.monotonic())
        self._try(lambda: self._recorder.write(rendered))
        self._show(rendered)
        if self._info.still:
            return self._stay()
        return self.press(cv2.waitKeyEx(self._pause(rendered))) and self._open()

    def press(self, code: int) -> bool:
        """Do what a key of `cv2.waitKeyEx` is for; return False where it ends the run."""
        name = key_name(code)
        if name in QUIT_KEYS:
            return False
        controls = self._controls
        actions: dict[str, Callable[[], None]] = {
            "left": lambda: controls.choose(-1),
            "right": lambda: controls.choose(1),
            "up": lambda: controls.change(1),
            "down": lambda: controls.change(-1),
            "b": lambda: self._flip("split"),
            "m": lambda: self._flip("mirror"),
            "s": lambda: self._flip("figures"),
            "h": lambda: self._flip("help"),
            "p": lambda: self._try(self._snapshot),
            "r": lambda: self._try(self._record),
        }
        if dispatch(name, actions, controls.toggle):
            self._show_choice(name)
            self._move_sliders()
        return True

    def _stay(self) -> bool:
        """Keep a still picture shown, and paint it anew when something was changed."""
        before = self._controls.effects()
        while self._open():
            code = cv2.waitKeyEx(100)
            if not self.press(code):
                break
            if self._repaint is not None and self._controls.effects() != before:
                before = self._controls.effects()
                self._rendered = self._repaint()
            if self._rendered is not None:
                self._show(self._rendered)
        return False

    def _show(self, rendered: RenderedFrame) -> None:
        message = self._message if time.monotonic() < self._message_until else ""
        if self._recorder.on:
            message = f"recording  {message}"
        figures = self._hud() if self._view.figures else []
        picture = self._view.compose(rendered, figures, self._controls.slots(), message)
        cv2.imshow(WINDOW, cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))

    def _rate(self) -> list[str]:
        if len(self._shown) < 2 or self._info.still:
            return []
        return [f"{(len(self._shown) - 1) / max(self._shown[-1] - self._shown[0], 1e-6):.1f} fps"]

    def _flip(self, what: str) -> None:
        setattr(self._view, what, not getattr(self._view, what))

    def _snapshot(self) -> None:
        if self._rendered is not None:
            self._say(f"wrote {take_snapshot(self._rendered)}", printed=True)

    def _record(self) -> None:
        if not self._recorder.on:
            self._recorder.start()
            return
        path = self._recorder.stop()
        if path is not None:
            self._say(f"wrote {path}", printed=True)

    def _try(self, action: Callable[[], None]) -> None:
        """Do what may fail for want of space or rights: that is told, and the show goes on."""
        try:
            action()
        except SinkError as error:
            self._say(str(error), printed=True)

    def _show_choice(self, name: str) -> None:
        """Show the chosen effect after a key that changed it; where figures are shown, they tell."""
        chosen = next((slot for slot in self._controls.slots() if slot.chosen), None)
        if chosen is not None and (name.isdigit() or len(name) > 1) and not self._view.figures:
            self._say(f"{chosen.name} {chosen.strength:.2f}" if chosen.on else f"{chosen.name} off")

    def _say(self, message: str, printed: bool = False) -> None:
        self._message, self._message_until = message, time.monotonic() + MESSAGE_SECONDS
        if printed:
            print(message, file=sys.stderr, flush=True)

    def _make_sliders(self) -> list[str]:
        slots = self._controls.slots()
        if len(slots) > MOST_SLIDERS:
            return []
        names = [f"{index + 1} {slot.name}" for index, slot in enumerate(slots)]
        try:
            for index, (name, slot) in enumerate(zip(names, slots, strict=True)):
                value = round(slot.strength * 100)
                cv2.createTrackbar(name, WINDOW, value, 100, self._slid(index))
        except cv2.error:
            # This toolkit has none; the keys do the same.
            return []
        return names

    def _slid(self, index: int) -> Callable[[int], None]:
        def moved(value: int) -> None:
            # The toolkit also calls when the slider was moved by us, in whole hundredths.
            if value != round(self._controls.slots()[index].strength * 100):
                self._controls.set_strength(index, value / 100.0)

        return moved

    def _move_sliders(self) -> None:
        for name, slot in zip(self._sliders, self._controls.slots(), strict=False):
            cv2.setTrackbarPos(name, WINDOW, round(slot.strength * 100))

    def _pause(self, rendered: RenderedFrame) -> int:
        return max(1, round(self._pace.seconds(rendered) * 1000))

    def _open(self) -> bool:
        try:
            return cv2.getWindowProperty(WINDOW, cv2.WND_PROP_VISIBLE) >= 1
        except cv2.error:
            # The window toolkit ends with its last window.
            return False

    def close(self, whole: bool = True) -> None:
        """Finish a recording and close the window."""
        if self._recorder.on:
            self._try(self._record)
        with contextlib.suppress(cv2.error):
            cv2.destroyWindow(WINDOW)
            cv2.waitKey(1)

    def abort(self) -> None:
        """Close the window; what was recorded until now is kept."""
        self.close(whole=False)


def has_display() -> bool:
    """Say whether a window can be opened; elsewhere than on Linux it is taken for granted."""
    # OpenCV's wheel aborts the whole process without one.
    linux = sys.platform.startswith("linux")
    return not linux or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
