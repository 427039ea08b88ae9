"""Per-stage service and wait times, and the latency from capture to sink."""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import dataclass, field

import numpy as np

# The latest so many frames are kept, so that a long run's memory stays bounded.
KEPT = 10_000


@dataclass
class Timing:
    """Collects times in seconds; safe to use from several threads.

    Attributes:
        service: by stage, how long it worked on each frame.
        wait: by stage, how long it waited for each frame.
        latency: capture to sink of each frame that arrived.
    """

    service: dict[str, deque[float]] = field(default_factory=dict)
    wait: dict[str, deque[float]] = field(default_factory=dict)
    latency: deque[float] = field(default_factory=lambda: deque(maxlen=KEPT))
    started: float = field(default_factory=time.monotonic)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def record(self, stage: str, wait: float, service: float) -> None:
        """Add one frame's times of a stage."""
        with self._lock:
            self.wait.setdefault(stage, deque(maxlen=KEPT)).append(wait)
            self.service.setdefault(stage, deque(maxlen=KEPT)).append(service)

    def arrived(self, captured_at: float) -> None:
        """Add the latency of a frame that the sink has just taken."""
        with self._lock:
            self.latency.append(time.monotonic() - captured_at)

    def table(self) -> str:
        """Return a table of medians and 95th percentiles in milliseconds, a stage a line."""
        lines = [f"{'stage':10s} {'p50 ms':>8s} {'p95 ms':>8s} {'wait p50':>9s}"]
        with self._lock:
            for stage, service in self.service.items():
                middle, high = np.percentile(service, [50, 95]) * 1e3
                wait = float(np.median(self.wait[stage])) * 1e3
                lines.append(f"{stage:10s} {middle:8.1f} {high:8.1f} {wait:9.1f}")
            if self.latency:
                middle, high = np.percentile(self.latency, [50, 95]) * 1e3
                lines.append(f"{'latency':10s} {middle:8.1f} {high:8.1f}")
        return "\n".join(lines)
