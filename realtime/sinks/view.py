"""What the window shows of a frame: before and after, mirrored, with figures and help. Pure drawing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2

from realtime.effects.controls import Slot
from realtime.frames import Image, RenderedFrame

HELP = (
    "1-9, 0  effect on or off",
    "left, right  choose an effect",
    "up, down  stronger, weaker",
    "b  before and after",
    "m  mirror",
    "s  figures",
    "p  picture of this moment",
    "r  record, and stop",
    "h  this help",
    "q, Esc  end",
)


@dataclass
class View:
    """What is switched on.

    Attributes:
        split: the left half of what is seen as captured.
        mirror: left and right exchanged.
        figures: figures and effects in the corner.
        help: the keys.
    """

    split: bool = False
    mirror: bool = False
    figures: bool = False
    help: bool = False

    def compose(
        self, rendered: RenderedFrame, figures: Sequence[str], slots: Sequence[Slot], message: str
    ) -> Image:
        """Return the picture to show, (H, W, 3) uint8 RGB; the rendered one stays as it was.

        Args:
            rendered: the frame.
            figures: lines of text, shown where the view has `figures`.
            slots: the effects, likewise.
            message: a line of its own, always shown; may be empty.
        """
        turn = -1 if self.mirror else 1
        image, before = rendered.image[:, ::turn].copy(), rendered.frame.image[:, ::turn]
        if self.split and before.shape == image.shape:
            middle = image.shape[1] // 2
            image[:, :middle] = before[:, :middle]
            image[:, middle : middle + 1] = 255
        lines = [*figures, *(_line(index, slot) for index, slot in enumerate(slots))] if self.figures else []
        if self.help:
            lines += [*([""] if lines else []), *HELP]
        _write(image, [*lines, *([message] if message else [])])
        return image


def _line(index: int, slot: Slot) -> str:
    key = str((index + 1) % 10) if index < 10 else " "
    state = f"{slot.strength:.2f}" if slot.on else "off"
    return f"{'>' if slot.chosen else ' '} {key} {slot.name} {state}"


def _write(image: Image, lines: Sequence[str]) -> None:
    if not lines:
        return
    unit = max(12, image.shape[0] // 34)
    font, scale = cv2.FONT_HERSHEY_SIMPLEX, unit / 30.0
    width = max(cv2.getTextSize(line, font, scale, 1)[0][0] for line in lines) + unit
    panel = image[: unit * len(lines) + unit // 2, :width]
    panel[:] = panel // 3
    for number, line in enumerate(lines):
        place = (unit // 2, unit * (number + 1) - unit // 8)
        cv2.putText(image, line, place, font, scale, (255, 255, 255), 1, cv2.LINE_AA)
