"""One suite over every engine: what goes in, what comes out, and what is refused."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from engines import BACKENDS, Engine, EngineError, EngineUnavailable, load_engine
from engines.engine import EngineSpec
from engines.loader import CPU_BACKENDS
from engines.parity import compare

Crops = npt.NDArray[np.uint8]


KINDS = [*((name, "auto") for name in BACKENDS), ("openvino", "fp32"), ("openvino", "int8")]


def load(backend: str, precision: str, threads: int = 2) -> Engine:
    """Load a back-end with the shipped weights; skip it where this machine can't run it."""
    try:
        engine, line = load_engine(backend, threads=threads, precision=precision, report=lambda line: None)
    except EngineUnavailable as error:
        if backend in CPU_BACKENDS and precision != "int8":
            raise
        pytest.skip(f"{backend}: {error}")
    assert engine.description in line
    return engine


@pytest.fixture(scope="module", params=KINDS, ids=lambda kind: "-".join(kind))
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    """Every back-end and precision that this machine can run."""
    engine = load(*request.param)
    yield engine
    engine.close()


@pytest.fixture(scope="module")
def reference() -> Iterator[Engine]:
    engine, _ = load_engine("eager", threads=2)
    yield engine
    engine.close()


def random_crops(count: int, seed: int = 0) -> Crops:
    return np.random.default_rng(seed).integers(0, 256, (count, 256, 256, 3), dtype=np.uint8)


@pytest.mark.parametrize("count", [1, 2, 5, 8])
def test_output_is_a_distribution(engine: Engine, count: int) -> None:
    probabilities = engine.infer(random_crops(count))
    side = engine.spec.output_size
    assert probabilities.shape == (count, len(engine.spec.classes), side, side)
    assert probabilities.dtype == np.float32
    assert np.allclose(probabilities.sum(axis=1), 1.0, atol=1e-4)


def test_engines_agree_with_eager(engine: Engine, reference: Engine, portrait: Crops) -> None:
    # A real face, seen a little differently each time: int8 is calibrated on nothing else.
    shifts = [(-6, 0), (0, 0), (6, 0), (0, 6)]
    views = [portrait[30 + y : 230 + y, 122 + x : 322 + x] for x, y in shifts]
    side = engine.spec.input_size
    crops = np.stack(
        [cv2.resize(view, (side, side)) for view in [*views, *(view[:, ::-1] for view in views)]]
    )
    parity = compare(engine.infer, reference.infer, crops.astype(np.uint8))
    parity.require(engine.precision)


def test_a_batch_equals_its_faces(engine: Engine) -> None:
    crops = random_crops(3)
    alone = np.concatenate([engine.infer(crop[None]) for crop in crops])
    # int8 rounds at other places where sums are split otherwise.
    most = 1e-4 if engine.precision == "fp32" else 0.05
    assert np.abs(engine.infer(crops) - alone).max() < most


def test_crops_need_not_be_contiguous(engine: Engine) -> None:
    wide = random_crops(1).repeat(2, axis=2)
    strided = wide[:, :, ::2]
    assert not strided.flags.c_contiguous
    assert np.array_equal(engine.infer(strided), engine.infer(np.ascontiguousarray(strided)))


def test_results_are_the_callers_own(engine: Engine) -> None:
    first = engine.infer(random_crops(1, seed=1))
    kept = first.copy()
    engine.infer(random_crops(1, seed=2))
    assert np.array_equal(first, kept)


@pytest.mark.parametrize(
    "bad",
    [
        np.zeros((1, 256, 256, 3), np.float32),
        np.zeros((256, 256, 3), np.uint8),
        np.zeros((1, 128, 128, 3), np.uint8),
        np.zeros((1, 3, 256, 256), np.uint8),
        np.zeros((0, 256, 256, 3), np.uint8),
    ],
    ids=["float", "no batch", "small", "planar", "empty"],
)
def test_other_inputs_are_refused_with_their_shape(engine: Engine, bad: Crops) -> None:
    with pytest.raises(EngineError, match=r"uint8 \(N, 256, 256, 3\)"):
        engine.infer(bad)


@pytest.mark.timeout(60)
def test_two_threads_get_their_own_results(engine: Engine) -> None:
    inputs = [random_crops(1, seed) for seed in (7, 8)]
    expected = [engine.infer(crops) for crops in inputs]
    wrong: list[int] = []

    def work(index: int) -> None:
        results = [engine.infer(inputs[index]) for _ in range(3)]
        wrong.extend(index for result in results if not np.allclose(result, expected[index], atol=1e-5))

    threads = [threading.Thread(target=work, args=(index,)) for index in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert not any(thread.is_alive() for thread in threads)
    assert not wrong


@pytest.mark.timeout(60)
def test_python_goes_on_while_an_engine_infers(engine: Engine) -> None:
    """No engine holds the GIL: a Python thread keeps counting through every call."""
    crops = random_crops(4)
    engine.infer(crops)
    ticks: list[float] = []
    done = threading.Event()

    def count() -> None:
        while not done.wait(0.0005):
            ticks.append(time.perf_counter())

    thread = threading.Thread(target=count)
    thread.start()
    started = time.perf_counter()
    for _ in range(5):
        engine.infer(crops)
    seconds = time.perf_counter() - started
    done.set()
    thread.join(10)
    longest = max(np.diff([started, *ticks, started + seconds]))
    # One call takes a fifth; were the GIL held, no gap could be shorter than most of that.
    assert longest < 0.5 * seconds / 5


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: "-".join(kind))
def test_a_closed_engine_says_so(kind: tuple[str, str]) -> None:
    engine = load(*kind, threads=1)
    engine.close()
    engine.close()
    with pytest.raises(EngineError, match="closed"):
        engine.infer(random_crops(1))


def test_a_specification_comes_from_the_checkpoint() -> None:
    spec = EngineSpec.of({"input_size": 8, "output_size": 4, "classes": [0, 13]})
    assert spec == EngineSpec(8, 4, (0, 13))
