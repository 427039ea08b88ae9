"""The rendering step: effects painted on a copy of the frame."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from realtime.effects import Effect
from realtime.frames import ParsedFrame, RenderedFrame


class Renderer:
    """Applies effects in order.

    Args:
        effects: what to paint.
        compare: put the picture as captured on the left of the painted one.
    """

    def __init__(self, effects: Sequence[Effect], compare: bool = False) -> None:
        self.effects, self.compare = effects, compare

    def render(self, parsed: ParsedFrame) -> RenderedFrame:
        """Return the frame with the effects painted; the captured image stays as it was."""
        image = parsed.frame.image.copy()
        for effect in self.effects:
            effect.apply(image, parsed.faces)
        if self.compare:
            image = np.hstack([parsed.frame.image, image])
        return RenderedFrame(parsed.frame, image)
