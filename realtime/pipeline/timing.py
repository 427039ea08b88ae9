"""Per-stage service and wait times, and the latency from capture to sink."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

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
        arrivals: when the latest of them did, by `time.monotonic`.
    """

    service: dict[str, deque[float]] = field(default_factory=dict)
    wait: dict[str, deque[float]] = field(default_factory=dict)
    latency: deque[float] = field(default_factory=lambda: deque(maxlen=KEPT))
    arrivals: deque[float] = field(default_factory=lambda: deque(maxlen=100))
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
            now = time.monotonic()
            self.latency.append(now - captured_at)
            self.arrivals.append(now)

    def fps(self, latest: int = 30) -> float:
        """Return the frames a second that arrived lately; 0 before two have."""
        with self._lock:
            times = list(self.arrivals)[-latest:]
        return (len(times) - 1) / (times[-1] - times[0]) if len(times) > 1 else 0.0

    def summary(self) -> dict[str, Any]:
        """Return percentiles in milliseconds, ready for JSON.

        Returns:
            "stages": by stage, its "service" and "wait"; "latency": capture to sink, None where no
            frame arrived. Each is a mapping of "p50", "p95" and "p99".
        """
        with self._lock:
            stages = {
                stage: {"service": _percentiles(service), "wait": _percentiles(self.wait[stage])}
                for stage, service in self.service.items()
            }
            return {"stages": stages, "latency": _percentiles(self.latency) if self.latency else None}

    def table(self) -> str:
        """Return a table of percentiles in milliseconds, a stage a line."""
        lines = [f"{'stage':10s} {'p50 ms':>8s} {'p95 ms':>8s} {'p99 ms':>8s} {'wait p50':>9s}"]
        summary = self.summary()
        for stage, times in summary["stages"].items():
            lines.append(f"{stage:10s} {_row(times['service'])} {times['wait']['p50']:9.1f}")
        if summary["latency"]:
            lines.append(f"{'latency':10s} {_row(summary['latency'])}")
        return "\n".join(lines)


def _percentiles(seconds: Iterable[float]) -> dict[str, float]:
    values = np.percentile(list(seconds), [50, 95, 99]) * 1e3
    return {name: round(float(value), 3) for name, value in zip(("p50", "p95", "p99"), values, strict=True)}


def _row(percentiles: dict[str, float]) -> str:
    return " ".join(f"{value:8.1f}" for value in percentiles.values())
