"""Comparing what was measured in turns, so that a machine's drift hits all alike."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

RESAMPLES = 1000
CONFIDENCE = 0.95
PERCENTILES = (50, 90, 95, 99)


@dataclass(frozen=True)
class Measured:
    """What one candidate took.

    Attributes:
        seconds: of each call.
        ratios: of each round, to the baseline's time in the same round; 1 for the baseline itself.
    """

    seconds: tuple[float, ...]
    ratios: tuple[float, ...] = ()

    def percentile(self, percent: float) -> float:
        """Return a percentile of the calls, seconds, linear between neighbours as numpy's."""
        return float(np.percentile(self.seconds, percent))

    @property
    def median(self) -> float:
        """Return the median call, seconds."""
        return self.percentile(50)

    @property
    def mean(self) -> float:
        """Return the mean call, seconds."""
        return float(np.mean(self.seconds))

    @property
    def ratio(self) -> float | None:
        """Return the median of the rounds' ratios; None where nothing was compared."""
        return float(np.median(self.ratios)) if self.ratios else None

    def ratio_interval(self) -> tuple[float, float]:
        """Return the confidence interval of `ratio`."""
        low, high = np.percentile(resampled_medians(self.ratios), _tails(CONFIDENCE))
        return float(low), float(high)


def interleave(
    candidates: Mapping[str, Callable[[], object]], rounds: int, warm_up: int, block: int = 1
) -> dict[str, Measured]:
    """Time candidates in turns, A B C B C A: the one that begins changes, so that none gains by its place.

    Args:
        candidates: by name; the first is the baseline of the ratios.
        rounds: timed rounds, each with one ratio.
        warm_up: calls of each before those, not timed.
        block: calls of each at a turn. A ratio is then of their sums, so that work which is not done at every
            call counts with its share, and a candidate runs as it does alone: with its own data in the
            caches, and not beside threads of another that still spin.
    """
    times: dict[str, list[float]] = {name: [] for name in candidates}
    names = list(candidates)
    for _ in range(warm_up):
        for name in names:
            candidates[name]()
    for turn in range(rounds):
        first = turn % len(names)
        for name in names[first:] + names[:first]:
            for _ in range(block):
                begun = time.perf_counter()
                candidates[name]()
                times[name].append(time.perf_counter() - begun)
    return compare(times, block)


def compare(times: Mapping[str, Sequence[float]], block: int = 1) -> dict[str, Measured]:
    """Return candidates' times with their ratios to the first's.

    Args:
        times: seconds of each call by name, as many of each, in the order in which they were made.
        block: calls of a round.
    """
    sums = {name: np.reshape(measured, (-1, block)).sum(axis=1) for name, measured in times.items()}
    baseline = next(iter(sums.values()))
    return {
        name: Measured(tuple(times[name]), tuple((total / baseline).tolist())) for name, total in sums.items()
    }


def resampled_medians(values: Sequence[float], seed: int = 0) -> np.ndarray:
    """Return medians of drawings with replacement (bootstrap), (RESAMPLES,)."""
    rng = np.random.default_rng(seed)
    drawn = rng.integers(0, len(values), (RESAMPLES, len(values)))
    return np.asarray(np.median(np.asarray(values)[drawn], axis=1))


def _tails(confidence: float) -> tuple[float, float]:
    return 50.0 * (1.0 - confidence), 50.0 * (1.0 + confidence)
