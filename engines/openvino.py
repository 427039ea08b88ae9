"""OpenVINO on the CPU: the default engine. Needs no torch to run a network that is compiled already."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

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

# The compiled network in its cache entry.
READY = "network.blob"


class OpenVinoEngine(LockedEngine):
    """Runs NAME.int8.xml or NAME.xml beside the weights, or an fp32 network from the user's cache.

    "auto" is int8 where the weights come with such a network: it is only kept when it passed its
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
        if shipped[precision] in checkpoint.files:
            xml = checkpoint.verified(shipped[precision])
            checkpoint.verified(xml.with_suffix(".bin").name)
        else:
            xml = _cached(checkpoint, options, openvino.__version__)
        device = openvino.Core().get_property("CPU", "FULL_DEVICE_NAME")
        infer = _running(_compiled(checkpoint, options, xml, precision, device))
        version = openvino.__version__.split("-")[0]
        what = f"OpenVINO {version} on CPU ({device}, {options.threads} threads)"
        super().__init__("openvino", EngineSpec.of(checkpoint.network), precision, what, infer)


def open_network(xml: Path, threads: int) -> Infer:
    """Compile a written network and return a function that runs it, one call at a time.

    Args:
        xml: the network; its weights lie beside.
        threads: CPU threads; 0 for OpenVINO's own choice.

    Raises:
        EngineUnavailable: if OpenVINO can't compile it here.
    """
    return _running(_compile(xml, threads))


def _options(threads: int) -> dict[str, Any]:
    options: dict[str, Any] = {
        "PERFORMANCE_HINT": "LATENCY",
        # Without it a processor with bf16 silently computes in bf16. int8 layers stay int8.
        "INFERENCE_PRECISION_HINT": "f32",
    }
    if threads:
        options["INFERENCE_NUM_THREADS"] = threads
    return options


def _compile(xml: Path, threads: int) -> Any:
    """Return the compiled network.

    It is compiled for one face, and faces of a batch run one after the other: with its shape known, a face
    took 6.6 ms instead of 10.2 (int8) and 11.7 instead of 15.6 (fp32), and four faces no longer than in a
    batch of varying size.
    """
    import openvino

    try:
        core = openvino.Core()
        model = core.read_model(str(xml))
        _, *rest = model.input(0).partial_shape
        model.reshape([1, *rest])
        return core.compile_model(model, "CPU", _options(threads))
    except RuntimeError as error:
        raise EngineUnavailable(f"OpenVINO could not compile {xml}: {error}") from None


def _compiled(checkpoint: Checkpoint, options: EngineOptions, xml: Path, precision: str, device: str) -> Any:
    """Return a network as OpenVINO exported it when it was compiled first: that starts in half the time.

    Only what comes with its comparison with eager is kept so; the rest is compiled anew.
    """
    if xml.name not in checkpoint.parity:
        return _compile(xml, options.threads)
    import openvino

    from engines.cache import EngineCache, Key
    from engines.parity import Parity

    files = (checkpoint.files[xml.with_suffix(ending).name] for ending in (".xml", ".bin"))
    versions = {"openvino": openvino.__version__, "network": " ".join(files)}
    key = Key(
        checkpoint.sha256,
        checkpoint.network,
        "openvino-ready",
        precision,
        device=f"{device}, {options.threads} threads",
        versions=versions,
    )

    def build(folder: Path) -> Parity:
        (folder / READY).write_bytes(_compile(xml, options.threads).export_model().getvalue())
        return Parity(**checkpoint.parity[xml.name])

    cache = EngineCache(report=options.report, announce=False)
    entry = cache.obtain(key, build) if options.build else cache.find(key)
    if entry is not None:
        # What OpenVINO can't read after all is no reason to fail.
        with contextlib.suppress(RuntimeError):
            ready = (entry.folder / READY).read_bytes()
            return openvino.Core().import_model(ready, "CPU", _options(options.threads))
    return _compile(xml, options.threads)


def _running(compiled: Any) -> Infer:
    request = compiled.create_infer_request()

    def run(crop: Crops) -> Probabilities:
        outputs = request.infer([crop], share_inputs=True, share_outputs=True)
        # A copy: the request reuses its output's memory.
        return np.array(outputs[0], dtype=np.float32)

    def infer(crops: Crops) -> Probabilities:
        return np.concatenate([run(crops[index : index + 1]) for index in range(len(crops))])

    return infer


def _cached(checkpoint: Checkpoint, options: EngineOptions, version: str) -> Path:
    # Here, so that a shipped network starts without them.
    from engines.cache import Key
    from engines.export import obtain, write_openvino

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
