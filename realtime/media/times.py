"""Times that rise always, whatever a file claims."""

from __future__ import annotations

import heapq
from collections.abc import Callable


class TimeMender:
    """Passes good times through and mends missing, repeated and falling ones, saying so once a kind.

    A time at or a little before the last one becomes one tick more than it. One that lies far before it
    is taken as a new beginning (a recorder that was restarted): it and all after it are moved.

    Args:
        step: usual distance of two frames, ticks.
        far: a fall by more than this is a new beginning, ticks.
        report: called with a sentence for the user.
        unit: what has a time: "frame", "track 2's packet".
        strict: equal times are mended too, not only falling ones.
    """

    def __init__(
        self, step: int, far: int, report: Callable[[str], None], unit: str = "frame", strict: bool = True
    ) -> None:
        self._step, self._far, self._report, self._unit = max(1, step), far, report, unit
        self._rise = 1 if strict else 0
        self._last: int | None = None
        self._shift = 0
        self._count = 0
        self._reported: set[str] = set()

    def mend(self, ticks: int | None) -> int:
        """Return the time to use for the next frame, ticks; the given one where it can be."""
        mended = self._mended(ticks)
        self._last = mended
        self._count += 1
        return mended

    def _mended(self, ticks: int | None) -> int:
        if ticks is None:
            self._say("has no time; such times are set one frame on")
            return 0 if self._last is None else self._last + self._step
        if self._last is None or ticks + self._shift >= self._last + self._rise:
            return ticks + self._shift
        if self._last - ticks - self._shift > self._far:
            self._say("lies far before the last one; times go on from there")
            self._shift = self._last + self._step - ticks
            return self._last + self._step
        self._say("is not later than the last one; such times are moved on")
        return self._last + self._rise

    def _say(self, what: str) -> None:
        if what not in self._reported:
            self._reported.add(what)
            self._report(f"{self._unit} {self._count} {what}")


class DecodeTimes:
    """When pictures are shown, of a file that only says when they are decoded.

    As many pictures are shown as are decoded, and none before it is: in the order of showing, each takes the
    earliest time that is left.
    """

    def __init__(self) -> None:
        self._waiting: list[int] = []

    def add(self, ticks: int) -> None:
        """Note the time of a packet."""
        heapq.heappush(self._waiting, ticks)

    def take(self) -> int | None:
        """Return the time of the next picture, None if there are more pictures than packets."""
        return heapq.heappop(self._waiting) if self._waiting else None
