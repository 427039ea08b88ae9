"""TensorRT from the ONNX network, without PyTorch: built on the user's machine, or ahead of time for another.

TensorRT for RTX (`pip install '.[tensorrt]'`) or, where NVIDIA's libraries are installed, the classic
TensorRT: both read the same file. Its types are its own (`stn_icnn.precision`); the builder chooses none.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from engines.cache import RUNTIME_CACHE, EngineCache, Entry, Key
from engines.cuda import Cuda, require_cuda
from engines.engine import (
    EngineOptions,
    EngineSpec,
    EngineUnavailable,
    Infer,
    LockedEngine,
    in_parts,
)
from engines.gpu import Gpu, find_gpu
from engines.onnx import CPU, FILE, fp16_onnx_name, open_session
from engines.parity import Parity, compare, sample_crops
from engines.tensorrt_library import INSTALL, TARGETS, Library, build_plan, find_library
from engines.tensorrt_runner import PlanError, PlanRunner, RuntimeCacheFile
from stn_icnn.checkpoint import Checkpoint

if TYPE_CHECKING:
    from stn_icnn.network import STNiCNN

PLAN = "network.plan"
# Batches are rounded up to so many: asking for one face more need not build anew.
STEP = 8


class TensorRtEngine(LockedEngine):
    """Runs a checkpoint compiled by TensorRT for this GPU, in fp16 or fp32."""

    def __init__(self, checkpoint: Checkpoint, options: EngineOptions) -> None:
        precision = options.choose("tensorrt", ("fp16", "fp32"))
        library = find_library()
        gpu = _this_gpu()
        cuda = require_cuda(gpu, INSTALL)
        spec = EngineSpec.of(checkpoint.network)
        runner = _open(checkpoint, options, precision, library, gpu, cuda)
        # The first run tells whether a CUDA graph can be captured, and the description says so.
        try:
            runner.infer(np.zeros((1, *spec.input_shape), np.uint8))
        except BaseException:
            runner.free()
            raise
        what = f"{library.name} {library.version} on {gpu.name}{runner.note}"
        super().__init__("tensorrt", spec, precision, what, in_parts(runner.infer, runner.most), runner.free)


def _this_gpu() -> Gpu:
    try:
        return find_gpu()
    except EngineUnavailable as error:
        raise EngineUnavailable(
            f"{error}; to build for another machine: python -m engines build --backend tensorrt "
            f"--target {TARGETS[0]} (or {', '.join(TARGETS[1:-1])})"
        ) from None


def plan_key(
    checkpoint: Checkpoint, precision: str, max_batch: int, library: Library, target: str, card: str
) -> Key:
    """Return what a plan depends on.

    Args:
        checkpoint: what it was made of.
        precision: "fp16" or "fp32".
        max_batch: largest batch asked for.
        library: that builds and runs it: a plan runs with the very version that made it.
        target: the kind of card, such as "sm89"; what a plan of TensorRT for RTX depends on.
        card: the very card; what the classic TensorRT's depends on.
    """
    return Key(
        checkpoint.sha256,
        checkpoint.network,
        "tensorrt",
        precision,
        max_batch=-(-max_batch // STEP) * STEP,
        device=target if library.rtx else card,
        versions={library.name: library.version},
    )


def build_ahead(
    checkpoint: Checkpoint, options: EngineOptions, targets: Sequence[str], folder: Path | None
) -> list[Entry]:
    """Build plans for machines other than this one; needs no GPU but for "current".

    Args:
        checkpoint: what to compile.
        options: its precision, largest batch and report count.
        targets: of `TARGETS`.
        folder: gets an entry for each; None for the user's cache. Copied into the cache of a machine of the
            target, an entry is found there, and compared with the reference before it is used.

    Raises:
        EngineUnavailable: if something that it takes is missing.
        EngineError: if TensorRT can't build it.
    """
    precision = options.choose("tensorrt", ("fp16", "fp32"))
    library = find_library()
    cache = EngineCache(folder, options.report)
    network: Path | None = None
    entries = []
    for target in targets:
        card = "another card"
        if target == "current":
            gpu = _this_gpu()
            name, card = gpu.target, str(gpu)
        elif not library.rtx:
            raise EngineUnavailable(
                f"{library.name} {library.version} builds for the GPU of this machine alone: "
                f"--target current, or TensorRT for RTX ({INSTALL})"
            )
        else:
            name = target
        key = plan_key(checkpoint, precision, options.max_batch, library, name, card)
        network = network or onnx_network(checkpoint, options, precision)

        def build(folder: Path, network: Path = network, target: str = target, key: Key = key) -> None:
            (folder / PLAN).write_bytes(build_plan(library, network, key.max_batch, target))

        entries.append(cache.obtain(key, build))
    return entries


def _open(
    checkpoint: Checkpoint, options: EngineOptions, precision: str, library: Library, gpu: Gpu, cuda: Cuda
) -> PlanRunner:
    """Return what runs the plan of this GPU, built where it is missing."""
    key = plan_key(checkpoint, precision, options.max_batch, library, gpu.target, str(gpu))
    spec = EngineSpec.of(checkpoint.network)
    cache = EngineCache(report=options.report)
    runners: list[PlanRunner] = []

    def run(folder: Path) -> PlanRunner:
        kept = RuntimeCacheFile(folder / RUNTIME_CACHE, cache.report)
        runners.append(PlanRunner((folder / PLAN).read_bytes(), library, cuda, kept))
        return runners[-1]

    def check(runner: PlanRunner) -> Parity:
        # Face by face: each batch size takes seconds of just-in-time compiling, and somebody waits.
        return compare(in_parts(runner.infer, 1), reference(checkpoint, options), sample_crops(spec.packing))

    def build(folder: Path) -> Parity:
        network = onnx_network(checkpoint, options, precision)
        (folder / PLAN).write_bytes(build_plan(library, network, key.max_batch, "current"))
        runner = run(folder)
        try:
            return check(runner)
        except BaseException:
            # A full disk leads to a second try elsewhere, with a runner of its own.
            runners.remove(runner)
            runner.free()
            raise

    try:
        found = cache.find(key)
        if found is not None:
            try:
                runner = run(found.folder)
                if found.parity is None:
                    # Built ahead of time: this is the first machine that can run it.
                    parity = check(runner)
                    parity.require(precision)
                    cache.confirm(found, parity)
                return runner
            except PlanError as error:
                cache.remove(found.folder, str(error))
        for other in cache.kin(key):
            of = other.manifest["key"]
            made = ", ".join(f"{name} {version}" for name, version in of["versions"].items())
            cache.report(
                f"engine cache {other.folder.name}: for {of['device']} by {made}; not for this machine"
            )
        if not options.build:
            raise EngineUnavailable("not compiled yet; python -m engines build --backend tensorrt")
        entry = cache.obtain(key, build)
        # What build opened runs on, unless another process was the one that built.
        runner = runners[-1] if runners else run(entry.folder)
        runner.moved_to(entry.folder / RUNTIME_CACHE)
        return runner
    except BaseException:
        for runner in runners:
            runner.free()
        raise


def onnx_network(checkpoint: Checkpoint, options: EngineOptions, precision: str) -> Path:
    """Return the ONNX network that TensorRT builds from: the shipped one, or one from the user's cache.

    Raises:
        EngineUnavailable: if there is none yet and PyTorch or ONNX, which writing one needs, is missing.
        EngineError: if what was written differs from eager.
    """
    shipped = fp16_onnx_name(checkpoint)
    if precision == "fp16" and shipped in checkpoint.files:
        return checkpoint.verified(shipped)
    from engines.build import obtain
    from engines.export import OPSET, write_onnx

    def write(network: STNiCNN, folder: Path) -> None:
        from stn_icnn.precision import with_precision

        write_onnx(with_precision(network, precision), folder / FILE)

    def run(folder: Path) -> Infer:
        return open_session(folder / FILE, CPU, options.threads)

    key = Key(
        checkpoint.sha256, checkpoint.network, "tensorrt-onnx", precision, versions={"opset": str(OPSET)}
    )
    return obtain(checkpoint, options, key, write, run).folder / FILE


def reference(checkpoint: Checkpoint, options: EngineOptions) -> Infer:
    """Return what a new plan is compared with: the shipped OpenVINO fp32 network, itself compared with eager.

    It needs no PyTorch; weights that come without one are compared with eager.

    Raises:
        EngineUnavailable: if neither can run here.
    """
    name = f"{checkpoint.path.stem}.xml"
    if name in checkpoint.parity and importlib.util.find_spec("openvino") is not None:
        from engines.openvino import open_network

        checkpoint.verified(f"{checkpoint.path.stem}.bin")
        return open_network(checkpoint.verified(name), options.threads)
    try:
        from engines.eager import eager
        from stn_icnn.checkpoint import load_network

        return eager(load_network(checkpoint))
    except ImportError as error:
        raise EngineUnavailable(
            f"a new engine is compared with OpenVINO or PyTorch, and neither is here ({error}); "
            "pip install openvino"
        ) from None
