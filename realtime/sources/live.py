"""A live source that survives being lost: it is opened again, and its frames go on in number and time."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction

from realtime.errors import SourceError, warn
from realtime.frames import Frame
from realtime.frames.channel import Channel, Closed
from realtime.media import SourceInfo
from realtime.media.opening import pauses
from realtime.sources.source import Source

FIRST_PAUSE, LONGEST_PAUSE = 0.25, 4.0
JOIN_SECONDS = 1.0


class LiveSource:
    """Reads a camera or a stream on a thread of its own, so that a read that hangs holds nobody up.

    A live source's times begin at zero with the first frame; after an interruption they go on by the
    clock. A file on a network keeps its own.

    Args:
        source: opened; closed by this one.
        connect: opens it again when it is lost; raises SourceError when it can't.
        patience: for how many seconds a lost source is tried again; 0: it is given up at once.
    """

    def __init__(self, source: Source, connect: Callable[[], Source], patience: float) -> None:
        self._source, self._connect, self._patience = source, connect, patience
        self.info: SourceInfo = source.info
        self._channel: Channel[Frame] = Channel(1)
        self._ending = threading.Event()
        self._failure: BaseException | None = None
        self._reader: threading.Thread | None = None
        self._index = 0
        self._last: Frame | None = None

    def frames(self) -> Iterator[Frame]:
        """See `Source.frames`."""
        self._reader = threading.Thread(target=self._read, name="reader", daemon=True)
        self._reader.start()
        with contextlib.suppress(Closed):
            while True:
                yield self._channel.get()
        if self._failure is not None and not self._ending.is_set():
            raise self._failure

    def interrupt(self) -> None:
        """Let `frames` end, whatever the camera or the network is doing."""
        self._ending.set()
        self._channel.cancel()

    def close(self) -> None:
        """Free the source; a read that hangs frees it when it comes back."""
        self.interrupt()
        if self._reader is None:
            self._source.close()
        else:
            self._reader.join(JOIN_SECONDS)

    def _read(self) -> None:
        try:
            go_on = True
            while go_on:
                lost = self._pass_on()
                self._source.close()
                go_on = not self._ending.is_set() and self._reconnect(lost)
        except Closed:
            self._source.close()
        except BaseException as error:
            self._failure = error
            self._source.close()
        finally:
            self._channel.close()

    def _pass_on(self) -> SourceError | None:
        """Pass frames on until the source ends; return why it did, None for an end in order."""
        shift: Fraction | None = None
        try:
            for frame in self._source.frames():
                if shift is None:
                    shift = self._time_for(frame) - frame.time
                self._channel.put(self._continued(frame, shift))
        except SourceError as error:
            return error
        return None

    def _time_for(self, frame: Frame) -> Fraction:
        if self._last is None:
            return Fraction(0) if self.info.live else frame.time
        return self._last.time + Fraction(frame.captured_at - self._last.captured_at)

    def _continued(self, frame: Frame, shift: Fraction) -> Frame:
        tick = self.info.time_base
        ticks = round((frame.time + shift) / tick)
        if self._last is not None:
            ticks = max(ticks, int(self._last.time / tick) + 1)
        self._last = replace(frame, index=self._index, time=ticks * tick)
        self._index += 1
        return self._last

    def _reconnect(self, lost: SourceError | None) -> bool:
        """Open the source again; False if it had ended in order and does not come back.

        Raises:
            SourceError: if it does not come back in time after an error, or comes back changed.
        """
        since = time.monotonic()
        if self._patience > 0:
            warn(f"{lost or f'{self.info.name} ended'}; trying again for {self._patience:g} s")
        for pause in pauses(self._patience):
            if self._ending.wait(pause):
                return False
            try:
                self._source = self._connect()
            except SourceError:
                continue
            self._check_same()
            warn(f"{self.info.name} is back after {time.monotonic() - since:.1f} s")
            return True
        if lost is not None:
            raise lost
        return False

    def _check_same(self) -> None:
        now, before = self._source.info, self.info
        if (now.width, now.height) != (before.width, before.height):
            sizes = f"{now.width}x{now.height} instead of {before.width}x{before.height}"
            raise SourceError(f"{before.name} came back with {sizes}; output so far is kept")
