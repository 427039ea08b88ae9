"""Choosing an engine: by name, which never falls back, or `auto`, which says what it chose and why."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path

from engines.eager import EagerEngine
from engines.engine import Engine, EngineError, EngineUnavailable
from engines.openvino import OpenVinoEngine
from stn_icnn.checkpoint import Checkpoint, CheckpointError, read_checkpoint

Factory = Callable[[Checkpoint, int], Engine]

BACKENDS: Mapping[str, Factory] = {"openvino": OpenVinoEngine, "eager": EagerEngine}
"""Back-ends by name, in the order in which `auto` tries them."""


def load_engine(
    backend: str = "auto", weights: Path | None = None, threads: int | None = None
) -> tuple[Engine, str]:
    """Load an engine.

    Args:
        backend: "auto" or a name of `BACKENDS`.
        weights: a .safetensors file with its manifest; None for the shipped weights.
        threads: CPU threads; None for one a core.

    Returns:
        The engine, and one line that says what runs and why it was chosen.

    Raises:
        EngineError: if the back-end is unknown, the weights are damaged, or nothing can run.
    """
    if backend != "auto" and backend not in BACKENDS:
        raise EngineError(f"unknown back-end {backend!r}: one of auto, {', '.join(BACKENDS)}")
    threads = threads or available_cores()
    try:
        checkpoint = read_checkpoint(weights)
        if backend != "auto":
            engine = BACKENDS[backend](checkpoint, threads)
            return engine, _line(checkpoint, engine, "asked for")
        return _first_that_runs(checkpoint, threads)
    except CheckpointError as error:
        raise EngineError(str(error)) from None


def _first_that_runs(checkpoint: Checkpoint, threads: int) -> tuple[Engine, str]:
    refusals: list[str] = []
    for name, factory in BACKENDS.items():
        try:
            engine = factory(checkpoint, threads)
        except EngineUnavailable as error:
            refusals.append(f"{name}: {error}")
            continue
        why = "auto; " + "; ".join(refusals) if refusals else f"auto: {name} is the CPU default"
        return engine, _line(checkpoint, engine, why)
    raise EngineUnavailable("no back-end can run here:\n  " + "\n  ".join(refusals))


def _line(checkpoint: Checkpoint, engine: Engine, why: str) -> str:
    name = checkpoint.network["name"]
    return f"engine: {name} {checkpoint.sha256[:8]}, {engine.description} ({why})"


def available_cores() -> int:
    """Return how many cores this process may use, which a container can hold below the machine's count."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
