from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.__main__ import _parser, main
from benchmarks.machine import cpu_features
from benchmarks.report import Result, Row, compared, read_json, table
from benchmarks.statistics import compare
from benchmarks.suite import QUICK, command_lines, publish
from realtime.effects import EFFECTS
from realtime.errors import UsageError
from stn_icnn.checkpoint import Checkpoint, load_network, save_checkpoint


def test_engines_are_timed_with_starts(tmp_path: Path) -> None:
    files = {kind: tmp_path / f"figures.{kind}" for kind in ("json", "csv")}
    arguments = [
        "engine",
        "--rounds",
        "3",
        "--batch",
        "1",
        "--threads",
        "1",
        "--backends",
        "eager",
        "openvino",
    ]
    arguments += [
        "--json",
        str(files["json"]),
        "--csv",
        str(files["csv"]),
        "--plots",
        str(tmp_path / "plots"),
    ]
    assert main([*arguments, "--precisions", "int8"]) == 0
    machine, (result,) = read_json(files["json"])
    assert machine["cores"] >= 1
    assert {"cpu", "versions", "commit", "load", "load_at_end", "started"} <= set(machine)
    timed = [row for row in result.rows if row.measured]
    assert [row.name for row in timed] == ["openvino int8"]
    assert timed[0].measured is not None
    assert timed[0].measured.ratio == 1.0
    starts = [row for row in result.rows if "start" in row.group]
    assert len(starts) == 1
    for row in starts:
        figures = row.figures
        assert float(figures["cached_start_s"] or 0.0) > 0.0
        assert float(figures["peak_mb"] or 0.0) > float(figures["engine_mb"] or 0.0) > 0.0
        assert float(figures["model_mb"] or 0.0) > 1.0
    with files["csv"].open(newline="") as file:
        lines = list(csv.DictReader(file))
    assert len(lines) == len(result.rows)
    assert float(lines[0]["p50_ms"]) > 0.0
    assert (tmp_path / "plots" / "engine.png").stat().st_size > 1000


@pytest.mark.alone
def test_engines_take_turns_beside_eager(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["engine", "--rounds", "2", "--batch", "2", "--threads", "1", "2", "--starts"]
    assert main([*arguments, "--backends", "eager", "openvino", "tensorrt"]) == 0
    text = capsys.readouterr().out
    for threads in ("1 thread", "2 threads"):
        block = text[text.index(f"[engine: 2 faces at once, {threads}]") :].splitlines()[2:5]
        assert [line.split()[:2] for line in block] == [
            ["eager", "fp32"],
            ["openvino", "fp32"],
            ["openvino", "int8"],
        ]
    assert "tensorrt: not measured: " in text or "tensorrt fp16" in text


def test_openvino_is_held_to_older_instructions_and_the_profile_names_them(tmp_path: Path) -> None:
    if "avx2" not in cpu_features():
        pytest.skip("needs a processor with AVX2")
    path = tmp_path / "figures.json"
    command = [
        sys.executable,
        "-m",
        "benchmarks",
        "engine",
        "--backends",
        "openvino",
        "--batch",
        "1",
        "--starts",
    ]
    command += ["--rounds", "2", "--threads", "1", "--profile", "--isa", "avx2", "--json", str(path)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "OpenVINO held to AVX2" in done.stdout
    machine, (result,) = read_json(path)
    assert machine["held_to"] == "AVX2"
    for precision in ("fp32", "int8"):
        group = f"of openvino {precision}, 1 thread"
        kernels = {
            row.name: float(row.figures["share"] or 0.0)
            for row in result.rows
            if row.group == f"kernels {group}"
        }
        assert sum(kernels.values()) == pytest.approx(1.0, abs=0.02)
        longest = [row for row in result.rows if row.group == f"longest nodes {group}"]
        assert len(longest) == 25
        convolutions = [row.figures["kernel"] for row in longest if row.figures["kind"] == "Convolution"]
        assert len(convolutions) > 5
        assert all("avx2" in str(kernel) for kernel in convolutions)


@pytest.mark.alone
def test_the_pipeline_is_timed_as_file_and_live(tmp_path: Path) -> None:
    path = tmp_path / "figures.json"
    arguments = ["pipeline", "--sizes", "480p", "--faces", "1", "--frames", "8", "--rounds", "1"]
    assert main([*arguments, "--json", str(path), "--plots", str(tmp_path)]) == 0
    _, (result,) = read_json(path)
    names = {row.name for row in result.rows if row.measured}
    assert names == {"decode + encode", "parse + paint", "Gaussian blur", "capture to sink"}
    stages = [row.name for row in result.rows if row.group == "live, 480p, 1 face: stages"]
    assert stages == ["capture", "parse", "render", "output"]
    assert (tmp_path / "pipeline-stages.png").is_file()


def test_growth_follows_the_faces_that_are_there(tmp_path: Path) -> None:
    path = tmp_path / "figures.json"
    arguments = ["growth", "--faces", "1", "3", "--sizes", "480p", "720p", "--rounds", "3"]
    assert main([*arguments, "--json", str(path), "--plots", str(tmp_path)]) == 0
    _, (result,) = read_json(path)
    assert [row.figures["faces"] for row in result.rows] == [1.0, 3.0, 1.0, 1.0]
    assert all(float(row.figures["network_ms"] or 0.0) > 0.0 for row in result.rows)
    assert (tmp_path / "growth.png").is_file()


def test_effects_are_timed_beside_a_blur(tmp_path: Path) -> None:
    path = tmp_path / "costs.json"
    assert main(["effects", "--rounds", "2", "--json", str(path)]) == 0
    _, (result,) = read_json(path)
    assert result.rows[0].name == "GaussianBlur"
    assert set(EFFECTS) < {row.name for row in result.rows}


def test_accuracy_stands_beside_time(face_folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "scores.json"
    arguments = ["accuracy", "--data", str(face_folder), "--rounds", "2", "--most", "1"]
    assert main([*arguments, "--json", str(path), "--plots", str(tmp_path)]) == 0
    _, (result,) = read_json(path)
    assert [row.name for row in result.rows] == ["realtime fp32", "realtime int8"]
    for row in result.rows:
        assert row.figures["faces"] == 1
        assert 0.0 < float(row.figures["mean_f1"] or 0.0) < 1.0
    assert (tmp_path / "accuracy.png").is_file()


def test_shapes_stand_beside_their_scores(tiny_checkpoint: Checkpoint, tmp_path: Path) -> None:
    network = load_network(tiny_checkpoint)
    metrics = {"mean_f1_19": 0.5, "paper_overall_f1": 0.75}
    scored = save_checkpoint(network, network.state_dict(), tmp_path / "run" / "tiny.safetensors", metrics)
    path = tmp_path / "shapes.json"
    arguments = ["shapes", str(scored.path), "--rounds", "2", "--threads", "1"]
    assert main([*arguments, "--json", str(path)]) == 0
    _, (result,) = read_json(path)
    assert [row.name for row in result.rows] == ["run/tiny"]
    assert result.rows[0].figures["mean_f1"] == 0.5
    assert float(result.rows[0].figures["gmac"] or 0.0) > 0.0
    assert not list(scored.path.parent.glob("*.xml")), "the weights' folder is left as it is"


@pytest.mark.parametrize(
    ("arguments", "code", "why"),
    [
        (["effects", "--json", "none/costs.json"], 1, "no such folder"),
        (["pipeline", "--clip", "none.mp4"], 1, "no such file"),
        (["accuracy"], 2, "--data DIR"),
        (["accuracy", "--data", "none"], 1, "no folder labels/"),
    ],
)
def test_what_is_missing_is_told_in_one_line(
    arguments: list[str], code: int, why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == code
    error = capsys.readouterr().err
    assert why in error
    assert len(error.splitlines()) == 1


@pytest.mark.parametrize("arguments", [["engine", "--rounds", "0"], ["glass", "--threads", "x"], ["no"]])
def test_bad_flags_are_usage_errors(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2


def test_the_set_passes_flags_on_and_each_line_parses() -> None:
    parser = _parser()
    everything = [
        "all",
        "--quick",
        "--data",
        "d",
        "--clip",
        "c.mp4",
        "--landmarker",
        "l.task",
        "--threads",
        "2",
    ]
    lines = command_lines(parser.parse_args(everything))
    assert [line[0] for line in lines] == list(QUICK)
    parsed = {line[0]: parser.parse_args(line) for line in lines}
    assert parsed["peers"].landmarker == Path("l.task")
    assert parsed["pipeline"].clip == "c.mp4"
    assert parsed["engine"].threads == [2]
    assert "accuracy" not in [line[0] for line in command_lines(parser.parse_args(["all"]))]


def test_a_page_is_brought_up_to_date(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "a\n<!-- machine -->\nold\n<!-- /machine -->\nb\n<!-- effects -->\nold\n<!-- /effects -->\nc\n"
    )
    result = Result("effects", {"rounds": 3}, compared("g", compare({"x": [1.0, 1.0], "y": [2.0, 2.0]})))
    machine = json.loads(json.dumps({"cpu": "C", "cores": 2, "memory_gb": 1.0, "gpu": None, "load": 0.1}))
    machine |= {"commit": "abc", "started": "now", "system": "s", "python": "3", "versions": {"numpy": "2"}}
    publish([result], machine, page)
    text = page.read_text()
    assert "old" not in text
    assert text.startswith("a\n<!-- machine -->\n- C, 2 cores")
    assert "| y | 2000 |" in text
    assert "![effects](page/effects.png)" in text
    assert text.endswith("<!-- /effects -->\nc\n")
    assert (tmp_path / "page" / "effects.png").is_file()
    with pytest.raises(UsageError, match="no place marked <!-- growth -->"):
        publish([Result("growth", {}, [])], machine, page)


def test_a_table_shows_ratios_with_their_interval() -> None:
    rows = compared("g", compare({"x": [0.001] * 5, "y": [0.002] * 5}), {"y": {"found": 3}})
    text = table(Result("b", {}, [*rows, Row("h", "z", figures={"size_mb": 0.5})], ["n"]))
    assert "[b: g]" in text
    assert "2.00 (2.00 to 2.00)" in text
    assert "size mb" in text
    assert text.endswith("note: n")


@pytest.mark.parametrize("command", ["engine", "pipeline", "growth", "peers", "glass", "accuracy", "all"])
def test_help_names_the_common_flags(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main([command, "--help"])
    text = capsys.readouterr().out
    for flag in ("--threads", "--json", "--csv", "--plots"):
        assert flag in text


def test_torch_is_not_needed_until_it_is_asked_for() -> None:
    code = "import sys; sys.modules['torch'] = None; from benchmarks import __main__ as m; m._parser()"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[2], timeout=60)
