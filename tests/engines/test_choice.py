"""The quickest precision: measured once on a machine, and kept."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import engines.openvino
from engines import load_engine
from engines.__main__ import main
from engines.cache import Key
from engines.choice import TIMES, Choice, choose, measure
from engines.engine import Crops, EngineOptions, Infer, Probabilities

SHAPE = (4, 3)
KEY = Key("0" * 64, {"name": "tiny"}, "openvino-choice", "auto")


def taking(seconds: float) -> Infer:
    def infer(crops: Crops) -> Probabilities:
        assert crops.shape == (1, *SHAPE)
        time.sleep(seconds)
        return np.zeros((1, 1), np.float32)

    return infer


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of this test's own."""
    monkeypatch.setattr("engines.cache.user_folder", lambda: tmp_path / "user")
    return tmp_path / "user" / "engines"


def test_the_quickest_is_chosen_whichever_it_is() -> None:
    for slow, quick in (("int8", "fp32"), ("fp32", "int8")):
        seconds = measure({slow: taking(0.004), quick: taking(0.0)}, SHAPE)
        assert Choice(seconds).precision == quick
        assert seconds[slow] >= 0.004


def test_a_choice_is_measured_once(cache: Path) -> None:
    opened: list[str] = []

    def opening(name: str, seconds: float) -> Infer:
        opened.append(name)
        return taking(seconds)

    candidates = {"int8": lambda: opening("int8", 0.002), "fp32": lambda: opening("fp32", 0.0)}
    assert choose(KEY, EngineOptions(build=False), candidates, SHAPE) is None
    assert opened == [], "nothing is measured where nothing may be built"
    first = choose(KEY, EngineOptions(), candidates, SHAPE)
    assert first is not None
    assert first.precision == "fp32"
    assert choose(KEY, EngineOptions(build=False), candidates, SHAPE) == first
    assert opened == ["int8", "fp32"]
    other = Key("1" * 64, {"name": "tiny"}, "openvino-choice", "auto")
    choose(other, EngineOptions(), candidates, SHAPE)
    assert len(opened) == 4, "another network's is its own"


def test_a_damaged_choice_is_told_and_measured_anew(cache: Path) -> None:
    said: list[str] = []
    options = EngineOptions(report=said.append)
    candidates = {"int8": lambda: taking(0.0), "fp32": lambda: taking(0.002)}
    choose(KEY, options, candidates, SHAPE)
    (times,) = cache.glob(f"*/{TIMES}")
    times.write_text('{"fp32": 0.0}')
    again = choose(KEY, options, candidates, SHAPE)
    assert again is not None
    assert again.precision == "int8"
    assert len(said) == 1
    assert f"{TIMES} is damaged" in said[0]


@pytest.mark.parametrize("quick", ["int8", "fp32"])
def test_auto_runs_what_is_quickest_here_and_says_so(
    quick: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[Mapping[str, Infer]] = []

    def fixed(networks: Mapping[str, Infer], shape: tuple[int, ...]) -> dict[str, float]:
        asked.append(networks)
        return {name: 0.005 if name == quick else 0.01 for name in networks}

    monkeypatch.setattr("engines.choice.measure", fixed)
    for backend in ("openvino", "auto"):
        engine, line = load_engine(backend, threads=1)
        engine.close()
        assert engine.precision == quick
        times = {"int8": 10.0, "fp32": 10.0} | {quick: 5.0}
        told = ", ".join(f"{name} {value:.1f} ms" for name, value in times.items())
        assert f"1 threads), {quick} (measured here: {told})" in line
    assert len(asked) == 1
    for precision in ("int8", "fp32"):
        engine, line = load_engine("openvino", threads=1, precision=precision)
        engine.close()
        assert engine.precision == precision
        assert "measured" not in line
    assert len(asked) == 1, "what is asked for is not measured"
    assert main(["list"]) == 0
    entries = [line for line in capsys.readouterr().out.splitlines() if "openvino-choice-auto-" in line]
    assert len(entries) == 1
    assert entries[0].endswith(f"measured here: {told}")


def test_what_is_compiled_to_be_measured_is_compiled_once(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled: list[tuple[str, int]] = []

    def counting(xml: Path, threads: int, streams: int = 1) -> Any:
        compiled.append((xml.name, streams))
        return compile_network(xml, threads, streams)

    compile_network = engines.openvino._compile
    monkeypatch.setattr("engines.openvino._compile", counting)
    monkeypatch.setattr("engines.choice.measure", lambda networks, _: {"int8": 0.005, "fp32": 0.01})
    for _ in range(2):
        engine, _ = load_engine("openvino", threads=2)
        engine.close()
    alone = [("realtime.int8.xml", 1), ("realtime.xml", 1)]
    assert sorted(compiled) == sorted([*alone, ("realtime.int8.xml", 2)]), "and not at the second start"
