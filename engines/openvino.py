"""OpenVINO on the CPU: the default engine. Needs no torch to run a network that is compiled already."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from engines.engine import (
    Crops,
    EngineOptions,
    EngineSpec,
    EngineUnavailable,
    Infer,
    LockedEngine,
    Probabilities,
)
from stn_icnn.checkpoint import Checkpoint

if TYPE_CHECKING:
    from engines.choice import Choice

# oneDNN's own setting: the newest instructions that it may use.
MAX_ISA = "ONEDNN_MAX_CPU_ISA"
# The compiled networks in their cache entry, by the faces that they run at once.
READY = "at-once-{}.blob"


class OpenVinoEngine(LockedEngine):
    """Runs NAME.int8.xml or NAME.xml beside the weights, or an fp32 network from the user's cache.

    "auto" is the quicker one here of those that the weights come with: int8 is only kept when it passed its
    comparison with eager.
    """

    def __init__(self, checkpoint: Checkpoint, options: EngineOptions) -> None:
        try:
            import openvino
        except ImportError as error:
            raise EngineUnavailable(f"openvino is not installed ({error}); pip install openvino") from None
        stem = checkpoint.path.stem
        shipped = {"int8": f"{stem}.int8.xml", "fp32": f"{stem}.xml"}
        able = [kind for kind, name in shipped.items() if name in checkpoint.files]
        precision = options.choose("openvino", able if "fp32" in able else [*able, "fp32"])
        device = openvino.Core().get_property("CPU", "FULL_DEVICE_NAME")
        choice, compiled = None, dict[str, Any]()
        if options.precision == "auto" and len(able) > 1:
            choice = _quicker(checkpoint, options, {name: shipped[name] for name in able}, device, compiled)
            precision = precision if choice is None else choice.precision
        if shipped[precision] in checkpoint.files:
            xml = _verified(checkpoint, shipped[precision])
        else:
            xml = _cached(checkpoint, options, openvino.__version__)
        infer = _running(*_compiled(checkpoint, options, xml, precision, device, compiled.get(precision)))
        version = openvino.__version__.split("-")[0]
        what = f"OpenVINO {version} on CPU ({device}, {options.threads} threads)"
        super().__init__("openvino", EngineSpec.of(checkpoint.network), precision, what, infer)
        if choice is not None:
            self.description += f" ({choice})"


def reason(error: RuntimeError) -> str:
    """Return what OpenVINO says in the last line of an error; the ones before name its own source files."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__


def open_network(xml: Path, threads: int) -> Infer:
    """Compile a written network and return a function that runs it, one call at a time.

    Args:
        xml: the network; its weights lie beside.
        threads: CPU threads; 0 for OpenVINO's own choice.

    Raises:
        EngineUnavailable: if OpenVINO can't compile it here.
    """
    return _running(_compile(xml, threads))


@dataclass(frozen=True)
class Node:
    """What one node of a compiled network took.

    Attributes:
        name: in the network.
        kind: "Convolution", "Reorder" ...
        kernel: what computes it; names its instructions and its numbers, "brgconv_avx512_I8".
        seconds: a run, mean.
    """

    name: str
    kind: str
    kernel: str
    seconds: float


def profile(xml: Path, threads: int, runs: int) -> list[Node]:
    """Run a written network on one face and return what its nodes took, in the order they ran.

    Measuring costs time itself: compare nodes with each other, and not their sum with a run without it.

    Args:
        xml: the network; its weights lie beside.
        threads: CPU threads.
        runs: timed runs, after three that are not.

    Raises:
        EngineUnavailable: if OpenVINO can't compile it here.
    """
    compiled = _compile(xml, threads, measured=True)
    request = compiled.create_infer_request()
    crops = np.random.default_rng(0).integers(0, 256, tuple(compiled.input(0).shape), np.uint8)
    sums: dict[tuple[str, str, str], float] = {}
    for run in range(runs + 3):
        request.infer([crops])
        for node in request.profiling_info if run >= 3 else ():
            key = (node.node_name, node.node_type, node.exec_type)
            sums[key] = sums.get(key, 0.0) + node.real_time.total_seconds() / runs
    return [Node(*key, seconds) for key, seconds in sums.items() if seconds > 0.0]


def _options(threads: int, streams: int) -> dict[str, Any]:
    options: dict[str, Any] = {
        # Without it a processor with bf16 silently computes in bf16. int8 layers stay int8.
        "INFERENCE_PRECISION_HINT": "f32",
    }
    if streams > 1:
        options["NUM_STREAMS"] = streams
    else:
        options["PERFORMANCE_HINT"] = "LATENCY"
    if threads:
        options["INFERENCE_NUM_THREADS"] = threads
    return options


def _compile(xml: Path, threads: int, streams: int = 1, measured: bool = False) -> Any:
    """Return the network compiled for one face, `streams` of which may run at once on shares of the threads.

    With its shape known, a face took 6.6 ms instead of 10.2 (int8) and 11.7 instead of 15.6 (fp32). Two
    streams of a thread each took 2.9 times as long for four faces as two threads for one; face by face it was
    3.8 times, a batch of four 3.1 times.
    """
    import openvino

    try:
        core = openvino.Core()
        model = core.read_model(str(xml))
        _, *rest = model.input(0).partial_shape
        model.reshape([1, *rest])
        return core.compile_model(model, "CPU", _options(threads, streams) | {"PERF_COUNT": measured})
    except RuntimeError as error:
        raise EngineUnavailable(f"OpenVINO could not compile {xml}: {reason(error)}") from None


def _quicker(
    checkpoint: Checkpoint,
    options: EngineOptions,
    names: Mapping[str, str],
    device: str,
    compiled: dict[str, Any],
) -> Choice | None:
    """Measure, or look up, the networks of some names, by precision; `compiled` gets those that ran."""
    import openvino

    from engines.cache import Key
    from engines.choice import BACKEND, choose

    # All of them, also those that won't run: what came damaged is told at once.
    paths = {precision: _verified(checkpoint, name) for precision, name in names.items()}
    key = Key(
        checkpoint.sha256,
        checkpoint.network,
        BACKEND,
        "auto",
        device=_held(f"{device}, {options.threads} threads"),
        versions={
            "openvino": openvino.__version__,
            "networks": " ".join(_hashes(checkpoint, name) for name in names.values()),
        },
    )

    def opened(precision: str) -> Infer:
        compiled[precision] = _compile(paths[precision], options.threads)
        return _running(compiled[precision])

    candidates = {precision: partial(opened, precision) for precision in paths}
    return choose(key, options, candidates, EngineSpec.of(checkpoint.network).input_shape)


def _verified(checkpoint: Checkpoint, name: str) -> Path:
    """Return the path of a network that came with weights, after checking it and its .bin."""
    path = checkpoint.verified(name)
    checkpoint.verified(_weights_of(name))
    return path


def _hashes(checkpoint: Checkpoint, name: str) -> str:
    """Return what the manifest says that a network's two files are."""
    return f"{checkpoint.files[name]} {checkpoint.files[_weights_of(name)]}"


def _weights_of(name: str) -> str:
    return str(Path(name).with_suffix(".bin"))


def _held(device: str) -> str:
    """Return a device's name with the instructions that it is held to, if any."""
    return f"{device}, {os.environ[MAX_ISA]}" if MAX_ISA in os.environ else device


def _compiled(
    checkpoint: Checkpoint, options: EngineOptions, xml: Path, precision: str, device: str, alone: Any = None
) -> list[Any]:
    """Return the network for a face alone and, where it may be asked for more, for several at once.

    As OpenVINO exported them when they were compiled first: that starts in half the time. Only what comes
    with its comparison with eager is kept so; the rest is compiled anew. `alone`: it for a face alone, where
    it is compiled already.
    """
    streams = sorted({1, min(options.threads, options.max_batch)})

    def fresh(count: int) -> Any:
        return alone if count == 1 and alone is not None else _compile(xml, options.threads, count)

    if xml.name not in checkpoint.parity:
        return [fresh(count) for count in streams]
    import openvino

    from engines.cache import EngineCache, Key
    from engines.parity import Parity

    versions = {"openvino": openvino.__version__, "network": _hashes(checkpoint, xml.name)}
    key = Key(
        checkpoint.sha256,
        checkpoint.network,
        "openvino-ready",
        precision,
        device=_held(f"{device}, {options.threads} threads, {streams[-1]} streams"),
        versions=versions,
    )

    def build(folder: Path) -> Parity:
        for count in streams:
            ready = fresh(count).export_model().getvalue()
            (folder / READY.format(count)).write_bytes(ready)
        return Parity(**checkpoint.parity[xml.name])

    cache = EngineCache(report=options.report, announce=False)
    entry = cache.obtain(key, build) if options.build else cache.find(key)
    if entry is not None:
        # What OpenVINO can't read after all is no reason to fail.
        with contextlib.suppress(RuntimeError):
            core = openvino.Core()
            ready = {count: (entry.folder / READY.format(count)).read_bytes() for count in streams}
            return [
                core.import_model(blob, "CPU", _options(options.threads, count))
                for count, blob in ready.items()
            ]
    return [fresh(count) for count in streams]


def _running(alone: Any, together: Any = None) -> Infer:
    """Return what runs faces: as many at once as the second network has streams, a last one alone."""
    single = alone.create_infer_request()
    streams = together.get_property("NUM_STREAMS") if together else 1
    # Twice as many as run at once: the next one waits ready.
    several = [together.create_infer_request() for _ in range(2 * streams)] if together else []
    shape = tuple(alone.output(0).shape)[1:]

    def infer(crops: Crops) -> Probabilities:
        faces = np.empty((len(crops), *shape), np.float32)
        at_once = len(crops) - (len(crops) % streams == 1) if several else 0
        if at_once:
            _run(several, crops[:at_once], faces[:at_once])
        for index in range(at_once, len(crops)):
            _run_here(single, crops[index : index + 1], faces[index : index + 1])
        return faces

    return infer


def _run_here(request: Any, crops: Crops, faces: Probabilities) -> None:
    """Run one face in the calling thread.

    None of the library's own has to wake up first: on two cores (AVX-512 VNNI) that others kept busy too, a
    face took 10.4 ms instead of 14.0.
    """
    from openvino import Tensor

    # Written where it is wanted: no copy.
    request.set_output_tensor(0, Tensor(faces, shared_memory=True))
    request.infer([crops], share_inputs=True, share_outputs=True)


def _run(requests: Sequence[Any], crops: Crops, faces: Probabilities) -> None:
    """Run crops through requests that take turns, each starting its next when its last is done."""
    from openvino import Tensor

    try:
        for index in range(len(crops)):
            request = requests[index % len(requests)]
            if index >= len(requests):
                request.wait()
            request.set_output_tensor(0, Tensor(faces[index : index + 1], shared_memory=True))
            request.start_async([crops[index : index + 1]], share_inputs=True)
    finally:
        # None may still use the arrays when this returns.
        for request in requests[: len(crops)]:
            request.wait()


def _cached(checkpoint: Checkpoint, options: EngineOptions, version: str) -> Path:
    # Here, so that a shipped network starts without them.
    from engines.build import obtain
    from engines.cache import Key
    from engines.export import write_openvino

    name = f"{checkpoint.path.stem}.xml"
    key = Key(checkpoint.sha256, checkpoint.network, "openvino", "fp32", versions={"openvino": version})
    entry = obtain(
        checkpoint,
        options,
        key,
        write=lambda network, folder: write_openvino(network, folder / name),
        run=lambda folder: open_network(folder / name, options.threads),
    )
    return entry.folder / name
