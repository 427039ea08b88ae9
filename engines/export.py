"""From a trained network to the files that other libraries run: OpenVINO's and ONNX."""

from __future__ import annotations

import logging
import warnings
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from engines.engine import EngineUnavailable

if TYPE_CHECKING:
    import torch

    from stn_icnn.network import STNiCNN

# Not 20: TensorRT's parser before 1.7 reads the "linear" of its GridSample as nearest neighbour, silently;
# 18 says "bilinear", which all of them read right.
OPSET = 18
MOST_FACES = 64


def export_program(
    network: STNiCNN, most: int = MOST_FACES, floats: bool = False
) -> torch.export.ExportedProgram:
    """Return the whole network, normalisation to softmax, as a graph for batches of 1 to `most`.

    Args:
        network: on any device.
        most: largest batch.
        floats: the graph takes crops as float32 in 0 to 255 instead of uint8.
    """
    import torch

    shape = network.config.packing.input_shape
    device = next(network.parameters()).device
    # Two, as a batch of one would be taken for a constant.
    kind = torch.float32 if floats else torch.uint8
    example = torch.zeros(2, *shape, dtype=kind, device=device)
    batch = torch.export.Dim("batch", min=1, max=most)
    with torch.no_grad():
        return torch.export.export(network, (example,), dynamic_shapes=({0: batch},))


def write_openvino(network: STNiCNN, path: Path) -> None:
    """Write a network for OpenVINO, fp32: `path` ends in .xml, its weights lie beside as .bin."""
    import openvino

    with warnings.catch_warnings():
        # torch's own, where OpenVINO copies its program: nothing that a user could mend.
        warnings.simplefilter("ignore", FutureWarning)
        network.by_lines = True
        try:
            model = openvino.convert_model(export_program(network))
        finally:
            network.by_lines = False
    # The conversion forgets that only the batch varies.
    model.reshape([-1, *network.config.packing.input_shape])
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
    """Write a network as one ONNX file with input "crops" and output "probabilities".

    Every type is as the network has it (see `stn_icnn.precision`); no library is left to choose one.

    Raises:
        EngineUnavailable: if the libraries that write ONNX are missing.
    """
    write_onnx_of(network, path, network.config.packing.input_shape, ["probabilities"])


def write_onnx_of(module: torch.nn.Module, path: Path, shape: tuple[int, ...], outputs: list[str]) -> None:
    """Write any module of crops (N, *shape) uint8 as one ONNX file with named outputs.

    Raises:
        EngineUnavailable: if the libraries that write ONNX are missing.
    """
    import torch

    try:
        import onnxscript  # noqa: F401 - what torch's exporter needs; told apart from its other failures
        from onnx_ir.passes import common
    except ImportError as error:
        raise EngineUnavailable(f"writing ONNX needs onnxscript ({error}); pip install '.[onnx]'") from None
    # It says that torchvision, which we don't use, is missing.
    logging.getLogger("torch.onnx._internal.exporter._registration").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        # torch's own, where it copies its program: nothing that a user could mend.
        warnings.simplefilter("ignore", FutureWarning)
        program = torch.onnx.export(
            module,
            (torch.zeros(2, *shape, dtype=torch.uint8),),
            input_names=["crops"],
            output_names=outputs,
            opset_version=OPSET,
            dynamo=True,
            dynamic_shapes=({0: torch.export.Dim("batch", min=1, max=MOST_FACES)},),
            verbose=False,
        )
    assert program is not None
    # Each sampler brings the same grids along: once is enough, and a third of the file.
    for each in (
        common.DeduplicateHashedInitializersPass(size_limit=2**30),
        common.CommonSubexpressionEliminationPass(),
        common.RemoveUnusedNodesPass(),
        common.ClearMetadataAndDocStringPass(),
    ):
        each(program.model)
    program.save(path, external_data=False)
