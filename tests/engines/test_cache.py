"""The engine cache: built once, whole or not at all, and never a wrong engine."""

from __future__ import annotations

import errno
import json
import multiprocessing
import os
import shutil
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from engines.cache import MANIFEST, EngineCache, Key, damage
from engines.engine import EngineError
from engines.parity import Parity, compare, sample_crops
from stn_icnn.packing import Packing

KEY = Key("ab" * 32, {"name": "tiny", "widths": (4, 6)}, "onnx", "fp32", versions={"onnxruntime": "1"})
GOOD = Parity(1.0, 1e-6, 8)


class Builder:
    """Counts its builds and writes one file."""

    def __init__(self, parity: Parity = GOOD, error: Exception | None = None) -> None:
        self.parity, self.error, self.count = parity, error, 0

    def __call__(self, folder: Path) -> Parity:
        self.count += 1
        (folder / "network.onnx").write_bytes(b"compiled")
        if self.error is not None:
            raise self.error
        return self.parity


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def cache(tmp_path: Path, said: list[str]) -> EngineCache:
    return EngineCache(tmp_path / "cache", said.append)


def test_what_was_built_is_found_again(cache: EngineCache, said: list[str]) -> None:
    build = Builder()
    first, second = cache.obtain(KEY, build), cache.obtain(KEY, build)
    assert build.count == 1
    assert first.folder == second.folder
    assert (second.folder / "network.onnx").read_bytes() == b"compiled"
    assert second.parity == GOOD
    manifest = json.loads((second.folder / MANIFEST).read_text())
    assert manifest["key"]["weights"] == KEY.weights
    assert manifest["key"]["versions"] == {"onnxruntime": "1"}
    assert second.folder.name.startswith("tiny-onnx-fp32-")
    assert said[0] == "building the onnx fp32 engine of tiny (once) ..."
    assert said[1].startswith("built in 0 s: 100.00% of labels as eager")
    assert len(said) == 2
    assert {path.name for path in cache.root.iterdir()} <= {first.folder.name, f"{first.folder.name}.lock"}


@pytest.mark.parametrize(
    "other",
    [
        replace(KEY, weights="cd" * 32),
        replace(KEY, network={"name": "tiny", "widths": (4, 8)}),
        replace(KEY, backend="rtx"),
        replace(KEY, precision="fp16"),
        replace(KEY, max_batch=4),
        replace(KEY, device="another GPU"),
        replace(KEY, versions={"onnxruntime": "2"}),
    ],
    ids=["weights", "network", "backend", "precision", "batch", "device", "version"],
)
def test_whatever_it_depends_on_makes_another_engine(cache: EngineCache, other: Key) -> None:
    build = Builder()
    assert cache.obtain(KEY, build).folder != cache.obtain(other, build).folder
    assert build.count == 2


def truncate(folder: Path) -> None:
    (folder / "network.onnx").write_bytes(b"comp")


def remove(folder: Path) -> None:
    (folder / "network.onnx").unlink()


def garble(folder: Path) -> None:
    (folder / MANIFEST).write_text("{")


def empty(folder: Path) -> None:
    (folder / MANIFEST).unlink()


def swap(folder: Path) -> None:
    path = folder / MANIFEST
    path.write_text(path.read_text().replace(KEY.weights, "ef" * 32))


def no_parity(folder: Path) -> None:
    path = folder / MANIFEST
    manifest = json.loads(path.read_text())
    del manifest["parity"]
    path.write_text(json.dumps(manifest))


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (truncate, "network.onnx is damaged"),
        (remove, "network.onnx is missing"),
        (garble, "the manifest is damaged"),
        (empty, "manifest.json is missing"),
        (swap, "built for something else"),
        (no_parity, "the manifest is damaged"),
    ],
)
def test_damage_is_told_and_built_anew(
    harm: object, message: str, cache: EngineCache, said: list[str]
) -> None:
    assert callable(harm)
    build = Builder()
    folder = cache.obtain(KEY, build).folder
    harm(folder)
    said.clear()
    assert cache.obtain(KEY, build).folder == folder
    assert build.count == 2
    assert message in said[0]
    assert damage(folder, KEY) is None
    assert not list(cache.root.glob(".*")), "nothing is left over"


def test_a_long_build_says_that_it_goes_on(
    cache: EngineCache, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engines.cache.TICK_SECONDS", 0.01)
    ticked = threading.Event()

    def report(line: str) -> None:
        said.append(line)
        if "still" in line:
            ticked.set()

    cache.report = report

    def build(folder: Path) -> Parity:
        assert ticked.wait(20)
        return GOOD

    cache.obtain(KEY, build)
    assert said[1] == "... still building after 0 s"
    assert not [thread for thread in threading.enumerate() if thread.name == "building"]


def test_a_failed_build_leaves_nothing(cache: EngineCache) -> None:
    with pytest.raises(ValueError, match="no converter"):
        cache.obtain(KEY, Builder(error=ValueError("no converter")))
    assert not [path for path in cache.root.iterdir() if path.is_dir()]


@pytest.mark.parametrize("parity", [Parity(0.99, 1e-6, 8), Parity(1.0, 0.1, 8), Parity(1.0, float("nan"), 8)])
def test_an_engine_that_differs_from_eager_is_not_kept(cache: EngineCache, parity: Parity) -> None:
    with pytest.raises(EngineError, match=r"not the same.*not kept"):
        cache.obtain(KEY, Builder(parity))
    assert not [path for path in cache.root.iterdir() if path.is_dir()]


def test_a_full_disk_means_this_run_alone(cache: EngineCache, said: list[str], tmp_path: Path) -> None:
    class Full(Builder):
        def __call__(self, folder: Path) -> Parity:
            if folder.is_relative_to(cache.root):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return super().__call__(folder)

    entry = cache.obtain(KEY, Full())
    assert not entry.kept
    assert (entry.folder / "network.onnx").is_file()
    assert any("No space left" in line and "this run alone" in line for line in said)
    assert not [path for path in cache.root.iterdir() if path.is_dir()]
    shutil.rmtree(entry.folder)


def test_nowhere_to_build_is_one_clear_error(cache: EngineCache) -> None:
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    with pytest.raises(EngineError, match=r"no place to build an engine in.*free some space"):
        cache.obtain(KEY, Builder(error=full))


def test_a_cache_that_cannot_be_written_means_this_run_alone(tmp_path: Path, said: list[str]) -> None:
    # A file where the folder should be: refused for every user, root included.
    (tmp_path / "blocked").write_text("")
    entry = EngineCache(tmp_path / "blocked" / "engines", said.append).obtain(KEY, Builder())
    assert not entry.kept
    assert "this run alone" in said[0]
    shutil.rmtree(entry.folder)


def build_slowly(root: str, log: str) -> None:
    def build(folder: Path) -> Parity:
        with Path(log).open("a") as file:
            file.write(f"{os.getpid()}\n")
        (folder / "network.onnx").write_bytes(b"comp")
        time.sleep(0.5)
        (folder / "network.onnx").write_bytes(b"compiled")
        return GOOD

    entry = EngineCache(Path(root), lambda line: None).obtain(KEY, build)
    assert (entry.folder / "network.onnx").read_bytes() == b"compiled"
    assert entry.kept


@pytest.mark.timeout(60)
def test_two_processes_build_it_once(tmp_path: Path) -> None:
    log = tmp_path / "builds"
    context = multiprocessing.get_context("spawn")
    args = (str(tmp_path / "cache"), str(log))
    processes = [context.Process(target=build_slowly, args=args) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(50)
    assert [process.exitcode for process in processes] == [0, 0]
    assert len(log.read_text().splitlines()) == 1


def test_entries_are_listed_and_cleared(cache: EngineCache) -> None:
    assert cache.entries() == []
    assert cache.clear() == 0
    cache.obtain(KEY, Builder())
    cache.obtain(replace(KEY, backend="rtx"), Builder())
    (cache.root / "half").mkdir()
    assert [entry.manifest["key"]["backend"] for entry in cache.entries()] == ["onnx", "rtx"]
    assert cache.clear() == 3
    assert list(cache.root.iterdir()) == []


def test_parity_counts_labels_and_the_largest_difference() -> None:
    crops = np.zeros((3, 4, 4, 3), np.uint8)

    def guess(shift: float) -> npt.NDArray[np.float32]:
        first = np.linspace(0.0, 1.0, 16, dtype=np.float32).reshape(4, 4) + shift
        return np.stack([first, 1 - first])[None].repeat(3, axis=0)

    same = compare(lambda c: guess(0)[: len(c)], lambda c: guess(0)[: len(c)], crops)
    assert same == Parity(1.0, 0.0, 3)
    off = compare(lambda c: guess(0.2)[: len(c)], lambda c: guess(0)[: len(c)], crops)
    assert off.difference == pytest.approx(0.2, abs=1e-6)
    assert off.agreement == pytest.approx(13 / 16)


def test_sample_crops_are_always_the_same_and_all_different() -> None:
    crops = sample_crops(Packing(64, 32), 4)
    assert crops.shape == (4, 64, 64, 3)
    assert np.array_equal(crops, sample_crops(Packing(64, 32), 4))
    assert not np.array_equal(crops[0], crops[1])
    assert crops.std() > 30
