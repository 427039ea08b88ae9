"""One step of `benchmarks gpu` in a process of its own; what it finds is the last line, as JSON.

`python -m benchmarks.gpu_steps STEP [ARGUMENT] [--weights FILE] [--crops FILE]`
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from engines import Engine, EngineError, load_engine
from engines.contract import CONTRACT, random_crops
from engines.cuda import Cuda, require_cuda
from engines.eager import eager
from engines.engine import Crops
from engines.gpu import find_gpu
from engines.onnx import fp16_onnx_name
from engines.parity import LEAST_AGREEMENT, MOST_DIFFERENCE, sample_crops
from engines.tensorrt_library import INSTALL, build_plan, find_library
from engines.tensorrt_runner import PlanRunner
from stn_icnn.checkpoint import CheckpointError, load_network, read_checkpoint
from stn_icnn.packing import Packing

if TYPE_CHECKING:
    import torch

Found = dict[str, Any]

BATCHES = (1, 4, 8)
MOST = {
    "fp16": {"coarse_logits": 0.1, "theta": 0.001, "part": 0.3},
    "fp32": {"coarse_logits": 0.01, "theta": 0.0002, "part": 0.03},
}
"""Bounds of each stage's largest difference from eager fp32 on the CPU; for probabilities and labels those of
every engine hold (`engines.parity`). ONNX Runtime on the CPU, fp16, on 64 photos: probabilities 0.008, coarse
logits 0.029, theta 0.0001, the parts' logits 0.017 to 0.094."""


@dataclass(frozen=True)
class Job:
    """What a step is given.

    Attributes:
        weights: None for the shipped ones.
        crops: (N, S, S, 3) uint8 RGB to compare on.
    """

    weights: Path | None
    crops: Crops

    def load(self, backend: str) -> Engine:
        """Open an engine; what it compiles at its start is compiled."""
        engine, line = load_engine(backend, self.weights, max_batch=max(BATCHES))
        print(line, flush=True)
        return engine


def read_faces(path: Path | None, packing: Packing) -> Crops:
    """Return the crops to compare on.

    Args:
        path: a folder of photos, or a .npy of uint8 (N, *packing.input_shape); None for drawn stand-ins.
        packing: of the network.

    Raises:
        EngineError: if the file holds something else.
    """
    if path is None:
        return sample_crops(packing, 16)
    if path.is_dir():
        from engines.quantize import read_crops

        return read_crops(path, packing, 64)
    try:
        crops = np.load(path, allow_pickle=False)
    except (OSError, ValueError) as error:
        raise EngineError(f"{path}: not a .npy file ({error})") from None
    shape = packing.input_shape
    if crops.dtype != np.uint8 or crops.shape[1:] != shape or not len(crops):
        raise EngineError(f"{path}: {crops.dtype} {crops.shape}, not uint8 (N, {', '.join(map(str, shape))})")
    return np.asarray(crops)


def contract(job: Job, backend: str) -> Found:
    """Hold an engine to what every engine holds."""
    engine = job.load(backend)
    found: Found = {}
    for name, check in CONTRACT.items():
        try:
            check(engine)
            found[name] = "held"
        except Exception as error:
            # Whatever it is, the next check is still worth its answer.
            found[name] = f"{type(error).__name__}: {error}"
    engine.close()
    return found | {"held": set(found.values()) == {"held"}}


def parity(job: Job, precision: str) -> Found:
    """Compare TensorRT with eager on the CPU, stage by stage."""
    import torch

    from benchmarks.stages import Stages
    from engines.export import write_onnx_of
    from stn_icnn.precision import with_precision

    network = load_network(read_checkpoint(job.weights))
    names = Stages.names(network)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "stages.onnx"
        write_onnx_of(
            Stages(with_precision(network, precision)), path, network.config.packing.input_shape, names
        )
        runner = open_runner(path)
    stages = Stages(network)
    worst = dict.fromkeys(names, 0.0)
    means: dict[str, list[float]] = {name: [] for name in names}
    same = total = 0
    for start in range(0, len(job.crops), 2):
        crops = job.crops[start : start + 2]
        with torch.inference_mode():
            expected = dict(zip(names, stages(torch.from_numpy(crops)), strict=True))
        for name, got in runner.run(crops).items():
            difference = np.abs(got - expected[name].numpy())
            worst[name] = max(worst[name], float(difference.max()))
            means[name].append(float(difference.mean()))
            if name == "probabilities":
                same += int((got.argmax(axis=1) == expected[name].numpy().argmax(axis=1)).sum())
                total += got[:, 0].size
    runner.free()
    most = MOST[precision] | {"probabilities": MOST_DIFFERENCE[precision]}
    bounds = {name: most.get(name, most["part"]) for name in names}
    table: Found = {
        name: {
            "most": round(worst[name], 5),
            "mean": float(f"{np.mean(means[name]):.2e}"),
            "bound": bounds[name],
        }
        for name in names
    }
    held = all(worst[name] <= bounds[name] for name in names) and same / total >= LEAST_AGREEMENT[precision]
    return table | {"faces": len(job.crops), "labels": round(same / total, 6), "held": held}


def open_runner(network: Path, most: int = max(BATCHES)) -> PlanRunner:
    """Build an ONNX file for this GPU and open it; nothing is kept."""
    library = find_library()
    return PlanRunner(build_plan(library, network, most, "current"), library, this_cuda())


def this_cuda() -> Cuda:
    """Return CUDA's calls on this machine."""
    return require_cuda(find_gpu(), INSTALL)


def speed(job: Job, backend: str) -> Found:
    """Time an engine from host to host, and TensorRT on the device too."""
    engine = job.load(backend)
    found: Found = {}
    for count in BATCHES:
        crops = random_crops(engine, count)
        found[f"batch {count}"] = timed(partial(engine.infer, crops), count)
    engine.close()
    if backend == "tensorrt":
        checkpoint = read_checkpoint(job.weights)
        name = fp16_onnx_name(checkpoint)
        if name in checkpoint.files:
            runner = open_runner(checkpoint.verified(name))
            for count in BATCHES:
                runner.run(job.crops[np.arange(count) % len(job.crops)])
                seconds = runner.device_seconds(count, 200)
                found[f"batch {count}"]["device_ms"] = round(1e3 * seconds, 3)
            runner.free()
    return found


def timed(call: Callable[[], object], count: int, seconds: float = 2.0) -> Found:
    """Return percentiles of a call's milliseconds, over so many seconds after as many calls to warm up."""
    for _ in range(20):
        call()
    took: list[float] = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(took) < 50:
        begun = time.perf_counter()
        call()
        took.append(time.perf_counter() - begun)
    p50, p95, p99 = (1e3 * value for value in np.percentile(took, (50, 95, 99)))
    found = {"p50_ms": p50, "p95_ms": p95, "p99_ms": p99, "ms_a_face": p50 / count}
    return {name: round(float(value), 3) for name, value in found.items()} | {"calls": len(took)}


def plain_eager(job: Job) -> Found:
    """Time PyTorch on CUDA without a CUDA graph: what the engines are compared with."""
    import torch

    from stn_icnn.network import place

    network = place(load_network(read_checkpoint(job.weights)), "cuda")
    infer = eager(network)
    shape = network.config.packing.input_shape
    found: Found = {"torch": torch.__version__}
    for count in BATCHES:
        crops = np.zeros((count, *shape), np.uint8)
        found[f"batch {count}"] = timed(partial(infer, crops), count)
    return found


def bisenet(job: Job) -> Found:
    """Time BiSeNet-R18 at 512 by TensorRT fp16, host to host and on the device: one photo."""
    runner = open_bisenet()
    photo = np.zeros((1, 512, 512, 3), np.uint8)
    found: Found = {"batch 1": timed(partial(runner.run, photo), 1)}
    found["batch 1"]["device_ms"] = round(1e3 * runner.device_seconds(1, 200), 3)
    runner.free()
    return found


def open_bisenet() -> PlanRunner:
    """Build BiSeNet for this GPU and open it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "bisenet.onnx"
        write_bisenet(path)
        return open_runner(path, 1)


def write_bisenet(path: Path) -> None:
    """Write BiSeNet in halves as ONNX."""
    from benchmarks.bisenet import SIDE, HalfBiSeNet, random_bisenet
    from engines.export import write_onnx_of

    network: torch.nn.Module = HalfBiSeNet(random_bisenet()).eval()
    write_onnx_of(network, path, (SIDE, SIDE, 3), ["probabilities"])


def start(job: Job, backend: str) -> Found:
    """Start an engine in a process of its own, with nothing kept and with what the first start kept."""
    from benchmarks.start import starts

    return dict(starts(backend, "auto", 1, job.weights))


def soak(job: Job, minutes: str) -> Found:
    """Run TensorRT at full rate and watch the memory of host and device."""
    engine = job.load("tensorrt")
    crops = {count: random_crops(engine, count) for count in range(1, max(BATCHES) + 1)}
    for each in crops.values():
        engine.infer(each)
    cuda = this_cuda()
    begun, faces = time.monotonic(), 0
    first = (_resident_mb(), cuda.free_memory()[0] / 1e6)
    while time.monotonic() - begun < 60.0 * float(minutes):
        for count, each in crops.items():
            engine.infer(each)
            faces += count
    last = (_resident_mb(), cuda.free_memory()[0] / 1e6)
    engine.close()
    host, device = last[0] - first[0], first[1] - last[1]
    return {
        "minutes": float(minutes),
        "faces": faces,
        "host_mb_grown": round(host, 1),
        "device_mb_grown": round(device, 1),
        "held": host < 20.0 and device < 20.0,
    }


def _resident_mb() -> float:
    status = Path("/proc/self/status")
    if status.is_file():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmRSS"))
        return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


STEPS: Mapping[str, Callable[..., Found]] = {
    "contract": contract,
    "parity": parity,
    "speed": speed,
    "eager": plain_eager,
    "bisenet": bisenet,
    "start": start,
    "soak": soak,
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run a step; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu_steps", description=__doc__)
    parser.add_argument("step", choices=STEPS)
    parser.add_argument("argument", nargs="*")
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--crops", type=Path)
    args = parser.parse_args(argv)
    try:
        packing = Packing.of(read_checkpoint(args.weights).network)
        found = STEPS[args.step](Job(args.weights, read_faces(args.crops, packing)), *args.argument)
    except (EngineError, CheckpointError, ImportError, OSError) as error:
        found = {"error": str(error)}
    print(json.dumps(found), flush=True)
    return 1 if "error" in found else 0


if __name__ == "__main__":
    sys.exit(main())
