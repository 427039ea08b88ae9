"""From a checkpoint to a compiled network beside it, checked against eager before it is kept."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import torch

from engines.engine import EngineError
from stn_icnn.checkpoint import Checkpoint, add_files, load_network, save_checkpoint

# Largest difference of a probability that a compiled fp32 network may show.
TOLERANCE = 2e-3


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


def export_openvino(checkpoint: Checkpoint) -> tuple[Checkpoint, float]:
    """Write NAME.xml and NAME.bin beside the weights, with a dynamic batch, fp32.

    Returns:
        The checkpoint with the new files in its manifest, and the largest difference of a
        probability from eager, over crops of noise.

    Raises:
        EngineError: if the compiled network differs from eager by more than `TOLERANCE`.
    """
    import openvino

    network = load_network(checkpoint)
    rng = np.random.default_rng(0)
    side = network.config.input_size
    # Two, as a batch of one would be taken for a constant.
    crops = rng.integers(0, 256, (2, side, side, 3), dtype=np.uint8)
    example = torch.from_numpy(crops)
    batch = torch.export.Dim("batch", min=1, max=64)
    with torch.no_grad():
        program = torch.export.export(network, (example,), dynamic_shapes=({0: batch},))
        expected = network(example).numpy()
    model = openvino.convert_model(program)
    stem = checkpoint.path.stem
    # Written under temporary names first; OpenVINO names the .bin after the .xml.
    temporary = checkpoint.path.with_name(f"{stem}.tmp.xml")
    # Not as float16: rounding after batch norm is folded in moved probabilities by up to 0.02.
    openvino.save_model(model, temporary, compress_to_fp16=False)
    # What is checked is what was stored.
    compiled = openvino.compile_model(str(temporary), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    difference = float(np.abs(compiled([crops])[0] - expected).max())
    if difference > TOLERANCE:
        for ending in ("bin", "xml"):
            temporary.with_suffix(f".{ending}").unlink()
        raise EngineError(f"the OpenVINO network differs from eager by {difference:.2g}; not kept")
    for ending in ("bin", "xml"):
        os.replace(temporary.with_suffix(f".{ending}"), checkpoint.path.with_suffix(f".{ending}"))
    return add_files(checkpoint, [f"{stem}.xml", f"{stem}.bin"]), difference
