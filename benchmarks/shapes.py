"""Accuracy beside time and size: trained networks of several shapes, timed in turns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.statistics import interleave
from engines.engine import EngineOptions
from engines.export import copy_checkpoint, release_openvino
from engines.openvino import OpenVinoEngine
from stn_icnn.checkpoint import load_network, read_checkpoint
from training.evaluate import count_macs


@dataclass(frozen=True)
class ShapeRow:
    """One network.

    Attributes:
        name: folder and name of its weights.
        parameters: count.
        macs: multiply-accumulates of a face.
        seconds: median of one face, OpenVINO fp32.
        ratio: median of its time over the first network's of the same round.
        mean_f1, overall: as its manifest has them (of the split it was validated on), or None.
    """

    name: str
    parameters: int
    macs: int
    seconds: float
    ratio: float
    mean_f1: float | None
    overall: float | None


def compare_shapes(weights: Sequence[Path], rounds: int, threads: int, scratch: Path) -> list[ShapeRow]:
    """Compile every network to OpenVINO fp32 and time one face, the networks in turns.

    Args:
        weights: .safetensors files; the first is what the others are compared with.
        rounds: timed rounds.
        threads: CPU threads.
        scratch: folder for the compiled networks.

    Raises:
        CheckpointError: if weights are damaged.
        EngineError: if a network can't be compiled.
    """
    engines, rows = {}, {}
    for index, path in enumerate(weights):
        checkpoint = read_checkpoint(path)
        network = load_network(checkpoint)
        name = f"{path.parent.name}/{path.stem}"
        parameters = sum(p.numel() for p in network.parameters())
        rows[name] = (parameters, count_macs(network), checkpoint.metrics)
        copied = copy_checkpoint(checkpoint, scratch / str(index), half=False)
        engines[name] = OpenVinoEngine(release_openvino(copied)[0], EngineOptions(threads, "fp32"))
    rng = np.random.default_rng(0)
    calls = {}
    for name, engine in engines.items():
        side = engine.spec.input_size
        calls[name] = partial(engine.infer, rng.integers(0, 256, (1, side, side, 3), dtype=np.uint8))
    summaries = interleave(calls, rounds, warm_up=5)
    return [
        ShapeRow(
            name,
            parameters,
            macs,
            summaries[name].median,
            summaries[name].ratio,
            metrics.get("mean_f1_19"),
            metrics.get("paper_overall_f1"),
        )
        for name, (parameters, macs, metrics) in rows.items()
    ]


def markdown(rows: Sequence[ShapeRow]) -> str:
    """Return the rows as a Markdown table."""
    lines = [
        "| network | parameters | GMAC | ms | ratio | mean F1 | overall F1 |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        size = f"{row.parameters / 1e6:.2f} M | {row.macs / 1e9:.2f}"
        time = f"{row.seconds * 1e3:.1f} | {row.ratio:.2f}"
        score = " | ".join("" if value is None else f"{value:.3f}" for value in (row.mean_f1, row.overall))
        lines.append(f"| {row.name} | {size} | {time} | {score} |")
    return "\n".join(lines)
