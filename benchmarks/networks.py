"""Networks with random weights for timing alone, compiled by OpenVINO with our own engine's settings.

Time does not depend on the weights; so int8 ranges may come from random pixels. What they parse is worthless.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from engines import EngineUnavailable
from engines.cache import user_folder
from engines.engine import Infer
from engines.openvino import open_network

if TYPE_CHECKING:
    import torch

# Of an int8 network's ranges.
CALIBRATION = 4
# Goes up when what is written changes, so that nothing old is timed.
VERSION = 1


def bisenet(int8: bool, threads: int) -> Infer:
    """Return BiSeNet-ResNet18: photos uint8 (1, 512, 512, 3) to logits (1, 19, 512, 512).

    Args:
        int8: quantised by NNCF, else fp32.
        threads: CPU threads.

    Raises:
        EngineUnavailable: if PyTorch, OpenVINO or NNCF is missing.
    """
    try:
        from benchmarks.bisenet import SIDE, random_bisenet
    except ImportError as error:
        raise EngineUnavailable(f"needs PyTorch to be built ({error}); pip install '.[train]'") from None
    single = _kept("bisenet", lambda path: _write(random_bisenet(), SIDE, path))
    return open_network(
        _kept("bisenet.int8", lambda path: _quantize(single, path)) if int8 else single, threads
    )


def paper(threads: int) -> tuple[Infer, int]:
    """Return the network `paper` in fp32, and the side of its crops in pixels.

    Raises:
        EngineUnavailable: if PyTorch or OpenVINO is missing.
    """
    from stn_icnn.config import PAPER

    def write(path: Path) -> None:
        from stn_icnn.network import STNiCNN

        _write(STNiCNN(PAPER).eval(), PAPER.input_size, path)

    try:
        return open_network(_kept("paper", write), threads), PAPER.input_size
    except ImportError as error:
        raise EngineUnavailable(f"needs PyTorch to be built ({error}); pip install '.[train]'") from None


def _kept(name: str, write: Callable[[Path], None]) -> Path:
    """Return a network in the user's cache, written where it is missing."""
    folder = user_folder() / "benchmarks"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.{VERSION}.xml"
    if not path.is_file():
        print(f"building {name} (once) ...", flush=True)
        temporary = path.with_name(f"unfinished.{path.name}")
        write(temporary)
        # The weights first: the .xml says that all is there.
        temporary.with_suffix(".bin").replace(path.with_suffix(".bin"))
        temporary.replace(path)
    return path


def _write(network: torch.nn.Module, side: int, path: Path) -> None:
    import openvino
    import torch

    example = torch.zeros(1, side, side, 3, dtype=torch.uint8)
    with torch.no_grad(), warnings.catch_warnings():
        # torch.export's own, about its inside.
        warnings.filterwarnings("ignore", ".*LeafSpec.*")
        model = openvino.convert_model(torch.export.export(network, (example,)))
    # The conversion forgets the shape.
    model.reshape([1, side, side, 3])
    openvino.save_model(model, path, compress_to_fp16=False)


def _quantize(single: Path, path: Path) -> None:
    try:
        import nncf
    except ImportError as error:
        raise EngineUnavailable(f"int8 needs NNCF ({error}); pip install '.[quantize]'") from None
    import openvino

    model: Any = openvino.Core().read_model(str(single))
    side = int(model.input(0).shape[1])
    rng = np.random.default_rng(0)
    photos = [rng.integers(0, 256, (1, side, side, 3), np.uint8) for _ in range(CALIBRATION)]
    # MIXED as our own int8 network, see engines/quantize.py.
    quantized = nncf.quantize(
        model, nncf.Dataset(photos), preset=nncf.QuantizationPreset.MIXED, subset_size=CALIBRATION
    )
    openvino.save_model(quantized, path, compress_to_fp16=True)
