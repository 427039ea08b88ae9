from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.__main__ import main
from benchmarks.statistics import interleave
from engines import BACKENDS
from realtime.effects import EFFECTS
from stn_icnn.checkpoint import Checkpoint, load_network, save_checkpoint
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
    text = capsys.readouterr().out
    table = [line.split()[0] for line in text[text.index("ratio to the first") :].splitlines()[1:]]
    assert table[:2] == ["eager", "openvino"]
    assert set(table) <= set(BACKENDS)
    assert "tensorrt: not measured: " in text or "tensorrt" in table


def test_the_pipeline_is_timed_beside_a_plain_copy(
    make_video: VideoMaker, capsys: pytest.CaptureFixture[str]
) -> None:
    source = str(make_video(frames=4))
    assert main(["pipeline", "--source", source, "--rounds", "1", "--max-frames", "4"]) == 0
    text = capsys.readouterr().out
    assert "whole pipeline" in text
    assert "fps" in text


def test_effects_are_timed_beside_a_blur(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "costs.json"
    assert main(["effects", "--rounds", "2", "--json", str(path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    names = [line.split()[0] for line in lines[1:]]
    assert names[0] == "GaussianBlur"
    assert set(EFFECTS) < set(names)
    content = json.loads(path.read_text())
    assert content["baseline"] == "GaussianBlur"
    assert content["seconds"]["lips"]["median"] > 0.0
    assert content["seconds"]["GaussianBlur"]["ratio"] == 1.0


def test_figures_that_cannot_be_written_are_an_error_before_any_work(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["effects", "--json", "none/costs.json"]) == 1
    assert "no such folder" in capsys.readouterr().err


def test_shapes_are_compared_in_one_table(
    tiny_checkpoint: Checkpoint, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    network = load_network(tiny_checkpoint)
    metrics = {"mean_f1_19": 0.5, "paper_overall_f1": 0.75}
    scored = save_checkpoint(network, network.state_dict(), tmp_path / "run" / "tiny.safetensors", metrics)
    args = ["shapes", str(tiny_checkpoint.path), str(scored.path), "--rounds", "2", "--threads", "1"]
    assert main(args) == 0
    lines = capsys.readouterr().out.splitlines()[-2:]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    assert cells[0][0] == "weights/tiny"
    assert cells[0][4] == "1.00"
    assert cells[0][5:] == ["", ""]
    assert cells[1][0] == "run/tiny"
    assert cells[1][5:] == ["0.500", "0.750"]
    assert cells[0][1:3] == cells[1][1:3]
    assert not list(tiny_checkpoint.path.parent.glob("*.xml")), "the weights' folder is left as it is"


def test_a_missing_source_is_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["pipeline", "--source", "none.mp4"]) == 1
    assert "no such file" in capsys.readouterr().err


def test_missing_weights_are_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["engine", "--weights", "none.safetensors"]) == 1
    assert capsys.readouterr().err.startswith("error: none.safetensors: no such weights file")
