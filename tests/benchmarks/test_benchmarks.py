from __future__ import annotations

from collections.abc import Callable

import pytest

from benchmarks.__main__ import main
from benchmarks.statistics import interleave
from tests.conftest import VideoMaker


def test_candidates_take_turns_and_a_delay_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr("benchmarks.statistics.time.perf_counter", lambda: clock[0])
    order: list[str] = []

    def candidate(name: str, seconds: float) -> Callable[[], None]:
        def work() -> None:
            order.append(name)
            # The machine gets slower with every call; the ratios of a round cancel that.
            clock[0] += seconds * (1.0 + 0.001 * len(order))

        return work

    result = interleave({"a": candidate("a", 0.01), "b": candidate("b", 0.03)}, rounds=5, warm_up=2)
    assert order == ["a", "b"] * 7
    assert result["a"].ratio == 1.0
    assert result["b"].ratio == pytest.approx(3.0, rel=0.01)
    assert result["b"].median == pytest.approx(0.03, rel=0.02)
    assert result["b"].low <= result["b"].ratio <= result["b"].high


def test_engines_are_timed_beside_eager(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["engine", "--rounds", "2", "--batch", "2", "--threads", "2"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[-2].startswith("eager")
    assert lines[-1].startswith("openvino")


def test_the_pipeline_is_timed_beside_a_plain_copy(
    make_video: VideoMaker, capsys: pytest.CaptureFixture[str]
) -> None:
    source = str(make_video(frames=4))
    assert main(["pipeline", "--source", source, "--rounds", "1", "--max-frames", "4"]) == 0
    text = capsys.readouterr().out
    assert "whole pipeline" in text
    assert "fps" in text


def test_a_missing_source_is_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["pipeline", "--source", "none.mp4"]) == 1
    assert "no such file" in capsys.readouterr().err


def test_missing_weights_are_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["engine", "--weights", "none.safetensors"]) == 1
    assert capsys.readouterr().err.startswith("error: none.safetensors: no such weights file")
