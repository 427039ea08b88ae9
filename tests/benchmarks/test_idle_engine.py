from __future__ import annotations

import time

import numpy as np

from benchmarks.growth import TimedEngine
from benchmarks.tracing import clock, cpu_share
from engines import load_engine


def test_an_idle_engine_reads_as_idle() -> None:
    engine, _ = load_engine("openvino", threads=2)
    timed = TimedEngine(engine)
    timed.infer(np.zeros((1, *engine.spec.input_shape), np.uint8))
    assert timed.seconds[-1] > 0.0
    timed.seconds.append(0.0)
    shares = []
    for _ in range(4):
        begun = clock()
        time.sleep(0.2)
        shares.append(cpu_share(begun, 1))
    engine.close()
    # No thread of it spins while it has nothing to do.
    assert min(shares) < 0.05
    assert timed.seconds[-1] == 0.0
