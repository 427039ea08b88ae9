"""What every source is, and what is asked of live ones."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from realtime.frames import Frame
from realtime.media import SourceInfo


class Source(Protocol):
    """An open source; `frames` is iterated once, by one thread."""

    @property
    def info(self) -> SourceInfo:
        """What it is."""
        ...

    def frames(self) -> Iterator[Frame]:
        """Yield frames until the end.

        Raises:
            SourceError: when the source breaks.
        """
        ...

    def close(self) -> None:
        """Free it; a second call does nothing."""
        ...


@runtime_checkable
class Interruptible(Protocol):
    """A source whose `frames` may wait long; `interrupt` ends the wait from any thread."""

    def interrupt(self) -> None:
        """Let `frames` end soon, without an error."""
        ...


@dataclass(frozen=True)
class LiveOptions:
    """What is asked of cameras and live streams.

    Attributes:
        size: width and height asked of a camera, pixels; None: the camera's own.
        fps: frames a second asked of a camera; None: the camera's own.
        reconnect: for how many seconds a lost source is tried again; 0: it is given up at once.
    """

    size: tuple[int, int] | None = None
    fps: float | None = None
    reconnect: float = 0.0


NOTHING_ASKED = LiveOptions()
