"""What the user changes while it runs: which effects are on, and how strong. Shared between threads."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass

from realtime.effects import Effect, effect_name, with_strength

# Of one press of an arrow key.
STEP = 0.05


@dataclass(frozen=True)
class Slot:
    """One effect as the user sees it.

    Attributes:
        name: of the effect.
        strength: 0 to 1.
        on: it is painted.
        chosen: the arrow keys change it.
    """

    name: str
    strength: float
    on: bool
    chosen: bool


class Controls:
    """The effects of a run; safe to use from any thread.

    Args:
        effects: in the order they are painted.
    """

    def __init__(self, effects: Sequence[Effect]) -> None:
        self._lock = threading.Lock()
        self._effects = list(effects)
        self._names = [effect_name(effect) for effect in effects]
        self._on = [True] * len(effects)
        self._chosen = 0

    def effects(self) -> tuple[Effect, ...]:
        """Return the effects that are on, as strong as they are now."""
        with self._lock:
            return tuple(effect for effect, on in zip(self._effects, self._on, strict=True) if on)

    def slots(self) -> tuple[Slot, ...]:
        """Return every effect as it stands."""
        with self._lock:
            return tuple(
                Slot(name, effect.strength, on, index == self._chosen)
                for index, (name, effect, on) in enumerate(
                    zip(self._names, self._effects, self._on, strict=True)
                )
            )

    def toggle(self, index: int) -> None:
        """Switch an effect on or off and choose it; an index that is none does nothing."""
        with self._lock:
            if 0 <= index < len(self._effects):
                self._on[index] = not self._on[index]
                self._chosen = index

    def choose(self, step: int) -> None:
        """Choose the next effect (1) or the one before (-1); after the last comes the first."""
        with self._lock:
            if self._effects:
                self._chosen = (self._chosen + step) % len(self._effects)

    def change(self, steps: int) -> None:
        """Make the chosen effect so many steps of 0.05 stronger; also one that is off comes on."""
        with self._lock:
            if self._effects:
                self._set(self._chosen, self._effects[self._chosen].strength + steps * STEP)
                self._on[self._chosen] = True

    def set_strength(self, index: int, strength: float) -> None:
        """Set an effect's strength, 0 to 1; an index that is none does nothing."""
        with self._lock:
            if 0 <= index < len(self._effects):
                self._set(index, strength)

    def _set(self, index: int, strength: float) -> None:
        bounded = round(min(1.0, max(0.0, strength)), 3)
        # Effects are frozen dataclasses: a frame that is being painted keeps the one it began with.
        self._effects[index] = with_strength(self._effects[index], bounded)
