"""Bounded channels between the stages' threads."""

from __future__ import annotations

import threading
from collections import deque
from typing import Generic, TypeVar

Item = TypeVar("Item")


class Closed(Exception):
    """The channel will give nothing more: its writer is done, or the run was cancelled."""


class Channel(Generic[Item]):
    """A queue of bounded length from one thread to another.

    Args:
        capacity: items it holds at most, at least 1.
        drop_oldest: when full, forget the oldest item (live sources) instead of blocking the
            writer (files).
    """

    def __init__(self, capacity: int, drop_oldest: bool = False) -> None:
        if capacity < 1:
            raise ValueError(f"a channel's capacity is at least 1, not {capacity}")
        self.capacity, self.drop_oldest = capacity, drop_oldest
        self.dropped = 0
        self._items: deque[Item] = deque()
        self._changed = threading.Condition()
        self._closed = False
        self._cancelled = False

    def put(self, item: Item) -> None:
        """Add an item; blocks while the channel is full, unless it drops.

        Raises:
            Closed: if the run was cancelled.
        """
        with self._changed:
            while len(self._items) >= self.capacity and not self._cancelled:
                if self.drop_oldest:
                    self._items.popleft()
                    self.dropped += 1
                else:
                    self._changed.wait()
            if self._cancelled:
                raise Closed
            self._items.append(item)
            self._changed.notify_all()

    def get(self, timeout: float | None = None) -> Item:
        """Take the oldest item; blocks while there is none.

        Args:
            timeout: seconds to wait at most; None for ever.

        Raises:
            Closed: if the writer is done and all was taken, or the run was cancelled.
            TimeoutError: if nothing came in time.
        """
        with self._changed:
            while not self._items and not self._closed and not self._cancelled:
                if not self._changed.wait(timeout):
                    raise TimeoutError
            if self._cancelled or not self._items:
                raise Closed
            item = self._items.popleft()
            self._changed.notify_all()
            return item

    def close(self) -> None:
        """Say that no more items come; those inside can still be taken."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def cancel(self) -> None:
        """Forget all items and wake everyone who waits."""
        with self._changed:
            self._cancelled = True
            self._items.clear()
            self._changed.notify_all()
