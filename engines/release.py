"""What a release ships beside the weights: networks that start without PyTorch, each compared with eager."""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path

from engines.eager import eager
from engines.engine import Crops
from engines.export import write_onnx, write_openvino
from engines.onnx import CPU, fp16_onnx_name, open_session
from engines.openvino import open_network
from engines.parity import Parity, compare, sample_crops
from stn_icnn.checkpoint import Checkpoint, add_files, load_network, save_checkpoint


def copy_checkpoint(checkpoint: Checkpoint, folder: Path, half: bool) -> Checkpoint:
    """Copy weights and manifest to another folder.

    Args:
        checkpoint: what to copy; compiled networks beside it are not copied.
        folder: made where it doesn't exist.
        half: store kernels as float16.
    """
    network = load_network(checkpoint)
    path = folder / checkpoint.path.name
    return save_checkpoint(network, network.state_dict(), path, checkpoint.metrics, half)


def release_openvino(checkpoint: Checkpoint, crops: Crops | None = None) -> tuple[Checkpoint, Parity]:
    """Write NAME.xml and NAME.bin beside the weights: OpenVINO fp32 for a dynamic batch.

    Args:
        checkpoint: gets the new files in its manifest.
        crops: what to compare with eager on; None for drawn ones.

    Raises:
        EngineError: if the compiled network differs from eager by too much; nothing is kept then.
    """
    network = load_network(checkpoint)
    temporary = checkpoint.path.with_name(f"{checkpoint.path.stem}.tmp.xml")
    crops = sample_crops(network.config.packing) if crops is None else crops
    try:
        write_openvino(network, temporary)
        # What is compared is what was stored.
        parity = compare(open_network(temporary, threads=0), eager(network), crops)
        parity.require("fp32")
    except BaseException:
        discard(temporary)
        raise
    return keep(checkpoint, temporary, checkpoint.path.stem, parity), parity


def release_onnx(checkpoint: Checkpoint, crops: Crops | None = None) -> tuple[Checkpoint, Parity]:
    """Write NAME.fp16.onnx beside the weights: what TensorRT builds from, by the fp16 policy.

    Args:
        checkpoint: gets the new file in its manifest.
        crops: what to compare with eager on, by ONNX Runtime on the CPU; None for drawn ones.

    Raises:
        EngineUnavailable: if the libraries that write and run ONNX are missing.
        EngineError: if the written network differs from eager by too much; nothing is kept then.
    """
    from stn_icnn.precision import with_precision

    network = load_network(checkpoint)
    path = checkpoint.path.with_name(fp16_onnx_name(checkpoint))
    temporary = path.with_suffix(".tmp")
    crops = sample_crops(network.config.packing) if crops is None else crops
    try:
        write_onnx(with_precision(network, "fp16"), temporary)
        parity = compare(open_session(temporary, CPU, threads=0), eager(network), crops)
        parity.require("fp16")
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    return add_files(checkpoint, [path.name], asdict(parity)), parity


def keep(checkpoint: Checkpoint, temporary: Path, stem: str, parity: Parity) -> Checkpoint:
    """Give a written OpenVINO network its name beside the weights and record it in the manifest."""
    names = [f"{stem}.{ending}" for ending in ("xml", "bin")]
    for name in reversed(names):
        os.replace(temporary.with_suffix(Path(name).suffix), checkpoint.path.with_name(name))
    return add_files(checkpoint, names, asdict(parity))


def discard(temporary: Path) -> None:
    """Remove what was written of an OpenVINO network."""
    for ending in (".bin", ".xml"):
        temporary.with_suffix(ending).unlink(missing_ok=True)
