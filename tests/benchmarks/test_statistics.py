from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from benchmarks.statistics import PERCENTILES, Measured, compare, interleave


class _Clock:
    """A clock that candidates turn, on a machine that gets slower with every call."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        self.order: list[str] = []
        monkeypatch.setattr("benchmarks.statistics.time.perf_counter", lambda: self.now)

    def candidate(self, name: str, seconds: float) -> Callable[[], None]:
        def work() -> None:
            self.order.append(name)
            self.now += seconds * (1.0 + 0.001 * len(self.order))

        return work


def test_candidates_take_turns_and_a_drift_cancels(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = _Clock(monkeypatch)
    calls = {"a": clock.candidate("a", 0.01), "b": clock.candidate("b", 0.03)}
    result = interleave(calls, rounds=5, warm_up=2)
    assert clock.order == ["a", "b"] * 2 + ["a", "b", "b", "a"] * 2 + ["a", "b"]
    assert result["a"].ratio == 1.0
    assert result["b"].ratio == pytest.approx(3.0, rel=0.01)
    assert result["b"].median == pytest.approx(0.03, rel=0.02)
    low, high = result["b"].ratio_interval()
    assert low <= 3.0 * 1.002 <= high * 1.002
    assert result["b"].percentile(95) >= result["b"].median


def test_a_turn_is_a_block_of_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = _Clock(monkeypatch)
    calls = {name: clock.candidate(name, 0.01) for name in "abc"}
    interleave(calls, rounds=3, warm_up=1, block=2)
    assert "".join(clock.order) == "abc" + "aabbcc" + "bbccaa" + "ccaabb"


def test_work_that_is_rare_counts_with_its_share(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = _Clock(monkeypatch)
    calls = 0

    def searches() -> None:
        nonlocal calls
        calls += 1
        clock.now += 0.01 if calls % 5 else 0.06

    result = interleave({"steady": lambda: clock.candidate("s", 0.01)(), "s": searches}, 4, 0, block=5)
    assert len(result["s"].seconds) == 20
    assert result["s"].ratios == pytest.approx([2.0] * 4, rel=0.05)
    assert result["s"].median == pytest.approx(0.01)


def test_percentiles_are_numpys() -> None:
    seconds = tuple(np.random.default_rng(0).exponential(size=97))
    for percent in PERCENTILES:
        assert Measured(seconds).percentile(percent) == pytest.approx(np.percentile(seconds, percent))


def test_the_interval_holds_the_true_ratio_as_often_as_it_says() -> None:
    rng, held = np.random.default_rng(1), 0
    for _ in range(100):
        a, b = rng.lognormal(0.0, 0.1, 30), 2.0 * rng.lognormal(0.0, 0.1, 30)
        low, high = compare({"a": a.tolist(), "b": b.tolist()})["b"].ratio_interval()
        held += low <= 2.0 <= high
    assert 85 <= held < 100


def test_an_interval_narrows_with_rounds() -> None:
    rng = np.random.default_rng(2)

    def width(rounds: int) -> float:
        low, high = Measured((), tuple(rng.lognormal(0.0, 0.2, rounds))).ratio_interval()
        return high - low

    assert width(400) < 0.5 * width(25)
