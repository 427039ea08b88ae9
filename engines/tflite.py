"""TensorFlow Lite networks by OpenVINO: models that come with mediapipe, in a third of its graph's time."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from engines.engine import EngineUnavailable
from engines.openvino import MAX_ISA, reason

Picture = npt.NDArray[np.uint8]
Output = npt.NDArray[np.float32]


def open_tflite(model: Path) -> Callable[[Picture], Output]:
    """Compile a network of one picture and return what runs it, from any thread, one call at a time.

    Args:
        model: a .tflite file; its input is (1, H, W, 3) RGB in 0 to 1.

    Returns:
        (H, W, 3) uint8 RGB of just that size -> the first output without its batch, float32.

    Raises:
        EngineUnavailable: if OpenVINO is missing or can't compile it.
    """
    try:
        import openvino
        from openvino.frontend import ConversionExtension
        from openvino.preprocess import PrePostProcessor
    except ImportError as error:
        raise EngineUnavailable(f"openvino is not installed ({error}); pip install openvino") from None
    try:
        core = openvino.Core()
        core.add_extension(ConversionExtension("Convolution2DTransposeBias", _transposed_convolution))
        steps = PrePostProcessor(core.read_model(str(model)))
        steps.input().tensor().set_element_type(openvino.Type.u8)
        steps.input().preprocess().convert_element_type(openvino.Type.f32).scale(255.0)
        # Without a wish for precision OpenVINO computes in bf16 where the processor does; held to older
        # instructions it would choose the same, and fail.
        # In the caller's thread: on two a picture takes 0.8 of the time and 1.6 times the work.
        options: dict[str, Any] = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": 1}
        if MAX_ISA in os.environ:
            options["INFERENCE_PRECISION_HINT"] = "f32"
        compiled = core.compile_model(steps.build(), "CPU", options)
        request = compiled.create_infer_request()
    except RuntimeError as error:
        raise EngineUnavailable(f"OpenVINO could not compile {model}: {reason(error)}") from None
    lock = threading.Lock()

    def run(picture: Picture) -> Output:
        with lock:
            return cast(Output, request.infer([picture[None]])[0][0].copy())

    return run


def _transposed_convolution(node: Any) -> list[Any]:
    """Build mediapipe's own operator: x, kernel (out, h, w, in) and bias; the stride is the kernel's size."""
    from openvino import opset8 as ops

    x, kernel, bias = (node.get_input(index) for index in range(3))
    _, *stride, _ = kernel.get_shape()
    none = [0, 0]
    planes = ops.transpose(x, np.array([0, 3, 1, 2]))
    kernels = ops.transpose(kernel, np.array([3, 0, 1, 2]))
    wide = ops.convolution_backprop_data(
        planes, kernels, stride, pads_begin=none, pads_end=none, dilations=[1, 1]
    )
    return [ops.add(ops.transpose(wide, np.array([0, 2, 3, 1])), bias).output(0)]
