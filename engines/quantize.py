"""int8 for OpenVINO by post-training quantisation (NNCF), calibrated on real face crops.

Done once, when weights are released: NNCF and PyTorch are not needed to run the result.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence, Set
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from engines.eager import eager
from engines.engine import Crops, EngineError, EngineUnavailable
from engines.export import shrink_xml
from engines.openvino import open_network
from engines.parity import Parity, compare
from engines.release import discard, keep
from stn_icnn.checkpoint import Checkpoint, load_network
from stn_icnn.packing import Packing

if TYPE_CHECKING:
    import openvino

CALIBRATION = 300


def read_crops(folder: Path, packing: Packing, most: int) -> Crops:
    """Read square photos, each of all that a network sees of a face, evenly spread over the folder.

    Args:
        folder: holds .jpg or .png files.
        packing: of the network.
        most: as many at most.

    Returns:
        (N, *packing.input_shape) uint8 RGB.

    Raises:
        EngineError: if there are fewer than two photos, or one can't be read.
    """
    paths = sorted(path for path in folder.glob("*") if path.suffix in (".jpg", ".png"))
    if len(paths) < 2:
        raise EngineError(f"{folder}: at least two .jpg or .png photos of aligned faces are needed")
    paths = paths[:: max(1, len(paths) // most)][:most]
    crops, size = [], (packing.square_size, packing.square_size)
    for path in paths:
        image = cv2.imread(str(path), cv2.IMREAD_COLOR_RGB)
        if image is None:
            raise EngineError(f"{path}: unreadable")
        square = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
        crops.append(packing.pack_square(np.asarray(square, np.uint8)))
    return np.stack(crops)


def kept_as_floats(model: openvino.Model) -> list[str]:
    """Return the names of a network's operations that stay as they are, where int8 costs more than it saves.

    Where crops lie (localizer and grids): rounded to one of 255 places, eyes alone lost 2.6 points of F1.
    What is made of logits up to a softmax: rounding, and the layouts for it, took a twentieth of the time.
    The first convolutions: pixels are whole numbers already, and would be rounded to others.
    """
    operations = list(model.get_ops())
    samplers = [each for each in operations if each.get_type_name() == "GridSample"]
    softmaxes = [each for each in operations if each.get_type_name() == "Softmax"]
    found = _sources([each.input_value(1) for each in samplers], {"Softmax"})
    # The biases that follow convolutions belong to them.
    found |= _sources([each.input_value(0) for each in softmaxes], {"Convolution"}, _is_biased)
    return sorted(found | _first_convolutions(model))


def _sources(
    values: Sequence[openvino.Output],
    ends: Set[str],
    is_end: Callable[[openvino.Node], bool] = lambda _: False,
) -> set[str]:
    """Return the names of what values are computed from, back to operations of some types, those left out."""
    found: set[str] = set()
    nodes = [value.get_node() for value in values]
    while nodes:
        node = nodes.pop()
        name = node.get_friendly_name()
        if name in found or node.get_type_name() in ends | {"Constant", "Parameter"} or is_end(node):
            continue
        found.add(name)
        nodes += [value.get_node() for value in node.input_values()]
    return found


def _is_biased(node: openvino.Node) -> bool:
    sources = [value.get_node().get_type_name() for value in node.input_values()]
    return node.get_type_name() == "Add" and "Convolution" in sources and "Constant" in sources


def _first_convolutions(model: openvino.Model) -> set[str]:
    """Return the names of the convolutions of pixels as they come in."""
    found: set[str] = set()
    nodes = [each.get_node() for each in model.inputs]
    while nodes:
        for target in nodes.pop().output(0).get_target_inputs():
            node = target.get_node()
            if node.get_type_name() == "Convolution":
                found.add(node.get_friendly_name())
            elif node.get_type_name() in ("Convert", "Slice", "Reshape", "Transpose"):
                nodes.append(node)
    return found


def release_int8(checkpoint: Checkpoint, crops: Crops) -> tuple[Checkpoint, Parity]:
    """Write NAME.int8.xml and .bin beside the weights, made of the fp32 network there.

    Every third crop is kept back from the calibration and compared with eager.

    Args:
        checkpoint: has an OpenVINO fp32 network; gets the new files in its manifest.
        crops: (N, S, S, 3) uint8 RGB, a few hundred real faces.

    Raises:
        EngineUnavailable: if NNCF is missing.
        EngineError: if the int8 network differs from eager by too much; nothing is kept then.
    """
    try:
        import nncf
        import openvino
    except ImportError as error:
        raise EngineUnavailable(f"quantisation needs NNCF ({error}); pip install '.[quantize]'") from None
    stem = checkpoint.path.stem
    model = openvino.Core().read_model(checkpoint.verified(f"{stem}.xml"))
    held_back = np.arange(len(crops)) % 3 == 1
    calibration = nncf.Dataset([crop[None] for crop in crops[~held_back]])
    quantized = nncf.quantize(
        model,
        calibration,
        # Activations are not symmetric after ReLU; weights are.
        preset=nncf.QuantizationPreset.MIXED,
        subset_size=int((~held_back).sum()),
        # Layer by layer, each after the ones before it were corrected: half the error of all at once.
        fast_bias_correction=False,
        ignored_scope=nncf.IgnoredScope(names=kept_as_floats(model), validate=False),
    )
    temporary = checkpoint.path.with_name(f"{stem}.tmp.xml")
    try:
        openvino.save_model(quantized, temporary, compress_to_fp16=True)
        shrink_xml(temporary)
        parity = compare(
            open_network(temporary, threads=0), eager(load_network(checkpoint)), crops[held_back]
        )
        parity.require("int8")
    except BaseException:
        discard(temporary)
        raise
    return keep(checkpoint, temporary, f"{stem}.int8", parity), parity
