from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks.__main__ import main
from benchmarks.report import Result, compared, write_json
from benchmarks.statistics import compare


def _write(path: Path, factor: float, machine: float = 1.0, seed: int = 0, rounds: int = 30) -> str:
    """Figures of a machine so much slower, where the candidate takes `factor` times the baseline."""
    rng = np.random.default_rng(seed)
    times = {
        "base": (machine * 0.01 * rng.lognormal(0.0, 0.05, rounds)).tolist(),
        "ours": (machine * factor * 0.01 * rng.lognormal(0.0, 0.05, rounds)).tolist(),
    }
    write_json([Result("engine", {}, compared("one face", compare(times)))], {}, path)
    return str(path)


def test_a_slowdown_is_found(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    old, new = _write(tmp_path / "old.json", 2.0), _write(tmp_path / "new.json", 3.0, seed=1)
    assert main(["compare", old, new]) == 1
    assert "SLOWER" in capsys.readouterr().out


def test_a_slower_machine_is_no_slowdown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    old, new = _write(tmp_path / "old.json", 2.0), _write(tmp_path / "new.json", 2.0, machine=7.0, seed=1)
    assert main(["compare", old, new]) == 0
    assert "engine: one face: ours to base" in capsys.readouterr().out


def test_faster_and_little_slower_pass_until_asked_otherwise(tmp_path: Path) -> None:
    old = _write(tmp_path / "old.json", 2.0)
    assert main(["compare", old, _write(tmp_path / "fast.json", 1.0, seed=1)]) == 0
    slightly = _write(tmp_path / "slow.json", 2.16, seed=1, rounds=400)
    assert main(["compare", old, slightly]) == 0
    assert main(["compare", old, slightly, "--tolerance", "0"]) == 1


def test_too_few_rounds_prove_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    old, new = _write(tmp_path / "old.json", 1.0, rounds=2), _write(tmp_path / "new.json", 9.0, rounds=2)
    assert main(["compare", old, new]) == 0
    assert "too few rounds" in capsys.readouterr().out


def test_what_cannot_be_compared_is_a_usage_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    old = _write(tmp_path / "old.json", 2.0)
    other = tmp_path / "other.json"
    for content, why in (("{}", "no figures"), ("[", "no figures"), ('{"format": 99}', "another version")):
        other.write_text(content)
        assert main(["compare", old, str(other)]) == 2
        assert why in capsys.readouterr().err
    data = json.loads(Path(old).read_text())
    data["benchmarks"][0]["benchmark"] = "peers"
    other.write_text(json.dumps(data))
    assert main(["compare", old, str(other)]) == 2
    assert "in common" in capsys.readouterr().err
    assert main(["compare", old, "none.json"]) == 2
