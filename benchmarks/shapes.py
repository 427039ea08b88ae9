"""Accuracy beside time and size: trained networks of several shapes, timed in turns."""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.report import Figure, Result, Row, compared
from benchmarks.statistics import interleave
from engines.engine import EngineOptions
from engines.loader import available_cores
from engines.openvino import OpenVinoEngine
from engines.release import copy_checkpoint, release_openvino
from stn_icnn.checkpoint import load_network, read_checkpoint

if TYPE_CHECKING:
    from stn_icnn.network import STNiCNN


HELP = "accuracy beside time and size of trained networks"
ROUNDS = 30
WARM_UP = 5


def configure(parser: argparse.ArgumentParser) -> None:
    """Add this benchmark's own flags."""
    parser.add_argument("weights", nargs="+", type=Path, help="the others are compared with the first")


def run(args: argparse.Namespace) -> Result:
    """Run it; see the docstring of the module."""
    threads = args.threads or available_cores()
    with tempfile.TemporaryDirectory() as folder:
        rows = compare_shapes(args.weights, args.rounds, threads, Path(folder))
    return Result("shapes", {"threads": threads, "rounds": args.rounds}, rows)


def compare_shapes(weights: Sequence[Path], rounds: int, threads: int, scratch: Path) -> list[Row]:
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
    calls, figures = {}, {}
    rng = np.random.default_rng(0)
    for index, path in enumerate(weights):
        checkpoint = read_checkpoint(path)
        network = load_network(checkpoint)
        name = f"{path.parent.name}/{path.stem}"
        figures[name] = _size(network, checkpoint.metrics)
        copied = copy_checkpoint(checkpoint, scratch / str(index), half=False)
        engine = OpenVinoEngine(release_openvino(copied)[0], EngineOptions(threads, "fp32"))
        shape = (1, *engine.spec.input_shape)
        calls[name] = partial(engine.infer, rng.integers(0, 256, shape, dtype=np.uint8))
    return compared("one face, OpenVINO fp32", interleave(calls, rounds, WARM_UP), figures)


def _size(network: STNiCNN, metrics: Mapping[str, Any]) -> dict[str, Figure]:
    """Return counts, and the scores that the manifest has, of the split it was validated on."""
    # Here, so that the other benchmarks run without torch.
    from training.evaluate import count_macs

    return {
        "parameters_m": round(sum(p.numel() for p in network.parameters()) / 1e6, 3),
        "gmac": round(count_macs(network) / 1e9, 3),
        "mean_f1": metrics.get("mean_f1_19"),
        "overall_f1": metrics.get("paper_overall_f1"),
    }
