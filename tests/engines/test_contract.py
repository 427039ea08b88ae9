"""One suite over every engine: what goes in, what comes out, and what is refused."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator
from typing import Any, cast

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from engines import BACKENDS, Engine, EngineError, EngineUnavailable, load_engine
from engines.contract import CONTRACT
from engines.engine import EngineSpec, Probabilities
from engines.loader import CPU_BACKENDS
from engines.parity import compare
from stn_icnn.packing import Packing

Crops = npt.NDArray[np.uint8]


KINDS = [*((name, "auto") for name in BACKENDS), ("openvino", "fp32"), ("openvino", "int8")]


def load(backend: str, precision: str, threads: int = 1) -> Engine:
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
    engine, _ = load_engine("eager", threads=1)
    yield engine
    engine.close()


@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    "check",
    # What measures time runs alone.
    [pytest.param(name, marks=pytest.mark.alone) if name == "frees_the_gil" else name for name in CONTRACT],
)
def test_every_engine_holds_the_contract(engine: Engine, check: str) -> None:
    CONTRACT[check](engine)


def test_engines_agree_with_eager(engine: Engine, reference: Engine, portrait: Crops) -> None:
    # A real face, seen a little differently each time: int8 is calibrated on nothing else.
    shifts = [(-6, 0), (0, 0), (6, 0), (0, 6)]
    views = [portrait[30 + y : 230 + y, 122 + x : 322 + x] for x, y in shifts]
    packing = engine.spec.packing
    size = (packing.input_size, packing.input_size)
    crops = [cv2.resize(view, size) for view in [*views, *(view[:, ::-1] for view in views)]]
    packed = np.stack([packing.pack_crop(np.asarray(crop, np.uint8)) for crop in crops])
    parity = compare(engine.infer, reference.infer, packed)
    parity.require(engine.precision)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: "-".join(kind))
def test_a_closed_engine_says_so(kind: tuple[str, str]) -> None:
    engine = load(*kind)
    engine.close()
    engine.close()
    with pytest.raises(EngineError, match="closed"):
        engine.infer(np.zeros((1, *engine.spec.input_shape), np.uint8))


def test_a_specification_comes_from_the_checkpoint() -> None:
    spec = EngineSpec.of({"input_size": 8, "output_size": 4, "classes": [0, 13], "coarse_size": 8})
    assert spec == EngineSpec(Packing(8, 4), (0, 13))


class Broken:
    """An engine with a fault, around a sound one."""

    def __init__(self, sound: Engine, **changes: Any) -> None:
        self.sound, self.changes = sound, changes

    def __getattr__(self, name: str) -> Any:
        return self.changes.get(name) or getattr(self.sound, name)


def test_the_contract_notices_what_is_broken(reference: Engine) -> None:
    shape = reference.spec.output_shape
    kept = np.zeros((512, *shape), np.float32)
    lock = ctypes.PyDLL(None)

    def unsummed(crops: Crops) -> Probabilities:
        return 0.5 * reference.infer(crops)

    def reused(crops: Crops) -> Probabilities:
        kept[: len(crops)] = reference.infer(crops)
        return kept[: len(crops)]

    def permissive(crops: Crops) -> Probabilities:
        return np.zeros((len(crops), *shape), np.float32)

    def mixing(crops: Crops) -> Probabilities:
        return np.repeat(reference.infer(crops).mean(axis=0, keepdims=True), len(crops), axis=0)

    def holding(crops: Crops) -> Probabilities:
        # Called by ctypes with the GIL held.
        lock.usleep(50_000)
        return kept[: len(crops)]

    faults: dict[str, Callable[[Crops], Probabilities]] = {
        "gives_a_distribution": unsummed,
        "gives_results_away": reused,
        "refuses_other_inputs": permissive,
        "treats_a_batch_as_its_faces": mixing,
        "frees_the_gil": holding,
    }
    for check, infer in faults.items():
        with pytest.raises(AssertionError):
            CONTRACT[check](cast(Engine, Broken(reference, infer=infer)))
