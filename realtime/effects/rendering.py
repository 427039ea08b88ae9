"""The rendering step: effects painted on a copy of the frame."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from realtime.effects import Cutting, Effect, Prepared
from realtime.effects.paint import composite
from realtime.effects.tone import prepare_colours
from realtime.frames import ParsedFrame, RenderedFrame


class Renderer:
    """Applies effects in order.

    Args:
        effects: what to paint; or what returns it, asked anew for every frame.
        compare: put the picture as captured on the left of the painted one.

    Raises:
        ModelError: if an effect needs a model that can't be had.
    """

    def __init__(
        self, effects: Sequence[Effect] | Callable[[], Sequence[Effect]], compare: bool = False
    ) -> None:
        self._effects: Callable[[], Sequence[Effect]] = effects if callable(effects) else lambda: effects
        self.compare = compare
        prepare(self._effects())

    def render(self, parsed: ParsedFrame) -> RenderedFrame:
        """Return the frame with the effects painted; the captured image stays as it was."""
        image, cutter = parsed.frame.image.copy(), None
        for effect in self._effects():
            if isinstance(effect, Cutting):
                # Last of all, so that what is painted before and after it is cut alike.
                cutter = effect
            else:
                effect.apply(image, parsed.faces)
        cutout = None
        if cutter is not None:
            matte = cutter.matte(parsed.frame.image, parsed.faces)
            cutout = np.dstack([image, matte])
            composite(image, cutter.color, matte)
        if self.compare:
            image, cutout = np.hstack([parsed.frame.image, image]), None
        return RenderedFrame(parsed.frame, image, cutout, parsed.faces)


def prepare(effects: Sequence[Effect]) -> None:
    """Load now what effects need, so that no frame waits for it.

    Raises:
        ModelError: if an effect needs a model that can't be had.
    """
    if effects:
        prepare_colours()
    for effect in effects:
        if isinstance(effect, Prepared):
            effect.prepare()
