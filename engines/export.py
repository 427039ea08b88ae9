"""From a trained network to the files that other libraries run, and the networks that a release ships."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from engines.cache import EngineCache, Entry, Key
from engines.eager import eager
from engines.engine import Crops, EngineOptions, EngineUnavailable, Infer
from engines.parity import Parity, compare, sample_crops
from stn_icnn.checkpoint import Checkpoint, add_files, load_network, save_checkpoint

if TYPE_CHECKING:
    import torch

    from stn_icnn.network import STNiCNN

# Opset 20 is the first whose GridSample and Resize hold all that the network does.
OPSET = 20
MOST_FACES = 64


def export_program(network: STNiCNN, most: int = MOST_FACES) -> torch.export.ExportedProgram:
    """Return the whole network, normalisation to softmax, as a graph for batches of 1 to `most`."""
    import torch

    side = network.config.input_size
    device = next(network.parameters()).device
    # Two, as a batch of one would be taken for a constant.
    example = torch.zeros(2, side, side, 3, dtype=torch.uint8, device=device)
    batch = torch.export.Dim("batch", min=1, max=most)
    with torch.no_grad():
        return torch.export.export(network, (example,), dynamic_shapes=({0: batch},))


def write_openvino(network: STNiCNN, path: Path) -> None:
    """Write a network for OpenVINO, fp32: `path` ends in .xml, its weights lie beside as .bin."""
    import openvino

    with warnings.catch_warnings():
        # torch's own, where OpenVINO copies its program: nothing that a user could mend.
        warnings.simplefilter("ignore", FutureWarning)
        model = openvino.convert_model(export_program(network))
    side = network.config.input_size
    # The conversion forgets that only the batch varies.
    model.reshape([-1, side, side, 3])
    # Not as float16: rounding after batch norm is folded in moved probabilities by up to 0.02.
    openvino.save_model(model, path, compress_to_fp16=False)
    shrink_xml(path)


def shrink_xml(path: Path) -> None:
    """Take out of an OpenVINO network's .xml what only people and converters read: a third of it.

    Indentation, the tensors' names but those of inputs and outputs, and how it was converted.
    """
    tree = ElementTree.parse(path)  # noqa: S314 - written a moment ago, by us
    ends = {"Parameter", "Result"}
    for layer in tree.iter("layer"):
        if layer.get("type") not in ends:
            for port in layer.iter("port"):
                port.attrib.pop("names", None)
    root = tree.getroot()
    for facts in root.findall("rt_info"):
        root.remove(facts)
    for element in tree.iter():
        if not (element.text or "").strip():
            element.text = None
        element.tail = None
    tree.write(path, xml_declaration=True, encoding="utf-8")


def write_onnx(network: STNiCNN, path: Path) -> None:
    """Write a network as one ONNX file with input "crops" and output "probabilities", fp32.

    Raises:
        EngineUnavailable: if the libraries that write ONNX are missing.
    """
    import torch

    try:
        import onnxscript  # noqa: F401 - what torch's exporter needs; told apart from its other failures
    except ImportError as error:
        raise EngineUnavailable(f"writing ONNX needs onnxscript ({error}); pip install '.[onnx]'") from None
    side = network.config.input_size
    example = torch.zeros(2, side, side, 3, dtype=torch.uint8)
    torch.onnx.export(
        network,
        (example,),
        path,
        input_names=["crops"],
        output_names=["probabilities"],
        opset_version=OPSET,
        dynamo=True,
        dynamic_shapes=({0: torch.export.Dim("batch", min=1, max=MOST_FACES)},),
        external_data=False,
        verbose=False,
    )


def obtain(
    checkpoint: Checkpoint,
    options: EngineOptions,
    key: Key,
    write: Callable[[STNiCNN, Path], None],
    run: Callable[[Path], Infer],
) -> Entry:
    """Return a checkpoint's compiled network from the user's cache, building it where it is missing.

    Args:
        checkpoint: what to compile.
        options: see `EngineOptions`.
        key: what the result depends on.
        write: writes the compiled network into a folder.
        run: opens what was written, to compare it with eager.

    Raises:
        EngineUnavailable: if there is none yet and it must not be built, or PyTorch, which building needs,
            is missing.
        EngineError: if it can't be built or differs from eager by too much.
    """

    def build(folder: Path) -> Parity:
        try:
            network = load_network(checkpoint)
        except ImportError as error:
            raise EngineUnavailable(
                f"no {key.backend} network of {checkpoint.path.name} yet, and building one needs PyTorch "
                f"({error}); pip install '.[train]'"
            ) from None
        write(network, folder)
        return compare(run(folder), eager(network), sample_crops(network.config.input_size))

    cache = EngineCache(report=options.report)
    if options.build:
        return cache.obtain(key, build)
    found = cache.find(key)
    if found is None:
        raise EngineUnavailable(f"not compiled yet; python -m engines build --backend {key.backend}")
    return found


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
    from engines.openvino import open_network

    network = load_network(checkpoint)
    temporary = checkpoint.path.with_name(f"{checkpoint.path.stem}.tmp.xml")
    crops = sample_crops(network.config.input_size) if crops is None else crops
    try:
        write_openvino(network, temporary)
        # What is compared is what was stored.
        parity = compare(open_network(temporary, threads=0), eager(network), crops)
        parity.require("fp32")
    except BaseException:
        discard(temporary)
        raise
    return keep(checkpoint, temporary, checkpoint.path.stem, parity), parity


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
