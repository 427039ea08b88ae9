"""Everything that a GPU has to show, in one command: contract, parity stage by stage, times, starts, memory.

It needs the project, PyTorch with CUDA, ONNX and the wheels of the engines, and nothing of the pipeline.
Each step runs in a process of its own with a time limit, so that one that fails or hangs loses no other.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.machine import describe_machine, machine_lines
from engines.engine import EngineError
from engines.gpu import find_gpu

HELP = "on a machine with a GPU: contract, parity stage by stage, times, starts and memory of its engines"
ENGINES = ("tensorrt", "torch-tensorrt", "onnx-cuda", "eager-cuda")
LIMIT_SECONDS = 300


def configure(parser: argparse.ArgumentParser) -> None:
    """Add this benchmark's own flags."""
    parser.add_argument("--weights", type=Path, help="default: the shipped ones")
    parser.add_argument(
        "--crops",
        type=Path,
        metavar="FILE",
        help="faces to compare on: a folder of photos of aligned faces, or a .npy of uint8 (N, S, S, 3) RGB "
        "(default: drawn stand-ins)",
    )
    parser.add_argument(
        "--engines",
        nargs="+",
        default=list(ENGINES),
        choices=ENGINES,
        metavar="NAME",
        help=f"default: {', '.join(ENGINES)}",
    )
    parser.add_argument(
        "--minutes", type=float, default=0.0, help="run tensorrt at full rate so long and watch memory"
    )
    parser.add_argument(
        "--limit",
        type=float,
        default=LIMIT_SECONDS,
        metavar="SECONDS",
        help=f"time limit of a step (default {LIMIT_SECONDS})",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all that was found, after each step")


def steps(engines: Sequence[str], minutes: float) -> list[list[str]]:
    """Return the steps in the order in which they are run, what matters most first."""
    found = [["parity", "fp16"], ["parity", "fp32"]] if "tensorrt" in engines else []
    for name in engines:
        found += [["contract", name], ["speed", name]]
    found += [["eager"], ["bisenet"]]
    found += [["start", name] for name in engines if name != "eager-cuda"]
    if minutes and "tensorrt" in engines:
        found.append(["soak", str(minutes)])
    return found


def main(argv: Sequence[str]) -> int:
    """Run the command; return the exit code (1 where a step failed or did not hold)."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks gpu", description=__doc__)
    configure(parser)
    args = parser.parse_args(argv)
    if args.crops is not None and not args.crops.exists():
        parser.error(f"--crops {args.crops}: no such file or folder")
    try:
        gpu = find_gpu()
    except EngineError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    machine = describe_machine() | {"gpu": str(gpu), "driver_cuda": gpu.cuda_version}
    print("\n".join(machine_lines(machine)), flush=True)
    results: dict[str, Any] = {}
    for step in steps(args.engines, args.minutes):
        limit = args.limit + 60.0 * (args.minutes if step[0] == "soak" else 0.0)
        found = results[" ".join(step)] = run_step(step, args.weights, args.crops, limit)
        print("\n".join(lines(step, found)), flush=True)
        if args.json is not None:
            _write(args.json, {"machine": machine, "steps": results})
    return 1 if any("error" in found or found.get("held") is False for found in results.values()) else 0


def run_step(
    step: Sequence[str], weights: Path | None, crops: Path | None, limit: float
) -> Mapping[str, Any]:
    """Run a step in a process of its own and return what it found, or {"error": ...}."""
    command = [sys.executable, "-m", "benchmarks.gpu_steps", *step]
    command += [] if weights is None else ["--weights", str(weights)]
    command += [] if crops is None else ["--crops", str(crops)]
    root = str(Path(__file__).parent.parent)
    path = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=limit, env=os.environ | {"PYTHONPATH": path}
        )
    except subprocess.TimeoutExpired:
        return {"error": f"took longer than {limit:g} s"}
    try:
        found: Mapping[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    except (IndexError, ValueError):
        last = done.stderr.strip().splitlines() or ["nothing said"]
        return {"error": f"{last[-1]} (exit code {done.returncode})"}
    return found


def lines(step: Sequence[str], found: Mapping[str, Any]) -> list[str]:
    """Return what a step found, for people: a line a figure or a row of figures."""
    if "error" in found:
        return [f"{' '.join(step)}: failed: {found['error']}"]
    return [
        f"{' '.join(step)}: {name}: {_row(value) if isinstance(value, Mapping) else value}"
        for name, value in found.items()
    ]


def _row(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in values.items())


def _write(path: Path, data: Mapping[str, Any]) -> None:
    temporary = path.with_name(f"{path.name}.tmp")
    temporary.write_text(json.dumps(data, indent=1) + "\n")
    os.replace(temporary, path)
