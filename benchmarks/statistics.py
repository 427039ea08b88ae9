"""Comparing what was measured in turns, so that a machine's drift hits all alike."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Summary:
    """Times of one candidate in seconds.

    Attributes:
        median, p95: of its rounds.
        ratio: median of the rounds' ratios to the first candidate's time in the same round.
        low, high: quartiles of those ratios.
    """

    median: float
    p95: float
    ratio: float
    low: float
    high: float


def interleave(
    candidates: Mapping[str, Callable[[], object]], rounds: int, warm_up: int
) -> dict[str, Summary]:
    """Time candidates in turns, A B C A B C, and summarise them.

    Args:
        candidates: by name; the first is the baseline of the ratios.
        rounds: timed rounds.
        warm_up: rounds before those, not timed.
    """
    times: dict[str, list[float]] = {name: [] for name in candidates}
    for turn in range(warm_up + rounds):
        for name, run in candidates.items():
            begun = time.perf_counter()
            run()
            if turn >= warm_up:
                times[name].append(time.perf_counter() - begun)
    baseline = np.array(next(iter(times.values())))
    return {name: _summary(np.array(measured), baseline) for name, measured in times.items()}


def _summary(measured: np.ndarray, baseline: np.ndarray) -> Summary:
    ratios = measured / baseline
    low, middle, high = np.percentile(ratios, [25, 50, 75])
    median, p95 = np.percentile(measured, [50, 95])
    return Summary(float(median), float(p95), float(middle), float(low), float(high))
