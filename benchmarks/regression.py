"""Is the new run slower? By ratios to a baseline of the same run, so that two machines can be compared."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.report import Result, Row
from benchmarks.statistics import Measured, resampled_medians
from realtime.errors import UsageError

# Of the change, two-sided: wide, as many candidates are looked at and few runs are quiet.
CONFIDENCE = 0.99
# Rounds of one run are more alike than those of two runs: smaller changes are no news.
TOLERANCE = 0.10
FEWEST_ROUNDS = 3


@dataclass(frozen=True)
class Change:
    """A candidate's change from one run to the next.

    Attributes:
        name: benchmark, group and candidate.
        factor: new ratio over old: above 1 is slower.
        low, high: its confidence interval.
        slower: the interval lies above 1 + tolerance; None where there are too few rounds to tell.
    """

    name: str
    factor: float
    low: float
    high: float
    slower: bool | None


def changes(old: Sequence[Result], new: Sequence[Result], tolerance: float = TOLERANCE) -> list[Change]:
    """Compare what both runs measured to the same baseline.

    Args:
        old: the earlier results.
        new: the later ones.
        tolerance: share by which a ratio may grow.

    Raises:
        UsageError: if they have nothing in common.
    """
    before = dict(_ratios(old))
    found = [
        _change(name, before[name], measured, tolerance) for name, measured in _ratios(new) if name in before
    ]
    if not found:
        raise UsageError("the two files have no candidate in common with ratios to the same baseline")
    return found


def table(found: Sequence[Change]) -> str:
    """Return the changes as lines, the slowest first."""
    words = {True: "SLOWER", False: "", None: "too few rounds"}
    lines = [
        f"{change.factor:6.2f} ({change.low:.2f} to {change.high:.2f})  "
        f"{change.name}  {words[change.slower]}".rstrip()
        for change in sorted(found, key=lambda change: -change.factor)
    ]
    return "\n".join(["new ratio / old ratio, with its 99 % confidence interval", *lines])


def _ratios(results: Sequence[Result]) -> Iterator[tuple[str, Measured]]:
    for result in results:
        for row in result.rows:
            if row.measured is not None and row.measured.ratios and row.name != row.baseline:
                yield _name(result, row), row.measured


def _name(result: Result, row: Row) -> str:
    return f"{result.benchmark}: {row.group}: {row.name} to {row.baseline}"


def _change(name: str, old: Measured, new: Measured, tolerance: float) -> Change:
    factors = resampled_medians(new.ratios, seed=1) / resampled_medians(old.ratios, seed=2)
    tail = 50.0 * (1.0 - CONFIDENCE)
    low, high = np.percentile(factors, [tail, 100.0 - tail])
    factor = float(np.median(new.ratios) / np.median(old.ratios))
    enough = min(len(old.ratios), len(new.ratios)) >= FEWEST_ROUNDS
    return Change(name, factor, float(low), float(high), bool(low > 1.0 + tolerance) if enough else None)
