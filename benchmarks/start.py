"""One start of an engine in a process of its own: `python -m benchmarks.start BACKEND PRECISION THREADS`.

Prints one line of JSON as soon as the first face is parsed.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from engines import EngineError
from engines.onnx import fp16_onnx_name
from stn_icnn.checkpoint import SHIPPED, read_checkpoint

TIMEOUT_SECONDS = 300.0


def starts(backend: str, precision: str, threads: int, weights: Path | None) -> dict[str, float | bool]:
    """Start an engine twice, without and with what the first start kept.

    Returns:
        "cold_start_s" and "cached_start_s": from the process's start to the first parsed face, Python's and
        the libraries' imports included; "peak_mb": the most memory that the second held; "engine_mb": of
        that what came after the imports; "model_mb": the network's files and what the first start kept;
        "imports_torch": whether the second start imported PyTorch.

    Raises:
        EngineError: if it can't start.
    """
    with tempfile.TemporaryDirectory() as cache:
        cold, _ = _start(backend, precision, threads, weights, cache)
        cached, memory = _start(backend, precision, threads, weights, cache)
        kept = sum(path.stat().st_size for path in Path(cache).rglob("*") if path.is_file())
    size = (kept + _shipped_bytes(backend, precision, weights)) / 1e6
    return {
        "cold_start_s": round(cold, 2),
        "cached_start_s": round(cached, 2),
        "peak_mb": round(memory["peak"] / 1e6, 1),
        "engine_mb": round((memory["peak"] - memory["imports"]) / 1e6, 1),
        "model_mb": round(size, 2),
        "imports_torch": bool(memory["torch"]),
    }


def _start(
    backend: str, precision: str, threads: int, weights: Path | None, cache: str
) -> tuple[float, dict[str, int]]:
    command = [sys.executable, "-m", "benchmarks.start", backend, precision, str(threads)]
    command += [] if weights is None else [str(weights)]
    root = str(Path(__file__).parent.parent)
    path = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))
    environment = os.environ | {"STN_ICNN_CACHE": cache, "PYTHONPATH": path}
    begun = time.perf_counter()
    process = subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    with process:
        assert process.stdout is not None
        line = process.stdout.readline()
        seconds = time.perf_counter() - begun
        _, errors = process.communicate(timeout=TIMEOUT_SECONDS)
    if process.returncode != 0:
        raise EngineError(f"{backend} {precision} did not start: {errors.strip().splitlines()[-1]}")
    return seconds, json.loads(line)


def _shipped_bytes(backend: str, precision: str, weights: Path | None) -> int:
    folder = (weights or SHIPPED).parent
    checkpoint = read_checkpoint(weights)
    stem = f"{checkpoint.path.stem}{'.int8' if precision == 'int8' else ''}"
    files = {"openvino": [f"{stem}.xml", f"{stem}.bin"], "tensorrt": [fp16_onnx_name(checkpoint)]}
    names = files.get(backend, [])
    if not all(name in checkpoint.files for name in names) or not names:
        names = [checkpoint.path.name]
    return sum((folder / name).stat().st_size for name in names)


def main() -> int:
    """Start as the arguments say; return the exit code."""
    import numpy as np

    from benchmarks.machine import peak_memory
    from engines import load_engine

    backend, precision, threads, *weights = sys.argv[1:]
    imports = peak_memory()
    try:
        engine, _ = load_engine(backend, Path(weights[0]) if weights else None, int(threads), precision)
    except EngineError as error:
        print(error, file=sys.stderr)
        return 1
    engine.infer(np.zeros((1, *engine.spec.input_shape), np.uint8))
    found = {"imports": imports, "peak": peak_memory(), "torch": "torch" in sys.modules}
    print(json.dumps(found), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
