"""Which of a network's precisions is quickest on this machine: measured once, kept with what is compiled.

int8 is quick where a processor multiplies bytes (VNNI, AMX). With AVX2 alone it gains little, and elsewhere
it may lose.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np

from engines.cache import EngineCache, Entry, Key
from engines.engine import EngineOptions, Infer

BACKEND = "openvino-choice"
TIMES = "seconds.json"
# Runs of each, in turns: what slows the machine for a moment slows all.
WARM_UP, ROUNDS = 3, 15


@dataclass(frozen=True)
class Choice:
    """What was measured.

    Attributes:
        seconds: of one face by precision, medians.
    """

    seconds: Mapping[str, float]

    @property
    def precision(self) -> str:
        """Return the quickest."""
        return min(self.seconds, key=lambda name: self.seconds[name])

    def __str__(self) -> str:
        return "measured here: " + ", ".join(f"{name} {s * 1e3:.1f} ms" for name, s in self.seconds.items())

    @classmethod
    def read(cls, entry: Entry) -> Choice:
        """Read it from its entry in the cache."""
        return cls(json.loads((entry.folder / TIMES).read_text()))


def choose(
    key: Key, options: EngineOptions, candidates: Mapping[str, Callable[[], Infer]], shape: tuple[int, ...]
) -> Choice | None:
    """Return what is quickest: as it was measured before, or measured now.

    Args:
        key: of the choice, see `Key`: all that it depends on.
        options: whether it may be measured now, and who is told of trouble with the cache.
        candidates: by precision, what opens a network.
        shape: of one face's pictures.

    Returns:
        None where it is not known and may not be measured.

    Raises:
        EngineUnavailable: if a network can't be opened.
    """

    def build(folder: Path) -> None:
        seconds = measure({name: open_network() for name, open_network in candidates.items()}, shape)
        (folder / TIMES).write_text(json.dumps(seconds) + "\n")

    cache = EngineCache(report=options.report, announce=False)
    entry = cache.obtain(key, build) if options.build else cache.find(key)
    return None if entry is None else Choice.read(entry)


def measure(networks: Mapping[str, Infer], shape: tuple[int, ...]) -> dict[str, float]:
    """Return the median seconds of one face by each network, run in turns on random pixels."""
    crops = np.random.default_rng(0).integers(0, 256, (1, *shape), np.uint8)
    taken: dict[str, list[float]] = {name: [] for name in networks}
    for turn in range(WARM_UP + ROUNDS):
        for name, infer in networks.items():
            begun = time.perf_counter()
            infer(crops)
            if turn >= WARM_UP:
                taken[name].append(time.perf_counter() - begun)
    return {name: median(seconds) for name, seconds in taken.items()}
