"""What every engine holds, as checks that need the engine alone: for tests, and for machines with a GPU.

Each takes an open engine and raises AssertionError where it does not hold.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping

import numpy as np

from engines.engine import Crops, Engine, EngineError

TIMEOUT_SECONDS = 60.0


def random_crops(engine: Engine, count: int, seed: int = 0) -> Crops:
    """Return noise in the form that an engine takes, (count, *spec.input_shape) uint8."""
    shape = engine.spec.input_shape
    return np.random.default_rng(seed).integers(0, 256, (count, *shape), dtype=np.uint8)


def gives_a_distribution(engine: Engine) -> None:
    """Give probabilities that sum to 1, for several batch sizes."""
    for count in (1, 2, 5, 8):
        probabilities = engine.infer(random_crops(engine, count))
        assert probabilities.shape == (count, *engine.spec.output_shape), probabilities.shape
        assert probabilities.dtype == np.float32, probabilities.dtype
        assert np.allclose(probabilities.sum(axis=1), 1.0, atol=1e-4)


def treats_a_batch_as_its_faces(engine: Engine) -> None:
    """Give for a batch what its faces give one by one."""
    crops = random_crops(engine, 3)
    alone = np.concatenate([engine.infer(crop[None]) for crop in crops])
    # Halves and int8 round at other places where sums are split otherwise.
    most = 1e-4 if engine.precision == "fp32" else 0.05
    difference = float(np.abs(engine.infer(crops) - alone).max())
    assert difference < most, difference


def takes_views(engine: Engine) -> None:
    """Take crops that are not contiguous."""
    wide = random_crops(engine, 1).repeat(2, axis=1)
    assert np.array_equal(engine.infer(wide[:, ::2]), engine.infer(random_crops(engine, 1)))


def gives_results_away(engine: Engine) -> None:
    """Leave a result alone when the next face is parsed."""
    first = engine.infer(random_crops(engine, 1, seed=1))
    kept = first.copy()
    engine.infer(random_crops(engine, 1, seed=2))
    assert np.array_equal(first, kept)


def refuses_other_inputs(engine: Engine) -> None:
    """Refuse other types and shapes, and say which are right."""
    shape = engine.spec.input_shape
    sides = ", ".join(map(str, shape))
    for bad in (
        np.zeros((1, *shape), np.float32),
        np.zeros(shape, np.uint8),
        np.zeros((1, shape[0] // 2, *shape[1:]), np.uint8),
        np.zeros((1, 3, *shape[:-1]), np.uint8),
        np.zeros((0, *shape), np.uint8),
    ):
        told = ""
        try:
            engine.infer(bad)  # type: ignore[arg-type]
        except EngineError as error:
            told = str(error)
        assert f"uint8 (N, {sides})" in told, (bad.dtype, bad.shape, told)


def serves_threads(engine: Engine) -> None:
    """Give two threads each their own results."""
    inputs = [random_crops(engine, 1, seed) for seed in (7, 8)]
    expected = [engine.infer(crops) for crops in inputs]
    wrong: list[int] = []

    def work(index: int) -> None:
        results = [engine.infer(inputs[index]) for _ in range(3)]
        wrong.extend(index for result in results if not np.allclose(result, expected[index], atol=1e-5))

    threads = [threading.Thread(target=work, args=(index,)) for index in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(TIMEOUT_SECONDS)
    assert not any(thread.is_alive() for thread in threads)
    assert not wrong, wrong


def frees_the_gil(engine: Engine) -> None:
    """Let a Python thread go on counting through every call."""
    crops, seconds = random_crops(engine, 4), 0.0
    # Long enough that a thread's own delays, some milliseconds at most, are no large share of a call.
    while seconds < 0.02 and len(crops) < 512:
        crops = np.concatenate([crops, crops])
        engine.infer(crops)
        begun = time.perf_counter()
        engine.infer(crops)
        seconds = time.perf_counter() - begun
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
    thread.join(TIMEOUT_SECONDS)
    longest = max(np.diff([started, *ticks, started + seconds]))
    # One call takes a fifth; were the GIL held, no gap could be shorter than most of that.
    assert longest < 0.5 * seconds / 5, (longest, seconds)


CONTRACT: Mapping[str, Callable[[Engine], None]] = {
    check.__name__: check
    for check in (
        gives_a_distribution,
        treats_a_batch_as_its_faces,
        takes_views,
        gives_results_away,
        refuses_other_inputs,
        serves_threads,
        frees_the_gil,
    )
}
